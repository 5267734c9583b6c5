"""Zip archives, PNG chunks, pairs of files and pickles, taken apart and put together again.

Quick and forgiving where Python's own are neither: a mutation costs some ten microseconds, and what
is put together may lie about itself.
"""

from __future__ import annotations

import io
import os
import pickletools
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from random import Random

from tests.fuzzing.values import Mutator, mutate_json

#: Name and content of an archive's entry -> changed content.
Inner = Callable[[bytes, bytes, Random], bytes]

_LOCAL, _CENTRAL = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LINK = 0o120777 << 16
NAMES = (
    b"../x.png", b"/etc/x.png", b"a/../../x.png", b"C:\\x.png", b"\\\\h\\x.png", b"", b"/", b".",
    b"..", b"a\0b.png", b"a\nb.png", b"\xff\xfe.png", b"dataset.json", b"document.json", b"x" * 300,
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """An entry of an archive; ``lie`` is added to the size that is stated."""

    name: bytes
    data: bytes
    method: int = 0
    flags: int = 0
    attributes: int = 0
    lie: int = 0
    extra: bytes = b""


@lru_cache(maxsize=4096)
def unzip(data: bytes) -> tuple[Part, ...] | None:
    """The entries of an archive; ``None`` of what is none."""
    at = data.rfind(b"PK\x05\x06")
    if at < 0 or len(data) - at < _END.size:
        return None
    count, start = _END.unpack_from(data, at)[4], _END.unpack_from(data, at)[6]
    parts = []
    for _ in range(min(count, 64)):
        if start + _CENTRAL.size > len(data) or data[start : start + 4] != b"PK\x01\x02":
            return None
        f = _CENTRAL.unpack_from(data, start)
        names, flags, method, packed, place = f[10], f[3], f[4], f[8], f[16]
        name = data[start + 46 : start + 46 + names]
        start += 46 + names + f[11] + f[12]
        if place + 30 > len(data):
            return None
        begin = place + 30 + sum(struct.unpack_from("<2H", data, place + 26))
        content = data[begin : begin + packed]
        if method == 8:
            try:
                content = zlib.decompressobj(-15).decompress(content, 1 << 18)
            except zlib.error:
                return None
        parts.append(Part(name, content, method, flags & ~8, f[15]))
    return tuple(parts)


def zipped(parts: tuple[Part, ...] | list[Part]) -> bytes:
    """The archive of some entries."""
    body, central = bytearray(), bytearray()
    for part in parts:
        content = part.data
        if part.method == 8:
            packer = zlib.compressobj(1, zlib.DEFLATED, -15)
            content = packer.compress(content) + packer.flush()
        crc, size = zlib.crc32(part.data), (len(part.data) + part.lie) & 0xFFFFFFFF
        place, name, extra = len(body), part.name[:65535], part.extra
        body += _LOCAL.pack(
            b"PK\x03\x04", 20, part.flags, part.method, 0, 0x21, crc, len(content), size,
            len(name), 0,
        )  # fmt: skip
        body += name + content
        central += _CENTRAL.pack(
            b"PK\x01\x02", 0x314, 20, part.flags, part.method, 0, 0x21, crc, len(content), size,
            len(name), len(extra), 0, 0, 0, part.attributes, place,
        )  # fmt: skip
        central += name + extra
    count = min(len(parts), 65535)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(central), len(body), 0)
    return bytes(body + central + end)


def mutate_zip(data: bytes, random: Random, other: Mutator, inner: Inner) -> bytes:
    """An archive with a changed entry or list of entries; ``inner`` changes an entry's content."""
    found = unzip(data)
    if not found or random.random() < 0.08:
        return other(data, random)
    parts = list(found)
    at = random.randrange(len(parts))
    part = parts[at]
    if random.random() < 0.8:
        parts[at] = replace(part, data=inner(part.name, part.data, random))
        return zipped(parts)
    kind = random.randrange(10)
    if kind == 0:
        parts[at] = replace(part, name=random.choice(NAMES))
    elif kind == 1:
        parts[at] = replace(part, name=other(part.name, random))
    elif kind == 2:
        parts.append(replace(part, name=random.choice((part.name, *NAMES))))
    elif kind == 3:
        del parts[at]
    elif kind == 4:
        parts[at] = replace(part, attributes=_LINK, data=random.choice((b"/etc/passwd", part.data)))
    elif kind == 5:
        parts[at] = replace(part, flags=random.choice((1, 8, 0x20, 0x40, 0x800, 0x2000)))
    elif kind == 6:
        parts[at] = replace(part, method=random.choice((0, 8, 8, 9, 12, 14, 99)))
    elif kind == 7:
        parts[at] = replace(
            part, lie=random.choice((1, -1, 100, 1 << 20, -len(part.data), 1 << 31))
        )
    elif kind == 8:
        parts[at] = replace(
            part, extra=random.choice((b"\1\0\x10\0", b"\1\0\0\0", b"\1\0\x08\0" * 3))
        )
    else:
        parts[at] = replace(part, data=bytes(1 << 17), method=8)
    return zipped(parts)


def write(folder: Path, name: str, data: bytes) -> None:
    """A file of an execution, as quickly as Python can."""
    descriptor = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, data)
    os.close(descriptor)


def joined(first: bytes, second: bytes) -> bytes:
    """Two files as one input."""
    return len(first).to_bytes(4, "little") + first + second


def split(data: bytes) -> tuple[bytes, bytes]:
    """Inverse of :func:`joined`; any bytes are two files."""
    length = int.from_bytes(data[:4], "little")
    return data[4 : 4 + length], data[4 + length :]


@lru_cache(maxsize=4096)
def png_chunks(data: bytes) -> tuple[tuple[bytes, bytes], ...] | None:
    """Kinds and contents of a PNG's chunks; ``None`` of what is none."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return tuple(chunks)


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """The PNG of some chunks, with the checksums that they should have."""
    out = bytearray(b"\x89PNG\r\n\x1a\n")
    for kind, content in chunks:
        out += len(content).to_bytes(4, "big") + kind + content
        out += zlib.crc32(content, zlib.crc32(kind)).to_bytes(4, "big")
    return bytes(out)


@lru_cache(maxsize=4096)
def pickle_parts(data: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """The instructions of one pickle after another, and what stands behind the last."""
    stream = io.BytesIO(data)
    ends = [0]
    end = 0
    try:
        while data[end : end + 1] == b"\x80" or end == 0:
            here = [end]
            for _, _, position in pickletools.genops(stream):
                here.append(position or 0)
            end = stream.tell()
            ends += [place for place in here[2:] if place > ends[-1]] + [end]
    except Exception:  # whatever it makes of mutated bytes: the rest is the tail
        pass
    ends = sorted(set(ends))
    parts = tuple(data[a:b] for a, b in pairwise(ends))
    return parts, data[ends[-1] :]


def mutate_pickle(data: bytes, random: Random, other: Mutator, pool: tuple[bytes, ...]) -> bytes:
    """A pickle with instructions dropped, doubled, moved, and others from ``pool`` among them."""
    found, tail = pickle_parts(data)
    if len(found) < 3 or random.random() < 0.1:
        return other(data, random)
    parts = list(found)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(parts))
        kind = random.randrange(7)
        if kind == 0 and len(parts) > 1:
            del parts[at]
        elif kind == 1:
            span = random.choice((1, 2, 3, 8))
            parts[at:at] = parts[at : at + span] * random.choice((1, 1, 30))
        elif kind == 2:
            there = random.randrange(len(parts))
            parts[at], parts[there] = parts[there], parts[at]
        elif kind == 3:
            parts[at] = random.choice(pool)
        elif kind == 4:
            parts[at:at] = [random.choice(pool) for _ in range(random.choice((1, 2, 3)))]
        elif kind == 5 and len(parts[at]) > 1:
            parts[at] = parts[at][:1] + other(parts[at][1:], random)
        else:
            parts[at] = number(random)
    return b"".join(parts) + tail


def number(random: Random) -> bytes:
    """An instruction that puts a whole number on the stack."""
    value = random.choice((0, 1, 2, 4, 255, 1 << 16, 1 << 31, 1 << 40, (1 << 48) - 1, 1 << 62, -1))
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def mutate_safetensors(data: bytes, random: Random, other: Mutator) -> bytes:
    """A safetensors file with another header, whose length is right, or other numbers."""
    length = int.from_bytes(data[:8], "little")
    if length > len(data) or random.random() < 0.15:
        return other(data, random)
    header, body = data[8 : 8 + length], data[8 + length :]
    if random.random() < 0.85:
        header = mutate_json(header, random, other)
    else:
        body = other(body, random)
    return len(header).to_bytes(8, "little") + header + body
