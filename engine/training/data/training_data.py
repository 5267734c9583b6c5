"""The pictures of a training run, in an order that depends on seed and position alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import UserError
from engine.training.data.cameras import mirrored
from engine.training.data.decode import Pixels, Unreadable, decode, square
from engine.training.data.order import items_at
from engine.training.data.scan import Progress
from engine.training.data.survey import Survey, nothing_usable, survey
from engine.training.gan.contract import Batch

#: Decoded pictures are kept until they take so many bytes.
MEMORY = 2 << 30


class DataGone(UserError):
    """A picture that was there cannot be read any more (a disk that was unplugged, a folder that
    was moved). Nothing is lost: the same batch can be asked for again."""


class TrainingData:
    """Pictures and cameras to train on; see :meth:`open`.

    Attributes:
        path: the folder or archive. resolution: side of the pictures it gives.
        names: of the pictures that take part, sorted. skipped: the others, with reasons.
        summary: in numbers. warnings: what to know before training.
    """

    def __init__(self, found: Survey, seed: int) -> None:
        self.path = found.files.path
        self.resolution = found.summary.resolution
        self.names = found.names
        self.summary = found.summary
        self.warnings = found.warnings
        self.skipped = found.skipped
        self.seed = seed
        self._files = found.files
        self._labels = None if found.labels is None else np.stack(found.labels).astype(np.float32)
        self._kept: dict[int, Pixels] = {}
        self._room = MEMORY // (self.resolution * self.resolution * 3)

    @classmethod
    def open(
        cls,
        path: Path | str,
        resolution: int,
        *,
        seed: int = 0,
        mirror: bool = True,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Self:
        """Open a folder of pictures, or a zip archive or folder in StyleGAN's and EG3D's layout.

        See :func:`survey`: what cannot be read is listed in ``skipped``, and pictures that a person
        ticked off are left out.

        Args:
            resolution: side in pixels; pictures are cut to their middle square and resampled.
            seed: of the order.
            mirror: show every picture as it is and mirrored, with the camera mirrored likewise.
            progress: told (done, of how many). cancelled: asked now and then.

        Raises:
            UserError: nothing is there, it is not such a thing, or no usable picture is in it.
            Cancelled: ``cancelled`` said so.
        """
        found = survey(path, resolution, mirror, progress, cancelled)
        if not found.names:
            raise UserError(nothing_usable(found))
        return cls(found, seed)

    def __len__(self) -> int:
        """Pictures that take part; mirrored ones are not counted."""
        return len(self.names)

    @property
    def items(self) -> int:
        """How many images go by until each was shown once: the pictures, and with mirroring as
        many again."""
        return len(self.names) * (2 if self.summary.mirrored else 1)

    def batch(self, position: int, count: int, rank: int = 0, world: int = 1) -> Batch:
        """The images at a place of the endless sequence.

        A step of ``world`` processes takes ``count * world`` images from ``position`` on: process
        ``rank`` gets the slice of ``count`` that begins at ``position + rank * count``. The slices
        together are the batch that one process gets with ``count * world``, so the next step's
        position is ``position + count * world``.

        Args:
            position: images shown before, by all processes together.
            count: images that this process gets.

        Returns:
            the same tensors for the same arguments, always; cameras where all pictures have one.

        Raises:
            DataGone: a picture cannot be read any more.
            ValueError: the numbers make no sense.
        """
        if position < 0 or count < 1 or not 0 <= rank < world:
            raise ValueError(f"no such batch: {position=}, {count=}, {rank=}, {world=}")
        items = items_at(self.seed, self.items, position + rank * count, count)
        images = np.stack([self._item(int(item)) for item in items])
        tensor = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        return Batch(tensor.float().div_(127.5).sub_(1.0), self.cameras(items))

    def cameras(self, items: NDArray[np.int64]) -> Tensor | None:
        """``[N, 25]`` the cameras of items (see :attr:`items`: the second half is mirrored)."""
        if self._labels is None:
            return None
        labels = self._labels[items % len(self)]
        turned = (items >= len(self))[:, None]
        return torch.from_numpy(np.where(turned, mirrored(labels), labels))

    def all_cameras(self) -> Tensor | None:
        """``[items, 25]`` every camera, mirrored ones included: to draw poses from."""
        return self.cameras(np.arange(self.items))

    def picture(self, index: int) -> Pixels:
        """``[R, R, 3]`` picture ``names[index]``, not mirrored.

        Raises:
            DataGone: it cannot be read any more.
        """
        found = self._kept.get(index)
        if found is not None:
            return found
        name = self.names[index]
        try:
            pixels = square(decode(self._files.read(name)), self.resolution)
        except (OSError, Unreadable) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise DataGone(
                f"The picture {name} of {self.path} cannot be read any more ({reason}); bring the "
                "data back, then go on."
            ) from error
        if len(self._kept) < self._room:
            self._kept[index] = pixels
        return pixels

    def _item(self, item: int) -> Pixels:
        pixels = self.picture(item % len(self))
        return pixels[:, ::-1] if item >= len(self) else pixels
