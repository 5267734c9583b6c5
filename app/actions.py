"""What each action of the table of shortcuts does."""

from __future__ import annotations

from collections.abc import Callable

from app import interaction
from app.document import Direction
from app.panels.camera import CameraPanel
from app.panels.export import ExportPanel
from app.panels.identity import IdentityPanel
from app.panels.model import ModelPanel
from app.panels.toolbar import Toolbar
from app.shortcuts import Action
from app.studio import BRIEF_GESTURE, Studio
from engine.capabilities import ViewMode


class Actions:
    """Hands an action to the part of the window that knows how to do it.

    Args:
        studio: the state behind the window.
        toolbar, model, identity, camera, export: the panels.
        help: opens or closes the list of shortcuts.
        history: opens or closes the list of steps.
        close_popups: closes what Escape closes.
        rescale: makes the interface larger (1) or smaller (-1).
    """

    def __init__(
        self,
        studio: Studio,
        toolbar: Toolbar,
        model: ModelPanel,
        identity: IdentityPanel,
        camera: CameraPanel,
        export: ExportPanel,
        *,
        help: Callable[[], None],
        history: Callable[[], None],
        close_popups: Callable[[], None],
        rescale: Callable[[int], None],
    ) -> None:
        self._studio, self._toolbar, self._model = studio, toolbar, model
        self._identity, self._camera, self._export = identity, camera, export
        self._help, self._history = help, history
        self._close_popups, self._rescale = close_popups, rescale

    def perform(self, action: Action) -> None:
        """Do what a shortcut or a menu names.

        Raises:
            UserError: it cannot be done now.
        """
        match action:
            case Action.PROJECT_NEW:
                self._studio.desk.new()
            case Action.PROJECT_OPEN:
                self._studio.desk.ask_open()
            case Action.PROJECT_SAVE:
                self._studio.desk.save()
            case Action.PROJECT_SAVE_AS:
                self._studio.desk.ask_save_as()
            case Action.QUIT:
                self._studio.desk.close()
            case Action.OPEN:
                self._model.browse()
            case Action.EXPORT:
                self._export.start()
            case Action.UNDO:
                self._studio.undo()
            case Action.REDO:
                self._studio.redo()
            case Action.HISTORY:
                self._history()
            case Action.HELP:
                self._help()
            case Action.CLOSE_POPUP:
                self._close_popups()
            case Action.SEED_RANDOM:
                self._identity.random()
            case Action.SEED_PREVIOUS:
                self._identity.previous()
            case Action.SEED_NEXT:
                self._identity.next()
            case Action.RESET_CAMERA:
                self._camera.reset()
            case Action.LARGER_UI:
                self._rescale(1)
            case Action.SMALLER_UI:
                self._rescale(-1)
            case Action.ZOOM_IN | Action.ZOOM_OUT:
                notches = 1 if action is Action.ZOOM_IN else -1
                self._studio.edit(
                    "Zoom", lambda d: interaction.wheel_zoom(d, notches), "Zoom", BRIEF_GESTURE
                )
            case _ if action in _DIRECTIONS:
                self._camera.look_from(_DIRECTIONS[action])
            case _ if action in _NUDGES:
                right, up = _NUDGES[action]
                self._studio.edit(
                    "Nudge", lambda d: interaction.nudge(d, right, up), "Nudge", BRIEF_GESTURE
                )
            case _:
                self._toolbar.choose(_VIEWS[action])


_DIRECTIONS: dict[Action, Direction] = {
    Action.FRONT: "front", Action.BACK: "back", Action.SIDE: "left",
    Action.OTHER_SIDE: "right", Action.TOP: "top", Action.BOTTOM: "bottom",
}  # fmt: skip
_NUDGES: dict[Action, tuple[int, int]] = {
    Action.NUDGE_LEFT: (-1, 0), Action.NUDGE_RIGHT: (1, 0),
    Action.NUDGE_UP: (0, 1), Action.NUDGE_DOWN: (0, -1),
}  # fmt: skip
_VIEWS: dict[Action, ViewMode] = {
    Action.VIEW_PICTURE: "picture", Action.VIEW_RAW: "raw", Action.VIEW_DEPTH: "depth",
    Action.VIEW_NORMALS: "normals", Action.VIEW_OPACITY: "opacity",
}  # fmt: skip
