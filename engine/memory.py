"""Telling that memory has run out, whoever says so; keeping what was freed, and giving it back. Needs no torch."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

#: What torch's allocators say, and NVIDIA's libraries; on a CPU it is a plain RuntimeError.
_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def is_memory_full(error: BaseException) -> bool:
    """Whether an error says that the memory of a GPU or of the machine does not suffice."""
    # By name: torch's and PyCUDA's are not to be imported for this, and neither is Python's own.
    if isinstance(error, MemoryError) or type(error).__name__ in (
        "OutOfMemoryError",
        "MemoryError",
    ):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(one in words for one in _WORDS)


#: Of glibc's ``mallopt``: memory at a heap's end that is kept, -1 for all; blocks that are asked of the system
#: one by one.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed() -> None:
    """From now on this process keeps what it frees for what it asks for next, where that can be had.

    glibc asks the system for every block above some megabytes by itself and returns it when it is freed; the system
    then clears it page by page, which was a fifth of the time of a first picture on a CPU
    (docs/performance.md). A process that does this stays as large as its largest picture was: one that lives on
    calls :func:`give_back` when it rests.
    """
    option = _of_c("mallopt")
    if option is not None:
        option(_MMAP_MAX, 0)
        option(_TRIM_THRESHOLD, -1)


def give_back() -> None:
    """Give the pages of the heap that hold nothing back to the system, where that can be asked for.

    glibc returns what lies at the end of a heap only, and each thread has a heap of its own: what stays is
    spread over all of them.
    """
    trim = _of_c("malloc_trim")
    if trim is not None:
        trim(0)


def _of_c(name: str) -> Callable[..., int] | None:
    """A function of the C library where that is glibc; musl has none of these."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
