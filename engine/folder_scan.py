"""Which models lie in a folder and the folders below it.

Files are named by the catalogue; nothing is opened as a model. Needs no torch, so that the
window can do it in a thread.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.catalogue import Found, identify
from engine.errors import UserError

#: Endings of files that may be checkpoints; a converted model is found by its JSON.
ENDINGS = (".pkl", ".pth", ".pt", ".tar", ".zip")
#: Endings that mean many other things: such files are told of only if they have a known name.
_COMMON = (".tar", ".zip")
#: How far a folder is searched: levels below it, folders, and files with one of the endings.
MAX_DEPTH, MAX_FOLDERS, MAX_FILES = 8, 5_000, 1_000
#: What the JSON of a converted model says first, and the largest such JSON.
_CONVERTED, _MAX_JSON = "maquette-generator/1", 4 << 20


@dataclass
class Scan:
    """What a search of a folder has found so far.

    Attributes:
        folder: where.
        found: known files first, then by path.
        folders: how many were looked into.
        unreadable: folders and files that could not be read.
        complete: everything within the limits was seen.
    """

    folder: Path
    found: list[Found] = field(default_factory=list)
    folders: int = 0
    unreadable: int = 0
    complete: bool = True

    @property
    def summary(self) -> str:
        """For people, a sentence or two."""
        known = sum(bool(f.releases or f.name) for f in self.found)
        others = len(self.found) - known
        text = f"{_many(known, 'known model')} and {_many(others, 'other file')} in {self.folder}."
        if self.unreadable:
            text += f" {_many(self.unreadable, 'place')} could not be read."
        if not self.complete:
            text += " The folder holds more than is searched; choose one further down."
        return text


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def scan(
    folder: Path,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[Scan], None] = lambda _scan: None,
) -> Scan:
    """Find and name the models in a folder and the folders below it.

    Links to folders are not followed, hidden folders are left out, and the limits at the top of
    this module hold.

    Args:
        check: called before each folder and file; raises to stop
            (``CancelToken.check``, for instance).
        progress: called after each folder with what there is so far.

    Raises:
        UserError: there is no such folder, or it cannot be read.
    """
    try:
        with os.scandir(folder):
            pass
    except NotADirectoryError as error:
        raise UserError(f"{folder} is a file; choose the folder that it lies in.") from error
    except FileNotFoundError as error:
        raise UserError(f"There is no folder {folder}; check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"The folder {folder} cannot be read ({reason}).") from error
    result = Scan(folder)
    seen = 0
    for files in _walk(folder, result, check):
        kept = [path for path in files if path.suffix.lower() in ENDINGS]
        converted = [path for path in files if path.suffix.lower() == ".json"]
        for path in (*kept, *converted):
            check()
            if seen >= MAX_FILES:
                result.complete = False
                break
            one = _look(path, result, check)
            if one is not None:
                seen += 1
                result.found.append(one)
        progress(result)
    result.found = sorted(
        _without_companions(result.found),
        key=lambda f: (not (f.releases or f.name), f.path.as_posix().lower()),
    )
    return result


def _walk(folder: Path, result: Scan, check: Callable[[], None]) -> Iterator[list[Path]]:
    """The files of each folder, level by level, sorted; counts folders in ``result``."""
    level = [folder]
    for depth in range(MAX_DEPTH + 1):
        below: list[Path] = []
        for place in level:
            check()
            if result.folders >= MAX_FOLDERS:
                result.complete = False
                return
            result.folders += 1
            try:
                with os.scandir(place) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
                    files = [Path(entry.path) for entry in listed if not entry.is_dir()]
                    below += [
                        Path(entry.path)
                        for entry in listed
                        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
                    ]
            except OSError:
                result.unreadable += 1
                continue
            yield files
        if depth == MAX_DEPTH and below:
            result.complete = False
        level = below


def _look(path: Path, result: Scan, check: Callable[[], None]) -> Found | None:
    """One file; ``None`` for what cannot be a model."""
    try:
        facts = path.stat()
        # A pipe or a device could be read for ever.
        if not stat.S_ISREG(facts.st_mode) or facts.st_size == 0:
            return None
        ending = path.suffix.lower()
        if ending != ".json":
            one = identify(path, facts.st_size, check=check)
            return one if one.releases or ending not in _COMMON else None
        beside = path.with_suffix(".safetensors")
        name = _converted_name(path) if beside.is_file() else ""
        size = facts.st_size + beside.stat().st_size if name else 0
    except OSError:
        result.unreadable += 1
        return None
    return Found(path, size, name=name) if name else None


def _converted_name(path: Path) -> str:
    if path.stat().st_size > _MAX_JSON:
        return ""
    try:
        facts = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        return ""
    if not isinstance(facts, Mapping) or facts.get("format") != _CONVERTED:
        return ""
    return str(facts.get("name") or path.stem)[:200]


def _without_companions(found: list[Found]) -> list[Found]:
    """Without the files that only accompany a release in the same folder."""
    beside = {
        (one.path.parent, name)
        for one in found
        for release in one.releases
        for name in release.beside
        if name != one.path.name
    }
    return [one for one in found if (one.path.parent, one.path.name) not in beside]
