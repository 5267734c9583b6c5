"""Frames a second, and the pace of the window's own loop."""

from __future__ import annotations

from collections import deque


class RateMeter:
    """Counts events of the last second."""

    def __init__(self, span: float = 1.0) -> None:
        self._span = span
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        """Something happened at ``now`` (seconds on any steady clock)."""
        self._times.append(now)
        self._drop(now)

    def rate(self, now: float) -> float:
        """Events a second: intervals over the time they took; 0 when fewer than two are fresh."""
        self._drop(now)
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-6)

    def _drop(self, now: float) -> None:
        while self._times and now - self._times[0] > self._span:
            self._times.popleft()


#: Seconds beyond which drawing the window counts as slow.
_SLOW = 1.25 / 60.0
#: Seconds between two frames at least, however fast the mouse reports. Callbacks run after a
#: frame, so this and two quick frames are what an event waits for at most.
_QUICKEST = 1.0 / 120.0


class Pace:
    """How long the loop may sleep: fast while somebody does something, slow when nothing moves.

    Args:
        busy: frames a second while things change.
        calm: frames a second for a while after that, when all that may still come is a tip that waited for the
            mouse to rest; and while nothing moves but what moves by itself, a text cursor.
        idle: frames a second otherwise.
        brisk: seconds for which the fast pace is kept after the last change.
        linger: seconds after it until the slow one begins.
    """

    def __init__(
        self,
        busy: float = 60.0,
        calm: float = 60.0,
        idle: float = 10.0,
        *,
        brisk: float = 0.2,
        linger: float = 0.6,
    ) -> None:
        self._busy, self._calm, self._idle = busy, calm, idle
        self._brisk, self._linger = brisk, linger
        self._touched = self._stirred = float("-inf")

    def touch(self, now: float) -> None:
        """Something changed at ``now``."""
        self._touched = now

    def stir(self, now: float) -> None:
        """Something moves by itself at ``now``, and need not be seen at once."""
        self._stirred = now

    def rate(self, now: float) -> float:
        """Frames a second at ``now``."""
        if now - self._touched <= self._brisk:
            return self._busy
        if now - max(self._touched, self._stirred) <= self._linger:
            return self._calm
        return self._idle

    def sleep(self, started: float, now: float) -> float:
        """Seconds to sleep before the next frame, for a frame that began at ``started``.

        Where drawing the window itself is slow (no graphics card), a third of the time is
        left to the engine, which shares the processor.
        """
        return max(self.least(started, now), 1.0 / self.rate(now) - (now - started))

    def least(self, started: float, now: float) -> float:
        """Seconds to sleep although something has happened that is to be shown at once."""
        spent = now - started
        return 0.5 * spent if spent > _SLOW else max(0.0, _QUICKEST - spent)
