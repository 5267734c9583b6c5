"""The slider or number that the mouse holds, followed between two looks of the toolkit.

The toolkit moves such a widget once a frame, when it looks at the mouse. While the frame is painted
the mouse goes on, and :class:`Held` says what the widget will come to show: the same arithmetic, from
what the widget shows now. The toolkit keeps the last word, so a rounding of its own that is not
known here lasts one frame at most.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import dearpygui.dearpygui as dpg

#: Between a slider's edge and the outermost place of its grab, pixels (Dear ImGui, SliderBehavior).
_PADDING = 2.0
#: With these the toolkit moves numbers faster or slower.
_MODIFIERS = (
    dpg.mvKey_LShift, dpg.mvKey_RShift, dpg.mvKey_LAlt, dpg.mvKey_RAlt,
    dpg.mvKey_LControl, dpg.mvKey_RControl,
)  # fmt: skip


@dataclass
class Slide:
    """A slider: its value is where the mouse is.

    Args:
        low, high: its ends.
        left, width: where it lies, pixels of the window.
        grab: least length of what is grabbed, pixels.
        whole: whether its values are whole numbers.
    """

    low: float
    high: float
    left: float
    width: float
    grab: float
    whole: bool = False
    #: From the middle of what is grabbed to the mouse: who takes it off its middle keeps it there.
    _apart: float = 0.0

    def value(self, shown: float, seen: float, now: float) -> float:
        """What it comes to.

        Args:
            shown: what it showed when the mouse was at ``seen``.
            seen, now: places of the mouse across the window, pixels.
        """
        track = self.width - 2.0 * _PADDING
        grab = max(track / (self.high - self.low + 1.0), self.grab) if self.whole else self.grab
        grab = min(grab, track)
        way, span = track - grab, self.high - self.low
        start = self.left + _PADDING + grab / 2.0
        if way <= 0.0 or span <= 0.0:
            return shown
        if self.whole:
            return self.low + math.floor(span * _within((now - start) / way) + 0.5)
        if self.low < shown < self.high:
            self._apart = seen - start - way * (shown - self.low) / span
        return self.low + span * _within((now - self._apart - start) / way)


@dataclass(frozen=True)
class Pull:
    """A number: it changes by what the mouse moves.

    Args:
        low, high: its ends.
        speed: what one pixel is worth.
        form: how it is written; it only ever has values that can be written so.
    """

    low: float
    high: float
    speed: float
    form: str

    def value(self, shown: float, seen: float, now: float) -> float:
        """As :meth:`Slide.value`."""
        moved = min(max(shown + (now - seen) * self.speed, self.low), self.high)
        places = re.search(r"%[^a-zA-Z%]*\.(\d+)f", self.form)
        if places is not None:
            return round(moved, int(places[1]))
        return float(int(moved)) if re.search(r"%[^a-zA-Z%]*d", self.form) else moved


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)


class Held:
    """The widget that the mouse holds, if it does.

    Args:
        grab: least length of a slider's grab, pixels.
        mouse: where the toolkit saw the mouse when it last looked, pixels of the window.
    """

    def __init__(self, grab: float, mouse: Callable[[], tuple[float, float]]) -> None:
        self._grab, self._mouse = grab, mouse
        self._item = 0
        self._kind: Slide | Pull = Pull(0.0, 0.0, 0.0, "")
        self._change: Callable[[float], None] = lambda value: None
        self._told: float | None = None

    def take(self, item: int, change: Callable[[float], None]) -> None:
        """The toolkit has moved a widget: it is the one that is held from now on.

        Args:
            item: the slider or number.
            change: told a value that it comes to.
        """
        self._told = None
        if item != self._item:
            self._item, self._change = item, change
            self._kind = self._kind_of(item)

    def let_go(self) -> None:
        """Nothing is held."""
        self._item = 0

    def move(self, x: float, _y: float) -> None:
        """The mouse has gone on since the toolkit looked, to here in pixels of the window."""
        if not self._item or not dpg.is_item_active(self._item):
            return
        if any(dpg.is_key_down(key) for key in _MODIFIERS):
            return
        shown, seen = dpg.get_value(self._item), self._mouse()[0]
        if x != seen:
            value = type(shown)(self._kind.value(shown, seen, x))
            if value != self._told:
                self._told = value
                self._change(value)
        elif self._told is not None:
            # The toolkit has come to the same place, and by its own count nothing has changed.
            self._told = None
            self._change(shown)

    def _kind_of(self, item: int) -> Slide | Pull:
        options = dpg.get_item_configuration(item)
        low, high = float(options["min_value"]), float(options["max_value"])
        if "speed" in options:
            return Pull(low, high, float(options["speed"]), str(options["format"]))
        (left, _), (width, _) = dpg.get_item_rect_min(item), dpg.get_item_rect_size(item)
        whole = dpg.get_item_type(item).endswith("Int")
        return Slide(low, high, float(left), float(width), self._grab, whole)
