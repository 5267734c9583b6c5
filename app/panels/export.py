"""Taking the head away: pictures, videos, meshes and sheets."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import dearpygui.dearpygui as dpg

from app.commands import tip
from app.dialogs import Question
from app.exports import time_left
from app.kit import Kit
from app.panels import export_forms as forms
from app.panels.confirm import Confirm
from app.panels.sheet_form import SheetForm
from app.studio import Studio
from app.typed_paths import keep_folder, kept_folder, whole_path
from engine.errors import UserError
from engine.places import home

#: Seconds for which a proposed name counts as free.
LOOK_PERIOD = 1.0


class ExportPanel:
    """A tab for each kind, each with its options, a path, a start button and the progress. Several
    may be started; they are done one after the other."""

    def __init__(self, kit: Kit, confirm: Confirm) -> None:
        self._kit = kit
        self._tabs: dict[int, ExportTab] = {}
        self._confirm = confirm

    def build(self) -> None:
        """Create the items."""
        with dpg.tab_bar() as bar:
            for form in (
                forms.PictureForm(self._kit),
                forms.VideoForm(self._kit),
                forms.MeshForm(self._kit),
                SheetForm(self._kit),
            ):
                tab = ExportTab(self._kit, form, self._confirm)
                self._tabs[tab.build()] = tab
        self._bar = int(bar)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        for tab in self._tabs.values():
            tab.update(studio)

    @property
    def memory(self) -> tuple[int, list[str]]:
        """Which tab is open, and the names that were proposed in each."""
        chosen = dpg.get_value(self._bar)
        opened = list(self._tabs).index(chosen) if chosen in self._tabs else 0
        return opened, [tab.proposed for tab in self._tabs.values()]

    def recall(self, memory: tuple[int, list[str]]) -> None:
        """Take over what another panel of its kind remembered."""
        opened, proposed = memory
        dpg.set_value(self._bar, list(self._tabs)[opened])
        for tab, path in zip(self._tabs.values(), proposed, strict=True):
            tab.proposed = path

    def choose(self, kind: str) -> None:
        """Open the tab of a kind: ``"picture"``, ``"video"``, ``"mesh"`` or ``"sheet"``."""
        for item, tab in self._tabs.items():
            if tab.kind == kind:
                dpg.set_value(self._bar, item)

    def film_timeline(self) -> None:
        """Start a video of the timeline, with the size and the format of the video's tab."""
        self.choose("video")
        for tab in self._tabs.values():
            tab.film_timeline()

    def start(self) -> None:
        """Start the export of the tab that is open."""
        self._open_tab.start()

    @property
    def path_box(self) -> int:
        """Where the path of the tab that is open is typed."""
        return self._open_tab.path_box

    @property
    def _open_tab(self) -> ExportTab:
        return self._tabs.get(dpg.get_value(self._bar)) or next(iter(self._tabs.values()))


class ExportTab:
    """One kind of export."""

    def __init__(self, kit: Kit, form: forms.Form, confirm: Confirm) -> None:
        self._kit, self._form, self._confirm = kit, form, confirm
        #: The path that was proposed last; a path that differs from it was typed.
        self.proposed = ""
        self._wanted: tuple[object, ...] = ()
        self._looked = 0.0

    @property
    def kind(self) -> str:
        """What it makes."""
        return self._form.kind

    @property
    def path_box(self) -> int:
        """Where the path is typed."""
        return self._path

    def build(self) -> int:
        """Create the items; the id of the tab."""
        kit, kind = self._kit, self._form.kind
        with dpg.tab(label=self._form.title) as tab:
            kit.name(f"tab_{kind}", int(tab))
            dpg.add_spacer(height=kit.px(2))
            self._form.build(self._form_changed)
            kit.text("Save as", theme=kit.themes.muted, font=kit.fonts.small)
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
                self._path = kit.box(
                    f"{kind}_path",
                    width=-kit.px(86),
                    enter=self.start,
                    elide_left=True,
                    tip="The file to write; Enter starts the export",
                )
                kit.button("Browse", self._browse, tip="Choose the file with a dialog", width=-1)
            dpg.add_spacer(height=kit.px(2))
            self._start = kit.button(
                f"Export {kind}", self.start, f"{kind}_start",
                tip("export"), theme=kit.themes.primary, width=-1,
            )  # fmt: skip
            with dpg.group(show=False) as running:
                self._bar = int(dpg.add_progress_bar(width=-1, height=kit.px(22)))
                with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
                    self._left = kit.label("", width=178)
                    self._cancel = kit.button(
                        "Cancel", self._stop, f"{kind}_cancel", "Stop it; no file is left",
                        width=-1,
                    )  # fmt: skip
            self._running = int(running)
            self._result = kit.copied(kit.text("", font=kit.fonts.small, wrap=0))
            kit.name(f"{kind}_result", self._result)
        kit.tip_of_tab(int(tab), f"{self._form.title}: what it is to be, and where to save it")
        return int(tab)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, kind = self._kit, self._form.kind
        self._form.update(studio)
        self._propose(studio)
        export = studio.exports.get(kind)
        active = export is not None and not export.is_over
        kit.show(self._running, active)
        kit.enable(self._start, studio.model is not None)
        text, theme = "", kit.themes.muted
        if export is not None and active:
            dpg.set_value(self._bar, export.share)
            overlay = f"{export.share:.0%}" if export.total else "Starting ..."
            if export.state == "waiting":
                overlay = "Waiting ..."
            dpg.configure_item(self._bar, overlay=overlay)
            left = time_left(export.seconds_left)
            if export.state == "cancelling":
                left = "Cancelling ..."
            others = sum(one.kind == kind for one in studio.jobs.active) - 1
            more = f"{others} more" if others else ""
            dpg.configure_item(self._left, label=", ".join(filter(None, (left, more))))
            kit.enable(self._cancel, export.state != "cancelling")
        elif export is not None and export.state == "finished":
            text, theme = f"Saved to {export.path}", kit.themes.good
        elif export is not None and export.state == "failed":
            text, theme = export.message, kit.themes.error
        elif export is not None and export.state == "cancelled":
            text = "Cancelled; no file was left."
        kit.show_value(self._result, text)
        dpg.bind_item_theme(self._result, theme)
        kit.show(self._result, bool(text))

    def start(self) -> None:
        """Check the options and put the export into the queue; ask before replacing a file.

        Raises:
            UserError: an option or the path is not usable.
        """
        studio, text = self._kit.studio, dpg.get_value(self._path).strip()
        if not text:
            raise UserError(f"Type where to save the {self._form.kind} first.")
        whole_path(text, None, "a file")  # says why where it is no path
        path = Path(text).expanduser().absolute()
        if studio.model is None:
            raise UserError("Open a model first; there is nothing to export yet.")
        job = self._form.job(studio.document.recipe, path)
        self._confirm.export(job, lambda: keep_folder(studio, self._form.kind, path.parent))

    def film_timeline(self) -> None:
        """Start the export of the timeline, if it is videos that this tab makes."""
        if isinstance(self._form, forms.VideoForm):
            self._form.choose_timeline()
            self.start()

    def _stop(self) -> None:
        self._kit.studio.cancel_export(self._form.kind)

    def _form_changed(self) -> None:
        """The format may have changed: the name must end accordingly."""
        suffix = self._form.suffix
        text = dpg.get_value(self._path)
        if text == self.proposed:
            self._propose(self._kit.studio)
        elif text.strip():
            dpg.set_value(self._path, str(Path(text).with_suffix(suffix)))

    def _propose(self, studio: Studio) -> None:
        shown = dpg.get_value(self._path)
        if self._kit.is_held(self._path) or (shown and shown != self.proposed):
            return
        stem = f"{self._form.stem}-{studio.document.recipe.seed:04d}"
        kind = self._form.kind
        wanted = (
            studio.settings.folders.get(kind, studio.settings.export_folder),
            stem,
            self._form.suffix,
            studio.exports.get(kind),
        )
        now = time.monotonic()
        # The disk is not asked at every step of a drag.
        if shown and wanted == self._wanted and now < self._looked + LOOK_PERIOD:
            return
        self._wanted, self._looked = wanted, now
        folder = kept_folder(studio.settings, kind, export_home())
        self.proposed = str(free_name(folder, stem, self._form.suffix, self._is_taken))
        self._kit.show_value(self._path, self.proposed)

    def _is_taken(self, path: Path) -> bool:
        return path.exists() or self._kit.studio.jobs.is_target(path)

    def _browse(self) -> None:
        text = dpg.get_value(self._path).strip()
        try:
            start = Path(text or self.proposed).expanduser()
        except RuntimeError:  # ~ and the name of nobody here
            start = Path(self.proposed)
        if not start.parent.is_dir():
            start = export_home() / start.name
        question = Question(
            f"Save the {self._form.kind}", save=True, start=start, patterns=self._form.patterns
        )
        self._kit.dialogs.ask(question, self._chosen)

    def _chosen(self, path: Path) -> None:
        if not path.suffix and self._form.suffix:
            path = path.with_suffix(self._form.suffix)
        dpg.set_value(self._path, str(path))


def export_home() -> Path:
    """Where exports go at first: the Pictures folder if there is one, else the home."""
    pictures = home() / "Pictures"
    return pictures if pictures.is_dir() else home()


def free_name(
    folder: Path, stem: str, suffix: str, exists: Callable[[Path], bool] = Path.exists
) -> Path:
    """A name in ``folder`` that is not taken: ``stem``, ``stem-2``, ``stem-3``, ..."""
    path, number = folder / f"{stem}{suffix}", 2
    while exists(path):
        path, number = folder / f"{stem}-{number}{suffix}", number + 1
    return path
