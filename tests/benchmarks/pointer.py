"""A mouse whose every event is written down: XTEST over a connection of our own.

``xdotool`` starts a process for each move, which takes milliseconds of the processor that is being
measured; this sends through the same extension of the X server and costs microseconds.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Moved:
    """The mouse was put on a point of the screen at ``time`` (``time.monotonic()``)."""

    time: float
    x: int
    y: int


@dataclass
class Pointer:
    """The mouse of a display.

    Args:
        display: its name.

    Attributes:
        moves: every movement that was sent.
    """

    display: str
    moves: list[Moved] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [ctypes.util.find_library(name) for name in ("X11", "Xtst")]
        if None in names:
            raise RuntimeError("The mouse needs libX11 and libXtst (xdotool brings them).")
        self._x11, self._xtst = (ctypes.CDLL(name) for name in names)
        self._x11.XOpenDisplay.restype = ctypes.c_void_p
        self._x11.XOpenDisplay.argtypes = [ctypes.c_char_p]
        self._x11.XFlush.argtypes = [ctypes.c_void_p]
        self._x11.XSync.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
        self._xtst.XTestFakeMotionEvent.argtypes = [
            ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ulong,
        ]  # fmt: skip
        self._xtst.XTestFakeButtonEvent.argtypes = [
            ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_ulong,
        ]  # fmt: skip
        self._connection = self._x11.XOpenDisplay(self.display.encode())
        if not self._connection:
            raise RuntimeError(f"The display {self.display} does not answer.")

    def move(self, x: float, y: float) -> None:
        """Put the mouse on a point of the screen."""
        at = round(x), round(y)
        now = time.monotonic()
        self._xtst.XTestFakeMotionEvent(self._connection, -1, *at, 0)
        self._x11.XFlush(self._connection)
        self.moves.append(Moved(now, *at))

    def button(self, down: bool, number: int = 1) -> float:
        """Press or release a button, the left one unless told otherwise; when."""
        now = time.monotonic()
        self._xtst.XTestFakeButtonEvent(self._connection, number, int(down), 0)
        self._x11.XFlush(self._connection)
        return now

    def arrive(self) -> None:
        """Wait until the X server has passed on what was sent."""
        self._x11.XSync(self._connection, 0)

    def close(self) -> None:
        """Close the connection."""
        self._x11.XCloseDisplay(self._connection)
