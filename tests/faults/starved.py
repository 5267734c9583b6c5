"""How long a process waited for a processor that others had, so that a busy machine is not taken for a fault."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from pathlib import Path

#: Seconds between two looks.
_PERIOD = 0.05


class Starved:
    """Watches the main thread of a process, from ``/proc/PID/schedstat`` (Linux).

    Args:
        pid: of the process.
    """

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/task/{pid}/schedstat")
        self._times: list[float] = []
        self._waited: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def between(self, start: float, end: float) -> float:
        """Seconds from ``start`` to ``end`` (``time.monotonic()``) in which it was ready to run and could not,
        to a look more or less on either side."""
        if not self._times:
            return 0.0
        last = len(self._times) - 1
        first, then = (min(bisect_left(self._times, moment), last) for moment in (start, end))
        return self._waited[then] - self._waited[max(first - 1, 0)]

    def close(self) -> None:
        """Stop watching."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_PERIOD):
            try:
                waited = int(self._path.read_text().split()[1]) * 1e-9
            except (OSError, IndexError):
                continue
            self._waited.append(waited)
            self._times.append(time.monotonic())
