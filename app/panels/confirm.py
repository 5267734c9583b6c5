"""A question with two answers, in the middle of the window."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app.kit import Kit


class Confirm:
    """Asks before something is lost. One question at a time; a new one replaces the old."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._window: int | None = None

    def ask(self, text: str, yes: str, action: Callable[[], None]) -> None:
        """Show a question; ``action`` runs when the person chooses ``yes``."""
        self.close()
        kit = self._kit
        width = kit.px(420)
        left = (dpg.get_viewport_client_width() - width) // 2
        top = dpg.get_viewport_client_height() // 3
        with dpg.window(
            modal=True, no_title_bar=True, no_resize=True, no_move=True, autosize=True,
            no_scrollbar=True,
            pos=(left, top), min_size=(width, 1), on_close=self.close,
        ) as window:  # fmt: skip
            dpg.add_text(text, wrap=kit.px(388))
            dpg.add_spacer(height=kit.px(4))
            with dpg.group(horizontal=True):
                kit.button(
                    yes, lambda: self._answer(action), "confirm_yes",
                    theme=kit.themes.primary, width=kit.px(150),
                )  # fmt: skip
                kit.button("Keep it", self.close, "confirm_no", width=kit.px(150))
        self._window = int(window)

    def close(self) -> None:
        """Take the question away unanswered."""
        if self._window is not None:
            dpg.delete_item(self._window)
            self._window = None
            self._kit.named.pop("confirm_yes", None)
            self._kit.named.pop("confirm_no", None)

    def _answer(self, action: Callable[[], None]) -> None:
        self.close()
        action()
