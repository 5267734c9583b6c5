"""Every export and every save on a disk that is full: the old file stays whole, and nothing lies beside it.

The kernel says so, not a stand-in: no file may grow beyond a limit (``RLIMIT_FSIZE``), which stops the
write of every library, wherever it happens; and in turn ``fsync`` reports that nothing is left,
as disks do that allocate late.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import UserError
from tests.faults.saves import SAVES, Save

#: Where in its largest file the disk is full: at the first byte, half-way, before the last one.
#: Caches that are written without waiting for the disk.
NOT_SYNCED = ("compiled kernel",)
FULL_AT = (0.0, 0.5, 1.0)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def contents(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of every file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """One where things are, and one to see how large they become."""
    made = tmp_path / "here", tmp_path / "elsewhere"
    for folder in made:
        folder.mkdir()
    return made


def attempt(save: Save, folder: Path) -> str:
    """Write the new version where there is no room; what is said."""
    if save.silent:
        save.write(folder, 1)
        return ""
    with pytest.raises(UserError) as caught:
        save.write(folder, 1)
    return str(caught.value)


@pytest.mark.parametrize("name", SAVES)
def test_what_was_there_stays(
    name: str, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, (here, elsewhere) = SAVES[name], folders
    if not save.fresh:
        save.write(here, 0)
    save.write(elsewhere, 1)
    old, new = contents(here), contents(elsewhere)
    assert new and old != new
    largest = max(map(len, new.values()))
    for share in FULL_AT:
        with room_for(min(round(largest * share), largest - 1)):
            said = attempt(save, here)
        check(save, old, new, here, said)
    if name not in NOT_SYNCED:
        monkeypatch.setattr(os, "fsync", full)
        said = attempt(save, here)
        monkeypatch.undo()
        check(save, old, new, here, said)
        assert save.silent or "disk is full" in said or "no space left" in said.lower()
    save.write(here, 1)
    assert set(contents(here)) == set(old) | set(new)


def full(_descriptor: int) -> None:
    """``fsync`` of a disk that tells late."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def check(
    save: Save, old: dict[str, bytes], new: dict[str, bytes], folder: Path, said: str
) -> None:
    """The old files are there, or whole new ones where they do not belong together."""
    found = contents(folder)
    if save.together:
        assert found == old
    else:
        assert set(old) <= set(found) <= set(old) | set(new)
        assert all(data in (old.get(name), new[name]) for name, data in found.items())
    left = [path.name for path in folder.rglob("*") if ".tmp" in path.name]
    assert not left, left
    if not save.silent:
        assert said.endswith(".") and "\n" not in said and ".maquette-" not in said, said
