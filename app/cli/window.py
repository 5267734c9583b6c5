"""``maquette [PATH]``: the window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from app.cli.parsing import parse
from engine.errors import UserError


@dataclass(frozen=True)
class WindowOptions:
    """Open the window on a 3D-aware generator and turn the head with the mouse."""

    path: Annotated[
        tyro.conf.Positional[Path | None],
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: the bundled generator)"),
    ] = None
    """A checkpoint to open (the authors' file or a converted model), or a .maquette project."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where to compute; 'cuda:1' names the second GPU."""


def _commands() -> str:
    from app.cli.main import COMMANDS

    return "\n".join(f"  maquette {name:<11}{what}" for name, what in COMMANDS.items())


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status.

    Raises:
        UserError: there is no such file, or no display to open a window on.
    """
    if any(word in ("-h", "--help") for word in words):
        try:
            parse(WindowOptions, ["--help"], "maquette")
        finally:
            print(f"\nwithout the window:\n{_commands()}\n\n  maquette --version\n")
            print("Each of them explains itself with --help.")
    options = parse(WindowOptions, words, "maquette")
    path = options.path.expanduser() if options.path is not None else None
    if path is not None and not path.exists():
        raise UserError(
            f"There is no file {path} to open, and no command of that name; see maquette --help."
        )
    from app.window import run as open_window

    return open_window(str(path) if path is not None else None, options.device)
