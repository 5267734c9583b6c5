"""A pool of rendered heads on the training device, fed while the renderer still works.

Shards (see ``engine.training.heads``) hold uint8 pictures; the pool keeps them as they are,
about 2.8 MB a head of six 256-pixel views, so that tens of thousands of heads stay within
one GPU's memory and a batch costs no transfer.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import UserError
from engine.training.bundled.looks import Look


@dataclass(frozen=True)
class Patch:
    """Square crops of a batch of views. ``s`` is the crop's side at full resolution.

    Attributes:
        z: ``[N, z_dim]`` latents.
        attributes: ``[N, A]`` numeric attributes of the heads.
        cam2world: ``[N, 4, 4]`` OpenCV axes, Maquette's world.
        corner: ``[N, 2]`` row and column of the crop's first pixel, full resolution.
        rgb: ``[N, 3, s, s]`` in ``[-1, 1]``, composited over the pool's backdrop.
        alpha: ``[N, 1, s, s]`` coverage in ``[0, 1]``.
        depth: ``[N, 1, s, s]`` distance along the unit ray, world units; 0 = nothing.
        segmentation: ``[N, 1, s, s]`` labels (``engine.training.heads``).
    """

    z: Tensor
    attributes: Tensor
    cam2world: Tensor
    corner: Tensor
    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    segmentation: Tensor


@dataclass(frozen=True)
class RayBatch:
    """Single pixels of many views, a head a row. ``R`` rays, of any of the head's views.

    Attributes:
        z: ``[N, z_dim]`` latents. attributes: ``[N, A]``.
        rays_o, rays_d: ``[N, R, 3]`` camera centres and unit directions, Maquette's world.
        rgb: ``[N, R, 3]`` in ``[0, 1]``, composited over the pool's backdrop.
        alpha: ``[N, R]`` coverage. depth: ``[N, R]`` along the ray, 0 = nothing.
        segmentation: ``[N, R]`` labels.
    """

    z: Tensor
    attributes: Tensor
    rays_o: Tensor
    rays_d: Tensor
    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    segmentation: Tensor


#: Pixels of a kind (on or beside the fine labels, along outlines) that are noted of each view.
PLACES = 128


def fine_places(segmentation: Tensor, labels: Sequence[int]) -> Tensor:
    """``[n, V, R, R]`` labels -> ``[n, V, PLACES, 2]`` int16 rows and columns, evenly
    spread over the pixels within two of ``labels``; -1 where a view has none of them."""
    marked = torch.isin(segmentation, torch.tensor(labels, dtype=segmentation.dtype))
    return _noted(F.max_pool2d(marked.float(), 5, stride=1, padding=2) > 0)


def outline_places(alpha: Tensor) -> Tensor:
    """``[n, V, R, R]`` uint8 coverage -> ``[n, V, PLACES, 2]``, as :func:`fine_places`, of the pixels
    beside which the head ends."""
    solid = (alpha > 127).float()
    inner = 1.0 - F.max_pool2d(1.0 - solid, 3, stride=1, padding=1)
    return _noted(F.max_pool2d(solid, 3, stride=1, padding=1) > inner)


def _noted(marked: Tensor) -> Tensor:
    """Some of the pixels that are true in ``[n, V, R, R]``, evenly spread over them row by row."""
    places = torch.full((*marked.shape[:2], PLACES, 2), -1, dtype=torch.int16)
    for head, views in enumerate(marked):
        for view, pixels in enumerate(views):
            found = pixels.nonzero()
            if len(found):
                chosen = torch.linspace(0, len(found) - 1, PLACES).round().long()
                places[head, view] = found[chosen].to(torch.int16)
    return places


class HeadPool:
    """Heads of many shards as a few large tensors.

    Args:
        folder: where shards appear.
        capacity: most heads to hold; further shards are left alone.
        device: where the tensors live.
        skip: file names never to load (the evaluation shards).
        backdrop: grey that pictures are laid over, 0 (black) to 1 (white).
        fine_labels: segmentation labels of the small parts that a face is known by; where
            they are is noted for :meth:`rays`.
        look: what their colours become; ``None`` leaves them.

    Raises:
        UserError: a shard does not fit the first one's sizes.
    """

    def __init__(
        self,
        folder: Path,
        capacity: int,
        device: torch.device,
        skip: Sequence[str] = (),
        backdrop: float = 1.0,
        fine_labels: Sequence[int] = (),
        look: Look | None = None,
    ) -> None:
        self.look = look
        self.folder, self.capacity, self.device = folder, capacity, device
        self.backdrop, self.fine_labels = backdrop, tuple(fine_labels)
        self._seen: set[str] = set(skip)
        self.count = 0
        self._arrays: dict[str, Tensor] = {}

    def refresh(self, at_most: int = 10_000) -> int:
        """Load up to ``at_most`` new shards; returns how many heads were added."""
        before = self.count
        for path in sorted(self.folder.glob("*.npz")):
            if path.name in self._seen or at_most <= 0 or self.count >= self.capacity:
                continue
            self._seen.add(path.name)
            self._append(path)
            at_most -= 1
        return self.count - before

    def wait_for(self, heads: int, seconds: float = 600.0) -> None:
        """Load shards until ``heads`` heads are there.

        Raises:
            UserError: none came within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while self.count < min(heads, self.capacity):
            if self.refresh() == 0:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"{self.folder} holds {self.count} heads, {heads} are needed; render some "
                        "first with `python -m engine.training.heads render`."
                    )
                time.sleep(0.5)

    @contextlib.contextmanager
    def following(self, seconds: float = 2.0) -> Iterator[None]:
        """While inside, a thread of its own takes up new shards as they appear.

        Batches drawn meanwhile see whole heads only: ``count`` rises after the copy.
        """
        stop = threading.Event()

        def follow() -> None:
            while not stop.wait(seconds):
                try:
                    self.refresh()
                except (UserError, OSError, ValueError, zipfile.BadZipFile) as error:
                    print(f"A shard could not be read: {error}", file=sys.stderr, flush=True)

        thread = threading.Thread(target=follow, name="shards", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _append(self, path: Path) -> None:
        with np.load(path) as shard:
            loaded = {
                name: torch.from_numpy(shard[name])
                for name in ("z", "a", "cam2world", "rgba", "depth", "seg")
            }
        loaded["fine"] = fine_places(loaded["seg"], self.fine_labels)
        loaded["outline"] = outline_places(loaded["rgba"][..., 3])
        number = min(len(loaded["z"]), self.capacity - self.count)
        for name, values in loaded.items():
            if name not in self._arrays:
                shape = (self.capacity, *values.shape[1:])
                self._arrays[name] = torch.empty(shape, dtype=values.dtype, device=self.device)
            if self._arrays[name].shape[1:] != values.shape[1:]:
                raise UserError(f"{path} holds {name} of another size than the first shard.")
            self._arrays[name][self.count : self.count + number].copy_(values[:number])
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()
        self.count += number

    @property
    def attributes(self) -> Tensor:
        """``[count, A]`` of every loaded head."""
        return self._arrays["a"][: self.count]

    @property
    def resolution(self) -> int:
        """Side of the views in pixels."""
        return int(self._arrays["rgba"].shape[2])

    @property
    def views(self) -> int:
        """Views per head."""
        return int(self._arrays["rgba"].shape[1])

    def sample(
        self, heads: int, views: int, side: int, random: np.random.Generator, step: int = 2
    ) -> Patch:
        """Random crops: ``heads`` heads, ``views`` views of each, ``side`` pixels.

        Corners are multiples of ``step``, so that a crop shrinks exactly, and lean towards the middle of the
        picture, where the head is. Rows are ordered head by head.
        """
        head = np.repeat(random.integers(0, self.count, heads), views)
        view = np.concatenate([random.permutation(self.views)[:views] for _ in range(heads)])
        return self.crop(head, view, self.corners(len(head), side, random, step), side)

    def corners(
        self, count: int, side: int, random: np.random.Generator, step: int = 2
    ) -> np.ndarray:
        """``[count, 2]`` rows and columns where random crops of ``side`` pixels begin, see :meth:`sample`.

        One in ten or so touches each border of the picture: what a convolution does there, it learns there.
        """
        resolution = self.resolution
        room = resolution - side
        middle = room * 0.5 + random.normal(0.0, resolution * 0.18, (count, 2))
        spread = random.uniform(-side / 4, room + 1 + side / 4, (count, 2))
        choice = random.random((count, 1)) < 0.7
        found = np.clip(np.where(choice, middle, spread), 0, room).astype(np.int64)
        return found // step * step

    def rays(
        self,
        heads: int,
        rays: int,
        focal: float,
        random: np.random.Generator,
        fine_share: float = 0.0,
        outline_share: float = 0.0,
        middle_share: float = 0.6,
    ) -> RayBatch:
        """Random pixels of ``heads`` random heads, from all their views.

        Neighbouring pixels tell much the same, so that scattered ones teach more at the same
        cost than crops do.

        Args:
            heads, rays: sizes of the batch.
            focal: of the pictures, in picture sides.
            random: where the choice comes from.
            fine_share: share of the rays that fall on or beside the fine labels, where the
                view shows any.
            outline_share: share of those along outlines.
            middle_share: share, of all others, of those around the middle, where faces are; the rest
                lies anywhere.
        """
        side, shape = self.resolution, (heads, rays)
        middle = random.normal(0.5, (0.17, 0.2), (*shape, 2)) * side
        spread = random.uniform(0, side, (*shape, 2))
        place = np.where(random.random((*shape, 1)) < middle_share, middle, spread)
        pixel = torch.as_tensor(np.clip(place, 0, side - 1).astype(np.int64), device=self.device)
        index = torch.as_tensor(random.integers(0, self.count, (heads, 1)), device=self.device)
        view = torch.as_tensor(random.integers(0, self.views, shape), device=self.device)
        start = 0
        for kind, share in (("fine", fine_share), ("outline", outline_share)):
            count = round(share * rays)
            if not count:
                continue
            some = slice(start, start + count)
            pick = torch.as_tensor(random.integers(0, PLACES, (heads, count)), device=self.device)
            found = self._arrays[kind][index, view[:, some], pick].long()
            pixel[:, some] = torch.where(found >= 0, found, pixel[:, some])
            start += count
        row, column = pixel.unbind(-1)
        at = (index, view, row, column)
        rgba = self._colours(at)
        cam2world = self._arrays["cam2world"][index, view]
        across, down = ((x + 0.5) / side - 0.5 for x in (column, row))
        local = torch.stack([across / focal, down / focal, torch.ones_like(across)], dim=-1)
        towards = torch.einsum("nrij,nrj->nri", cam2world[..., :3, :3], local)
        return RayBatch(
            z=self._arrays["z"][index[:, 0]],
            attributes=self._arrays["a"][index[:, 0]],
            rays_o=cam2world[..., :3, 3],
            rays_d=F.normalize(towards, dim=-1),
            rgb=rgba[..., :3] + self.backdrop * (1.0 - rgba[..., 3:]),
            alpha=rgba[..., 3],
            depth=self._arrays["depth"][at].float(),
            segmentation=self._arrays["seg"][at],
        )

    def _colours(self, at: tuple[Tensor, ...]) -> Tensor:
        """``[..., 4]`` in [0, 1] of some pixels, over black, in the pool's look."""
        rgba = self._arrays["rgba"][at].float() / 255.0
        if self.look is None:
            return rgba
        rgb, alpha = rgba[..., :3], rgba[..., 3:]
        return torch.cat([self.look(rgb, alpha), alpha], dim=-1)

    def whole(self, heads: np.ndarray, view: int) -> Patch:
        """Whole pictures of the named heads ``[N]``, one view of each."""
        corner = np.zeros((len(heads), 2), np.int64)
        return self.crop(heads, np.full(len(heads), view), corner, self.resolution)

    def crop(self, head: np.ndarray, view: np.ndarray, corner: np.ndarray, side: int) -> Patch:
        """The crops of ``side`` pixels of the heads and views numbered so, ``[N]`` both, that begin at
        the rows and columns ``corner`` ``[N, 2]``."""
        device = self.device
        index = torch.as_tensor(head, device=device)
        viewed = torch.as_tensor(view, device=device)
        where = torch.as_tensor(corner, device=device)
        steps = torch.arange(side, device=device)
        rows = (where[:, 0:1] + steps)[:, :, None]
        columns = (where[:, 1:2] + steps)[:, None, :]
        at = (index[:, None, None], viewed[:, None, None], rows, columns)
        rgba = self._colours(at).permute(0, 3, 1, 2)
        alpha = rgba[:, 3:]
        rgb = (rgba[:, :3] + self.backdrop * (1.0 - alpha)) * 2.0 - 1.0
        return Patch(
            z=self._arrays["z"][index],
            attributes=self._arrays["a"][index],
            cam2world=self._arrays["cam2world"][index, viewed],
            corner=where,
            rgb=rgb,
            alpha=alpha,
            depth=self._arrays["depth"][at].float()[:, None],
            segmentation=self._arrays["seg"][at][:, None],
        )
