"""Telling that memory has run out, whoever says so. Needs no torch."""

from __future__ import annotations

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
