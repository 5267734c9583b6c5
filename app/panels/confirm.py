"""A question in the middle of the window."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app.conversation import Choice, Question, nothing
from app.kit import Kit
from app.studio import Studio

WIDTH = 440


class Confirm:
    """Shows the question of the window's conversation; everything else waits meanwhile."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._window: int | None = None
        self._shown: Question | None = None

    def ask(self, text: str, yes: str, action: Callable[[], None]) -> None:
        """Ask before something is lost; ``action`` runs when the person chooses ``yes``."""
        self._kit.studio.desk.talk.ask(
            text, Choice(yes, "confirm_yes", action), Choice("Keep it", "confirm_no", nothing)
        )

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        question = studio.desk.talk.question
        if question is not self._shown:
            self.hide()
            if question is not None:
                self._open(question)
            self._shown = question

    def hide(self) -> None:
        """Take the window away; the question stays open."""
        if self._window is not None:
            names = [choice.name for choice in self._shown.choices] if self._shown else []
            self._kit.forget([self._kit.named[n] for n in names if n in self._kit.named])
            dpg.delete_item(self._window)
        self._window = self._shown = None

    def _open(self, question: Question) -> None:
        kit = self._kit
        with modal(kit, WIDTH) as window:
            dpg.add_text(question.text, wrap=kit.px(WIDTH - 32))
            dpg.add_spacer(height=kit.px(4))
            many = len(question.choices)
            width = kit.px((WIDTH - 32 - 8 * (many - 1)) / many) if many > 2 else kit.px(150)
            stacked = many > 3
            with dpg.group(horizontal=not stacked):
                for choice in question.choices:
                    self._button(choice, -1 if stacked else width, choice is question.choices[0])
        self._window = int(window)

    def _button(self, choice: Choice, width: int, first: bool) -> None:
        kit = self._kit
        kit.button(
            choice.label, lambda: kit.studio.desk.talk.choose(choice), choice.name,
            theme=kit.themes.primary if first else None, width=width,
        )  # fmt: skip


def modal(kit: Kit, width: int):  # type: ignore[no-untyped-def]
    """A window in the upper middle that everything else waits for.

    Args:
        kit: what every panel is given.
        width: at a scale of 1, pixels.
    """
    wide = kit.px(width)
    left = (dpg.get_viewport_client_width() - wide) // 2
    return dpg.window(
        modal=True, no_title_bar=True, no_resize=True, no_move=True, autosize=True,
        no_scrollbar=True, pos=(left, dpg.get_viewport_client_height() // 3),
        min_size=(wide, 1), on_close=kit.studio.desk.talk.dismiss,
    )  # fmt: skip
