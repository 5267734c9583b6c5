"""The second stage: whole pictures, with the super-resolution.

What the first stage taught (:mod:`.field`) knows nothing of neighbouring pixels. Here crops
of pictures are drawn as the model will draw them, and the super-resolution is trained on top,
with the decoder, whose further features nothing has asked for before. The planes stay as they
are unless told otherwise, so that few heads are enough: enlarging is much the same for all. The third
stage (:mod:`.sharpen`) goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from engine.training.bundled.losses import (
    counted,
    gradient_l1,
    region_weight,
    shrunk,
    shrunk_depth,
    weighted_error,
)
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pool import HeadPool, Patch
from engine.training.bundled.run import RunOptions, TimedRun


@dataclass(frozen=True)
class PictureOptions(RunOptions):
    """What a run is told, beside :class:`~engine.training.bundled.run.RunOptions`.

    Attributes:
        fine_gain: how much more pixels within two of the pool's fine labels count.
        views, side: a batch is ``heads * views`` crops of ``side`` pixels.
        edges: weight of the loss of edges.
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
    guided_until: float = 0.5
    guided_samples: float = 0.7


class PictureRun(TimedRun):
    """One run: the generator, its average, the optimiser.

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

    def losses(self, patch: Patch, guided: bool) -> dict[str, Tensor]:
        """Weighted losses of a batch, by name.

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
        sharp_weight = weight * counted(patch.corner, options.side, self.pool.resolution, 2 * times)
        truth_depth = shrunk_depth(patch.depth, times)
        solid = (truth_depth > 0).float()
        attributes = self.model.attribute_error(drawn.w, patch.attributes[:: options.views])
        return {
            "picture": weighted_error(drawn.picture, patch.rgb, sharp_weight, options.squares),
            "raw": weighted_error(drawn.raw, small, small_weight, options.squares),
            "edges": options.edges
            * (
                gradient_l1(drawn.picture, patch.rgb, sharp_weight)
                + 0.5 * gradient_l1(drawn.raw, small, small_weight)
            ),
            "mask": options.mask * (drawn.alpha - shrunk(patch.alpha, times)).abs().mean(),
            "depth": options.depth * ((drawn.depth - truth_depth).abs() * solid).mean(),
            "attributes": options.attributes * attributes,
        }

    def train_step(self, progress: float) -> None:
        """See :meth:`TimedRun.train_step`."""
        options = self.options
        patch = self.pool.sample(
            options.heads, options.views, options.side, self.random, self.model.enlargement
        )
        parts = self.losses(patch, guided=progress < options.guided_until)
        self.descend(parts, progress)
        self.count(parts)
