"""``maquette train --export-authors``: where the authors' files go, asked before hours of training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.terminal import say
from engine.errors import UserError
from engine.training.gan.authors_folder import NAME

if TYPE_CHECKING:
    from engine.training.gan.run import Run


def export_folder(given: Path | None) -> Path | None:
    """The folder that was named: empty, or one of an earlier export, or one that can be made.

    Raises:
        UserError: it is none of these.
    """
    if given is None:
        return None
    out = given.expanduser()
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "may not be written to" if there.is_dir() else "is no folder"
        raise UserError(f"{there} {what}; choose another folder for --export-authors.")
    if there == out and not (out / NAME).is_file() and any(out.iterdir()):
        raise UserError(
            f"{out} is not empty and no earlier export; choose a new folder for --export-authors."
        )
    return out


def write_theirs(run: Run, out: Path, quiet: bool) -> None:
    """Write what a run has learnt as the authors' files, and say which.

    Raises:
        UserError: a file cannot be written.
    """
    from engine.training.gan.moments import moments_of
    from engine.training.gan.result import export_authors

    loop = run.loop
    for path in export_authors(loop.training, loop.average, out, moments_of(loop)):
        if not quiet:
            say(str(path))
