"""Whether work is being recorded (:mod:`engine.kernels.graphs`), for those that keep what they made for later.

A recording reads the memory that it read when it was made. What was made of something before and kept, such as
packed weights, would be read by every replay, whatever has come in since; so nothing kept is used meanwhile, and
nothing is kept: what is made of things is made again by each replay, in the recording's own memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_own = threading.local()


@contextmanager
def recording() -> Iterator[None]:
    """Within, this thread's work is recorded."""
    before = is_recording()
    _own.on = True
    try:
        yield
    finally:
        _own.on = before


def is_recording() -> bool:
    """Whether this thread's work is being recorded."""
    return bool(getattr(_own, "on", False))


def unless_recording(check: Callable[[], None]) -> Callable[[], None]:
    """``check``, but for work that is recorded: that cannot stop half way."""

    def asked() -> None:
        if not is_recording():
            check()

    return asked
