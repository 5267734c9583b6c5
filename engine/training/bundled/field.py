"""The first stage: the radiance fields alone, by single rays of many heads.

The heads are a fixed function of z, so the generator can be **told** what each z looks like
from every side: colour, opacity and depth along scattered rays. That is fast and stable, gives
true geometry, and keeps z ~ N(0, I) as the latent of the shipped model. An auxiliary linear
layer reads the heads' attributes off w, so that w carries them plainly.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.training.bundled.losses import COVERAGE_UNIT, partly_squared
from engine.training.bundled.pool import HeadPool, RayBatch
from engine.training.bundled.run import RunOptions, TimedRun
from engine.training.bundled.trained import TrainedModel, heads_focal

#: Most pairs that a reader is fitted to.
READER_PAIRS = 20_000


@dataclass(frozen=True)
class FieldOptions(RunOptions):
    """What a run is told, beside :class:`~engine.training.bundled.run.RunOptions`.

    Attributes:
        rays: of each head in a batch.
        samples: share of the model's samples that a ray takes, told the true depth.
        fine_share: share of the rays that fall on the pool's fine labels.
        outline_share: share of the rays along outlines, where errors are largest.
        middle_share: share, of all other rays, of those around the middle of the picture.
        guided_until: share of the schedule during which the true depth tells the rays where to
            look; afterwards they find the surface as they will have to without a teacher.
    """

    rays: int = 768
    samples: float = 0.8
    fine_share: float = 0.25
    outline_share: float = 0.0
    middle_share: float = 0.6
    guided_until: float = 1.0


class FieldRun(TimedRun):
    """The run.

    Args:
        model: what is trained. pool: rendered heads. options: see :class:`FieldOptions`.
        folder: where the state and the log are written.
        pairs: latents ``[N, z_dim]`` and attributes ``[N, A]`` beyond the rendered heads.
    """

    def __init__(
        self,
        model: TrainedModel,
        pool: HeadPool,
        options: FieldOptions,
        folder: Path,
        pairs: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__(model, pool, options, folder)
        self.options = options
        self.pairs = pairs and (pairs[0].to(pool.device), pairs[1].to(pool.device))

    def teach_mapping(self, seconds: float) -> float:
        """Teach the mapping network alone, by the pairs; returns the error at the end.

        Until w tells people apart, the rest of the network can only learn their average. The
        pairs say at once, and without drawing anything, what w has to tell.

        Raises:
            ValueError: there are no pairs.
        """
        if self.pairs is None:
            raise ValueError("the mapping is taught by pairs, and there are none")
        optimizer = torch.optim.Adam(self.model.mapping_groups(), betas=(0.9, 0.99))
        started, total = time.monotonic(), torch.zeros(())
        while (progress := (time.monotonic() - started) / seconds) < 1.0:
            rate = 1e-3 * (0.01 + 0.99 * (1.0 - progress) ** 1.5)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["scale"]
            optimizer.zero_grad(set_to_none=True)
            total = self._pairs_error(512)
            total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        self.average.load_state_dict(self.model.state_dict())
        return float(total.detach())

    @torch.no_grad()
    def reads(self) -> bool:
        """Whether attributes are read off w better than by their mean, whose error is about 1."""
        return float(self._pairs_error(512)) < 0.5

    def teach_reader(self) -> float:
        """Fit the reader of a model that was packed without it; returns its error.

        Raises:
            ValueError: there are no pairs.
        """
        if self.pairs is None:
            raise ValueError("the reader is taught by pairs, and there are none")
        z, truth = (part[:READER_PAIRS] for part in self.pairs)
        self.model.fit_reader(z, truth)
        self.average.load_state_dict(self.model.state_dict())
        return float(self._pairs_error(512).detach())

    def _pairs_error(self, count: int) -> Tensor:
        assert self.pairs is not None
        z, truth = self.pairs
        rows = torch.randint(len(z), (count,), generator=self.jitter, device=self.device)
        return self.model.attribute_error(self.model.style(z[rows]), truth[rows])

    def losses(self, batch: RayBatch, guided: bool = True) -> dict[str, Tensor]:
        """Weighted losses of a batch, by name.

        ``guided``: rays are told the true depth, see :attr:`FieldOptions.guided_until`.
        """
        options = self.options
        found, style = self.model.rays(
            batch.z,
            batch.rays_o,
            batch.rays_d,
            self.jitter,
            batch.depth if guided else None,
            options.samples if guided else 1.0,
        )
        solid = batch.depth > 0
        apart = torch.where(solid, found.depth - batch.depth, torch.zeros_like(batch.depth))
        parts = {
            "colour": self.model.colour_error(found, batch.rgb, options.squares),
            "mask": options.mask
            * partly_squared(found.weight_sum - batch.alpha, options.squares, COVERAGE_UNIT),
            "depth": options.depth * apart.abs().mean(),
            "attributes": options.attributes * self.model.attribute_error(style, batch.attributes),
        }
        if self.pairs is not None:
            parts["pairs"] = options.attributes * self._pairs_error(256)
        return parts

    def train_step(self, progress: float) -> None:
        """See :meth:`TimedRun.train_step`."""
        options = self.options
        batch = self.pool.rays(
            options.heads,
            options.rays,
            heads_focal(),
            self.random,
            options.fine_share,
            options.outline_share,
            options.middle_share,
        )
        parts = self.losses(batch, guided=progress < options.guided_until)
        self.descend(parts, progress)
        self.count(parts)
