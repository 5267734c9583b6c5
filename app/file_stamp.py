"""Whether a file is still the one that this window read or wrote last. Two windows may work on the same project, or a
folder that is shared may bring another's."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """A file as the system knows it: whoever writes it whole, as Maquette does, gives it another number."""

    number: int
    size: int
    modified: int


#: Unlike any file's.
OTHER = Stamp(-1, -1, -1)


def stamp(path: Path) -> Stamp | None:
    """That of a file; ``None`` where there is none, or nobody may look."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None
    return Stamp(facts.st_ino, facts.st_size, facts.st_mtime_ns)


def later(path: Path, seen: Stamp) -> Stamp | None:
    """That of a file that was seen in another run of the system, perhaps, where numbers may be others:
    :data:`OTHER` if another file lies there."""
    there = stamp(path)
    return there if there is None or there[1:] == seen[1:] else OTHER


def is_another(path: Path, seen: Stamp | None) -> bool:
    """Whether another file lies there than was seen; one that is gone is not another."""
    there = stamp(path)
    return there is not None and there != seen
