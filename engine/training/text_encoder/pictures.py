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
from engine.training.heads.mesh import Label
from engine.training.heads.visible import turn, visible
from engine.training.heads.wording import facts

#: Parts of a face that tell most in fewest pixels, by their labels.
REGIONS: tuple[tuple[Label, ...], ...] = ((Label.EYE,), (Label.LIPS, Label.MOUTH))
#: Kinds whose rare values are drawn more often, and how much: the power of their rarity.
_RARE = ("expression", "hair", "style", "eye", "eyewear", "beard", "hat")
_RARITY = 0.35


@dataclass(frozen=True)
class Batch:
    """Pictures of different heads.

    Attributes:
        pictures: ``[N, 3, S, S]`` in [0, 1].
        regions: ``[N, len(REGIONS), S, S]`` in [0, 1], where the parts of the faces are.
        numbers: ``[N]`` which pictures they are, in :attr:`Pictures.known`.
    """

    pictures: Tensor
    regions: Tensor
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
        #: Row and column of the middle of each face, or (-1, -1).
        self._faces = np.full((capacity, 2), -1)
        self._seen: set[str] = set()
        #: Red, green, blue, coverage and the regions.
        self._layers = torch.empty(capacity, 4 + len(REGIONS), size, size, dtype=torch.uint8)
        #: Pictures of each head, the one most from the front first.
        self._views: list[NDArray[np.int64]] = []
        self._chances = np.zeros(0)

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
            where = np.stack([np.isin(labels, region) for region in REGIONS], 1)
            masks = torch.from_numpy(where).to(torch.uint8) * 255
            drawn = torch.cat([pictures.permute(0, 3, 1, 2), masks], 1)
            if drawn.shape[-1] != self.size:
                small = F.interpolate(drawn.float(), (self.size, self.size), mode="area")
                drawn = small.round().to(torch.uint8)
            self._layers[self.count : self.count + views] = drawn
            self._faces[self.count : self.count + views] = [middle(one[4:]) for one in drawn]
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

    def chances(self) -> NDArray[np.float64]:
        """``[heads]`` how likely each head is drawn: those with a rare trait several times as
        likely as others (a green-haired one four times)."""
        if len(self._chances) != self.heads:
            known = self.codes(np.array(self.frontal))
            odds = np.ones(len(known))
            for kind in _RARE:
                column = known[:, KIND_NAMES.index(kind)]
                told = column >= 0
                counts = np.bincount(column[told])
                odds[told] = np.maximum(odds[told], (told.sum() / counts[column[told]]) ** _RARITY)
            self._chances = odds / odds.sum()
        return self._chances

    def sample(self, number: int, random: np.random.Generator, near: bool = False) -> Batch:
        """A view of each of ``number`` different heads, varied (see :func:`varied`).

        Rare traits are drawn more often (:meth:`chances`), and of a head's views those that show
        more of what can be told.

        Args:
            near: only squares of ``S / 2`` around the faces; heads that show none are left out.
        """
        number = min(number, self.heads)
        heads = random.choice(self.heads, number, replace=False, p=self.chances())
        views = np.empty(number, np.int64)
        for place, head in enumerate(heads):
            shown = np.array([len(self.known[n]) for n in self._views[head]], np.float64) ** 2
            views[place] = random.choice(self._views[head], p=shown / shown.sum())
        if near:
            views = views[self._faces[views, 0] >= 0]
            layers = self._squares(views, random)
        else:
            layers = self._layers[torch.from_numpy(views)]
        made = varied(layers, random)
        return Batch(made[:, :3], made[:, 3:], views)

    def _squares(self, views: NDArray[np.int64], random: np.random.Generator) -> Tensor:
        """``[N, ., S / 2, S / 2]`` of the pictures, the faces about in the middle."""
        side, room = self.size // 2, self.size // 16
        corners = self._faces[views] - side // 2
        corners = corners + random.integers(-room, room + 1, corners.shape)
        corners = np.clip(corners, 0, self.size - side)
        cut = [
            self._layers[n, :, y : y + side, x : x + side]
            for n, (y, x) in zip(views, corners, strict=True)
        ]
        return torch.stack(cut)

    def plain(self, backdrop: float = 0.9) -> Tensor:
        """``[count, 3, S, S]`` all pictures, on a light grey."""
        rgba = self._layers[: self.count, :4].float() / 255.0
        return rgba[:, :3] + (1.0 - rgba[:, 3:]) * backdrop

    @property
    def frontal(self) -> list[int]:
        """For each head the number of the picture that shows it most from the front."""
        return [int(views[0]) for views in self._views]


def middle(regions: Tensor) -> tuple[int, int]:
    """Row and column of the middle of regions ``[R, S, S]``, or (-1, -1) where there is none."""
    places = torch.nonzero(regions.amax(0) > 0)
    if not len(places):
        return -1, -1
    row, column = (int(v) for v in (places.amin(0) + places.amax(0)) // 2)
    return row, column


def varied(layers: Tensor, random: np.random.Generator) -> Tensor:
    """Pictures ``[N, 3 + R, S, S]`` in [0, 1] of premultiplied ones ``[N, 4 + R, S, S]`` (uint8):
    on backdrops of all colours, half of them mirrored, shifted, a little larger or smaller,
    lighter or darker. The R regions go where the pictures go. Nothing that captions speak of
    changes."""
    number, side = len(layers), layers.shape[-1]
    drawn = layers.float() / 255.0
    grey = random.uniform(0.6, 1.0, (number, 1)) * np.ones((1, 3))
    colour = np.where(random.random((number, 1)) < 0.5, grey, random.random((number, 3)))
    backdrop = torch.from_numpy(colour.astype(np.float32))[:, :, None, None]
    pictures = drawn[:, :3] + (1.0 - drawn[:, 3:4]) * backdrop
    pictures = torch.cat([pictures, drawn[:, 4:]], 1)
    mirrored = torch.from_numpy(random.random(number) < 0.5)
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(-1), pictures)
    # One zoom a batch and shifts by whole pixels: much cheaper than a warp of each picture.
    zoom = round(side * random.uniform(0.94, 1.12))
    room = max(2, side // 20)
    pictures = F.interpolate(pictures, (zoom, zoom), mode="bilinear", antialias=zoom < side)
    # Where a picture ends, its outermost pixels go on.
    corners = (zoom - side) // 2 + random.integers(-room, room + 1, (number, 2))
    places = torch.from_numpy(corners)[:, :, None] + torch.arange(side)
    rows, columns = places.clamp(0, zoom - 1).unbind(1)
    pictures = torch.stack(
        [p[:, y][:, :, x] for p, y, x in zip(pictures, rows, columns, strict=True)]
    )
    gain = torch.from_numpy(random.uniform(0.85, 1.15, (number, 1, 1, 1)).astype(np.float32))
    power = torch.from_numpy(random.uniform(0.85, 1.18, (number, 1, 1, 1)).astype(np.float32))
    colours = (pictures[:, :3].clamp(1e-4, 1.0) ** power * gain).clamp(0.0, 1.0)
    return torch.cat([colours, pictures[:, 3:].clamp(0.0, 1.0)], 1)
