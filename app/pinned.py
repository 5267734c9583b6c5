"""Pictures on their way from the graphics card: pinned memory for two of them.

A copy into ordinary memory makes both sides wait: the processor until the card has drawn and copied, the
card until it is told what to draw next. Here the card copies on a stream of its own into memory that the
system cannot move, while the next picture is drawn; whoever wants the pixels waits for that copy alone. There
is room for two pictures, so that one can be read while the next arrives.

No GPU has run :class:`CudaCopier` yet; the rest is tested with another copier. On a CPU nothing of this is used.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.frames import bucket_bytes

_log = logging.getLogger(__name__)
#: Pictures that there is memory for.
PICTURES = 2


class Copier(Protocol):
    """What moves pictures between memories."""

    def memory(self, count: int) -> Tensor:
        """``[count]`` float32 that copies can go to. Raises RuntimeError where there is none."""

    def begin(self, source: Tensor, target: Tensor) -> Callable[[], None]:
        """Copy ``source`` as it is once all work asked for so far is done; what is given back waits until
        the copy is there."""


class CudaCopier:
    """Copies from one GPU on a stream of their own.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def memory(self, count: int) -> Tensor:
        """See :meth:`Copier.memory`: pinned."""
        return torch.empty(count, dtype=torch.float32, pin_memory=True)

    def begin(self, source: Tensor, target: Tensor) -> Callable[[], None]:
        """See :meth:`Copier.begin`. Whoever waits sleeps, and keeps no core busy."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        there = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._stream):
            target.copy_(source, non_blocking=True)
            there.record(self._stream)  # type: ignore[no-untyped-call]

        def wait() -> None:
            there.synchronize()  # type: ignore[no-untyped-call]

        return wait


def copier_of(device: torch.device) -> Copier | None:
    """What copies pictures from ``device`` beside its work, or ``None`` where nothing needs to."""
    return CudaCopier(device) if device.type == "cuda" else None


class Arriving:
    """A picture on its way, ``[H, W, 4]`` float32.

    Attributes:
        shape: ``(H, W, 4)``.
    """

    def __init__(
        self, source: Tensor, room: Tensor, wait: Callable[[], None], give_back: Callable[[], None]
    ) -> None:
        self.shape = tuple(source.shape)
        # Memory of the card must not go to the next picture before it is copied.
        self._source: Tensor | None = source
        self._room, self._wait, self._give_back = room, wait, give_back

    def pixels(self) -> NDArray[np.float32]:
        """The picture, once it is there: in memory that the next but one will have after :meth:`done`."""
        self._wait()
        self._source = None
        count = int(np.prod(self.shape))
        pixels: NDArray[np.float32] = self._room[:count].numpy().reshape(self.shape)
        return pixels

    def done(self) -> None:
        """Nobody reads the pixels any more."""
        self._source = None
        self._give_back()


class PinnedPictures:
    """Memory for :data:`PICTURES` pictures from one device; the largest so far decides how much.

    Args:
        copier: what moves them.
    """

    def __init__(self, copier: Copier) -> None:
        self._copier = copier
        self._free: list[Tensor | None] = [None] * PICTURES
        self._changed = threading.Condition()
        self._able = True

    def begin(self, picture: Tensor) -> Arriving | None:
        """Send a picture ``[H, W, 4]`` float32 on its way, after that before the last has been read.

        Returns:
            ``None`` where the system has no such memory; it is not asked again.
        """
        if not self._able:
            return None
        picture = picture.contiguous()
        with self._changed:
            while not self._free:
                self._changed.wait()
            room = self._free.pop()
        try:
            if room is None or room.numel() < picture.numel():
                room = None  # what it had can be used for the larger one
                room = self._copier.memory(bucket_bytes(*picture.shape[:2]) // 4)
        except RuntimeError as error:
            _log.warning("Pictures are copied one by one: no pinned memory (%s).", error)
            self._able = False
            self._take_back(None)
            return None
        try:
            wait = self._copier.begin(picture, room[: picture.numel()].view(picture.shape))
        except BaseException:
            self._take_back(room)
            raise
        return Arriving(picture, room, wait, lambda: self._take_back(room))

    def _take_back(self, room: Tensor | None) -> None:
        with self._changed:
            self._free.append(room)
            self._changed.notify_all()
