"""``maquette desktop``: the program in the desktop's menu."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from app.cli.parsing import Flag, parse
from app.cli.terminal import say
from engine.errors import UserError


@dataclass(frozen=True)
class DesktopOptions:
    """Put Maquette into the menu of your desktop (Linux), and let .maquette projects open with a double
    click: a desktop entry, icons and a MIME type in your own data folder. Run it again after the program
    has moved."""

    remove: Flag = False
    """Take all of it away again."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status.

    Raises:
        UserError: not on Linux, or a file cannot be written.
    """
    options = parse(DesktopOptions, words, "maquette desktop")
    if not sys.platform.startswith("linux"):
        raise UserError("Menu entries are made on Linux only; start maquette from a terminal here.")
    from app import desktop_entry

    folder = desktop_entry.data_home()
    if options.remove:
        gone = desktop_entry.remove(folder)
        for path in gone:
            say(f"removed {path}")
        if not gone:
            say(f"There was nothing of Maquette in {folder}.")
        return 0
    for path in desktop_entry.add(desktop_entry.program(), folder):
        say(str(path))
    return 0
