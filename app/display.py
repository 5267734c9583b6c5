"""Is there a screen to open a window on, and how large is it? Asked before the toolkit, which
would abort where there is none."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from engine.errors import UserError

T = TypeVar("T")
_ADVICE = (
    "use the command line instead (`maquette render --help`), or start it under a virtual "
    "screen with `xvfb-run -a maquette`"
)


def require_display(environment: Mapping[str, str] = os.environ) -> None:
    """Return if a window can be opened.

    Raises:
        UserError: on Linux, when no X display is named or the named one does not answer.
    """
    if not sys.platform.startswith("linux"):
        return
    name = environment.get("DISPLAY", "")
    if not name:
        wayland = environment.get("WAYLAND_DISPLAY")
        reason = (
            "this Wayland session has no X display (install and enable Xwayland)"
            if wayland
            else "no display is set (DISPLAY is empty)"
        )
        raise UserError(f"Maquette cannot open its window because {reason}; {_ADVICE}.")
    if not _answers(name):
        raise UserError(
            f"Maquette cannot open its window because the display {name} does not answer; {_ADVICE}."
        )


def screen_size() -> tuple[int, int] | None:
    """Width and height of the screen in pixels; ``None`` where the system does not say."""
    try:
        if sys.platform == "win32":
            metrics = ctypes.windll.user32.GetSystemMetrics
            return (metrics(0), metrics(1)) if metrics(0) > 0 else None
        return _ask_x11(
            lambda x11, display: (
                x11.XDisplayWidth(display, x11.XDefaultScreen(display)),
                x11.XDisplayHeight(display, x11.XDefaultScreen(display)),
            )
        )
    except (OSError, AttributeError):
        return None


def screen_dots() -> float | None:
    """Dots per inch that the desktop has been set up for; ``None`` if it says nothing."""

    def ask(x11: Any, display: int) -> float | None:
        x11.XGetDefault.restype = ctypes.c_char_p
        x11.XGetDefault.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
        text = x11.XGetDefault(display, b"Xft", b"dpi")
        try:
            dots = float(text.decode()) if text else 0.0
        except ValueError:
            return None
        return dots if 48 <= dots <= 960 else None

    try:
        return _ask_x11(ask)
    except (OSError, AttributeError):
        return None


def _ask_x11(ask: Callable[[Any, int], T]) -> T | None:
    """What ``ask(library, display)`` finds out about the X display, if there is one."""
    library = ctypes.util.find_library("X11") if sys.platform.startswith("linux") else None
    if library is None:
        return None
    x11 = ctypes.CDLL(library)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XOpenDisplay.argtypes = [ctypes.c_char_p]
    x11.XDefaultScreen.argtypes = x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    for name in ("XDisplayWidth", "XDisplayHeight"):
        getattr(x11, name).argtypes = [ctypes.c_void_p, ctypes.c_int]
    display = x11.XOpenDisplay(None)
    if not display:
        return None
    try:
        return ask(x11, display)
    finally:
        x11.XCloseDisplay(display)


def _answers(name: str) -> bool:
    """Whether an X server accepts a connection under this display name."""
    library = ctypes.util.find_library("X11")
    if library is None:
        return _socket_answers(name)
    try:
        x11 = ctypes.CDLL(library)
    except OSError:
        return _socket_answers(name)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XOpenDisplay.argtypes = [ctypes.c_char_p]
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    display = x11.XOpenDisplay(name.encode())
    if not display:
        return False
    x11.XCloseDisplay(display)
    return True


def _socket_answers(name: str) -> bool:
    """The same question without libX11: is somebody listening on the display's socket?"""
    host, _, rest = name.rpartition(":")
    number = rest.split(".")[0]
    if not number.isdigit():
        return False
    try:
        if host in ("", "unix"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as local:
                local.settimeout(2.0)
                local.connect(f"/tmp/.X11-unix/X{number}")
        else:
            socket.create_connection((host, 6000 + int(number)), timeout=2.0).close()
    except OSError:
        return False
    return True
