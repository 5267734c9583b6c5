"""The third stage: the super-resolution alone, against a discriminator.

L1 is content with the mean of all edges that might be there, which is a smear. Here a patch
discriminator tells drawn pictures from rendered ones (Chan et al. 2022, section 4.3), while L1
holds what is known. Field, mapping and decoder stay as they are, so that shapes, opacities and what
is seen from elsewhere stay, too, and a view's volume rendering is made once and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from engine.training.bundled.discriminator import PatchDiscriminator, told
from engine.training.bundled.losses import (
    counted,
    gradient_l1,
    non_saturating,
    r1_penalty,
    region_weight,
    weighted_error,
)
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.run import RunOptions, TimedRun

#: Steps between two gradient penalties (lazy regularisation, Karras et al. 2020).
LAZY = 8


@dataclass(frozen=True)
class SharpenOptions(RunOptions):
    """What a run is told, beside :class:`~engine.training.bundled.run.RunOptions`.

    Attributes:
        fine_gain: how much more pixels within two of the pool's fine labels count.
        side: of the crops that are judged.
        margin: final pixels around them that are drawn as well, as far as the picture goes, since a
            convolution sees zeros beyond the border of what it is given.
        edges: weight of the loss of edges.
        adversarial: weight of the discriminator's loss.
        critic_rate: learning rate of the discriminator, of weights as they are stored.
        critic_width: its channels, see :class:`~engine.training.bundled.discriminator.PatchDiscriminator`.
        r1: gamma of the gradient penalty on the sum of the patches' logits.
    """

    minutes: float = 30.0
    learning_rate: float = 1.5e-3
    field_rate: float = 0.0
    decoder_rate: float = 0.0
    mapping_rate: float = 0.0
    warmup: int = 50
    fine_gain: float = 4.0
    side: int = 128
    margin: int = 8
    edges: float = 0.1
    adversarial: float = 0.04
    critic_rate: float = 0.01
    critic_width: int = 24
    r1: float = 5e-4


class KeptVolumes:
    """The volume renderings of a pool's heads, each made when it is first asked for.

    Half precision, on the pool's device: half a megabyte for a view of 128 pixels with 16 features.
    """

    def __init__(self, model: HeadGenerator, pool: HeadPool) -> None:
        self._model, self._pool = model, pool
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    @torch.no_grad()
    def of(self, head: int) -> tuple[Tensor, Tensor]:
        """Features ``[V, C, r, r]`` of all views and w ``[w_dim]`` of the head numbered so."""
        if head not in self._kept:
            views = [
                self._pool.whole(np.array([head]), view).cam2world
                for view in range(self._pool.views)
            ]
            z = self._pool.whole(np.array([head]), 0).z
            drawn = self._model.volumes(z, torch.cat(views))
            self._kept[head] = drawn[0].half(), drawn[1]
        return self._kept[head]


class SharpenRun(TimedRun):
    """One run: the generator, of which the super-resolution learns, the discriminator, their optimisers.

    Args:
        model: what is trained; its average over time is :attr:`average`.
        pool: rendered heads.
        options: see :class:`SharpenOptions`.
        folder: where the state and the log are written.
    """

    model: HeadGenerator
    betas: ClassVar[tuple[float, float]] = (0.0, 0.99)

    def __init__(
        self, model: HeadGenerator, pool: HeadPool, options: SharpenOptions, folder: Path
    ) -> None:
        super().__init__(model, pool, options, folder)
        self.options = options
        self.volumes = KeptVolumes(model, pool)
        self.discriminator = PatchDiscriminator(options.critic_width).to(self.device)
        self.critic = torch.optim.Adam(
            self.discriminator.parameters(), lr=options.critic_rate, betas=self.betas
        )
        self.others |= {"discriminator": self.discriminator, "critic": self.critic}

    def drawn(
        self, head: np.ndarray, view: np.ndarray, corner: np.ndarray, side: int
    ) -> tuple[Tensor, Tensor]:
        """Crops as they are in the whole picture, ``[N, 3, side, side]`` and ``[N, 3, s, s]`` raw.

        Args:
            head, view: ``[N]`` numbers. corner: ``[N, 2]`` row and column, multiples of the model's
            ``enlargement``. side: final pixels, a multiple of it.
        """
        times = self.model.enlargement
        wide = min(side + 2 * self.options.margin, self.pool.resolution)
        start = np.clip(corner - self.options.margin, 0, self.pool.resolution - wide)
        parts, styles = [], []
        for number, which, (row, column) in zip(head, view, start // times, strict=True):
            features, w = self.volumes.of(int(number))
            span = wide // times
            parts.append(features[which, :, row : row + span, column : column + span].float())
            styles.append(w)
        features = torch.stack(parts)
        picture = self.model.enlarged(features, torch.stack(styles))

        def judged(images: Tensor, scale: int) -> Tensor:
            pieces = []
            for image, (row, column) in zip(images, (corner - start) // scale, strict=True):
                pieces.append(image[:, row : row + side // scale, column : column + side // scale])
            return torch.stack(pieces)

        return judged(picture, 1), judged(features[:, :3], times)

    def train_step(self, progress: float) -> None:
        """See :meth:`TimedRun.train_step`."""
        options = self.options
        side = min(options.side, self.pool.resolution)
        head = self.random.integers(0, self.pool.count, options.heads)
        view = self.random.integers(0, self.pool.views, options.heads)
        corner = self.pool.corners(options.heads, side, self.random, self.model.enlargement)
        patch = self.pool.crop(head, view, corner, side)
        picture, raw = self.drawn(head, view, corner, side)
        weight = region_weight(patch.segmentation, self.pool.fine_labels, options.fine_gain)
        weight = weight * counted(patch.corner, side, self.pool.resolution)
        parts = {
            "picture": weighted_error(picture, patch.rgb, weight, options.squares),
            "edges": options.edges * gradient_l1(picture, patch.rgb, weight),
            "adversarial": options.adversarial
            * non_saturating(self.discriminator(told(picture, raw))),
        }
        self.descend(parts, progress)
        self.count(parts | self._critic_step(patch.rgb, picture.detach(), raw))

    def _critic_step(self, truth: Tensor, picture: Tensor, raw: Tensor) -> dict[str, Tensor]:
        real, lazy = told(truth, raw), self.step % LAZY == 0
        real.requires_grad_(lazy)
        on_real = self.discriminator(real)
        loss = non_saturating(on_real) + non_saturating(-self.discriminator(told(picture, raw)))
        if lazy:
            loss = loss + LAZY * 0.5 * self.options.r1 * r1_penalty(on_real, real)
        self.critic.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic.step()
        return {"critic": loss.detach(), "confidence": torch.sigmoid(on_real.detach()).mean()}
