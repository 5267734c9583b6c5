"""The timeline as geometry: times, ticks and keys along a strip. Pure arithmetic in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.geometry import Rect

#: Sizes at a scale of 1, pixels.
RULER, TRACK, SIDE, DIAMOND = 20, 28, 14, 7
#: Least distance of two labels, at a scale of 1, pixels.
APART = 52
#: Distances of labels that are offered, in seconds.
STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True)
class TimeStrip:
    """A strip that shows ``0`` to ``duration`` seconds.

    Attributes:
        width: of the strip, pixels.
        duration: seconds, above 0.
        scale: of the interface.
        room: height that there is, pixels; the strip is never lower than its parts.
    """

    width: float
    duration: float
    scale: float = 1.0
    room: float = 0.0

    @property
    def height(self) -> float:
        """Of the strip, pixels."""
        return max(round((RULER + TRACK) * self.scale), round(self.room))

    @property
    def ruler(self) -> Rect:
        """Where the times stand."""
        return Rect(0, 0, self.width, round(RULER * self.scale))

    @property
    def middle(self) -> float:
        """The y on which the keys lie."""
        return self.ruler.bottom + (self.height - self.ruler.bottom) / 2

    def x_of(self, time: float) -> float:
        """Where a time lies."""
        side = SIDE * self.scale
        return side + (self.width - 2 * side) * time / self.duration

    def time_at(self, x: float) -> float:
        """The time that lies at an x, within the strip's."""
        side = SIDE * self.scale
        share = (x - side) / max(self.width - 2 * side, 1.0)
        return min(max(share, 0.0), 1.0) * self.duration

    def key_under(self, times: Sequence[float], x: float, y: float) -> int | None:
        """Which key a point lies on: the nearest one that it touches."""
        reach = (DIAMOND + 3) * self.scale
        if not self.ruler.bottom - 2 <= y <= self.height:
            return None
        near = [(abs(self.x_of(time) - x), index) for index, time in enumerate(times)]
        distance, index = min(near, default=(reach + 1, 0))
        return index if distance <= reach else None

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Times with their labels, as many as there is room for."""
        room = (self.width - 2 * SIDE * self.scale) / (APART * self.scale)
        step = next((s for s in STEPS if self.duration / s <= max(room, 1)), STEPS[-1])
        count = int(self.duration / step + 1e-9)
        return tuple((i * step, label(i * step)) for i in range(count + 1))


def label(seconds: float) -> str:
    """``0.5``, ``4``, ``1:30``."""
    if seconds >= 60:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes}:{rest:02d}"
    return f"{seconds:.1f}".removesuffix(".0")
