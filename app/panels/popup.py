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
    """

    def __init__(self, kit: Kit, size: tuple[int, int]) -> None:
        self._kit = kit
        self._size = size
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
        dpg.configure_item(self.window, show=True)
        space = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        corner = [
            max(0, (room - self._kit.px(side)) // 2)
            for room, side in zip(space, self._size, strict=True)
        ]
        dpg.set_item_pos(self.window, corner)
        dpg.focus_item(self.window)

    def close(self) -> None:
        """Close it."""
        dpg.configure_item(self.window, show=False)
