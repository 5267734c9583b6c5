"""Telling that memory has run out, whoever says so, and giving back what is free. Needs no torch."""

from __future__ import annotations

import ctypes
import sys

#: What torch's allocators say; on a CPU it is a plain RuntimeError.
_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


def is_memory_full(error: BaseException) -> bool:
    """Whether an error says that the memory of a GPU or of the machine does not suffice."""
    if isinstance(error, MemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or any(one in words for one in _WORDS)
    )


def give_back() -> None:
    """Give the pages of the heap that hold nothing back to the system, where that can be asked for.

    glibc returns what lies at the end of a heap only, and each thread has a heap of its own: what stays is
    spread over all of them.
    """
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)
