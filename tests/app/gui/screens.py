"""Virtual screens for the tests of the window."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

#: Pixels.
SCREEN = (1600, 1000)


def require_tools() -> None:
    """Fail, never skip: these tests need two small programs that every distribution has."""
    missing = [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]
    if missing:
        raise RuntimeError(
            f"The window's tests need {' and '.join(missing)}: apt install xvfb xdotool."
        )


@contextmanager
def screen() -> Iterator[str]:
    """A virtual screen of its own; yields its display name."""
    require_tools()
    read_end, write_end = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", f"{SCREEN[0]}x{SCREEN[1]}x24"],
        pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write_end)
    try:
        with os.fdopen(read_end) as answer:
            number = answer.readline().strip()
        if not number:
            raise RuntimeError("Xvfb did not start.")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)
