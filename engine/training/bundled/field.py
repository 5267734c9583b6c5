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
import torch.nn.functional as F
from torch import Tensor, nn

from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pool import HeadPool, RayBatch
from engine.training.bundled.run import TimedRun


@dataclass(frozen=True)
class FieldOptions:
    """What a run is told.

    Attributes:
        minutes: length of the schedule; the learning rate falls to 2 % by its end.
        heads, rays: a batch is ``heads * rays`` rays.
        learning_rate: of Adam. Weights with runtime scaling have unit size, so this is the
            relative change of a step.
        mapping_rate: multiplier for the mapping and the reader, whose weights are smaller.
        mask, depth, attributes: weights of those losses beside the colours' L1.
        fine_labels: segmentation labels whose pixels count ``fine_gain`` times.
        samples: share of the model's samples that a ray takes, told the true depth.
        save_every: seconds between saved states.
        seed: of everything random.
    """

    minutes: float = 60.0
    heads: int = 8
    rays: int = 768
    learning_rate: float = 4e-3
    mapping_rate: float = 0.1
    warmup: int = 100
    mask: float = 0.5
    depth: float = 1.0
    attributes: float = 0.1
    fine_labels: tuple[int, ...] = ()
    fine_gain: float = 4.0
    samples: float = 0.6
    save_every: float = 60.0
    seed: int = 0


class FieldRun(TimedRun):
    """The run.

    Args:
        model: what is trained. pool: rendered heads. options: see :class:`FieldOptions`.
        folder: where the state and the log are written.
        pairs: latents ``[N, z_dim]`` and attributes ``[N, A]`` beyond the rendered heads.
    """

    def __init__(
        self,
        model: HeadGenerator,
        pool: HeadPool,
        options: FieldOptions,
        folder: Path,
        pairs: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__(model, pool, options.minutes, options.save_every, folder, options.seed)
        self.options = options
        self.pairs = pairs and (pairs[0].to(pool.device), pairs[1].to(pool.device))
        groups = model.groups(options.mapping_rate)
        self._reading = groups[-1]["params"]
        self.optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-10)
        self.others = {"optimizer": self.optimizer}
        self._weights = torch.ones(256, device=self.device)
        self._weights[list(options.fine_labels)] = options.fine_gain

    def teach_mapping(self, seconds: float) -> float:
        """Teach the mapping network alone, by the pairs; returns the error at the end.

        Until w tells people apart, the rest of the network can only learn their average. The
        pairs say at once, and without drawing anything, what w has to tell.

        Raises:
            ValueError: there are no pairs.
        """
        if self.pairs is None:
            raise ValueError("the mapping is taught by pairs, and there are none")
        optimizer = torch.optim.Adam(self._reading, betas=(0.9, 0.99))
        started, total = time.monotonic(), torch.zeros(())
        while (progress := (time.monotonic() - started) / seconds) < 1.0:
            optimizer.param_groups[0]["lr"] = 2e-3 * (0.01 + 0.99 * (1.0 - progress) ** 1.5)
            optimizer.zero_grad(set_to_none=True)
            total = self._pairs_error(512)
            total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        self.average.load_state_dict(self.model.state_dict())
        return float(total.detach())

    def _pairs_error(self, count: int) -> Tensor:
        assert self.pairs is not None
        z, truth = self.pairs
        rows = torch.randint(len(z), (count,), generator=self.jitter, device=self.device)
        w = self.model.network.mapping(z[rows])[:, 0]
        return self.model.attribute_error(w, truth[rows])

    def losses(self, batch: RayBatch) -> dict[str, Tensor]:
        """Weighted losses of a batch, by name."""
        options = self.options
        found, w = self.model.rays(
            batch.z, batch.rays_o, batch.rays_d, self.jitter, batch.depth, options.samples
        )
        weight = self._weights[batch.segmentation.long()]
        error = (found.features[..., :3] - (2.0 * batch.rgb - 1.0)).abs().mean(-1)
        solid = batch.depth > 0
        apart = torch.where(solid, found.depth - batch.depth, torch.zeros_like(batch.depth))
        parts = {
            "colour": (error * weight).sum() / weight.sum(),
            "mask": options.mask * F.l1_loss(found.weight_sum, batch.alpha),
            "depth": options.depth * apart.abs().mean(),
            "attributes": options.attributes * self.model.attribute_error(w, batch.attributes),
        }
        if self.pairs is not None:
            parts["pairs"] = options.attributes * self._pairs_error(256)
        return parts

    def train_step(self, progress: float) -> None:
        """See :meth:`TimedRun.train_step`."""
        options = self.options
        rate = self.rate(options.learning_rate, options.warmup, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        focal = self.model.network.config.focal
        batch = self.pool.rays(options.heads, options.rays, focal, self.random)
        parts = self.losses(batch)
        loss = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
        self.follow()
        self.meter.add({name: value.detach() for name, value in parts.items()})
        self.step += 1
