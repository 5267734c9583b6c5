"""Finished pictures on their way to the window: into a free slot of the ring, and announced.

A picture that lies in main memory goes at once. One that is still being copied from a graphics card
(:mod:`app.pinned`) has its slot chosen at once and goes as soon as it is there, by a thread that waits for
nothing else; the engine draws on meanwhile. Pictures arrive in the order in which they were drawn.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.engine_pictures import shrunk
from app.faults import sentence
from app.frames import FrameWriter, RingInfo, SlotRef, bucket_bytes
from app.messages import RenderFailed
from app.pinned import Arriving
from app.wire import FrameInSlot, NeedRing

Picture = NDArray[np.float32] | Arriving


class Window(Protocol):
    """What a delivery needs of the engine's mailbox."""

    def send(self, message: object) -> None:
        """Send a record."""

    def wait_for_control(self) -> None:
        """Sleep until a control can be taken."""


class Delivery:
    """The engine's side of the ring.

    Args:
        mailbox: the pipe.
    """

    def __init__(self, mailbox: Window) -> None:
        self._mailbox = mailbox
        self._writer: FrameWriter | None = None
        self._ring_wanted = 0
        self._arriving: queue.Queue[tuple[FrameWriter, Arriving, FrameInSlot]] = queue.Queue()
        self._thread: threading.Thread | None = None

    def use(self, info: RingInfo) -> None:
        """The window has made another ring."""
        self.finish()
        if self._writer is not None:
            self._writer.close()
        self._writer = FrameWriter(info)

    def release(self, ring: int, slot: int) -> None:
        """The window has read a slot."""
        if self._writer is not None:
            self._writer.release(ring, slot)

    def finish(self) -> None:
        """Wait until every picture that was given has gone."""
        self._arriving.join()

    def send(
        self,
        picture: Picture,
        announce: Callable[[SlotRef], FrameInSlot],
        apply_controls: Callable[[], None],
    ) -> None:
        """Send a picture ``[H, W, 4]``, waiting for a free slot if need be.

        Args:
            announce: what to tell the window of it, once its place and size are known.
            apply_controls: takes the window's controls, which free slots and bring rings.
        """
        while True:
            apply_controls()
            height, width = picture.shape[:2]
            wanted = bucket_bytes(height, width)
            writer = self._writer
            if writer is not None and not writer.fits(height, width):
                if self._ring_wanted >= wanted and writer.info.capacity < wanted:
                    # The system has no room for the ring that was asked for: show less.
                    picture = _smaller(picture, writer.info.capacity)
                else:
                    self._request_ring(wanted, writer.info.ring, apply_controls)
                continue
            if writer is not None and writer.has_free_slot:
                break
            self._mailbox.wait_for_control()
        ref = writer.reserve(height, width)
        if isinstance(picture, Arriving):
            self._hand_over(writer, picture, announce(ref))
        else:
            self.finish()
            writer.fill(ref, picture)
            self._mailbox.send(announce(ref))

    def _request_ring(self, capacity: int, before: int, apply_controls: Callable[[], None]) -> None:
        """Ask for larger slots and wait for them."""
        self.finish()
        self._mailbox.send(NeedRing(capacity))
        while self._writer is None or self._writer.info.ring == before:
            self._mailbox.wait_for_control()
            apply_controls()
        self._ring_wanted = capacity

    # Pictures that are not there yet ----------------------------------------------------------

    def _hand_over(self, writer: FrameWriter, picture: Arriving, message: FrameInSlot) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._bring, name="delivery", daemon=True)
            self._thread.start()
        self._arriving.put((writer, picture, message))

    def _bring(self) -> None:
        while True:
            writer, picture, message = self._arriving.get()
            try:
                writer.fill(message.ref, picture.pixels())
            except Exception as error:
                writer.release(message.ref.ring, message.ref.slot)
                told = sentence("drawing", error, "engine")
                self._mailbox.send(RenderFailed(told, message.generation, message.part))
            else:
                self._mailbox.send(message)
            finally:
                picture.done()
                self._arriving.task_done()


def _smaller(picture: Picture, capacity: int) -> NDArray[np.float32]:
    """A picture made small enough for ``capacity`` bytes."""
    if not isinstance(picture, Arriving):
        return shrunk(picture, capacity)
    try:
        return shrunk(picture.pixels(), capacity)
    finally:
        picture.done()
