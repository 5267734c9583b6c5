"""Where to save, what to open: the box for a path, with the system's dialog at hand."""

from __future__ import annotations

from pathlib import Path

import dearpygui.dearpygui as dpg

from app.conversation import Prompt
from app.dialogs import Question, file_patterns
from app.kit import Kit
from app.panels.modal import Modal
from app.panels.model import CHECKPOINT_ENDINGS
from app.project import PROJECT_SUFFIX
from app.studio import Studio
from app.typed_paths import nearest
from engine.errors import UserError
from engine.latent_files import LATENT_SUFFIX

WIDTH = 560
_HINTS = {
    "open": f"Path of a {PROJECT_SUFFIX} file",
    "model": "Path of a checkpoint",
    "open latent": f"Path of a {LATENT_SUFFIX} file, such as projected_w.npz",
    "open timeline": "Path of a .json file that Maquette saved",
    "save timeline": "Path of a .json file",
    "open direction": "Path of a direction's .json file; its numbers lie beside it",
    "save direction": "Path of a .json file; the numbers lie beside it",
    "save model": "Path of a .json file; the tensors lie beside it",
    "save latent": f"Path of a {LATENT_SUFFIX} file",
}


class ProjectPrompt:
    """Shows the path that the window's conversation asks for."""

    def __init__(self, kit: Kit, modal: Modal) -> None:
        self._kit, self._modal = kit, modal
        self._shown: Prompt | None = None
        self._listed: tuple[str, ...] = ()

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        prompt, recent = studio.desk.talk.prompt, studio.settings.recent_projects
        if prompt is not self._shown and self._shown is not None:
            self._modal.close()
            self._shown = None
        if prompt is not self._shown and prompt is not None:
            if self._modal.is_free:
                self._open(prompt, recent)
                self._shown = prompt
            else:
                studio.touch()
        elif prompt is not None and prompt.kind == "open" and recent != self._listed:
            self._fill(recent)

    def _open(self, prompt: Prompt, recent: tuple[str, ...]) -> None:
        kit = self._kit
        with self._modal.open(WIDTH):
            kit.text(prompt.title, font=kit.fonts.strong, theme=kit.themes.heading)
            dpg.add_spacer(height=kit.px(2))
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
                self._path = kit.box(
                    "prompt_path", tip="Where the file lies; Enter takes it", width=kit.px(WIDTH - 32 - 92), enter=self._take,
                    default_value=prompt.path, hint=_HINTS.get(prompt.kind, _HINTS["open"]),
                    auto_select_all=prompt.kind.startswith("save"),
                )  # fmt: skip
                kit.button(
                    "Browse",
                    self._browse,
                    "prompt_browse",
                    "Choose the file with a dialog",
                    width=kit.px(86),
                )
            self._fault = kit.name(
                "prompt_fault", kit.text("", theme=kit.themes.error, wrap=kit.px(WIDTH - 32))
            )
            kit.copied(self._fault)
            dpg.configure_item(self._fault, show=False)
            if prompt.kind == "open":
                kit.text("Recent", theme=kit.themes.muted, font=kit.fonts.small)
                self._list = int(dpg.add_group())
                self._fill(recent)
            dpg.add_spacer(height=kit.px(4))
            with dpg.group(horizontal=True):
                kit.button(
                    prompt.button, self._take, "prompt_ok", "Take the path above", theme=kit.themes.primary,
                    width=kit.px(150),
                )  # fmt: skip
                cancel = kit.studio.desk.talk.dismiss
                kit.button(
                    "Cancel",
                    cancel,
                    "prompt_cancel",
                    "Leave everything as it is",
                    width=kit.px(150),
                )
        kit.ahead.into(self._path, typing=kit.typing)

    def _fill(self, recent: tuple[str, ...]) -> None:
        kit, self._listed = self._kit, recent
        kit.clear(self._list)
        if not recent:
            with dpg.group(parent=self._list):
                kit.text("No project was opened or saved yet.", theme=kit.themes.muted)
        for number, path in enumerate(recent):
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6), parent=self._list):
                item = dpg.add_selectable(
                    label=Path(path).stem, width=kit.px(150), user_data=path, callback=self._chosen
                )
                kit.name(f"recent_project_{number}", int(item))
                kit.tip(int(item), path)
                kit.text(str(Path(path).parent), theme=kit.themes.muted, font=kit.fonts.small)
                remove = int(
                    dpg.add_button(label="×", small=True, user_data=path, callback=self._drop)
                )
                dpg.bind_item_theme(remove, kit.themes.quiet)
                kit.tip(remove, "Take it out of this list; the file stays")

    def _take(self) -> None:
        self._answer(dpg.get_value(self._path))

    def _answer(self, path: str) -> None:
        prompt = self._shown
        if prompt is None:
            return
        try:
            prompt.answer(path)
        except UserError as error:
            if self._kit.studio.desk.talk.prompt is not prompt:
                raise
            self._tell(error)

    def _tell(self, error: UserError) -> None:
        """Show a mistake here: a notice would lie behind this window."""
        dpg.configure_item(self._fault, show=True)
        dpg.set_value(self._fault, str(error))

    def _chosen(self, sender: int, _value: bool, path: str) -> None:
        dpg.set_value(sender, False)
        self._answer(path)

    def _drop(self, _sender: int, _value: object, path: str) -> None:
        self._kit.studio.desk.forget_recent(path)

    def _browse(self) -> None:
        prompt = self._shown
        if prompt is None:
            return
        patterns = file_patterns((PROJECT_SUFFIX,), "Maquette projects")
        if prompt.kind == "model":
            patterns = file_patterns(CHECKPOINT_ENDINGS, "Checkpoints")
        elif prompt.kind.endswith("latent"):
            patterns = file_patterns((LATENT_SUFFIX,), "Latents")
        elif prompt.kind.endswith("timeline"):
            patterns = file_patterns((".json",), "Timelines")
        elif prompt.kind.endswith("direction"):
            patterns = file_patterns((".json",), "Directions")
        elif prompt.kind == "save model":
            patterns = file_patterns((".json",), "Models")
        question = Question(
            prompt.title, save=prompt.kind.startswith("save"), start=nearest(dpg.get_value(self._path)),
            patterns=patterns,
        )  # fmt: skip
        try:
            self._kit.dialogs.ask(question, lambda path: self._browsed(prompt, path))
        except UserError as error:
            self._tell(error)

    def _browsed(self, prompt: Prompt, path: Path) -> None:
        if self._shown is prompt:
            dpg.set_value(self._path, str(path))
            self._answer(str(path))
