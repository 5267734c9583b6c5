"""The window that everything else waits for; one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dearpygui.dearpygui as dpg

from app.kit import Kit

#: The toolkit shows a new window of this kind only after frames without the one before it.
_FRAMES_BETWEEN = 2


class Modal:
    """Opened in the upper middle; shared by those who ask."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._window: int | None = None
        self._closed_in = -_FRAMES_BETWEEN

    @property
    def is_free(self) -> bool:
        """Whether a window can be opened now; if not, it can within some frames."""
        rested = int(dpg.get_frame_count()) - self._closed_in >= _FRAMES_BETWEEN
        return self._window is None and rested

    @contextmanager
    def open(self, width: int) -> Iterator[None]:
        """Create the window with what is added inside.

        Args:
            width: at a scale of 1, pixels.
        """
        kit = self._kit
        wide = kit.px(width)
        left = (dpg.get_viewport_client_width() - wide) // 2
        with dpg.window(
            modal=True, no_title_bar=True, no_resize=True, no_move=True, autosize=True,
            no_scrollbar=True, pos=(left, dpg.get_viewport_client_height() // 3),
            min_size=(wide, 1), on_close=kit.studio.desk.talk.dismiss,
        ) as window:  # fmt: skip
            yield
        self._window = int(window)

    def close(self) -> None:
        """Take the window away."""
        if self._window is None:
            return
        self._kit.remove(self._window)
        self._window, self._closed_in = None, int(dpg.get_frame_count())
