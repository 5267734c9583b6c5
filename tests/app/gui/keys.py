"""A keyboard: XTEST over a connection of our own, as :mod:`tests.benchmarks.pointer` is a mouse."""

from __future__ import annotations

import ctypes
import ctypes.util

#: What is said for short.
_SHORT = {"ctrl": "Control_L", "shift": "Shift_L", "alt": "Alt_L"}


class Keyboard:
    """The keyboard of a display.

    Args:
        display: its name.
    """

    def __init__(self, display: str) -> None:
        names = [ctypes.util.find_library(name) for name in ("X11", "Xtst")]
        if None in names:
            raise RuntimeError("The keyboard needs libX11 and libXtst (xdotool brings them).")
        x11, xtst = (ctypes.CDLL(name) for name in names)
        pointer, number = ctypes.c_void_p, ctypes.c_ulong
        x11.XOpenDisplay.restype, x11.XOpenDisplay.argtypes = pointer, [ctypes.c_char_p]
        x11.XStringToKeysym.restype, x11.XStringToKeysym.argtypes = number, [ctypes.c_char_p]
        x11.XKeysymToKeycode.restype, x11.XKeysymToKeycode.argtypes = (
            ctypes.c_ubyte,
            [pointer, number],
        )
        x11.XkbKeycodeToKeysym.restype = number
        x11.XkbKeycodeToKeysym.argtypes = [pointer, ctypes.c_ubyte, ctypes.c_uint, ctypes.c_uint]
        x11.XSync.argtypes = [pointer, ctypes.c_int]
        x11.XCloseDisplay.argtypes = [pointer]
        xtst.XTestFakeKeyEvent.argtypes = [pointer, ctypes.c_uint, ctypes.c_int, number]
        self._x11, self._xtst = x11, xtst
        self._connection = x11.XOpenDisplay(display.encode())
        if not self._connection:
            raise RuntimeError(f"The display {display} does not answer.")

    def strike(self, chord: str) -> None:
        """Press and release keys together: ``"ctrl+shift+z"``, by the names that X has for them."""
        *held, last = chord.split("+")
        self._strike([*map(self._symbol, held)], self._symbol(last))
        self._arrive()

    def hold(self, name: str, down: bool) -> None:
        """Press or release a key."""
        code, _ = self._key(self._symbol(name))
        self._send(code, down)
        self._arrive()

    def type(self, text: str) -> None:
        """Type a text of ASCII letters."""
        for letter in text:
            # These letters are their own symbols.
            self._strike([], ord(letter))
        self._arrive()

    def close(self) -> None:
        """Close the connection."""
        self._x11.XCloseDisplay(self._connection)

    def _strike(self, held: list[int], symbol: int) -> None:
        code, shifted = self._key(symbol)
        symbols = held + [self._symbol("shift")] * shifted
        codes = [self._key(one)[0] for one in symbols]
        for one in (*codes, code):
            self._send(one, True)
        for one in (code, *reversed(codes)):
            self._send(one, False)

    def _symbol(self, name: str) -> int:
        symbol = int(self._x11.XStringToKeysym(_SHORT.get(name, name).encode()))
        assert symbol, f"there is no key {name!r}"
        return symbol

    def _key(self, symbol: int) -> tuple[int, bool]:
        """The key that bears a symbol, and whether it takes Shift."""
        code = self._x11.XKeysymToKeycode(self._connection, symbol)
        levels = [
            self._x11.XkbKeycodeToKeysym(self._connection, code, 0, level) for level in (0, 1)
        ]
        assert code and symbol in levels, f"no key bears {symbol:#x}"
        return code, levels[0] != symbol

    def _send(self, code: int, down: bool) -> None:
        self._xtst.XTestFakeKeyEvent(self._connection, code, int(down), 0)

    def _arrive(self) -> None:
        self._x11.XSync(self._connection, 0)
