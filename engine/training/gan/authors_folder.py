"""Folders of files for the authors' programs: an export never stands beside what is left of an older
one, and never in the place of a file that is not Maquette's.

``maquette-export.json`` names the files that an export wrote, which the next one may replace or
remove. Such folders may hold networks of one training only: a program that goes on from a generator
takes the discriminator that lies beside it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from engine.errors import UserError
from engine.export.files import write_bytes

NAME = "maquette-export.json"
#: Endings of what exports write: nothing else is replaced or removed, whatever the list says.
_ENDINGS = (".pt", ".pth", ".pkl")
#: Longest list that is read, bytes.
_MOST = 1 << 16


def written_before(folder: Path) -> frozenset[str]:
    """Names of the files that an export has written into a folder; none where there is no list, or a
    damaged one."""
    try:
        path = folder / NAME
        if path.stat().st_size > _MOST:
            return frozenset()
        names = json.loads(path.read_text(encoding="utf-8"))["files"]
        return frozenset(name for name in names if _plain(name))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return frozenset()


def check_theirs(folder: Path, names: Iterable[str]) -> None:
    """Make sure that an export of these files replaces nothing but an older export.

    Raises:
        UserError: a file of that name is none of an export.
    """
    known = written_before(folder)
    for name in names:
        if name not in known and (folder / name).exists():
            raise UserError(
                f"{folder / name} was not exported by Maquette and stays as it is; choose another "
                "folder."
            )


def contents(names: Iterable[str]) -> bytes:
    """What :data:`NAME` holds of these files."""
    facts = {"format": "maquette-export/1", "files": sorted(names)}
    return (json.dumps(facts, indent=1) + "\n").encode()


def remove_left(folder: Path, names: Iterable[str], before: Iterable[str]) -> None:
    """Remove the files of an older export (``before``) that the present one (``names``) has not.

    Raises:
        ExportError: the list cannot be written.
    """
    left = set(before) - set(names)
    for name in left:
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()
    if left:
        write_bytes(folder / NAME, contents(names))


def _plain(name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name and name.endswith(_ENDINGS)
