"""Pictures from the engine to the window through shared memory, without tearing.

A ring is a few slots, each a shared-memory segment of its own. A slot belongs to one side at
any time and changes hands by a message through the pipe: the writer fills a slot that it
owns and sends its :class:`SlotRef`; the reader copies the picture and sends the slot back.
Nobody can therefore write to what is being read. Every slot also carries its sequence number
before and after the writing, with its size, so that a slot left half written by a process
that was killed, or a message that does not fit the slot, is refused and never shown.

The reading side creates and unlinks the segments: the writer may be killed at any moment and
leaves nothing behind. Needs no torch.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError

SLOTS = 3
#: Sides of the square RGBA float32 pictures that the rings are made for.
BUCKETS = (256, 512, 1024, 2048)
MAX_SIDE = BUCKETS[-1]
BYTES_PER_PIXEL = 16

#: magic, sequence before writing, sequence after writing, height, width
_HEADER = struct.Struct("<8sQQII")
_PAYLOAD = 64
_MAGIC = b"MQFRAME1"


class FrameError(Exception):
    """A slot does not hold what its message says; the frame is dropped."""


@dataclass(frozen=True)
class RingInfo:
    """What the writer needs to attach: the ring's number, the names of its segments, and
    how many bytes of pixels fit a slot."""

    ring: int
    names: tuple[str, ...]
    capacity: int


@dataclass(frozen=True)
class SlotRef:
    """A committed slot: which one, its sequence number and the picture's size."""

    ring: int
    slot: int
    sequence: int
    height: int
    width: int


def bucket_bytes(height: int, width: int) -> int:
    """Bytes of pixels of the smallest bucket that holds a picture of this size (the largest
    bucket for anything bigger)."""
    needed = height * width * BYTES_PER_PIXEL
    sizes = [side * side * BYTES_PER_PIXEL for side in BUCKETS]
    return next((size for size in sizes if size >= needed), sizes[-1])


class FrameRing:
    """The reading side: owns the segments.

    Args:
        ring: its number, unlike that of any ring before it.
        capacity: bytes of pixels a slot shall hold. Where the system's shared memory is too
            small the ring is made for smaller pictures; see ``info.capacity``.

    Raises:
        UserError: not even the smallest ring fits.
    """

    def __init__(self, ring: int, capacity: int) -> None:
        sizes = sorted({capacity, *(s * s * BYTES_PER_PIXEL for s in BUCKETS)}, reverse=True)
        segments: list[SharedMemory] = []
        for size in (s for s in sizes if s <= capacity):
            segments = _create(size)
            if segments:
                capacity = size
                break
        if not segments:
            raise UserError(
                "There is no room in the system's shared memory to show pictures; "
                "enlarge or clear /dev/shm."
            )
        self._segments = segments
        self.info = RingInfo(ring, tuple(s.name for s in segments), capacity)

    def read(self, ref: SlotRef) -> NDArray[np.float32]:
        """A copy of a committed picture, ``[H, W, 4]`` float32.

        Raises:
            FrameError: the slot does not hold what ``ref`` says.
        """
        if ref.ring != self.info.ring or not 0 <= ref.slot < len(self._segments):
            raise FrameError(f"no slot {ref.slot} of ring {ref.ring} here")
        size = ref.height * ref.width * BYTES_PER_PIXEL
        if ref.height < 1 or ref.width < 1 or size > self.info.capacity:
            raise FrameError(f"{ref.width} x {ref.height} pixels do not fit slot {ref.slot}")
        buffer = _memory(self._segments[ref.slot])
        stated = (_MAGIC, ref.sequence, ref.sequence, ref.height, ref.width)
        if _HEADER.unpack_from(buffer) != stated:
            raise FrameError(f"slot {ref.slot} does not hold frame {ref.sequence}")
        pixels = np.frombuffer(buffer, np.float32, size // 4, _PAYLOAD).copy()
        if _HEADER.unpack_from(buffer) != stated:
            raise FrameError(f"slot {ref.slot} was overwritten while it was read")
        return pixels.reshape(ref.height, ref.width, 4)

    def close(self) -> None:
        """Give the memory back to the system. May be called twice."""
        for segment in self._segments:
            segment.close()
            with contextlib.suppress(FileNotFoundError):
                segment.unlink()
        self._segments = []


class FrameWriter:
    """The writing side: attaches to a ring that the reader made.

    Raises:
        OSError: the ring is gone.
    """

    def __init__(self, info: RingInfo) -> None:
        self.info = info
        self._segments = [SharedMemory(name=name) for name in info.names]
        self._free = list(range(len(self._segments)))
        self._sequence = 0

    @property
    def has_free_slot(self) -> bool:
        """Whether :meth:`write` can be called."""
        return bool(self._free)

    def fits(self, height: int, width: int) -> bool:
        """Whether a picture of this size fits a slot."""
        return height * width * BYTES_PER_PIXEL <= self.info.capacity

    def write(self, image: NDArray[np.float32]) -> SlotRef:
        """Copy a picture ``[H, W, 4]`` float32 into a free slot, which then belongs to the
        reader until :meth:`release`.

        Raises:
            FrameError: wrong shape or type, too big, or no slot is free.
        """
        _check(image)
        ref = self.reserve(*image.shape[:2])
        self.fill(ref, image)
        return ref

    def reserve(self, height: int, width: int) -> SlotRef:
        """Take a free slot for a picture of this size, which :meth:`fill` is to bring.

        Raises:
            FrameError: too big, or no slot is free.
        """
        if not self.fits(height, width):
            raise FrameError(f"{width} x {height} pixels do not fit the ring")
        if not self._free:
            raise FrameError("no slot is free")
        self._sequence += 1
        return SlotRef(self.info.ring, self._free.pop(0), self._sequence, height, width)

    def fill(self, ref: SlotRef, image: NDArray[np.float32]) -> None:
        """Copy a picture ``[H, W, 4]`` float32 into the slot that was reserved for it.

        Raises:
            FrameError: wrong shape or type, or the slot is another ring's.
        """
        _check(image)
        if image.shape[:2] != (ref.height, ref.width) or ref.ring != self.info.ring:
            raise FrameError(
                f"slot {ref.slot} of ring {ref.ring} was not reserved for this picture"
            )
        buffer = _memory(self._segments[ref.slot])
        _HEADER.pack_into(buffer, 0, _MAGIC, ref.sequence, 0, ref.height, ref.width)
        target = np.frombuffer(buffer, np.float32, image.size, _PAYLOAD)
        target.reshape(image.shape)[...] = image
        _HEADER.pack_into(buffer, 0, _MAGIC, ref.sequence, ref.sequence, ref.height, ref.width)

    def release(self, ring: int, slot: int) -> None:
        """Take a slot back from the reader (a slot of a former ring is ignored)."""
        if ring == self.info.ring and slot not in self._free and slot < len(self._segments):
            self._free.append(slot)

    def close(self) -> None:
        """Detach; the reader removes the segments."""
        for segment in self._segments:
            segment.close()
        self._segments, self._free = [], []


def _check(image: NDArray[np.float32]) -> None:
    if image.ndim != 3 or image.shape[2] != 4 or image.dtype != np.float32:
        raise FrameError(f"not an RGBA float32 picture: {image.dtype} {image.shape}")


def _create(capacity: int) -> list[SharedMemory]:
    """The segments of a ring, or none if the system has no room for them."""
    segments: list[SharedMemory] = []
    try:
        for _ in range(SLOTS):
            segments.append(SharedMemory(create=True, size=_PAYLOAD + capacity))
            _reserve(segments[-1], _PAYLOAD + capacity)
    except OSError:
        _remove(segments)
        return []
    return segments


def _reserve(segment: SharedMemory, size: int) -> None:
    """Claim the memory now. Linux hands out segments that are larger than what is left and
    kills whoever touches the missing part; this raises OSError instead."""
    descriptor = getattr(segment, "_fd", -1)
    if descriptor >= 0 and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)


def _memory(segment: SharedMemory) -> memoryview:
    if segment.buf is None:
        raise FrameError("the ring is closed")
    return segment.buf


def _remove(segments: Sequence[SharedMemory]) -> None:
    for segment in segments:
        segment.close()
        with contextlib.suppress(FileNotFoundError):
            segment.unlink()
