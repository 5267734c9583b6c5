"""``maquette [PATH]``: the window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import UserError


def _commands() -> str:
    from app.cli.main import COMMANDS

    return "\n".join(f"  maquette {name:<11}{what}" for name, what in COMMANDS.items())


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status.

    Raises:
        UserError: there is no such file, or no display to open a window on.
    """
    path, device = _read(words)
    if path is not None and not path.exists():
        raise UserError(
            f"There is no file {path} to open, and no command of that name; see maquette --help."
        )
    from app.window import run as open_window

    return open_window(str(path) if path is not None else None, device)


def is_plain(words: Sequence[str]) -> bool:
    """Whether the words are a path or nothing, as they are when Maquette is started from a menu or on a file.
    Then nobody waits for the parser, which takes as long to import as a sixth of the window."""
    return not words or (len(words) == 1 and not words[0].startswith("-"))


def _read(words: Sequence[str]) -> tuple[Path | None, str]:
    """The path to open, if one is named, and the device."""
    if is_plain(words):
        return (Path(words[0]).expanduser() if words else None), "auto"
    from app.cli import window_options

    parse, kind = window_options.parse, window_options.WindowOptions
    if any(word in ("-h", "--help") for word in words):
        try:
            parse(kind, ["--help"], "maquette")
        finally:
            print(f"\nwithout the window:\n{_commands()}\n\n  maquette --version\n")
            print("Each of them explains itself with --help.")
    options = parse(kind, words, "maquette")
    return (options.path.expanduser() if options.path is not None else None), options.device
