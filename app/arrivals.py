"""Pictures that have come from the engine and were not looked at yet."""

from __future__ import annotations

from app.frames import FrameError, FrameRing
from app.messages import FrameReady, Part
from app.wire import FrameInSlot


class Arrivals:
    """Keeps the newest picture of each part; the slots of the others can go back at once."""

    def __init__(self) -> None:
        self._newest: dict[Part, FrameInSlot] = {}

    def add(self, frame: FrameInSlot) -> FrameInSlot | None:
        """A picture has come; the one that it overtook, whose slot is to be given back."""
        overtaken = self._newest.get(frame.part)
        self._newest[frame.part] = frame
        return overtaken

    def take(self) -> list[FrameInSlot]:
        """Those that are to be shown; their slots are to be given back, too."""
        frames = list(self._newest.values())
        self._newest.clear()
        return frames


def read(ring: FrameRing, frame: FrameInSlot) -> FrameReady | None:
    """A copy of a picture in its slot, or ``None`` where the slot does not hold it."""
    try:
        image = ring.read(frame.ref)
    except FrameError:
        return None
    return FrameReady(
        image,
        frame.recipe,
        frame.resolution,
        frame.milliseconds,
        frame.full_quality,
        frame.generation,
        frame.part,
    )
