"""Looking once at every picture: can it be read, how large is it, is it there twice.

What was found is kept in ``maquette-scan.json`` beside the data, so that opening seventy thousand
pictures again takes seconds; a file that has changed since is looked at anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import Cancelled, UserError
from engine.export.files import write_bytes
from engine.training.data.decode import MAX_BYTES, READING, Unreadable, of_picture
from engine.training.data.files import Entry, Files
from engine.training.data.likeness import BITS, look_of

NAME = "scan.json"
_FORMAT = 1
_MOST = 1 << 30
_THREADS = 8

#: (done, of how many) -> nothing; called now and then.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Seen:
    """What a look at a picture's file told.

    Attributes:
        size, stamp: of the file, see :class:`Entry`.
        width, height: pixels; 0 if it cannot be read.
        sha256: of the file's bytes. look: see :func:`likeness.look_of`. Empty if unreadable.
        trouble: why it cannot be read, else empty.
    """

    size: int
    stamp: int
    width: int = 0
    height: int = 0
    sha256: str = ""
    look: str = ""
    trouble: str = ""


def scan(
    files: Files,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Seen]:
    """Look at every picture, in the order of their names.

    Returns:
        name -> what was seen, of every entry.

    Raises:
        Cancelled: ``cancelled`` said so; nothing is stored.
    """
    store = files.beside(NAME)
    known = _stored(store)
    found: dict[str, Seen] = {}
    fresh: list[Entry] = []
    for entry in files.entries:
        seen = known.get(entry.name)
        if seen is not None and (seen.size, seen.stamp) == (entry.size, entry.stamp):
            found[entry.name] = seen
        else:
            fresh.append(entry)
    total = len(files.entries)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for begin in range(0, len(fresh), 64):
            if cancelled is not None and cancelled():
                raise Cancelled
            part = fresh[begin : begin + 64]
            seen_part = pool.map(lambda entry: _look_at(files, entry), part)
            found.update(zip((entry.name for entry in part), seen_part, strict=True))
            if progress is not None:
                progress(len(found), total)
    result = {entry.name: found[entry.name] for entry in files.entries}
    if fresh or len(known) != len(result):
        # Data on a disk that may not be written to is as good; it is only slower to open.
        with contextlib.suppress(UserError):
            _store(store, result)
    return result


def _look_at(files: Files, entry: Entry) -> Seen:
    try:
        with READING.share(min(entry.size, MAX_BYTES)):
            data = files.read(entry.name)
            size, look = of_picture(data, lambda picture: (picture.size, look_of(picture)))
            digest = hashlib.sha256(data).hexdigest()
    except Unreadable as error:
        return Seen(entry.size, entry.stamp, trouble=str(error))
    except OSError as error:
        reason = f"it cannot be read ({error.strerror or error})"
        # A stamp that no file has: the next look tries again.
        return Seen(entry.size, -1, trouble=reason)
    return Seen(entry.size, entry.stamp, *size, digest, look)


def _stored(path: Path) -> dict[str, Seen]:
    """What was stored; nothing of what is damaged, which costs another look and no more."""
    try:
        if path.stat().st_size > _MOST:
            return {}
        stated = json.loads(path.read_text(encoding="utf-8"))
        if stated["format"] != _FORMAT:
            return {}
        return dict(_valid(stated["seen"].items()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _valid(items: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Seen]]:
    for name, values in items:
        seen = Seen(**values)
        numbers = (seen.size, seen.stamp, seen.width, seen.height)
        texts = (seen.sha256, seen.look, seen.trouble)
        if not all(type(n) is int for n in numbers) or not all(type(t) is str for t in texts):
            raise ValueError("not what we write")
        if not seen.trouble and (len(seen.look) != BITS // 4 or min(seen.width, seen.height) < 1):
            raise ValueError("not what we write")
        int(seen.look or "0", 16)
        yield name, seen


def _store(path: Path, found: dict[str, Seen]) -> None:
    stated = {"format": _FORMAT, "seen": {name: asdict(seen) for name, seen in found.items()}}
    write_bytes(path, json.dumps(stated).encode())
