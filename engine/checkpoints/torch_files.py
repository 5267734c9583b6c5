"""The two containers that ``torch.save`` writes: legacy streams and zip archives."""

from __future__ import annotations

import encodings.cp437  # noqa: F401 - zipfile reads old names with it, and imports it for a file
import re
import struct
import zipfile
from io import RawIOBase
from pathlib import PurePosixPath
from typing import Any

from engine.checkpoints.budget import Budget
from engine.checkpoints.faults import Damaged, Refused, Unsupported
from engine.checkpoints.names import shown
from engine.checkpoints.pickle_vm import PickleMachine
from engine.checkpoints.plain import ClassRef
from engine.checkpoints.source import WINDOW, Cursor, Source
from engine.checkpoints.standins import StandIns
from engine.checkpoints.tensors import STORAGE_DTYPES, Storage, whole

#: First value of a legacy torch stream.
MAGIC = 0x1950A86A20F9469CFC6C
#: Version of the legacy stream, its second value.
PROTOCOL = 1001
#: Bytes read ahead in a storage's own stream, whose pickles are a few hundred bytes.
NESTED_WINDOW = 2048
#: Largest directory of a zip archive; an entry takes about 80 bytes.
MAX_DIRECTORY = 8 << 20

#: The entry that makes a zip archive a file of ``torch.save``.
TORCH_ENTRY = re.compile(r"^([^/]+)/data\.pkl$")


def _refuse_nested(source: Source, start: int, length: int) -> Storage:
    raise Refused("its storages hold further storages")


def read_pickle(source: Source, start: int, end: int, budget: Budget) -> tuple[str, Any]:
    """A StyleGAN-style pickle or a legacy torch stream.

    Returns:
        (``"pickle"`` or ``"torch-legacy"``, plain data).
    """

    def nested(inner: Source, first: int, length: int) -> Storage:
        value = read_legacy(inner, first, first + length, budget)
        if not isinstance(value, Storage):
            raise Damaged("an embedded storage is not one")
        return value

    cursor = Cursor(source, start, end)
    value = PickleMachine(cursor, StandIns(budget, nested), budget).run()
    if isinstance(value, int) and value == MAGIC:
        return "torch-legacy", read_legacy(source, start, end, budget, WINDOW)
    return "pickle", value


def read_legacy(
    source: Source, start: int, end: int, budget: Budget, window: int = NESTED_WINDOW
) -> Any:
    """A legacy torch stream: five pickles (magic number, version, system, data, keys of its
    storages), then for each key a 64-bit count and the raw elements.

    Returns:
        the data: plain, or a single :class:`Storage`.
    """
    storages: dict[str, Storage] = {}

    def persistent(pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 2 or pid[0] not in ("storage", "module"):
            raise Refused("it refers to objects outside of the file")
        if pid[0] == "module":  # (class, path and text of its source): only the class's name
            if not isinstance(pid[1], ClassRef):
                raise Damaged("a class in it is not one")
            return pid[1]
        if len(pid) not in (5, 6):
            raise Damaged("a storage in it has no proper description")
        storage = _storage(storages, source, pid[1:5])
        if len(pid) == 6 and pid[5] is not None:
            return _storage_view(views, storage, pid[5])
        return storage

    views: list[tuple[Storage, Storage, int]] = []
    cursor = Cursor(source, start, end, window)
    machine = PickleMachine(cursor, StandIns(budget, _refuse_nested, persistent), budget)
    if machine.run() != MAGIC:
        raise Damaged("an embedded storage does not begin as one")
    if machine.run() != PROTOCOL:
        raise Damaged("it is of an unknown version of torch's legacy format")
    system = machine.run()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Unsupported("it was saved on a big-endian computer; save it again on another")
    value = machine.run()
    keys = machine.run()
    if not isinstance(keys, list):
        raise Damaged("it does not list its storages")
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None or storage.offset >= 0:
            raise Damaged("it lists a storage that it does not use")
        count = int.from_bytes(cursor.read(8), "little")
        if count != storage.count:
            raise Damaged(f"a storage of {storage.count} elements holds {count}")
        storage.offset = cursor.skip(storage.nbytes)
    if any(storage.offset < 0 for storage in storages.values()):
        raise Damaged("one of its storages is missing")
    for part, base, first in views:
        part.offset = base.offset + first * base.dtype.itemsize
    return value


def _storage(known: dict[str, Storage], source: Source, described: tuple[Any, ...]) -> Storage:
    kind, key, device, count = described
    if not isinstance(kind, ClassRef) or kind.name not in STORAGE_DTYPES:
        raise Damaged("a storage in it is of an unknown type")
    if not isinstance(key, str) or not isinstance(device, str):
        raise Damaged("a storage in it has no proper name")
    dtype, numel = STORAGE_DTYPES[kind.name], whole(count, "a storage's size")
    storage = known.get(key)
    if storage is None:
        storage = known[key] = Storage(dtype, numel, device, source)
    elif storage.dtype != dtype or storage.count != numel:
        raise Damaged("a storage in it is described in two ways")
    return storage


def _storage_view(
    views: list[tuple[Storage, Storage, int]], base: Storage, described: Any
) -> Storage:
    if not isinstance(described, tuple) or len(described) != 3:
        raise Damaged("a storage in it has no proper description")
    first = whole(described[1], "a storage's offset")
    count = whole(described[2], "a storage's size")
    if first + count > base.count:
        raise Damaged("a part of a storage lies outside of it")
    part = Storage(base.dtype, count, base.device_tag, base.source)
    views.append((part, base, first))
    return part


class DirectoryReader(RawIOBase):
    """A source as the file object that ``zipfile`` wants; refuses to read a lot at once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: 0, 1: self._at, 2: self._source.size}[whence]
        if base + offset < 0:
            raise OSError("position before the start")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._source.size - self._at)
        count = left if size is None or size < 0 else min(size, left)
        if count > MAX_DIRECTORY:
            raise Refused("its zip directory is far larger than any model file's")
        data = self._source.read_at(self._at, count)
        self._at += count
        return data


def read_zip(source: Source, budget: Budget) -> Any:
    """A zip archive of ``torch.save``: ``NAME/data.pkl`` and a stored (not compressed) entry
    ``NAME/data/KEY`` for each storage.

    Raises:
        Unsupported: another kind of zip archive.
    """
    try:
        archive = zipfile.ZipFile(DirectoryReader(source))
    except (zipfile.BadZipFile, NotImplementedError, OSError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a fault of the disk, not of the file
        raise Damaged("its zip directory, which lies at its end, is missing or broken") from error
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise Refused("it holds several entries of the same name")
    tops = [match[1] for match in map(TORCH_ENTRY.match, entries) if match]
    if len(tops) != 1:
        raise _foreign_zip(list(entries))
    top = tops[0]
    if f"{top}/constants.pkl" in entries:
        raise Unsupported(
            "it is a TorchScript program, not a checkpoint; open the checkpoint it was made from"
        )
    order = entries.get(f"{top}/byteorder")
    if order is not None and _read_entry(source, order, 16) != b"little":
        raise Unsupported("it was saved on a big-endian computer; save it again on another")
    storages: dict[str, Storage] = {}

    def persistent(pid: Any) -> Storage:
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage":
            raise Refused("it refers to objects outside of the file")
        storage = _storage(storages, source, pid[1:5])
        if storage.offset < 0:
            entry = entries.get(f"{top}/data/{pid[2]}")
            if entry is None:
                raise Damaged(f"its storage {shown(str(pid[2]), 30)!r} is missing")
            storage.offset, size = _locate(source, entry)
            if size < storage.nbytes:
                raise Damaged(f"its storage {shown(str(pid[2]), 30)!r} is shorter than it says")
        return storage

    first, length = _locate(source, entries[f"{top}/data.pkl"])
    cursor = Cursor(source, first, first + length)
    return PickleMachine(cursor, StandIns(budget, _refuse_nested, persistent), budget).run()


def _locate(source: Source, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Where the bytes of a stored entry lie: (position, count)."""
    first = entry_start(source, entry)
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise Unsupported("it was packed again with compression; save it again with torch.save")
    if first + entry.file_size > source.size:
        raise Damaged("an entry of its zip directory reaches outside the file")
    return first, entry.file_size


def entry_start(source: Source, entry: zipfile.ZipInfo) -> int:
    """Where the (possibly compressed) bytes of an archive's entry begin."""
    if entry.flag_bits & 0x1:
        raise Unsupported("it is encrypted; unpack it with its password first")
    header = source.read_at(entry.header_offset, 30)
    if header[:4] != b"PK\x03\x04":
        raise Damaged("an entry of its zip directory points nowhere")
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    return entry.header_offset + 30 + names


def _read_entry(source: Source, entry: zipfile.ZipInfo, limit: int) -> bytes:
    first, length = _locate(source, entry)
    return source.read_at(first, min(length, limit))


def _foreign_zip(names: list[str]) -> Unsupported:
    suffixes = (".pth", ".pt", ".pkl", ".safetensors", ".ckpt")
    inside = [name for name in names if PurePosixPath(name).suffix in suffixes]
    if inside:
        return Unsupported(
            "it is a zip archive of several files; unpack it and open the model file inside, such "
            f"as {shown(inside[0])!r}"
        )
    return Unsupported("it is a zip archive without a model; choose a model file")
