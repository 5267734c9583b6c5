"""How much several threads may hold at once of something that is dear."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Allowance:
    """A share for whoever asks, in the order in which it becomes free.

    Args:
        limit: that all shares together keep to. A share that is larger waits until it is alone.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._changed = threading.Condition()

    @contextmanager
    def share(self, amount: int) -> Iterator[None]:
        """Hold so much while the block runs; waits until there is room."""
        with self._changed:
            self._changed.wait_for(lambda: not self.used or self.used + amount <= self.limit)
            self.used += amount
        try:
            yield
        finally:
            with self._changed:
                self.used -= amount
                self._changed.notify_all()
