"""The second stage: whole pictures, with the super-resolution, then sharpened.

What the first stage taught (:mod:`.field`) knows nothing of neighbouring pixels. Here crops
of pictures are drawn as the model will draw them, and the super-resolution is trained on top,
with the decoder, whose further features nothing has asked for before. The planes stay as they
are unless told otherwise, so that few heads are enough: enlarging is much the same for all. In the last part a patch discriminator may sharpen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.training.bundled.discriminator import PatchDiscriminator, dual
from engine.training.bundled.losses import (
    gradient_l1,
    non_saturating,
    r1_penalty,
    region_weight,
    shrunk,
    shrunk_depth,
    weighted_l1,
)
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pool import HeadPool, Patch
from engine.training.bundled.run import RunOptions, TimedRun

#: The state in which the discriminator found the generator.
BEFORE_SHARPENING = "before_sharpening.pt"


@dataclass(frozen=True)
class PictureOptions(RunOptions):
    """What a run is told, beside :class:`~engine.training.bundled.run.RunOptions`.

    Attributes:
        fine_gain: how much more pixels within two of the pool's fine labels count.
        views, side: a batch is ``heads * views`` crops of ``side`` pixels.
        edges: weight of the loss of edges.
        adversarial: weight of the discriminator's loss; 0 leaves it out.
        adversarial_from: share of the schedule after which the discriminator joins.
        r1: gamma of the gradient penalty on the sum of the patches' logits, every 8th step.
        guided_until: share of the schedule during which the true depth tells the rays where
            to look, which saves a third of the samples; afterwards rays find the surface as
            they will have to without a teacher.
        guided_samples: share of the model's samples that a guided ray takes.
    """

    minutes: float = 15.0
    learning_rate: float = 1.5e-3
    field_rate: float = 0.0
    decoder_rate: float = 0.3
    mapping_rate: float = 0.0
    fine_gain: float = 4.0
    views: int = 1
    side: int = 128
    edges: float = 0.1
    adversarial: float = 0.0
    adversarial_from: float = 0.8
    r1: float = 0.05
    guided_until: float = 0.5
    guided_samples: float = 0.7


class PictureRun(TimedRun):
    """One run: the generator, its average, the discriminator, their optimisers.

    Args:
        model: what is trained; its average over time is :attr:`average`.
        pool: rendered heads.
        options: see :class:`PictureOptions`.
        folder: where the state and the log are written.
    """

    model: HeadGenerator

    def __init__(
        self,
        model: HeadGenerator,
        pool: HeadPool,
        options: PictureOptions,
        folder: Path,
    ) -> None:
        super().__init__(model, pool, options, folder)
        self.options = options
        self.discriminator = PatchDiscriminator().to(self.device)
        self.critic = torch.optim.Adam(self.discriminator.parameters(), lr=2e-3, betas=(0.0, 0.99))
        self.others |= {"discriminator": self.discriminator, "critic": self.critic}

    def losses(self, patch: Patch, guided: bool) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Supervised losses of a batch, and the generated final and raw crops.

        ``guided``: rays are told the true depth, see :attr:`PictureOptions.guided_until`.
        """
        options, times = self.options, self.model.enlargement
        drawn = self.model.crop(
            patch.z[:: options.views],
            patch.cam2world,
            patch.corner,
            options.side,
            self.pool.resolution,
            self.jitter,
            shrunk_depth(patch.depth, times) if guided else None,
            options.guided_samples if guided else 1.0,
        )
        weight = region_weight(patch.segmentation, self.pool.fine_labels, options.fine_gain)
        small_weight, small = shrunk(weight, times), shrunk(patch.rgb, times)
        # At a crop's border the upsampler sees zeros where the picture goes on: not judged.
        edge = 2 * times if options.side < self.pool.resolution else 0
        inner = (..., slice(edge, options.side - edge), slice(edge, options.side - edge))
        sharp, sharp_truth, sharp_weight = drawn.picture[inner], patch.rgb[inner], weight[inner]
        truth_depth = shrunk_depth(patch.depth, times)
        solid = (truth_depth > 0).float()
        attributes = self.model.attribute_error(drawn.w, patch.attributes[:: options.views])
        parts = {
            "picture": weighted_l1(sharp, sharp_truth, sharp_weight),
            "raw": weighted_l1(drawn.raw, small, small_weight),
            "edges": options.edges
            * (
                gradient_l1(sharp, sharp_truth, sharp_weight)
                + 0.5 * gradient_l1(drawn.raw, small, small_weight)
            ),
            "mask": options.mask * (drawn.alpha - shrunk(patch.alpha, times)).abs().mean(),
            "depth": options.depth * ((drawn.depth - truth_depth).abs() * solid).mean(),
            "attributes": options.attributes * attributes,
        }
        return parts, drawn.picture, drawn.raw

    def train_step(self, progress: float) -> None:
        """See :meth:`TimedRun.train_step`."""
        options = self.options
        patch = self.pool.sample(
            options.heads, options.views, options.side, self.random, self.model.enlargement
        )
        parts, picture, raw = self.losses(patch, guided=progress < options.guided_until)
        sharpening = options.adversarial > 0 and progress >= options.adversarial_from
        if sharpening and not (kept := self.folder / BEFORE_SHARPENING).exists():
            self.save(kept.name)
        if sharpening:
            ramp = min(1.0, (progress - options.adversarial_from) / 0.05)
            logits = self.discriminator(dual(picture, raw))
            parts["adversarial"] = options.adversarial * ramp * non_saturating(logits)
        self.descend(parts, progress)
        if sharpening:
            parts.update(self._critic_step(patch, picture.detach(), raw.detach()))
        self.count(parts)

    def _critic_step(self, patch: Patch, picture: Tensor, raw: Tensor) -> dict[str, Tensor]:
        real = dual(patch.rgb, shrunk(patch.rgb, self.model.enlargement))
        lazy = self.step % 8 == 0
        real.requires_grad_(lazy)
        on_real = self.discriminator(real)
        loss = non_saturating(on_real) + non_saturating(-self.discriminator(dual(picture, raw)))
        if lazy:
            loss = loss + 8 * 0.5 * self.options.r1 * r1_penalty(on_real, real)
        self.critic.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.critic.step()
        return {"critic": loss.detach(), "confidence": torch.sigmoid(on_real.detach()).mean()}
