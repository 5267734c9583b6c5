"""A question in the middle of the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dearpygui.dearpygui as dpg

from app.conversation import Choice, Question, nothing
from app.jobs import Job
from app.kit import Kit
from app.panels.modal import Modal
from app.studio import Studio

WIDTH = 440
#: More answers than so many stand below each other.
MOST_IN_A_ROW = 3
_ENTER = (dpg.mvKey_Return, dpg.mvKey_NumPadEnter)
#: Key -> how many answers on it goes.
_STEPS = {
    dpg.mvKey_Left: -1,
    dpg.mvKey_Up: -1,
    dpg.mvKey_Right: 1,
    dpg.mvKey_Down: 1,
    dpg.mvKey_Tab: 1,
}


class Confirm:
    """Shows the question of the window's conversation. The answer that stands out is given with
    Enter; arrows and Tab go to another."""

    def __init__(self, kit: Kit, modal: Modal) -> None:
        self._kit, self._modal = kit, modal
        self._shown: Question | None = None
        self._buttons: list[int] = []
        self._chosen = 0
        #: Enter answered what was asked before, perhaps, and must be let go first.
        self._armed = False

    def ask(self, text: str, yes: Choice) -> None:
        """Ask before something is lost; the other answer changes nothing."""
        no = Choice("Keep it", "confirm_no", nothing, "Leave everything as it is")
        self._kit.studio.desk.talk.ask(text, yes, no)

    def export(self, job: Job, before: Callable[[], None] = nothing) -> None:
        """Put an export into the queue; asks first if it would replace a file.

        Args:
            job: what to make.
            before: done first, once it is clear that it is wanted.

        Raises:
            UserError: it cannot be begun.
        """

        def start() -> None:
            before()
            self._kit.studio.start_export(job)

        path = Path(job.path)
        # A file that is being written is refused when it starts, without a question.
        if path.is_file() and not self._kit.studio.jobs.is_target(path):
            replace = Choice("Replace it", "confirm_yes", start, "Write over that file")
            self.ask(f"{path.name} exists already in {path.parent}.", replace)
        else:
            start()

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        question = studio.desk.talk.question
        if question is not self._shown and self._shown is not None:
            self._modal.close()
            self._shown = None
        if question is not self._shown and question is not None:
            if self._modal.is_free:
                self._open(question)
                self._shown = question
            else:
                studio.touch()

    def key(self, code: int) -> bool:
        """Take a key while something is asked; whether it was for the question."""
        question = self._shown
        if question is None:
            return False
        if code in _ENTER and self._armed:
            self._kit.studio.desk.talk.choose(question.choices[self._chosen])
        elif code in _STEPS and dpg.is_key_pressed(code):
            self._highlight((self._chosen + _STEPS[code]) % len(self._buttons))
        return code in _ENTER or code in _STEPS

    @property
    def answer(self) -> str | None:
        """The name of the answer that Enter gives."""
        return None if self._shown is None else self._shown.choices[self._chosen].name

    def after_frame(self) -> None:
        """See whether Enter was let go; call once after each frame."""
        if self._shown is not None and not self._armed:
            self._armed = not any(dpg.is_key_down(code) for code in _ENTER)

    def _highlight(self, place: int) -> None:
        primary = self._kit.themes.primary
        dpg.bind_item_theme(self._buttons[self._chosen], 0)
        dpg.bind_item_theme(self._buttons[place], primary)
        self._chosen = place

    def _open(self, question: Question) -> None:
        kit = self._kit
        self._buttons, self._chosen, self._armed = [], 0, False
        with self._modal.open(WIDTH):
            kit.copied(kit.text(question.text, wrap=kit.px(WIDTH - 32)), tip=False)
            dpg.add_spacer(height=kit.px(4))
            count = len(question.choices)
            stacked = count > MOST_IN_A_ROW
            width = -1 if stacked else kit.px((WIDTH - 32 - 8 * (count - 1)) / count)
            with dpg.group(horizontal=not stacked):
                for choice in question.choices:
                    self._buttons.append(self._button(choice, width))
        self._highlight(0)

    def _button(self, choice: Choice, width: int) -> int:
        kit = self._kit
        return kit.button(
            choice.label, lambda: kit.studio.desk.talk.choose(choice), choice.name, choice.tip,
            width=width,
        )  # fmt: skip
