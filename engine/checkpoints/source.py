"""Bytes of a file, read by position and only when asked for.

Files are read with plain reads and never mapped into memory: a mapped file that is truncated
while it is open kills the process, and its touched pages count as memory of ours.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol

from engine.checkpoints.faults import Damaged

#: Bytes that a cursor reads ahead in a large stream.
WINDOW = 1 << 18


class Source(Protocol):
    """Random access to bytes.

    Attributes:
        name: of the file, for messages.
    """

    name: str

    @property
    def size(self) -> int:
        """Total number of bytes."""

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill ``target`` with the bytes from ``offset`` on, or raise ``Damaged``."""

    def read_at(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset`` on, or raise ``Damaged``."""


class FileSource:
    """An open file. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._file = FileIO(path)
        self._lock = threading.Lock()
        self._size = self._file.seek(0, 2)

    @property
    def size(self) -> int:
        return self._size

    def read_into(self, offset: int, target: memoryview) -> None:
        flat = target.cast("B")
        done = 0
        with self._lock:
            self._file.seek(offset)
            while done < len(flat):
                count = self._file.readinto(flat[done:])
                if not count:
                    raise Damaged(f"it ends at byte {offset + done}, before its data does")
                done += count

    def read_at(self, offset: int, count: int) -> bytes:
        if count < 0 or offset + count > self._size:
            raise Damaged(f"it ends at byte {self._size}, before its data does")
        buffer = bytearray(count)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()

    def close(self) -> None:
        """Release the file; tensors that were not read yet can no longer be."""
        self._file.close()


class BytesSource:
    """Bytes that are already in memory, with the interface of a file."""

    def __init__(self, data: bytes) -> None:
        self.name = "an embedded block"
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def read_into(self, offset: int, target: memoryview) -> None:
        flat = target.cast("B")
        flat[:] = self.read_at(offset, len(flat))

    def read_at(self, offset: int, count: int) -> bytes:
        if count < 0 or offset + count > len(self._data):
            raise Damaged("an embedded block ends before its data does")
        return self._data[offset : offset + count]


@dataclass(frozen=True, eq=False)
class LazyBytes:
    """A long ``bytes`` value in a file that has not been read.

    Attributes:
        source: where it lies.
        offset, length: which bytes of the source.
    """

    source: Source
    offset: int
    length: int

    def load(self) -> bytes:
        """Read it."""
        return self.source.read_at(self.offset, self.length)


class Cursor:
    """Reads a stretch of a source from front to back, with a window read ahead."""

    def __init__(self, source: Source, start: int, end: int, window: int = WINDOW) -> None:
        if not 0 <= start <= end <= source.size:
            raise Damaged("a part of it lies outside the file")
        self.source = source
        self.end = end
        self._window = window
        self._buffer = b""
        self._base = start
        self._at = 0

    def tell(self) -> int:
        """Position in the source of the next byte."""
        return self._base + self._at

    def require(self, count: int) -> None:
        """Raise ``Damaged`` unless ``count`` more bytes are there."""
        if self.tell() + count > self.end:
            raise Damaged(f"it ends at byte {self.end}, before its data does")

    def byte(self) -> int:
        """The next byte."""
        if self._at >= len(self._buffer):
            self._fill(1)
        value = self._buffer[self._at]
        self._at += 1
        return value

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes; checked against the end before anything is allocated."""
        stop = self._at + count
        if stop > len(self._buffer):
            self._fill(count)
            stop = self._at + count
        data = self._buffer[self._at : stop]
        self._at = stop
        return data

    def skip(self, count: int) -> int:
        """Step over ``count`` bytes without reading them; returns where they start."""
        start = self.tell()
        self.require(count)
        if self._at + count <= len(self._buffer):
            self._at += count
        else:
            self._buffer, self._base, self._at = b"", start + count, 0
        return start

    def line(self, limit: int) -> bytes:
        """Bytes up to the next newline, which is dropped; at most ``limit`` bytes."""
        available = min(limit + 1, self.end - self.tell())
        stop = self._buffer.find(b"\n", self._at, self._at + available)
        if stop < 0 and self._at + available > len(self._buffer):
            # Only now: to read a megabyte ahead of every short line would take hours.
            self._fill(available)
            stop = self._buffer.find(b"\n", 0, available)
        if stop < 0:
            raise Damaged(f"a line of text at byte {self.tell()} does not end")
        data = self._buffer[self._at : stop]
        self._at = stop + 1
        return data

    def _fill(self, count: int) -> None:
        """Make at least ``count`` bytes available in the buffer."""
        start = self.tell()
        self.require(count)
        length = min(max(count, self._window), self.end - start)
        self._buffer = self.source.read_at(start, length)
        self._base, self._at = start, 0
