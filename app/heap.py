"""Memory that is free again goes back to the system.

glibc returns what lies at the end of its heap only. When every panel is deleted and made anew, what
stays is spread over all of it, and an hour of such changes leaves tens of megabytes of holes.
"""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Give the pages of the heap that hold nothing back to the system, where that can be asked for."""
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)
