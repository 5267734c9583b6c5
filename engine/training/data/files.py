"""Where the files of a data set lie: a folder or a zip archive, either from anybody.

Names are made by walking the folder or the archive's list; a name that a file *states* (in
``dataset.json``) is only ever compared with these. Nothing is unpacked to disk, links do not lead
out, and nothing is read that is larger than was agreed on.
"""

from __future__ import annotations

import os
import stat
import struct
import threading
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from engine.errors import UserError
from engine.training.data.decode import MAX_BYTES, SUFFIXES, Unreadable
from engine.zip_parts import INFLATED, MOST_RATIO, unsafe

#: The file with the labels, as StyleGAN's and EG3D's tools name it.
LABELS_NAME = "dataset.json"
#: Largest file of labels: a million pictures with cameras.
MAX_LABELS = 1 << 30
#: Largest list of an archive's entries, bytes (some million of them).
_MAX_DIRECTORY = 256 << 20
#: End records of zip archives (APPNOTE 6.3, 4.3.14-16): the last one, the locator of the 64-bit
#: one, and that one's fields up to the size of the list.
_END, _END_SIGNATURE = struct.Struct("<4s4H2LH"), b"PK\x05\x06"
_LOCATOR, _LOCATOR_SIGNATURE = struct.Struct("<4sLQL"), b"PK\x06\x07"
_END64, _END64_SIGNATURE = struct.Struct("<4sQ2H2L4Q"), b"PK\x06\x06"
_MAX_COMMENT = 0xFFFF
_BLOCK = 1 << 20
#: What a damaged or lying archive makes Python's reader raise.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
    struct.error, OverflowError,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A picture's file.

    Attributes:
        name: inside the data set, with ``/``.
        size: bytes. stamp: changes when the content does (time of change, or the archive's CRC).
    """

    name: str
    size: int
    stamp: int


class Files(ABC):
    """The files of a data set.

    Attributes:
        path: the folder or archive.
        entries: the pictures' files, sorted by name.
        refused: (name, reason) of what will not be touched.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: tuple[Entry, ...] = ()
        self.refused: tuple[tuple[str, str], ...] = ()

    @abstractmethod
    def read(self, name: str, limit: int = MAX_BYTES) -> bytes:
        """The content of a file.

        Raises:
            Unreadable: it is damaged or larger than ``limit``.
            OSError: it is gone, or the disk fails.
        """

    @abstractmethod
    def labels(self) -> bytes | None:
        """The content of ``dataset.json``, if there is one.

        Raises:
            Unreadable, OSError: as :meth:`read`.
        """

    @abstractmethod
    def beside(self, name: str) -> Path:
        """Where a file of ours (``maquette-NAME``) belongs: in the folder, or beside the archive.

        Raises:
            UserError: a folder of somebody's making has a link there.
        """


def open_files(path: Path) -> Files:
    """The files at a path.

    Raises:
        UserError: there is nothing, it is neither folder nor zip archive, or it may not be read.
    """
    path = path.expanduser()
    try:
        if path.is_dir():
            return FolderFiles(path)
        if path.is_file():
            return ZipFiles(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror or error}); check the path."
        ) from error
    raise UserError(f"{path} is no folder and no zip archive; check the path.")


class FolderFiles(Files):
    """A folder, with those inside it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._root = path.resolve()
        entries: list[Entry] = []
        refused: list[tuple[str, str]] = []
        for name, place in _walk(self._root, refused):
            try:
                if not place.resolve().is_relative_to(self._root):
                    refused.append((name, "it is a link that leads out of the folder"))
                    continue
                facts = place.stat()
            except (OSError, RuntimeError) as error:
                refused.append((name, f"it cannot be read ({error})"))
                continue
            if stat.S_ISREG(facts.st_mode):
                entries.append(Entry(name, facts.st_size, facts.st_mtime_ns))
            else:
                refused.append((name, "it is no ordinary file"))
        self.entries = tuple(sorted(entries, key=lambda entry: entry.name))
        self.refused = tuple(sorted(refused))

    def read(self, name: str, limit: int = MAX_BYTES) -> bytes:
        with (self._root / name).open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Unreadable(f"it is larger than {limit >> 20} MiB")
        return data

    def labels(self) -> bytes | None:
        place = self._root / LABELS_NAME
        if not place.is_file() or not place.resolve().is_relative_to(self._root):
            return None
        return self.read(LABELS_NAME, MAX_LABELS)

    def beside(self, name: str) -> Path:
        place = self._root / f"maquette-{name}"
        # Who gave away the folder must not choose which file of ours is written over.
        if place.is_symlink():
            raise UserError(f"{place} is a link, which Maquette does not follow; remove it.")
        return place


def _walk(root: Path, refused: list[tuple[str, str]]) -> Iterator[tuple[str, Path]]:
    """Files that look like pictures, but for those that begin with a dot. Folders that are links
    are not entered: they may lead around in circles.

    Args:
        refused: gets the folders that may not be looked into.

    Raises:
        OSError: that is the root itself.
    """

    def shut(error: OSError) -> None:
        place = Path(error.filename)
        if place == root:
            raise error
        refused.append(
            (place.relative_to(root).as_posix(), f"it cannot be read ({error.strerror})")
        )

    for folder, below, names in os.walk(root, onerror=shut):
        below[:] = sorted(n for n in below if not n.startswith((".", "__MACOSX")))
        for name in names:
            place = Path(folder) / name
            if _is_picture(name):
                yield place.relative_to(root).as_posix(), place


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


class ZipFiles(Files):
    """A zip archive. A single folder around everything counts as the archive's root."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with path.open("rb") as file:
                _check_directory(file)
            self._archive = zipfile.ZipFile(path)
            infos = self._archive.infolist()
        except _DAMAGE as error:
            raise UserError(
                f"{path} is damaged, or no zip archive ({error}); choose a folder of pictures or a "
                "whole archive."
            ) from error
        self._lock = threading.Lock()
        self._infos: dict[str, zipfile.ZipInfo] = {}
        refused: list[tuple[str, str]] = []
        root = _root_of([info.filename for info in infos])
        for info in infos:
            name = info.filename.removeprefix(root)
            parts = PurePosixPath(name).parts
            wanted = name == LABELS_NAME or (bool(parts) and _is_picture(parts[-1]))
            hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
            # Not ZipInfo.is_dir, which looks at the last letter of a name that may be empty.
            if name.endswith("/") or not wanted or hidden:
                if ".." in parts and wanted:
                    refused.append((name, "its name leads out of the archive"))
                continue
            reason = _refusal(info, name)
            if reason is None and name in self._infos:
                reason = "the archive has two files of this name"
            if reason is not None:
                refused.append((name, reason))
                continue
            self._infos[name] = info
        self.entries = tuple(
            Entry(name, info.file_size, info.CRC)
            for name, info in sorted(self._infos.items())
            if name != LABELS_NAME
        )
        self.refused = tuple(sorted(refused))

    def read(self, name: str, limit: int = MAX_BYTES) -> bytes:
        info = self._infos[name]
        if info.file_size > limit:
            raise Unreadable(f"it is larger than {limit >> 20} MiB")
        if info.file_size > INFLATED + MOST_RATIO * info.compress_size:
            raise Unreadable("it holds far more than its size allows for")
        blocks: list[bytes] = []
        left = min(limit, INFLATED + MOST_RATIO * info.compress_size)
        try:
            # Python's reader guards the position in the file, but not who closes it when.
            with self._lock, self._archive.open(info) as stream:
                # The size that is stated may be a lie.
                while block := stream.read(_BLOCK):
                    left -= len(block)
                    if left < 0:
                        raise Unreadable(f"it is larger than {limit >> 20} MiB")
                    blocks.append(block)
        except _DAMAGE as error:
            raise Unreadable("it is damaged in the archive") from error
        return b"".join(blocks)

    def labels(self) -> bytes | None:
        return self.read(LABELS_NAME, MAX_LABELS) if LABELS_NAME in self._infos else None

    def beside(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.stem}.maquette-{name}")


def _root_of(names: list[str]) -> str:
    """The folder that all of an archive's files lie in, with its ``/``, or nothing."""
    tops = {name.split("/", 1)[0] for name in names if not name.startswith("__MACOSX")}
    if len(tops) != 1 or any("/" not in name for name in names):
        return ""
    top = tops.pop()
    # A data set may well be a single numbered folder without labels; its name then stays.
    return f"{top}/" if f"{top}/{LABELS_NAME}" in names else ""


def _refusal(info: zipfile.ZipInfo, name: str) -> str | None:
    if why := unsafe(info):
        return why
    if info.flag_bits & 1:
        return "it is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "it is packed in an unusual way; pack it with deflate, or not at all"
    return None


def _check_directory(file: BinaryIO) -> None:
    """The list of entries is built in memory by Python's reader: bound it before.

    Raises:
        ValueError: there is no end record, or the list is too long.
    """
    size = file.seek(0, 2)
    start = max(0, size - _END.size - _MAX_COMMENT - _LOCATOR.size)
    file.seek(start)
    tail = file.read(size - start)
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        raise ValueError("it has no end record")
    directory = _END.unpack_from(tail, at)[5]
    locator = tail[max(0, at - _LOCATOR.size) : at]
    if locator.startswith(_LOCATOR_SIGNATURE):
        # Readers differ in which they trust: where the locator points, or what stands before it.
        for place in (_LOCATOR.unpack(locator)[2], start + at - _LOCATOR.size - _END64.size):
            file.seek(max(0, min(place, size)))
            record = file.read(_END64.size)
            if len(record) == _END64.size and record.startswith(_END64_SIGNATURE):
                directory = max(directory % 0xFFFFFFFF, _END64.unpack(record)[8])
    if directory > _MAX_DIRECTORY:
        raise ValueError("its list of files is too long")
