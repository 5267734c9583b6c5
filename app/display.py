"""Is there a screen to open a window on? Asked before the toolkit, which would abort."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import socket
import sys
from collections.abc import Mapping

from engine.errors import UserError

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
