"""A small window over the others that is opened and closed: help and settings."""

from __future__ import annotations

from abc import ABC, abstractmethod

import dearpygui.dearpygui as dpg

from app.kit import Kit


class Popup(ABC):
    """Opened in the middle of the window, closed by Escape or its cross.

    Args:
        kit: what every panel is given.
        size: about how large it is at a scale of 1, pixels.
        fitted: whether it is opened with just that size, or with what room there is if that is less.
    """

    def __init__(self, kit: Kit, size: tuple[int, int], fitted: bool = False) -> None:
        self._kit = kit
        self._size, self._fitted = size, fitted
        self.window = 0

    @abstractmethod
    def build(self) -> None:
        """Create the items, hidden, and set ``window``."""

    @property
    def is_open(self) -> bool:
        """Whether it is on the screen."""
        return bool(dpg.is_item_shown(self.window))

    def toggle(self) -> None:
        """Open or close it."""
        if self.is_open:
            self.close()
            return
        px, space = (
            self._kit.px,
            (dpg.get_viewport_client_width(), dpg.get_viewport_client_height()),
        )
        if self._fitted:
            width, height = (min(px(s), r - px(16)) for s, r in zip(self._size, space, strict=True))
            dpg.configure_item(self.window, width=width, height=height)
        dpg.configure_item(self.window, show=True)
        corner = [
            max(0, (room - px(side)) // 2) for room, side in zip(space, self._size, strict=True)
        ]
        dpg.set_item_pos(self.window, corner)
        dpg.focus_item(self.window)

    def close(self) -> None:
        """Close it."""
        dpg.configure_item(self.window, show=False)
