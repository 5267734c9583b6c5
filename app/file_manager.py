"""Showing a folder in the system's file manager."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

from engine.errors import UserError
from engine.frozen import environment

_PROGRAMS = {"darwin": "open", "win32": "explorer"}


def show_folder(path: str) -> None:
    """Open the folder that a file lies in; returns at once.

    Raises:
        UserError: it has gone, or there is no program for it.
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise UserError(f"The folder {folder} has gone.")
    name = _PROGRAMS.get(sys.platform, "xdg-open")
    program = shutil.which(name)
    if program is None:
        raise UserError(f"No program was found that shows folders ({name}); look in {folder}.")
    # Some file managers keep the caller waiting until they are closed.
    threading.Thread(target=_run, args=(program, str(folder)), daemon=True).start()


def _run(program: str, folder: str) -> None:
    subprocess.run(
        [program, folder], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True, env=environment(),
    )  # fmt: skip
