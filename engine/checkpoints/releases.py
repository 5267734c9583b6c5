"""Models inside the folders and zip archives in which authors release them.

A folder stands for the one file in it that is to be drawn with; other files there (the networks
without averages, discriminators, states of the training) are left alone. A zip archive of such a
folder is read as it is: nothing is unpacked to the disk.
"""

from __future__ import annotations

import os
import threading
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from engine.checkpoints.faults import Damaged, Refused, Unsupported
from engine.checkpoints.names import shown
from engine.checkpoints.source import Source
from engine.checkpoints.torch_files import TORCH_ENTRY, DirectoryReader, entry_start
from engine.errors import CheckpointError

#: Files to draw with, the best first: averaged weights (CIPS-3D), a pickled generator (pi-GAN,
#: whose averages lie beside it).
FOLDER_FILES = ("G_ema.pth", "generator.pth")
#: Of an archive only files that stand alone can be read.
ARCHIVE_FILES = ("G_ema.pth",)
#: Deepest folder below the one that was named, and most entries that are looked at.
MAX_DEPTH, MAX_ENTRIES = 4, 10_000
#: Weights hardly compress; a file that does so much more is not one.
_MOST_RATIO = 20
#: Bytes of a compressed file that are read, and unpacked, at once.
_PIECE_IN, _PIECE_OUT = 1 << 16, 1 << 18
#: Least distance, and greatest number, of places from which unpacking can start again.
_SPACING, _MOST_MARKS = 1 << 20, 64


def main_file(folder: Path) -> Path:
    """The file that a release's folder stands for.

    Raises:
        CheckpointError: there is none, or there are several.
    """
    found: dict[str, list[Path]] = {name: [] for name in FOLDER_FILES}
    left = MAX_ENTRIES
    for here, folders, files in os.walk(folder):
        at = Path(here)
        if len(at.relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()
        folders.sort()
        left -= len(folders) + len(files)
        for name in FOLDER_FILES:
            if name in files:
                found[name].append(at / name)
        if left < 0:
            break
    for paths in found.values():
        direct = [path for path in paths if path.parent == folder]
        chosen = direct or paths
        if len(chosen) == 1:
            return chosen[0]
        if chosen:
            raise CheckpointError(
                f"{folder} is a folder with {len(chosen)} models ({_first(chosen, folder)}); "
                "choose one of these files."
            )
    raise CheckpointError(
        f"{folder} is a folder without a {' or '.join(FOLDER_FILES)}; choose the model file inside "
        "it."
    )


def _first(paths: list[Path], folder: Path) -> str:
    names = [str(path.relative_to(folder)) for path in paths[:3]]
    return ", ".join(names) + (" ..." if len(paths) > 3 else "")


def packed_model(source: Source) -> Source | None:
    """The one model file inside a zip archive; ``None`` if the archive is a file of
    ``torch.save``, or broken, or holds no model that stands alone.

    Raises:
        Unsupported: there are several, or it is packed in a way that is not read here.
        Refused: it is far smaller than what it claims to hold.
    """
    try:
        entries = zipfile.ZipFile(DirectoryReader(source)).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return None
    if any(TORCH_ENTRY.match(entry.filename) for entry in entries):
        return None
    found = [entry for entry in entries if PurePosixPath(entry.filename).name in ARCHIVE_FILES]
    if not found:
        return None
    if len(found) > 1:
        names = ", ".join(shown(entry.filename) for entry in found[:3])
        raise Unsupported(f"it holds several models ({names}); unpack it and open one of them")
    entry = found[0]
    start = entry_start(source, entry)
    if start + entry.compress_size > source.size:
        raise Damaged("an entry of its zip directory reaches outside the file")
    if entry.compress_type == zipfile.ZIP_STORED:
        if entry.compress_size != entry.file_size:
            raise Damaged("an entry of its zip directory has two sizes")
        return PartOfSource(source, start, entry.file_size)
    if entry.compress_type != zipfile.ZIP_DEFLATED:
        raise Unsupported(f"it is packed in an unusual way; unpack it and open {entry.filename}")
    if entry.file_size > _MOST_RATIO * entry.compress_size + _SPACING:
        raise Refused("it holds far more than its size allows for")
    return InflatedSource(source, start, entry.compress_size, entry.file_size)


class PartOfSource:
    """A stretch of another source."""

    def __init__(self, source: Source, start: int, size: int) -> None:
        self.name = source.name
        self._source, self._start, self._size = source, start, size

    @property
    def size(self) -> int:
        return self._size

    def read_into(self, offset: int, target: memoryview) -> None:
        self._check(offset, target.nbytes)
        self._source.read_into(self._start + offset, target)

    def read_at(self, offset: int, count: int) -> bytes:
        self._check(offset, count)
        return self._source.read_at(self._start + offset, count)

    def _check(self, offset: int, count: int) -> None:
        if offset < 0 or count < 0 or offset + count > self._size:
            raise Damaged("the model inside ends before its data does")


class _Machine(Protocol):
    """What ``zlib.decompressobj`` gives."""

    @property
    def unconsumed_tail(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...

    def copy(self) -> _Machine: ...


class _Mark(NamedTuple):
    """A place from which unpacking can go on: position in the file, position in the archive."""

    offset: int
    taken: int
    machine: _Machine


class InflatedSource:
    """A compressed file inside an archive, unpacked piece by piece as it is asked for.

    Reading forwards costs each byte once. To go back, it starts from the nearest of the places
    that it remembers, which are a few kilobytes each: what is unpacked is never kept. Safe to
    use from several threads.

    Args:
        source: the archive.
        start, packed: where the compressed bytes lie, and how many there are.
        size: number of bytes that come out.
    """

    def __init__(self, source: Source, start: int, packed: int, size: int) -> None:
        self.name = source.name
        self._source, self._start, self._packed, self._size = source, start, packed, size
        self._spacing = max(_SPACING, size // _MOST_MARKS)
        self._marks = [_Mark(0, 0, zlib.decompressobj(-zlib.MAX_WBITS))]
        self._offset, self._taken = 0, 0
        self._machine = self._marks[0].machine.copy()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        return self._size

    def read_into(self, offset: int, target: memoryview) -> None:
        flat = target.cast("B")
        if offset < 0 or offset + len(flat) > self._size:
            raise Damaged("the model inside ends before its data does")
        with self._lock:
            self._go_to(offset)
            done = 0
            while done < len(flat):
                piece = self._next(min(len(flat) - done, _PIECE_OUT))
                flat[done : done + len(piece)] = piece
                done += len(piece)

    def read_at(self, offset: int, count: int) -> bytes:
        if count < 0 or offset + count > self._size:
            raise Damaged("the model inside ends before its data does")
        buffer = bytearray(count)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def _go_to(self, offset: int) -> None:
        mark = max((m for m in self._marks if m.offset <= offset), key=lambda m: m.offset)
        if not mark.offset <= self._offset <= offset:
            self._offset, self._taken, self._machine = (
                mark.offset, mark.taken, mark.machine.copy()
            )  # fmt: skip
        while self._offset < offset:
            self._next(min(offset - self._offset, _PIECE_OUT))

    def _next(self, most: int) -> bytes:
        """The next bytes, up to ``most`` and at least one."""
        while True:
            data = self._machine.unconsumed_tail
            if not data:
                count = min(_PIECE_IN, self._packed - self._taken)
                data = self._source.read_at(self._start + self._taken, count)
                self._taken += count
            try:
                piece = self._machine.decompress(data, most)
            except zlib.error as error:
                raise Damaged("the model inside cannot be unpacked") from error
            if piece:
                break
            if not self._machine.unconsumed_tail and self._taken == self._packed:
                raise Damaged("the model inside ends before its data does")
        self._offset += len(piece)
        if self._offset >= self._marks[-1].offset + self._spacing:
            self._marks.append(_Mark(self._offset, self._taken, self._machine.copy()))
        return piece
