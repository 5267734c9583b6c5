"""What ``maquette train`` says while it looks at pictures that it has not seen before."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.cli.terminal import say

#: Seconds between two lines.
EVERY = 10.0


class Looking:
    """A line now and then: a set of seventy thousand pictures takes minutes, but only once.

    Args:
        quiet: say nothing. clock: of seconds, for tests.
    """

    def __init__(self, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet, self._clock, self._last = quiet, clock, clock()

    def __call__(self, done: int, total: int) -> None:
        now = self._clock()
        if self._quiet or now - self._last < EVERY:
            return
        self._last = now
        say(f"Looking at the pictures: {done} of {total}")
