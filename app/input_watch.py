"""Wakes the loop when somebody touches the mouse or the keyboard.

The toolkit notices input only by drawing a frame, so an idle window would have to draw all the
time to stay quick. On X the server is asked instead, over a connection of our own, to report
raw input (XInput 2); the loop then sleeps on that connection. A pointer that a program puts
somewhere (remote desktops do) raises no raw event, so its place is asked for as well. Elsewhere,
or where the library is missing, the watch just sleeps and ``works`` is ``False``.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
import os
import select
import sys
import time
from typing import Any

log = logging.getLogger(__name__)

_ALL_MASTER_DEVICES = 1
#: XI_RawKeyPress .. XI_RawMotion (XI2.h); a wheel is a button.
_RAW_EVENTS = range(13, 18)
#: Button1Mask to Button3Mask (X.h).
_BUTTONS = 0x700


class _EventMask(ctypes.Structure):
    """``XIEventMask`` of XInput2.h."""

    _fields_ = (
        ("deviceid", ctypes.c_int),
        ("mask_len", ctypes.c_int),
        ("mask", ctypes.POINTER(ctypes.c_ubyte)),
    )


class InputWatch:
    """Sleeps until there is input or the time is over."""

    def __init__(self) -> None:
        self._x11: Any = None
        self._display: int | None = None
        self._socket = -1
        self._root = 0
        self._last: tuple[int, ...] = ()
        if sys.platform.startswith("linux") and os.environ.get("DISPLAY"):
            try:
                self._connect()
            except (OSError, AttributeError) as error:
                log.info("Input cannot be watched (%s); the window idles by drawing.", error)
                self.close()

    @property
    def works(self) -> bool:
        """Whether input ends a sleep early."""
        return self._display is not None

    def wait(self, seconds: float, other: int | None = None) -> bool:
        """Sleep for at most ``seconds``; True as soon as there was input. The sleep also ends
        when ``other``, a descriptor, can be read."""
        if self._display is None:
            time.sleep(seconds)
            return False
        if self._drain():
            return True
        if seconds > 0:
            watched = [self._socket] if other is None else [self._socket, other]
            if self._socket not in select.select(watched, [], [], seconds)[0]:
                return False
        return self._drain()

    def forget(self) -> bool:
        """What has been reported so far is about to be seen by the toolkit; whether there was
        something (which may reach the toolkit a moment later than this connection)."""
        return self._display is not None and self._drain()

    @property
    def last(self) -> tuple[float, float] | None:
        """Where the pointer was on the screen at the last look, if one can look."""
        return (float(self._last[0]), float(self._last[1])) if self._last else None

    def pointer(self) -> tuple[tuple[float, float], bool] | None:
        """Where the pointer is on the screen now, and whether a button is down."""
        if self._display is None:
            return None
        x, y, state = self._pointer()
        return (float(x), float(y)), bool(state & _BUTTONS)

    def close(self) -> None:
        """Close the connection."""
        if self._display is not None:
            self._x11.XCloseDisplay(self._display)
        self._display = None

    def _pointer(self) -> tuple[int, ...]:
        """Where the pointer is on the screen, and which buttons and modifiers are down."""
        ids = [ctypes.c_ulong(), ctypes.c_ulong()]
        places = [ctypes.c_int() for _ in range(4)]
        state = ctypes.c_uint()
        self._x11.XQueryPointer(
            self._display, self._root, *(ctypes.byref(v) for v in (*ids, *places, state))
        )
        return places[0].value, places[1].value, state.value

    def _drain(self) -> bool:
        """Take in what has been reported; True if there was something."""
        before, self._last = self._last, self._pointer()
        waiting = self._x11.XPending(self._display)
        event = ctypes.create_string_buffer(256)
        for _ in range(waiting):
            self._x11.XNextEvent(self._display, event)
        return bool(waiting) or self._last != before

    def _connect(self) -> None:
        names = [ctypes.util.find_library(name) for name in ("X11", "Xi")]
        if None in names:
            raise OSError("libX11 or libXi is missing")
        x11, xi = (ctypes.CDLL(name) for name in names)
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XOpenDisplay.argtypes = [ctypes.c_char_p]
        for name in ("XCloseDisplay", "XPending", "XConnectionNumber", "XFlush"):
            getattr(x11, name).argtypes = [ctypes.c_void_p]
        x11.XNextEvent.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        x11.XDefaultRootWindow.argtypes = [ctypes.c_void_p]
        x11.XDefaultRootWindow.restype = ctypes.c_ulong
        x11.XQueryPointer.argtypes = [ctypes.c_void_p, ctypes.c_ulong, *[ctypes.c_void_p] * 7]
        xi.XIQueryVersion.argtypes = [
            ctypes.c_void_p,
            ctypes.POINTER(ctypes.c_int),
            ctypes.POINTER(ctypes.c_int),
        ]
        xi.XISelectEvents.argtypes = [
            ctypes.c_void_p,
            ctypes.c_ulong,
            ctypes.POINTER(_EventMask),
            ctypes.c_int,
        ]
        display = x11.XOpenDisplay(None)
        if not display:
            raise OSError("the display does not answer")
        self._x11, self._display = x11, display
        major, minor = ctypes.c_int(2), ctypes.c_int(2)
        if xi.XIQueryVersion(display, ctypes.byref(major), ctypes.byref(minor)) != 0:
            raise OSError("the display has no XInput 2")
        bits = (ctypes.c_ubyte * 3)()
        for event in _RAW_EVENTS:
            bits[event >> 3] |= 1 << (event & 7)
        mask = _EventMask(
            _ALL_MASTER_DEVICES, len(bits), ctypes.cast(bits, ctypes.POINTER(ctypes.c_ubyte))
        )
        root = self._root = x11.XDefaultRootWindow(display)
        if xi.XISelectEvents(display, root, ctypes.byref(mask), 1) != 0:
            raise OSError("the display reports no raw input")
        x11.XFlush(display)
        self._socket = int(x11.XConnectionNumber(display))
