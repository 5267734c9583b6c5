"""Pictures on their way to the window: copied beside the next one's drawing, in order, never torn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from app import engine_pictures
from app.delivery import Delivery, Picture
from app.engine_pictures import PictureTaker, rgba
from app.frames import FrameRing, SlotRef
from app.messages import RenderFailed
from app.pinned import PICTURES, Arriving, CudaCopier, PinnedPictures, copier_of
from app.turns import Shot
from app.wire import Draw, FrameInSlot, NeedRing, ProcessOptions, ReleaseSlot, UseRing
from app.worker import Engine
from engine.frame import Frame
from tests.app.fake import FakeGenerator
from tests.app.harness import PATIENCE, recipe, until

SMALL = 256 * 256 * 16
CPU = torch.device("cpu")


class SlowCopier:
    """Copies nothing until it is let: the pixels are those that the source has then.

    Attributes:
        begun: copies that were asked for.
        let: each lets one of them go on, in order.
    """

    def __init__(self, fails: int = -1, room: bool = True) -> None:
        self.begun = 0
        self.let = [threading.Event() for _ in range(8)]
        self._fails, self._room = fails, room

    def memory(self, count: int) -> Tensor:
        if not self._room:
            raise RuntimeError("CUDA error: out of memory")
        return torch.full((count,), torch.nan)

    def begin(self, source: Tensor, target: Tensor) -> Callable[[], None]:
        number, self.begun = self.begun, self.begun + 1

        def wait() -> None:
            assert self.let[number].wait(PATIENCE)
            if number == self._fails:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            target.copy_(source)

        return wait


class Window:
    """The window's end: rings, slots, and what it was told. It gives slots back when asked to."""

    def __init__(self, capacity: int = SMALL, most: int = 1 << 30) -> None:
        self.rings = [FrameRing(1, capacity)]
        self.told: list[Any] = []
        self.controls: list[Any] = [UseRing(self.rings[0].info)]
        self.changed = threading.Condition()
        self.request: Draw | None = None
        self.opening = None
        self._most = most

    def send(self, message: object) -> None:
        with self.changed:
            self.told.append(message)
            if isinstance(message, NeedRing):
                capacity = min(message.capacity, self._most)
                self.rings.append(FrameRing(len(self.rings) + 1, capacity))
                self.controls.append(UseRing(self.rings[-1].info))
            self.changed.notify_all()

    def wait_for_control(self) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: bool(self.controls), PATIENCE)

    def take_controls(self) -> list[Any]:
        with self.changed:
            taken, self.controls = self.controls, []
            return taken

    def give_back(self, ref: SlotRef) -> None:
        with self.changed:
            self.controls.append(ReleaseSlot(ref.ring, ref.slot))
            self.changed.notify_all()

    def read(self, message: FrameInSlot) -> NDArray[np.float32]:
        return self.rings[message.ref.ring - 1].read(message.ref)


@pytest.fixture
def window() -> Iterator[Window]:
    made = Window()
    yield made
    for ring in made.rings:
        ring.close()


def picture(value: float, side: int = 8) -> Tensor:
    return torch.full((side, side, 4), value)


class Sender:
    """A delivery and what the engine does around it."""

    def __init__(self, window: Window) -> None:
        self.window, self.delivery, self.number = window, Delivery(window), 0

    def send(self, image: Picture) -> None:
        self.number += 1
        number = self.number

        def announce(ref: SlotRef) -> FrameInSlot:
            return FrameInSlot(ref, recipe(), (4, ref.height), 1.0, True, number)

        self.delivery.send(image, announce, self.controls)

    def controls(self) -> None:
        for control in self.window.take_controls():
            if isinstance(control, UseRing):
                self.delivery.use(control.info)
            else:
                self.delivery.release(control.ring, control.slot)


def test_the_engine_goes_on_while_a_picture_is_copied_and_the_order_stays(window: Window) -> None:
    copier, sender = SlowCopier(), Sender(window)
    pinned = PinnedPictures(copier)
    for value in (1.0, 2.0):
        arriving = pinned.begin(picture(value))
        assert arriving is not None
        sender.send(arriving)  # comes back although nothing is copied yet
    assert copier.begun == PICTURES == 2 and window.told == []
    copier.let[1].set()
    assert window.told == []  # the second waits for its turn
    copier.let[0].set()
    sender.delivery.finish()
    assert [message.generation for message in window.told] == [1, 2]
    for message, value in zip(window.told, (1.0, 2.0), strict=True):
        assert np.array_equal(window.read(message), np.full((8, 8, 4), value, np.float32))


def test_one_that_lies_there_already_goes_behind_those_on_their_way(window: Window) -> None:
    copier, sender = SlowCopier(), Sender(window)
    arriving = PinnedPictures(copier).begin(picture(1.0))
    assert arriving is not None
    sender.send(arriving)
    timer = threading.Timer(0.05, copier.let[0].set)
    timer.start()
    sender.send(picture(2.0).numpy())
    timer.join()
    assert [message.generation for message in window.told] == [1, 2]


def test_a_ring_is_not_closed_under_a_picture_on_its_way(window: Window) -> None:
    copier, sender = SlowCopier(), Sender(window)
    arriving = PinnedPictures(copier).begin(picture(1.0))
    assert arriving is not None
    sender.send(arriving)
    window.rings.append(FrameRing(2, SMALL))
    timer = threading.Timer(0.05, copier.let[0].set)
    timer.start()
    sender.delivery.use(window.rings[1].info)
    timer.join()
    assert float(window.read(window.told[0]).mean()) == 1.0


def test_a_third_picture_waits_for_the_memory_of_the_first(window: Window) -> None:
    copier, sender = SlowCopier(), Sender(window)
    pinned, third = PinnedPictures(copier), []

    def draw() -> None:
        for value in (1.0, 2.0, 3.0):
            arriving = pinned.begin(picture(value))
            assert arriving is not None
            sender.send(arriving)
            third.append(value)

    thread = threading.Thread(target=draw)
    thread.start()
    until(lambda: copier.begun == 2 and len(third) == 2, "two pictures on their way")
    assert not window.told
    for gate in copier.let:
        gate.set()
    thread.join(PATIENCE)
    sender.delivery.finish()
    assert copier.begun == 3
    shown = [float(window.read(message)[0, 0, 0]) for message in window.told]
    assert shown == [1.0, 2.0, 3.0]


def test_memory_grows_with_the_pictures_and_is_used_again() -> None:
    asked: list[int] = []

    class Counting(SlowCopier):
        def memory(self, count: int) -> Tensor:
            asked.append(count)
            return super().memory(count)

    copier = Counting()
    for gate in copier.let:
        gate.set()
    pinned = PinnedPictures(copier)
    for side in (8, 256, 300, 8, 300):
        arriving = pinned.begin(picture(0.5, side))
        assert arriving is not None
        assert bool((arriving.pixels() == 0.5).all()) and arriving.pixels().shape == (side, side, 4)
        arriving.done()
    assert asked == [256 * 256 * 4, 512 * 512 * 4]


def test_a_larger_picture_gets_a_larger_ring_behind_those_on_their_way(window: Window) -> None:
    copier, sender = SlowCopier(), Sender(window)
    for gate in copier.let:
        gate.set()
    pinned = PinnedPictures(copier)
    for value, side in ((1.0, 8), (2.0, 300)):
        arriving = pinned.begin(picture(value, side))
        assert arriving is not None
        sender.send(arriving)
    sender.delivery.finish()
    assert [type(message) for message in window.told] == [FrameInSlot, NeedRing, FrameInSlot]
    assert float(window.read(window.told[2]).mean()) == 2.0


@pytest.mark.parametrize("on_its_way", [False, True])
def test_where_shared_memory_is_short_the_picture_is_smaller(on_its_way: bool) -> None:
    window = Window(most=SMALL)
    copier, sender = SlowCopier(), Sender(window)
    copier.let[0].set()
    image: Picture = picture(0.25, 300).numpy()
    if on_its_way:
        arriving = PinnedPictures(copier).begin(picture(0.25, 300))
        assert arriving is not None
        image = arriving
    sender.send(image)
    sender.delivery.finish()
    message = window.told[-1]
    assert message.ref.height == message.resolution[1] == 256
    assert np.allclose(window.read(message), 0.25)
    for ring in window.rings:
        ring.close()


def test_a_copy_that_fails_is_told_and_the_next_comes_through(window: Window) -> None:
    copier, sender = SlowCopier(fails=0), Sender(window)
    for gate in copier.let:
        gate.set()
    pinned = PinnedPictures(copier)
    for value in (1.0, 2.0, 3.0, 4.0):
        arriving = pinned.begin(picture(value))
        assert arriving is not None
        sender.send(arriving)
    sender.delivery.finish()
    failed, *shown = window.told
    assert isinstance(failed, RenderFailed) and failed.generation == 1
    assert "illegal memory" in failed.message
    # Three slots for three pictures: the failed one's came back.
    assert [float(window.read(message)[0, 0, 0]) for message in shown] == [2.0, 3.0, 4.0]


def test_slots_are_waited_for(window: Window) -> None:
    sender = Sender(window)
    for value in (1.0, 2.0, 3.0):
        sender.send(picture(value).numpy())
    first = window.told[0].ref
    timer = threading.Timer(0.05, lambda: window.give_back(first))
    timer.start()
    sender.send(picture(4.0).numpy())
    timer.join()
    assert window.told[3].ref.slot == first.slot
    assert float(window.read(window.told[3])[0, 0, 0]) == 4.0


def frame_of(side: int = 8) -> Frame:
    values = torch.linspace(-0.2, 1.2, side * side * 3).reshape(side, side, 3)
    plane = torch.linspace(0.0, 1.0, side * side).reshape(side, side)
    return Frame(values, values, plane, plane)


def test_on_a_cpu_nothing_is_copied_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    assert copier_of(CPU) is None
    asked: list[torch.device] = []
    monkeypatch.setattr(engine_pictures, "copier_of", asked.append)
    taker, frame = PictureTaker(), frame_of()
    for _ in range(3):
        image = taker.take(frame, recipe())
        assert isinstance(image, np.ndarray)
        assert np.array_equal(image, rgba(frame, recipe()))
    assert asked == [CPU]


@pytest.mark.parametrize("room", [True, False])
def test_pictures_of_a_card_are_the_same(room: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And where no memory can be pinned they are copied as everything else is."""
    copier = SlowCopier(room=room)
    for gate in copier.let:
        gate.set()
    monkeypatch.setattr(engine_pictures, "copier_of", lambda device: copier)
    taker, frame = PictureTaker(), frame_of()
    for _ in range(2):
        image = taker.take(frame, recipe())
        assert isinstance(image, Arriving if room else np.ndarray)
        pixels = image.pixels() if isinstance(image, Arriving) else image
        assert np.array_equal(pixels, rgba(frame, recipe()))
    assert copier.begun == (2 if room else 0)


def test_pictures_larger_than_the_window_takes_are_shrunk_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_pictures, "MAX_SIDE", 6)
    monkeypatch.setattr(engine_pictures, "copier_of", lambda device: SlowCopier())
    image = PictureTaker().take(frame_of(), recipe())
    assert isinstance(image, np.ndarray) and image.shape == (6, 6, 4)


def test_the_engine_draws_the_next_picture_while_the_last_is_copied(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier = SlowCopier()
    monkeypatch.setattr(engine_pictures, "copier_of", lambda device: copier)
    engine = Engine(window, ProcessOptions("cpu"))  # type: ignore[arg-type]
    generator = FakeGenerator({"size": "16"})
    painter = engine_pictures.Painter(generator)
    for number, yaw in ((1, 0.0), (2, 0.3)):
        window.request = request = Draw(number, recipe(3, yaw), moving=False)
        engine._draw(painter, request, Shot("present", recipe(3, yaw), True))
    assert copier.begun == 2 and not window.told
    copier.let[0].set()
    copier.let[1].set()
    engine._delivery.finish()
    assert [message.generation for message in window.told] == [1, 2]
    first, second = (window.read(message) for message in window.told)
    assert not np.array_equal(first, second)
    assert np.isfinite(first).all() and np.isfinite(second).all()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_copy_waits_for_what_was_asked_before_and_for_nothing_after() -> None:
    gpu = torch.device("cuda", 0)
    pinned = PinnedPictures(CudaCopier(gpu))
    source = torch.rand(512, 512, 4)
    for _ in range(3):
        there = torch.zeros(512, 512, 4, device=gpu)
        torch.cuda._sleep(20_000_000)
        there.copy_(source)
        arriving = pinned.begin(there)
        assert arriving is not None
        torch.cuda._sleep(200_000_000)
        later = torch.cuda.Event()
        later.record()
        del there
        assert torch.equal(torch.from_numpy(arriving.pixels().copy()), source)
        assert not later.query()
        arriving.done()
        torch.cuda.synchronize()
