"""When the engine gives the holes in its heap back to the system."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from engine.memory import give_back

#: Seconds of rest before it is done, so that it is never in the way of a hand that turns a face, and the
#: least between two times: what is drawn next asks the system for the same pages again, some
#: milliseconds of work.
REST, BETWEEN = 1.0, 60.0


class Tidying:
    """Pictures of all sizes leave holes between the planes of the faces that are kept: half of a
    heap of a gigabyte, after minutes of clicking through faces.

    Args:
        give_back: does it.
        clock: seconds.
    """

    def __init__(
        self,
        give_back: Callable[[], None] = give_back,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._give_back, self._clock = give_back, clock
        self._worked: float | None = None
        self._last = -math.inf

    def worked(self) -> None:
        """Something was drawn just now."""
        self._worked = self._clock()

    def rest(self) -> float | None:
        """Nothing is to be done: gives back what is due. Returns in how many seconds to ask again;
        ``None`` if there will be nothing to give back until something is drawn."""
        if self._worked is None:
            return None
        now = self._clock()
        left = max(self._worked + REST, self._last + BETWEEN) - now
        if left > 0:
            return left
        self._give_back()
        self._worked, self._last = None, now
        return None
