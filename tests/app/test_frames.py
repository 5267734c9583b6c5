"""The shared-memory ring: nothing torn, nothing foreign, nothing left behind."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from app import frames
from app.frames import (
    BUCKETS,
    FrameError,
    FrameRing,
    FrameWriter,
    RingInfo,
    SlotRef,
    bucket_bytes,
)
from engine.errors import UserError
from tests.app.harness import PATIENCE

SMALL = 256 * 256 * 16


def picture(value: float, height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, 4), value, np.float32)


@pytest.fixture
def ring():  # type: ignore[no-untyped-def]
    made = FrameRing(1, SMALL)
    yield made
    made.close()


def test_buckets_by_hand() -> None:
    assert bucket_bytes(1, 1) == bucket_bytes(256, 256) == 1_048_576
    assert bucket_bytes(257, 256) == 4_194_304
    assert bucket_bytes(5000, 5000) == 2048 * 2048 * 16


def test_a_picture_goes_through_unchanged(ring: FrameRing) -> None:
    writer = FrameWriter(ring.info)
    image = np.random.default_rng(0).random((200, 100, 4), np.float32)
    ref = writer.write(image)
    assert (ref.height, ref.width) == (200, 100)
    copy = ring.read(ref)
    assert np.array_equal(copy, image)
    writer.release(ref.ring, ref.slot)
    for value in range(3):
        writer.write(picture(value))
    assert np.array_equal(copy, image)
    writer.close()


def test_a_slot_is_not_written_before_it_is_given_back(ring: FrameRing) -> None:
    writer = FrameWriter(ring.info)
    refs = [writer.write(picture(value)) for value in range(3)]
    assert len({ref.slot for ref in refs}) == 3 and not writer.has_free_slot
    with pytest.raises(FrameError, match="no slot is free"):
        writer.write(picture(9))
    writer.release(ring.info.ring + 1, refs[1].slot)  # of another ring: ignored
    assert not writer.has_free_slot
    writer.release(ring.info.ring, refs[1].slot)
    writer.release(ring.info.ring, refs[1].slot)  # twice counts once
    assert writer.write(picture(4)).slot == refs[1].slot and not writer.has_free_slot
    assert ring.read(refs[0])[0, 0, 0] == 0 and ring.read(refs[2])[0, 0, 0] == 2
    with pytest.raises(FrameError, match="does not hold frame"):
        ring.read(refs[1])
    writer.close()


def test_a_slot_left_half_written_is_refused(ring: FrameRing) -> None:
    writer = FrameWriter(ring.info)
    ref = writer.write(picture(1))
    # What a writer that is killed in the middle leaves: the second number not yet written.
    frames._HEADER.pack_into(
        ring._segments[ref.slot].buf, 0, frames._MAGIC, ref.sequence, 0, ref.height, ref.width
    )
    with pytest.raises(FrameError):
        ring.read(ref)
    writer.close()


@pytest.mark.parametrize(
    "ref",
    [
        SlotRef(2, 0, 1, 8, 8),
        SlotRef(1, 3, 1, 8, 8),
        SlotRef(1, -1, 1, 8, 8),
        SlotRef(1, 0, 1, 8, 9),
        SlotRef(1, 0, 2, 8, 8),
        SlotRef(1, 0, 1, 0, 8),
        SlotRef(1, 0, 1, 257, 256),
        SlotRef(1, 0, 1, 2**31, 2**31),
    ],
)
def test_messages_that_do_not_fit_are_refused(ring: FrameRing, ref: SlotRef) -> None:
    writer = FrameWriter(ring.info)
    writer.write(picture(1))
    with pytest.raises(FrameError):
        ring.read(ref)
    writer.close()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 4), np.float64),
        np.zeros((8, 8), np.float32),
        np.zeros((257, 256, 4), np.float32),
    ],
)
def test_pictures_that_do_not_fit_are_refused(ring: FrameRing, image: np.ndarray) -> None:
    writer = FrameWriter(ring.info)
    with pytest.raises(FrameError):
        writer.write(image)
    writer.close()


def test_closing_removes_the_segments() -> None:
    ring = FrameRing(1, SMALL)
    names = ring.info.names
    ring.close()
    ring.close()
    for name in names:
        assert not Path("/dev/shm", name).exists()
    with pytest.raises(FileNotFoundError):
        FrameWriter(RingInfo(1, names, SMALL))


def test_too_little_shared_memory_gives_a_smaller_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    room = 3 * (BUCKETS[1] ** 2 * 16 + 64)

    def reserve(segment: object, size: int) -> None:
        if 3 * size > room:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(frames, "_reserve", reserve)
    before = set(Path("/dev/shm").glob("psm_*"))
    ring = FrameRing(1, 2048 * 2048 * 16)
    assert ring.info.capacity == 512 * 512 * 16
    ring.close()
    room = 0
    with pytest.raises(UserError, match="no room"):
        FrameRing(2, SMALL)
    assert set(Path("/dev/shm").glob("psm_*")) <= before


def _write_without_pause(connection: Connection, info: RingInfo, count: int) -> None:
    """Write as fast as slots come back; every picture is of one value all over."""
    writer = FrameWriter(info)
    source = np.random.default_rng(3)
    for value in range(1, count + 1):
        while connection.poll(0 if writer.has_free_slot else PATIENCE):
            writer.release(*connection.recv())
        side = int(source.integers(100, 256))
        connection.send((value, writer.write(picture(value, side, side + 1))))
    connection.send(None)
    writer.close()


def test_nothing_tears_under_load() -> None:
    """Two processes at full speed: every picture that is read is whole and is the one that
    its message announced."""
    count = 400
    ring = FrameRing(7, SMALL + 256 * 16)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_write_without_pause, args=(theirs, ring.info, count), daemon=True
    )
    process.start()
    theirs.close()
    seen = 0
    try:
        while ours.poll(PATIENCE):
            message = ours.recv()
            if message is None:
                break
            value, ref = message
            image = ring.read(ref)
            assert image.shape == (ref.height, ref.width, 4)
            assert (image == value).all()
            ours.send((ref.ring, ref.slot))
            seen += 1
    finally:
        process.join(PATIENCE)
        ring.close()
    assert seen == count
