"""Pictures of rendered heads with what is known of each, fed while the renderer still works."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import UserError
from engine.training.heads.attributes import attributes_from_latent
from engine.training.heads.captions import KIND_NAMES, codes
from engine.training.heads.dataset import read_shard
from engine.training.heads.visible import turn, visible
from engine.training.heads.wording import facts


@dataclass(frozen=True)
class Batch:
    """Pictures of different heads.

    Attributes:
        pictures: ``[N, 3, S, S]`` in [0, 1].
        numbers: ``[N]`` which pictures they are, in :attr:`Pictures.known`.
    """

    pictures: Tensor
    numbers: NDArray[np.int64]


class Pictures:
    """Views of heads from shards (see ``engine.training.heads``), shrunk to one size.

    Args:
        folder: where shards appear.
        size: S, pixels along a side.
        capacity: most pictures to hold.
    """

    def __init__(self, folder: Path, size: int, capacity: int = 24_000) -> None:
        self.folder, self.size, self.capacity = folder, size, capacity
        self.count = 0
        #: What each picture shows, by kind of fact.
        self.known: list[dict[str, str]] = []
        self._codes: list[NDArray[np.int16]] = []
        self._seen: set[str] = set()
        self._rgba = torch.empty(capacity, 4, size, size, dtype=torch.uint8)
        #: Pictures of each head, the one most from the front first.
        self._views: list[NDArray[np.int64]] = []

    @property
    def heads(self) -> int:
        """How many heads the pictures show."""
        return len(self._views)

    def refresh(self, at_most: int = 10_000) -> int:
        """Load up to ``at_most`` new shards; returns how many pictures were added."""
        before = self.count
        for path in sorted(self.folder.glob("*.npz")):
            if at_most <= 0 or self.count >= self.capacity:
                break
            if path.name not in self._seen:
                self._seen.add(path.name)
                self._append(path)
                at_most -= 1
        return self.count - before

    def wait_for(self, heads: int, seconds: float = 1200.0) -> None:
        """Load shards until ``heads`` heads are there.

        Raises:
            UserError: none came within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while self.heads < heads and self.count < self.capacity:
            if self.refresh() == 0:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"{self.folder} holds {self.heads} heads, {heads} are needed; render "
                        "some first with `python -m engine.training.heads render`."
                    )
                time.sleep(1.0)

    def _append(self, path: Path) -> None:
        shard = read_shard(path)
        rgba = torch.from_numpy(shard["rgba"])
        views = rgba.shape[1]
        rows = zip(shard["z"], rgba, shard["seg"], shard["cam2world"], strict=True)
        for z, pictures, labels, cameras in rows:
            if self.count + views > self.capacity:
                return
            try:
                known = facts(attributes_from_latent(z))
            except ValueError as error:
                raise UserError(f"{path} was rendered by another version ({error}).") from error
            drawn = pictures.permute(0, 3, 1, 2)
            if drawn.shape[-1] != self.size:
                small = F.interpolate(drawn.float(), (self.size, self.size), mode="area")
                drawn = small.round().to(torch.uint8)
            self._rgba[self.count : self.count + views] = drawn
            angles = [turn(camera) for camera in cameras]
            self._views.append(self.count + np.argsort(angles))
            for segmentation, angle in zip(labels, angles, strict=True):
                seen = visible(known, segmentation, angle)
                self.known.append(seen)
                self._codes.append(codes(seen))
            self.count += views

    def codes(self, numbers: NDArray[np.int64]) -> NDArray[np.int16]:
        """``[N, K]`` codes of what some pictures show (``captions.KIND_NAMES``)."""
        if not len(numbers):
            return np.zeros((0, len(KIND_NAMES)), np.int16)
        return np.stack([self._codes[n] for n in numbers])

    def sample(self, number: int, random: np.random.Generator) -> Batch:
        """One random view of each of ``number`` different heads, varied (see :func:`varied`)."""
        heads = random.choice(self.heads, min(number, self.heads), replace=False)
        views = np.array([random.choice(self._views[h]) for h in heads])
        return Batch(varied(self._rgba[torch.from_numpy(views)], random), views)

    def plain(self, backdrop: float = 0.9) -> Tensor:
        """``[count, 3, S, S]`` all pictures, on a light grey."""
        rgba = self._rgba[: self.count].float() / 255.0
        return rgba[:, :3] + (1.0 - rgba[:, 3:]) * backdrop

    @property
    def frontal(self) -> list[int]:
        """For each head the number of the picture that shows it most from the front."""
        return [int(views[0]) for views in self._views]


def varied(rgba: Tensor, random: np.random.Generator) -> Tensor:
    """Pictures ``[N, 3, S, S]`` in [0, 1] of premultiplied ones ``[N, 4, S, S]`` (uint8): on
    backdrops of all colours, half of them mirrored, shifted, a little larger or smaller, lighter
    or darker. Nothing that captions speak of changes."""
    number, side = len(rgba), rgba.shape[-1]
    drawn = rgba.float() / 255.0
    grey = random.uniform(0.6, 1.0, (number, 1)) * np.ones((1, 3))
    colour = np.where(random.random((number, 1)) < 0.5, grey, random.random((number, 3)))
    backdrop = torch.from_numpy(colour.astype(np.float32))[:, :, None, None]
    pictures = drawn[:, :3] + (1.0 - drawn[:, 3:]) * backdrop
    mirrored = torch.from_numpy(random.random(number) < 0.5)
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(-1), pictures)
    # One zoom a batch and shifts by whole pixels: much cheaper than a warp of each picture.
    zoom = round(side * random.uniform(0.94, 1.12))
    room = max(2, side // 20)
    pictures = F.interpolate(pictures, (zoom, zoom), mode="bilinear", antialias=zoom < side)
    border = room + max(0, side - zoom + 1) // 2
    pictures = F.pad(pictures, (border,) * 4, mode="replicate")
    middle = (pictures.shape[-1] - side) // 2
    corners = middle + random.integers(-room, room + 1, (number, 2))
    corners = np.clip(corners, 0, pictures.shape[-1] - side)
    pictures = torch.stack(
        [p[:, y : y + side, x : x + side] for p, (y, x) in zip(pictures, corners, strict=True)]
    )
    gain = torch.from_numpy(random.uniform(0.85, 1.15, (number, 1, 1, 1)).astype(np.float32))
    power = torch.from_numpy(random.uniform(0.85, 1.18, (number, 1, 1, 1)).astype(np.float32))
    return (pictures.clamp(1e-4, 1.0) ** power * gain).clamp(0.0, 1.0)
