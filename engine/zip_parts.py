"""Reading zip archives that anybody may have made.

Names inside an archive are only compared, never used as paths, and an archive with a name that
would lead out of it, or a link, is refused as a whole; nothing is unpacked to disk; what inflates to
more than was agreed on, or than its size allows for, is refused before it takes memory.
"""

from __future__ import annotations

import math
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath
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
#: Bytes that an archive may inflate to whatever its size is, and how many times its size beyond
#: that. Numbers and texts of ours shrink to a tenth, at best to a fiftieth; zeros to a thousandth.
INFLATED, MOST_RATIO = 64 << 20, 200
#: What numpy writes before an array of plain numbers (its letters b, i, u and f: no objects, no
#: records): a dictionary as Python spells it. Python 2 put an L behind the sides.
_ENTRIES = (
    r"""['"]descr['"]\s*:\s*['"]([<>|=]?[biuf]\d\d?)['"]""",
    r"""['"]fortran_order['"]\s*:\s*(True|False)""",
    r"""['"]shape['"]\s*:\s*\(((?:\s*\d{1,19}L?\s*,)*(?:\s*\d{1,19}L?)?)\s*\)""",
)
_ENTRY = "(?:" + "|".join(_ENTRIES) + ")"
# What stands before the brace is taken whole: two stretches of blanks that could each be any part
# of one would take minutes on a long one.
_HEADER = re.compile(rf"\s*\{{\s*(?:{_ENTRY}\s*,\s*){{2}}{_ENTRY}\s*+,?\s*+\}}\s*")
_MAX_HEADER, _MAX_DIMS = 10_000, 32


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
    try:
        begin, wide = (12, 4) if data[6:8] == b"\2\0" else (10, 2)
        if data[:6] != b"\x93NUMPY" or data[6:8] not in (b"\1\0", b"\2\0"):
            raise ValueError("not numpy's format")
        length = int.from_bytes(data[8 : 8 + wide], "little")
        dtype, fortran, shape = _array_header(data[begin : begin + length])
        if math.prod(shape) * dtype.itemsize != len(data) - begin - length:
            raise ValueError("not what its header says")
        flat: NDArray[Any] = np.frombuffer(data, dtype, offset=begin + length)
        return flat.reshape(shape, order="F" if fortran else "C")
    except (ValueError, KeyError, TypeError) as error:
        raise BadArchive("an array in it is damaged") from error


def _array_header(header: bytes) -> tuple[np.dtype[Any], bool, tuple[int, ...]]:
    """Kind of number, order and shape, of the text that numpy writes.

    numpy's own reader hands it to Python's parser, which runs out of memory on deep nesting, and to
    its tokenizer, whose errors it lets through.
    """
    text = header.decode("latin-1")
    if len(text) > _MAX_HEADER or _HEADER.fullmatch(text) is None:
        raise ValueError("no header of an array of numbers")
    found = [re.findall(entry, text) for entry in _ENTRIES]
    if any(len(values) != 1 for values in found):
        raise ValueError("an entry of the header is missing")
    (kind,), (fortran,), (sides,) = found
    shape = tuple(int(side) for side in re.findall(r"\d+", sides))
    if len(shape) > _MAX_DIMS:
        raise ValueError("too many dimensions")
    return np.dtype(kind), fortran == "True", shape


def _read(
    file: BinaryIO, limits: Mapping[str, int] | None, most: int, limit: int
) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    try:
        left = INFLATED + MOST_RATIO * _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if limits is None and len(entries) > most:
                raise BadArchive(f"it has more than {most} parts")
            for entry in entries:
                if why := unsafe(entry):
                    raise BadArchive(f"its part {entry.filename[:60]!r} must not be there: {why}")
                if limits is not None and entry.filename not in limits:
                    continue
                if entry.filename in parts:
                    raise BadArchive(f"it has two parts named {entry.filename!r}")
                allowed = limit if limits is None else limits[entry.filename]
                data = _inflate(archive, entry, min(allowed, left))
                limit -= len(data)
                left -= len(data)
                parts[entry.filename] = data
    except (
        zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError,
        struct.error, OverflowError, OSError,
    ) as error:  # fmt: skip
        # An offset that is a lie leads before the file's beginning: an error of the system.
        raise BadArchive("it is damaged, or another kind of file") from error
    return parts


def unsafe(entry: zipfile.ZipInfo) -> str:
    """Why an entry must not be touched, as half a sentence; empty if it may be."""
    name = entry.orig_filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(char in name for char in "\\:\0"):
        return "its name leads out of the archive"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "it is a link"
    return ""


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


def _check_directory(file: BinaryIO) -> int:
    """The size of an archive, bytes. The list of its entries is built in memory by Python's reader:
    bound it before."""
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
    return size
