"""Which generator is open, and opening another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import dearpygui.dearpygui as dpg

from app.commands import tip
from app.dialogs import Question, file_patterns
from app.kit import Kit
from app.project import PROJECT_SUFFIX
from app.studio import Studio
from engine.assets import BUNDLED, shipped_generator, shipped_generators
from engine.capabilities import Capabilities
from engine.places import home

CHECKPOINT_ENDINGS = (".pkl", ".pth", ".pt", ".zip", ".tar", ".json", ".safetensors")
FAMILY_TITLES = {
    "eg3d": "EG3D",
    "epigraf": "EpiGRAF",
    "stylenerf": "StyleNeRF",
    "stylesdf": "StyleSDF",
    "cips3d": "CIPS-3D",
    "pigan": "pi-GAN",
}


def facts(capabilities: Capabilities) -> str:
    """What a model is, in one line: ``EG3D, 512 px, 14 layers``."""
    family = FAMILY_TITLES.get(capabilities.family, capabilities.family)
    return f"{family}  ·  {capabilities.resolution} px  ·  {capabilities.num_ws} layers"


def short_name(path: str, others: Sequence[str] = ()) -> str:
    """A checkpoint's name in a list: its file name, with the folder in front where one of the
    ``others`` is called the same, and the folder alone for a converted model."""
    where = Path(path)
    if where.name == "model.json":
        return where.parent.name or where.name
    if any(other != path and Path(other).name == where.name for other in others):
        return f"{where.parent.name}/{where.name}"
    return where.name


def _assumptions(count: int) -> str:
    return f"{count} assumption{'s' if count != 1 else ''} about this file: point here"


class ModelPanel:
    """Name and facts of the open model, path box, recent list.

    Args:
        kit: what every panel is given.
        show_models: opens or closes the window with all models.
        show_training: opens or closes the window for training.
    """

    def __init__(
        self, kit: Kit, show_models: Callable[[], None], show_training: Callable[[], None]
    ) -> None:
        self._kit, self._show_models, self._show_training = kit, show_models, show_training
        self._listed: tuple[object, ...] | None = None

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        self._name = kit.text("", font=kit.fonts.strong, theme=kit.themes.accent, wrap=0)
        self._facts = kit.text("", theme=kit.themes.muted, font=kit.fonts.small, wrap=0)
        kit.copied(kit.name("model_facts", self._facts), self._described)
        self._assumed = kit.text("", theme=kit.themes.faint, font=kit.fonts.small, wrap=0)
        self._sentences = kit.tip(kit.name("model_assumed", self._assumed), "")
        kit.copied(self._assumed, lambda: str(dpg.get_value(self._sentences)), tip=False)
        dpg.add_spacer(height=kit.px(2))
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            self._path = kit.box(
                "model_path",
                width=-kit.px(86),
                hint="Path of a checkpoint",
                enter=self._open_typed,
                tip="A checkpoint or a project; Enter opens it",
            )
            kit.button("Browse", self.browse, "model_browse", tip("open"), width=-1)
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            kit.button("Open checkpoint", self._open_typed, "model_open", "Open the path above",
                width=-kit.px(86),
            )  # fmt: skip
            kit.button(
                "Folder", self.browse_folder, "model_folder",
                tip("open_folder"), width=-1,
            )  # fmt: skip
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            kit.button(
                "All models ...", self._show_models, "models",
                tip("models"), width=-kit.px(86),
            )  # fmt: skip
            kit.button("Train ...", self._show_training, "train", tip("train"), width=-1)
        with dpg.group() as recent:
            dpg.add_spacer(height=kit.px(2))
            kit.text("Recent", theme=kit.themes.muted, font=kit.fonts.small)
            self._list = int(dpg.add_group())
        self._recent = int(recent)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, model = self._kit, studio.model
        opening = studio.opening
        if opening is not None:
            shipped = shipped_generator(opening)
            what = shipped.title if shipped else short_name(opening)
            name, line = (model.ref.name if model else "Opening ..."), f"Opening {what} ..."
        elif model is None:
            name, line = "No model is open", "Open a checkpoint, or the bundled generator below."
        else:
            name, line = model.ref.name or short_name(model.ref.path), facts(model.capabilities)
        kit.show_value(self._name, name)
        kit.show_value(self._facts, line)
        assumed = model.assumptions if model is not None and opening is None else ()
        kit.show(self._assumed, bool(assumed))
        kit.show_value(self._assumed, _assumptions(len(assumed)))
        kit.show_value(self._sentences, "\n\n".join(assumed))
        current = model.ref.path if model else ""
        # At first there is nothing to go back to, and the room is better used.
        kit.show(self._recent, bool(studio.settings.recent) or current != BUNDLED)
        listed = (studio.settings.recent, current)
        if listed != self._listed:
            self._listed = listed
            self._fill(studio.settings.recent, current)

    def _described(self) -> str:
        """What tells others which model is open: its path, its facts and its hash."""
        model = self._kit.studio.model
        if model is None:
            return ""
        return f"{model.ref.path}\n{facts(model.capabilities)}\nsha256 {model.ref.sha256}"

    @property
    def path_box(self) -> int:
        """Where the path of a model is typed."""
        return self._path

    def browse(self) -> None:
        """Ask for a checkpoint with the system's dialog."""
        endings = (*CHECKPOINT_ENDINGS, PROJECT_SUFFIX)
        patterns = file_patterns(endings, "Checkpoints and projects")
        question = Question("Open a checkpoint", start=self._start(), patterns=patterns)
        self._kit.dialogs.ask(question, self._open)

    def browse_folder(self) -> None:
        """Ask for the folder of a release with the system's dialog."""
        question = Question("Open the folder of a model", start=self._start(), folder=True)
        self._kit.dialogs.ask(question, self._open)

    def _start(self) -> Path:
        """Where the dialog begins: beside the model that was opened last."""
        recent = self._kit.studio.settings.recent
        start = Path(recent[0]).parent if recent else home()
        return start if start.is_dir() else home()

    def _open(self, path: Path) -> None:
        dpg.set_value(self._path, str(path))
        self._kit.studio.open_model(str(path))

    def _open_typed(self) -> None:
        self._kit.studio.open_model(dpg.get_value(self._path))

    def _fill(self, recent: tuple[str, ...], current: str) -> None:
        kit = self._kit
        kit.clear(self._list)
        # The others that ship stand in the window with all models.
        ours = {one.key: one for one in shipped_generators() if one.key in (BUNDLED, current)}
        for path in (*ours, *recent):
            title = ours[path].title if path in ours else short_name(path, recent)
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(2), parent=self._list):
                item = int(
                    dpg.add_selectable(
                        label=title, default_value=path == current, user_data=path,
                        width=kit.px(226), callback=self._chosen,
                    )
                )  # fmt: skip
                if path in ours:
                    kit.name(f"recent_{path.replace(':', '_')}", item)
                    kit.tip(item, ours[path].note)
                else:
                    kit.tip(item, path)
                    remove = int(
                        dpg.add_button(label="×", small=True, user_data=path, callback=self._drop)
                    )
                    dpg.bind_item_theme(remove, kit.themes.quiet)
                    kit.tip(remove, "Take it out of this list; the file stays")

    def _chosen(self, sender: int, _value: bool, path: str) -> None:
        model = self._kit.studio.model
        dpg.set_value(sender, model is not None and model.ref.path == path)
        if model is None or model.ref.path != path:
            self._kit.studio.open_model(path)

    def _drop(self, _sender: int, _value: object, path: str) -> None:
        self._kit.studio.forget(path)
