"""Reading zip archives that anybody may have made.

Names inside an archive are only compared, never used as paths; nothing is unpacked to disk;
what inflates to more than was agreed on is refused before it takes memory.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

#: Largest list of entries, bytes: some hundred of them.
_MAX_DIRECTORY = 1 << 20
#: End-of-central-directory record and the locator of its 64-bit kin (APPNOTE 6.3, 4.3.15-16).
_END, _END_SIGNATURE = struct.Struct("<4s4H2LH"), b"PK\x05\x06"
_LOCATOR_SIZE, _LOCATOR_SIGNATURE = 20, b"PK\x06\x07"
_MAX_COMMENT = 0xFFFF
_BLOCK = 1 << 20
#: Kinds of numbers that an array may hold (numpy's letters): no objects, no records.
_ARRAY_KINDS = "biuf"


class BadArchive(Exception):
    """Not an archive, damaged, or asking for more than is allowed. ``str()`` completes the
    sentence "it cannot be read: ..."."""


def read_parts(file: BinaryIO, limits: Mapping[str, int]) -> dict[str, bytes]:
    """The content of some entries of an archive.

    Args:
        file: opened for reading, seekable.
        limits: name of an entry that is wanted -> most bytes that it may inflate to. Entries
            of other names are not looked at.

    Returns:
        name -> content, of those that are there.

    Raises:
        BadArchive: see there.
    """
    return _read(file, limits, 0, 0)


def read_all(file: BinaryIO, most: int, limit: int) -> dict[str, bytes]:
    """The content of every entry of an archive.

    Args:
        file: opened for reading, seekable.
        most: entries.
        limit: bytes of all of them together.

    Raises:
        BadArchive: see there.
    """
    return _read(file, None, most, limit)


def read_array(data: bytes) -> NDArray[Any]:
    """One array in numpy's format; its header cannot ask for more than there is.

    Raises:
        BadArchive: it is damaged, or holds anything but numbers.
    """
    stream = io.BytesIO(data)
    try:
        number = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[number]
        shape, fortran, dtype = read(stream)
        rest = len(data) - stream.tell()
        if dtype.kind not in _ARRAY_KINDS or math.prod(shape) * dtype.itemsize != rest:
            raise ValueError("not what its header says")
        flat: NDArray[Any] = np.frombuffer(data, dtype, offset=stream.tell())
        return flat.reshape(shape, order="F" if fortran else "C")
    except (ValueError, KeyError, TypeError, SyntaxError, OverflowError, RecursionError) as error:
        raise BadArchive("an array in it is damaged") from error


def _read(
    file: BinaryIO, limits: Mapping[str, int] | None, most: int, limit: int
) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if limits is None and len(entries) > most:
                raise BadArchive(f"it has more than {most} parts")
            for entry in entries:
                if limits is not None and entry.filename not in limits:
                    continue
                if entry.filename in parts:
                    raise BadArchive(f"it has two parts named {entry.filename!r}")
                allowed = limit if limits is None else limits[entry.filename]
                data = _inflate(archive, entry, allowed)
                limit -= len(data)
                parts[entry.filename] = data
    except (
        zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
        struct.error, OverflowError, OSError,
    ) as error:  # fmt: skip
        # An offset that is a lie leads before the file's beginning: an error of the system.
        raise BadArchive("it is damaged, or another kind of file") from error
    return parts


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, allowed: int) -> bytes:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
        raise BadArchive("its parts are packed or encrypted in a way that Maquette does not use")
    if entry.file_size > allowed:
        raise BadArchive(f"its part {entry.filename!r} is too large")
    blocks: list[bytes] = []
    with archive.open(entry) as stream:
        # The size that is stated may be a lie.
        while block := stream.read(_BLOCK):
            allowed -= len(block)
            if allowed < 0:
                raise BadArchive(f"its part {entry.filename!r} is too large")
            blocks.append(block)
    return b"".join(blocks)


def _check_directory(file: BinaryIO) -> None:
    """The list of entries is built in memory by Python's reader: bound it before."""
    size = file.seek(0, 2)
    start = max(0, size - _END.size - _MAX_COMMENT - _LOCATOR_SIZE)
    file.seek(start)
    tail = file.read(size - start)
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        raise BadArchive("it is damaged, or another kind of file")
    directory = _END.unpack_from(tail, at)[5]
    locator = tail[max(0, at - _LOCATOR_SIZE) : at]
    if directory > _MAX_DIRECTORY or locator.startswith(_LOCATOR_SIGNATURE):
        raise BadArchive("it has more parts than a file of ours can have")
    file.seek(0)
