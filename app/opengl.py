"""``python -m app.opengl``: what draws on this X display, as JSON. A faulty driver ends this process only.

A context without a window is asked (GLX 1.3, a pbuffer), in the way that GLFW, which Dear PyGui brings, looks for
one.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import subprocess
import time
from typing import Any

from engine.frozen import module_command

#: Dear PyGui draws with OpenGL 3.
OLDEST = (3, 0)
_SECONDS, _TRIES = 20.0, 5
#: Names of GLX and OpenGL: an RGBA pbuffer, its size, and the strings to ask for.
_RENDER_TYPE, _RGBA_BIT, _DRAWABLE_TYPE, _PBUFFER_BIT = 0x8011, 1, 0x8010, 4
_PBUFFER_WIDTH, _PBUFFER_HEIGHT, _RGBA_TYPE = 0x8041, 0x8040, 0x8014
_STRINGS = {"vendor": 0x1F00, "renderer": 0x1F01, "version": 0x1F02}


def facts() -> dict[str, str]:
    """``vendor``, ``renderer`` and ``version`` of OpenGL, or ``problem`` with what is missing; asked in
    a process of its own."""
    try:
        asked = subprocess.run(
            module_command("app.opengl"), capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"problem": f"it does not answer ({type(error).__name__})"}
    try:
        found: dict[str, str] = json.loads(asked.stdout)
    except ValueError:
        return {"problem": f"asking for it ended with exit code {asked.returncode}"}
    return found


def number(version: str) -> tuple[int, int]:
    """``"4.5 (Compatibility Profile) Mesa ..."`` -> ``(4, 5)``; ``(0, 0)`` for what is no version."""
    parts = version.split(" ")[0].split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (ValueError, IndexError):
        return 0, 0


def _library(name: str) -> ctypes.CDLL:
    return ctypes.CDLL(ctypes.util.find_library(name) or f"lib{name}.so.1")


def _integers(*values: int) -> Any:
    return (ctypes.c_int * (len(values) + 1))(*values, 0)


def ask() -> dict[str, str]:
    """The same in this process."""
    try:
        x11, gl = _library("X11"), _library("GL")
    except OSError as error:
        return {"problem": f"a library is missing ({error})"}
    for library, name in (
        (x11, "XOpenDisplay"), (gl, "glXChooseFBConfig"), (gl, "glXCreatePbuffer"),
        (gl, "glXCreateNewContext"),
    ):  # fmt: skip
        getattr(library, name).restype = ctypes.c_void_p
    gl.glGetString.restype = ctypes.c_char_p
    for _ in range(_TRIES):
        opened = x11.XOpenDisplay(None)
        if opened:
            break
        # A virtual screen starts anew after its last client, and answers nobody for a moment.
        time.sleep(0.2)
    else:
        return {"problem": "the display does not answer"}
    display = ctypes.c_void_p(opened)
    count = ctypes.c_int()
    wanted = _integers(_RENDER_TYPE, _RGBA_BIT, _DRAWABLE_TYPE, _PBUFFER_BIT)
    screen = x11.XDefaultScreen(display)
    configs = gl.glXChooseFBConfig(display, screen, wanted, ctypes.byref(count))
    if not configs or count.value < 1:
        return {"problem": "the display has no GLX"}
    config = ctypes.c_void_p(ctypes.cast(configs, ctypes.POINTER(ctypes.c_void_p))[0])
    size = _integers(_PBUFFER_WIDTH, 16, _PBUFFER_HEIGHT, 16)
    buffer = ctypes.c_void_p(gl.glXCreatePbuffer(display, config, size))
    context = ctypes.c_void_p(gl.glXCreateNewContext(display, config, _RGBA_TYPE, None, 1))
    if not context or not gl.glXMakeContextCurrent(display, buffer, buffer, context):
        return {"problem": "no context could be made"}
    return {
        name: (gl.glGetString(which) or b"").decode(errors="replace")
        for name, which in _STRINGS.items()
    }


if __name__ == "__main__":
    print(json.dumps(ask()))
