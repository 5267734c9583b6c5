"""The real pictures of a step, and how processes and passes share them."""

from __future__ import annotations

from typing import Protocol

import torch

from engine.errors import UserError
from engine.training.gan.contract import Batch
from engine.training.gan.distributed import Team


class PictureSource(Protocol):
    """An endless sequence of real pictures: all of them in one order, then in another ..."""

    def batch(self, first: int, many: int) -> Batch:
        """The pictures at positions ``first`` to ``first + many - 1``, on the CPU.

        Raises:
            UserError, OSError: they cannot be read.
        """


class Passes:
    """The pictures of one step that are this process's, cut into passes.

    Pass number n of the whole batch holds the pictures ``n * size`` to ``(n + 1) * size - 1`` of it;
    process r of R takes the passes r, r + R ...
    """

    def __init__(self, data: PictureSource, first: int, batch: int, size: int, team: Team) -> None:
        self._data, self._first, self._batch, self._team = data, first, batch, team
        self._read(size)
        #: Number of each pass, and its pictures.
        self.parts: list[tuple[int, Batch]] = []
        self._part(size)

    def _read(self, size: int) -> None:
        numbers = range(self._team.rank, self._batch // size, self._team.size)
        if self._team.size == 1:
            read = [self._data.batch(self._first, self._batch)]
        else:
            read = [self._data.batch(self._first + number * size, size) for number in numbers]
        self._images = torch.cat([part.images for part in read])
        cameras = [part.cameras for part in read if part.cameras is not None]
        self._cameras = torch.cat(cameras) if cameras else None

    def cut(self, size: int) -> None:
        """Passes of another size.

        Raises:
            UserError: other pictures become this process's then, and they cannot be read.
        """
        if self._team.size > 1:
            try:
                self._read(size)
            except OSError as error:
                # Half a step is done, which cannot be tried again.
                raise UserError(
                    f"Training stopped because its pictures cannot be read ({error}); bring them back and "
                    "resume."
                ) from error
        self._part(size)

    def _part(self, size: int) -> None:
        device, team = self._team.device, self._team
        self.parts = []
        for place, number in enumerate(range(team.rank, self._batch // size, team.size)):
            rows = slice(place * size, (place + 1) * size)
            images = self._images[rows].to(device, torch.float32)
            cameras = None
            if self._cameras is not None:
                cameras = self._cameras[rows].to(device, torch.float32)
            self.parts.append((number, Batch(images, cameras)))
