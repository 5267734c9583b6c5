"""Libraries without what only debuggers read.

A third of a wheel's small libraries is names of functions and lines. ``strip`` takes them out, but wheels' tools have
moved parts of these files about, which it does not always understand. So a stripped library is kept only where all that
the system loads of it is the same, byte for byte, and still lies where it can be loaded from.

One number is compared by its meaning: the size of the memory that each thread has of its own. Linkers round it up to
the alignment, ``strip`` states it as it is, and the system rounds it up again (torch's largest library).
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x7fELF"
#: 64 bits, lowest byte first.
_KIND = b"\x02\x01"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_LOAD, _OF_THREADS = 1, 7
#: Where in the file's header the table of sections is told of, which is not loaded: its place, and the number and
#: names of its lines.
_OF_SECTIONS = ((40, 48), (60, 64))
#: Where in a segment's line its place in the file stands, and its size in memory.
_OF_PLACE, _OF_MEMORY = (8, 16), (40, 48)


@dataclass(frozen=True)
class Loaded:
    """What the system loads of a library.

    Attributes:
        entry: where a program begins, and for which machine it is.
        segments: kind, flags, address, sizes and alignment of each part.
        contents: the bytes of those that are loaded, without what tells about the file alone.
    """

    entry: tuple[int, ...]
    segments: tuple[tuple[int, ...], ...]
    contents: tuple[bytes, ...]


def loaded(path: Path) -> Loaded | None:
    """What is loaded of a file; ``None`` where it is no library for 64 bits, or could not be loaded."""
    data = bytearray(path.read_bytes())
    if data[:4] != _MAGIC or data[4:6] != _KIND or len(data) < _HEADER.size:
        return None
    header = _HEADER.unpack_from(data)
    table, length, number = header[5], header[9], header[10]
    if length != _SEGMENT.size or table + number * length > len(data):
        return None
    lines = [_SEGMENT.unpack_from(data, table + k * length) for k in range(number)]
    masked = list(_OF_SECTIONS)
    for k, line in enumerate(lines):
        spans = (_OF_PLACE, _OF_MEMORY) if line[0] == _OF_THREADS else (_OF_PLACE,)
        masked += [(table + k * length + first, table + k * length + last) for first, last in spans]
    for start, end in masked:
        data[start:end] = bytes(end - start)
    segments, contents = [], []
    for kind, flags, place, address, _physical, in_file, in_memory, align in lines:
        if kind == _OF_THREADS and align and address % align == 0:
            in_memory = -(-in_memory // align) * align
        segments.append((kind, flags, address, in_file, in_memory, align))
        if kind != _LOAD:
            continue
        if place + in_file > len(data) or (align and (address - place) % align):
            return None
        contents.append(bytes(data[place : place + in_file]))
    return Loaded((header[1], header[2], header[4], header[7]), tuple(segments), tuple(contents))


def strip(path: Path) -> int:
    """Take out of a library what is not loaded; bytes saved, 0 where it stays as it is."""
    before = loaded(path)
    if before is None:
        return 0
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".strip-") as folder:
        smaller = Path(folder) / path.name
        done = subprocess.run(
            ["strip", "--strip-unneeded", "-o", str(smaller), str(path)],
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode or not smaller.exists():
            return 0
        saved = path.stat().st_size - smaller.stat().st_size
        if saved <= 0 or loaded(smaller) != before:
            return 0
        shutil.copymode(path, smaller)
        smaller.replace(path)
    return saved


def strip_all(folder: Path) -> int:
    """:func:`strip` every file below a folder; bytes saved."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(strip(path) for path in found if _is_library(path))


def _is_library(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC
