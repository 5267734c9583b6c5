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


class Confirm:
    """Shows the question of the window's conversation."""

    def __init__(self, kit: Kit, modal: Modal) -> None:
        self._kit, self._modal = kit, modal
        self._shown: Question | None = None

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

    def _open(self, question: Question) -> None:
        kit = self._kit
        with self._modal.open(WIDTH):
            dpg.add_text(question.text, wrap=kit.px(WIDTH - 32))
            dpg.add_spacer(height=kit.px(4))
            count = len(question.choices)
            stacked = count > MOST_IN_A_ROW
            width = -1 if stacked else kit.px((WIDTH - 32 - 8 * (count - 1)) / count)
            with dpg.group(horizontal=not stacked):
                for choice in question.choices:
                    self._button(choice, width, choice is question.choices[0])

    def _button(self, choice: Choice, width: int, first: bool) -> None:
        kit = self._kit
        kit.button(
            choice.label, lambda: kit.studio.desk.talk.choose(choice), choice.name, choice.tip,
            theme=kit.themes.primary if first else None, width=width,
        )  # fmt: skip
