"""Texts on the clipboard: with a right click on what is worth having, or by a command."""

from __future__ import annotations

from collections.abc import Callable, Set

import dearpygui.dearpygui as dpg

from app.studio import Studio

#: Of the notice that something was copied.
KEY = "copied"
HINT = "Right-click copies it"
#: Longest piece of a text that its notice shows, characters.
_SHOWN = 72


def shortened(text: str) -> str:
    """The beginning and the end of a text, on one line."""
    line = " ".join(text.split())
    half = (_SHOWN - 5) // 2
    return line if len(line) <= _SHOWN else f"{line[:half]} ... {line[-half:]}"


class Copies:
    """What can be copied, of one window.

    Args:
        studio: the state behind the window.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._offered: dict[int, Callable[[], str]] = {}

    def offer(self, item: int, text: Callable[[], str] | None = None) -> int:
        """Let a right click on an item copy; returns the item.

        Args:
            item: what is clicked.
            text: what is copied; empty is nothing. ``None`` is the item's own text.
        """
        self._offered[item] = text or (lambda: str(dpg.get_value(item) or ""))
        return item

    def keep(self, there: Set[int]) -> None:
        """Strike the items that are not among those that there still are."""
        self._offered = {item: text for item, text in self._offered.items() if item in there}

    def press(self) -> None:
        """The right button went down: copy what the mouse is on."""
        for item, text in self._offered.items():
            if dpg.is_item_hovered(item):
                self.copy(text())
                return

    def copy(self, text: str) -> None:
        """Put a text on the clipboard, and say so."""
        if text:
            dpg.set_clipboard_text(text)
            studio = self._studio
            studio.notices.post(
                f"Copied: {shortened(text)}", "info", studio.clock(), KEY, echo=True
            )
            studio.touch()

    # Commands -----------------------------------------------------------------------------

    def message(self) -> None:
        """The notice that came last, even when it has gone."""
        self.copy(self._studio.notices.last)

    def model(self) -> None:
        """The path of the open model; the name of what ships."""
        if (model := self._studio.model) is not None:
            self.copy(model.ref.path)

    def export(self) -> None:
        """The path of what was exported last."""
        if (entry := self._studio.jobs.newest) is not None:
            self.copy(entry.path)
