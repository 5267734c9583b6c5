"""The bar on top: the project, undo and redo, the view modes, settings and help."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import document as edits
from app.commands import tip, with_keys
from app.kit import Kit
from app.panels.project_menu import ProjectMenu
from app.studio import Studio
from engine.capabilities import VIEW_MODES, ViewMode

SEGMENT_WIDTH = 86
#: Room for the word mark, and for what stands beside it, at a scale of 1, pixels.
WORDMARK_WIDTH, LEFT_WIDTH = 120, 260


class Toolbar:
    """The project's menu, undo, redo, history, view modes, settings, shortcuts."""

    def __init__(
        self,
        kit: Kit,
        menu: ProjectMenu,
        show_history: Callable[[], None],
        show_help: Callable[[], None],
        show_settings: Callable[[], None],
    ) -> None:
        self._kit, self._menu, self._history = kit, menu, show_history
        self._help, self._settings = show_help, show_settings
        self._modes: dict[ViewMode, int] = {}
        self._tips: dict[ViewMode, int] = {}

    def build(self) -> None:
        """Create the items."""
        kit, studio = self._kit, self._kit.studio
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(4)) as mark:
            name = kit.label("Maquette", width=WORDMARK_WIDTH)
            dpg.bind_item_font(name, kit.fonts.title)
            dpg.bind_item_theme(name, kit.themes.wordmark)
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(4)) as left:
            self._menu.build()
            self._undo = kit.button("Undo", studio.undo, "undo", theme=kit.themes.segment)
            self._undo_tip = kit.name("undo_tip", kit.tip(self._undo, ""))
            self._redo = kit.button("Redo", studio.redo, "redo", theme=kit.themes.segment)
            self._redo_tip = kit.tip(self._redo, "")
            kit.button(
                "History", self._history, "history", tip("history"), theme=kit.themes.segment
            )  # fmt: skip
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(2)) as middle:
            for mode in VIEW_MODES:
                item = kit.button(
                    mode.capitalize(), self._chooser(mode), f"view_{mode}",
                    width=kit.px(SEGMENT_WIDTH),
                )  # fmt: skip
                self._modes[mode] = item
                self._tips[mode] = kit.name(f"view_{mode}_tip", kit.tip(item, tip(f"view_{mode}")))
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(4)) as right:
            kit.button(
                "Settings", self._settings, "settings", tip("settings"),
                theme=kit.themes.segment, width=kit.px(86),
            )  # fmt: skip
            kit.button(
                "Shortcuts", self._help, "help", tip("help"), theme=kit.themes.segment,
                width=kit.px(92),
            )  # fmt: skip
        self._mark, self._left = int(mark), int(left)
        self._middle, self._right = int(middle), int(right)

    def place(self, width: float, picture_left: float, picture_width: float) -> None:
        """Put the view modes over the picture and the rest to the edges.

        Args:
            width: of the window, pixels.
            picture_left, picture_width: where the viewport lies.
        """
        kit, top = self._kit, self._kit.px(9)
        segments = len(VIEW_MODES) * kit.px(SEGMENT_WIDTH + 2)
        end = width - kit.px(86 + 4 + 92 + 8)
        # Beside an empty column the picture reaches below the buttons at the right.
        middle = min(picture_left + (picture_width - segments) / 2, end - kit.px(8) - segments)
        # In a narrow window the word mark makes room.
        roomy = middle >= kit.px(20 + WORDMARK_WIDTH + LEFT_WIDTH)
        kit.show(self._mark, roomy)
        left = kit.px(20 + WORDMARK_WIDTH if roomy else 8)
        dpg.set_item_pos(self._left, [left, top])
        dpg.set_item_pos(self._middle, [int(max(middle, left + kit.px(LEFT_WIDTH))), top])
        dpg.set_item_pos(self._right, [int(end), top])

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, history = self._kit, studio.history
        self._menu.update(studio)
        kit.enable(self._undo, history.can_undo)
        kit.enable(self._redo, history.can_redo)
        undo = f"Undo: {history.undo_name}" if history.undo_name else "Nothing to undo"
        redo = f"Redo: {history.redo_name}" if history.redo_name else "Nothing to redo"
        kit.show_value(self._undo_tip, with_keys(undo, "undo"))
        kit.show_value(self._redo_tip, with_keys(redo, "redo"))
        capabilities, view = studio.capabilities, studio.document.recipe.view
        for mode, item in self._modes.items():
            why = capabilities.why_not(mode) if capabilities else ""
            kit.enable(item, not why)
            kit.show_value(self._tips[mode], why or tip(f"view_{mode}"))
            dpg.bind_item_theme(item, kit.themes.chosen if mode == view else kit.themes.segment)

    def choose(self, mode: ViewMode) -> None:
        """Show one of the views; nothing happens where the model has no such view."""
        studio = self._kit.studio
        if studio.capabilities and (why := studio.capabilities.why_not(mode)):
            studio.say(why, "info")
            return
        studio.edit(f"View {mode}", lambda d: edits.set_view(d, mode))

    def _chooser(self, mode: ViewMode) -> Callable[[], None]:
        return lambda: self.choose(mode)
