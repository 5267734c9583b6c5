"""Every panel of the window, built together at one UI scale."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import dearpygui.dearpygui as dpg

from app import commands
from app.dock import COLUMNS
from app.folder_search import FolderSearch
from app.geometry import next_scale
from app.kit import Kit
from app.live_texture import LiveTextures
from app.panels.blend import BlendPanel
from app.panels.camera import CameraPanel
from app.panels.compare import ComparePanel
from app.panels.confirm import Confirm
from app.panels.dock_drag import GRIPS, DockDrag
from app.panels.docking import Docking
from app.panels.edit import EditPanel
from app.panels.export import ExportPanel
from app.panels.faces import FacesPanel
from app.panels.gallery import GalleryWindow
from app.panels.help import HelpWindow
from app.panels.history import HistoryWindow
from app.panels.identity import IdentityPanel
from app.panels.jobs import JobsWindow
from app.panels.mixing import MixingPanel
from app.panels.mixing_canvas import MixingCanvas
from app.panels.modal import Modal
from app.panels.model import ModelPanel
from app.panels.model_settings import ModelSettingsPanel
from app.panels.models import ModelsWindow
from app.panels.palette import Palette
from app.panels.prepare import PrepareWindow
from app.panels.project_menu import ProjectMenu
from app.panels.project_prompt import ProjectPrompt
from app.panels.second_model import SecondModelPanel
from app.panels.section import Section
from app.panels.settings import SettingsWindow
from app.panels.status import StatusLine
from app.panels.timeline import TimelinePanel
from app.panels.timeline_canvas import TimelineCanvas
from app.panels.toasts import Toasts
from app.panels.toolbar import Toolbar
from app.panels.train import TrainWindow
from app.panels.train_pictures import PicturesWindow
from app.panels.ways import WaysWindow
from app.playback import Playback
from app.studio import Studio
from app.viewport import Viewport
from engine.memory import give_back

#: A button of the mouse.
RIGHT = 1
#: Seconds after which what was freed meanwhile goes back to the system.
BETWEEN_GIVING_BACK = 60.0


class Parts:
    """The panels, the windows they stand in, and the popups.

    Args:
        kit: made for the scale at which everything is built.
        textures: the live pictures, which outlive a change of scale.
        search: the search for checkpoints, which does so too.
        playback: the playhead of the timeline, which does so too.
        rescale: asks for another scale.

    Attributes:
        windows: name of a part of the layout -> the window that never moves there.
    """

    # Written out, because the table of commands is checked against them.
    kit: Kit
    help: HelpWindow
    settings: SettingsWindow
    history: HistoryWindow
    models: ModelsWindow
    palette: Palette
    jobs: JobsWindow
    train: TrainWindow
    prepare: PrepareWindow
    toolbar: Toolbar
    model: ModelPanel
    identity: IdentityPanel
    faces: FacesPanel
    gallery: GalleryWindow
    blend: BlendPanel
    mixing: MixingPanel
    second: SecondModelPanel
    ways: WaysWindow
    edit: EditPanel
    camera: CameraPanel
    viewport: Viewport
    model_settings: ModelSettingsPanel
    export: ExportPanel
    timeline: TimelinePanel
    docking: Docking

    def __init__(
        self,
        kit: Kit,
        textures: LiveTextures,
        search: FolderSearch,
        playback: Playback,
        rescale: Callable[[float], None],
    ) -> None:
        self.kit = kit
        self._give_back_at = kit.studio.clock() + BETWEEN_GIVING_BACK
        self.modal = Modal(kit)
        self.help, self.settings = HelpWindow(kit), SettingsWindow(kit, rescale)
        self.history, self.menu = HistoryWindow(kit), ProjectMenu(kit)
        self.models = ModelsWindow(kit, search)
        self.toolbar = Toolbar(
            kit, self.menu, self.history.toggle, self.help.toggle, self.settings.toggle
        )
        self.pictures, self.prepare = PicturesWindow(kit), PrepareWindow(kit)
        self.train = TrainWindow(kit, self.pictures.toggle, self.prepare.toggle)
        self.model = ModelPanel(kit, self.models.toggle, self.train.toggle)
        self.identity = IdentityPanel(kit)
        self.gallery = GalleryWindow(kit, textures.present)
        self.faces = FacesPanel(kit, self.gallery.toggle)
        self.blend, self.mixing = BlendPanel(kit), MixingPanel(kit)
        self.second, self.compare = SecondModelPanel(kit), ComparePanel(kit)
        self.ways = WaysWindow(kit)
        self.edit = EditPanel(kit, self.ways.toggle)
        self.camera, self.model_settings = CameraPanel(kit), ModelSettingsPanel(kit)
        self.confirm, self.prompt = Confirm(kit, self.modal), ProjectPrompt(kit, self.modal)
        self.export = ExportPanel(kit, self.confirm)
        self.jobs = JobsWindow(kit, self.confirm)
        self.viewport, self.status = (
            Viewport(kit, textures, playback),
            StatusLine(kit, self.jobs.toggle, playback.toggle),
        )
        self.timeline = TimelinePanel(kit, playback, self.film_timeline)
        self.toasts = Toasts(kit)
        self.palette = Palette(kit, self.perform)
        self.popups = (
            self.help, self.settings, self.history, self.models, self.palette, self.jobs,
            self.gallery, self.train, self.ways, self.pictures, self.prepare,
        )  # fmt: skip
        self._rescale = rescale
        self.left = (
            Section(kit, "Model", self.model),
            Section(kit, "Identity", self.identity),
            Section(kit, "Faces", self.faces),
            Section(kit, "Blend", self.blend),
            Section(kit, "Style mixing", self.mixing),
            Section(kit, "Edit", self.edit),
            Section(kit, "Second model", self.second),
        )
        self.right = (
            Section(kit, "Camera", self.camera),
            Section(kit, "Model settings", self.model_settings, has_settings),
            Section(kit, "Export", self.export),
            Section(kit, "Compare", self.compare),
        )
        self.docking = Docking(kit, self.left, self.right)
        self.dock_drag = DockDrag(kit, self.docking)
        themes = kit.themes
        self.windows = {
            "toolbar": _fixed(themes.bar, self.toolbar.build),
            "left": _fixed(None, *(section.build for section in self.left), scrolls=True),
            "right": _fixed(None, *(section.build for section in self.right), scrolls=True),
            "viewport": _fixed(themes.canvas, self.viewport.build),
            "timeline": _fixed(themes.bar, self.timeline.build),
            "status": _fixed(themes.status, self.status.build),
        }
        # What lies behind them has their colour already, or is hidden by what they show; the
        # processor may have to paint it.
        for name in (*COLUMNS, "viewport"):
            dpg.configure_item(self.windows[name], no_background=True)
        for grip in GRIPS:
            build = partial(self.dock_drag.build_grip, grip)
            self.windows[f"grip_{grip}"] = _fixed(themes.grip, build)
        self.docking.build({column: self.windows[column] for column in COLUMNS})
        self.dock_drag.build()
        for popup in self.popups:
            popup.build()
        self.menu.build_menu()

    def update(self, studio: Studio) -> None:
        """Show the present state everywhere."""
        for part in (
            self.toolbar, *self.left, *self.right, self.timeline, self.status, self.settings, self.history,
            self.models, self.palette, self.jobs, self.gallery, self.train, self.ways, self.pictures, self.prepare,
            self.confirm, self.prompt, self.toasts,
        ):  # fmt: skip
            part.update(studio)

    def press(self, button: int) -> None:
        """A button of the mouse went down somewhere."""
        self.palette.leave()
        if button == RIGHT:
            self.kit.copies.press()

    def key(self, code: int) -> bool:
        """Whether a key is for what waits for an answer, for a box that is about to have the keyboard,
        or for the palette."""
        if self.kit.ahead.key(code):
            return True
        if self.kit.studio.desk.talk.is_open:
            return self.confirm.key(code)
        return self.palette.is_open and self.palette.key(code)

    def after_frame(self) -> None:
        """Follow the mouse and free what is shown no more; call once after each frame."""
        self.kit.after_frame()
        self.confirm.after_frame()
        self.gallery.after_frame()
        self.ways.after_frame()
        self.train.after_frame()
        self.pictures.after_frame()
        self.prepare.after_frame()
        self.mixing.canvas.fit()
        if (now := self.kit.studio.clock()) >= self._give_back_at:
            self._give_back_at = now + BETWEEN_GIVING_BACK
            give_back()

    @property
    def drawn(self) -> tuple[DockDrag, Viewport, MixingCanvas, TimelineCanvas]:
        """The parts that are told about the mouse."""
        return self.dock_drag, self.viewport, self.mixing.canvas, self.timeline.canvas

    @property
    def dragged(self) -> Viewport | TimelineCanvas | GalleryWindow | None:
        """The part by which the mouse drags the document now, if there is one."""
        parts = self.viewport, self.timeline.canvas, self.gallery
        return next((part for part in parts if part.dragging), None)

    def perform(self, command: commands.Command) -> None:
        """Do a command of the table; see :func:`app.commands.perform`.

        Raises:
            UserError: it cannot be done now.
        """
        commands.perform(command, self)

    def film_timeline(self) -> None:
        """Export a video of the timeline, with the size and the format of the video's tab."""
        self.timeline.playback.pause()
        self.docking.reveal("export")
        self.export.film_timeline()

    def type_into(self, section: str, box: Callable[[], int]) -> None:
        """Show a section, with the keyboard in one of its boxes.

        Args:
            section: its key. box: finds the box once the section is there.
        """
        self.kit.ahead.expect(self.kit.typing)
        self.docking.reveal(section)

        # Once it has been scrolled to.
        self.kit.later(lambda: self.kit.ahead.into(box(), away=self.windows["viewport"]))

    def resize(self, step: int) -> None:
        """Make the interface larger (1) or smaller (-1)."""
        self._rescale(next_scale(self.kit.scale, step))

    def fold_all(self, folded: bool) -> None:
        """Fold every section, or none."""
        for section in self.docking.sections.values():
            section.fold(folded)

    def reset_layout(self) -> None:
        """Everything where it was at first: nothing moved, folded, scrolled or open."""
        self.fold_all(False)
        self.docking.reset()
        for name in ("left", "right"):
            dpg.set_y_scroll(self.windows[name], 0)
        for popup in self.popups:
            popup.close()

    def prepare_export(self, kind: str) -> None:
        """Show the tab of a kind of export."""
        self.docking.reveal("export")
        self.export.choose(kind)

    def close_popups(self) -> None:
        """Close what is open above the window: a question, else the popups and notices. What is
        being dragged goes back first."""
        studio = self.kit.studio
        if self.dock_drag.cancel():
            return
        if studio.desk.talk.is_open:
            studio.desk.talk.dismiss()
            return
        for popup in self.popups:
            popup.close()
        studio.clear_notices()

    @property
    def opened(self) -> dict[int, dict[str, Any]]:
        """Place and size of the popups that are open, by number. The palette is none of them: it
        closes when something else is done."""
        return {
            number: {
                "pos": dpg.get_item_pos(popup.window),
                "width": dpg.get_item_width(popup.window),
                "height": dpg.get_item_height(popup.window),
            }
            for number, popup in enumerate(self.popups)
            if popup.is_open and popup is not self.palette
        }

    def open_again(self, opened: dict[int, dict[str, Any]], at_their_places: bool) -> None:
        """Open the popups of :attr:`opened`, where they were or where they open by themselves."""
        for number, place in opened.items():
            popup = self.popups[number]
            popup.toggle()
            if at_their_places:
                dpg.configure_item(popup.window, **place)

    def described(self) -> dict[str, Any]:
        """What the popups show, for the tests."""
        palette = self.palette
        listed = [command.name for command in palette.listed]
        return {
            "answer": self.confirm.answer,
            "help_open": self.help.is_open,
            "settings_open": self.settings.is_open,
            "jobs_open": self.jobs.is_open,
            "train": self.train.described(),
            "train_pictures": self.pictures.described(),
            "prepare": self.prepare.described(),
            "gallery": self.gallery.described(),
            "edit": self.edit.described(),
            "ways": self.ways.described(),
            "timeline": self.timeline.described(),
            "compare": self.viewport.described(),
            "dock": self.docking.described(),
            "palette": {"listed": listed, "chosen": palette.chosen} if palette.is_open else None,
        }

    def delete(self) -> None:
        """Take everything away but the fonts, which are in use until others are bound."""
        self.modal.close()
        self.toasts.clear()
        popups = (*self.popups, self.menu)
        self.gallery.delete()
        self.ways.delete()
        self.train.delete()
        self.pictures.delete()
        self.prepare.delete()
        self.history.delete()
        self.dock_drag.delete()
        self.docking.delete()
        for window in (*self.windows.values(), *(popup.window for popup in popups)):
            dpg.delete_item(window)
        dpg.bind_theme(0)
        self.kit.delete()


def has_settings(studio: Studio) -> bool:
    """Whether the open model has settings of its own."""
    return studio.capabilities is not None and bool(studio.capabilities.settings)


def _fixed(theme_item: int | None, *builders: Callable[[], None], scrolls: bool = False) -> int:
    """A part of the window that never moves, with what is built inside."""
    with dpg.window(
        no_title_bar=True, no_resize=True, no_move=True, no_collapse=True, no_close=True,
        no_scrollbar=not scrolls, no_scroll_with_mouse=not scrolls, no_saved_settings=True,
        no_bring_to_front_on_focus=True, min_size=(1, 1),
    ) as window:  # fmt: skip
        for build in builders:
            build()
    if theme_item is not None:
        dpg.bind_item_theme(window, theme_item)
    return int(window)
