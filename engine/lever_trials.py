"""Trying what a model's pictures can do without: one small drawing at a time, so that an engine does it
while nobody waits for it (:mod:`engine.levers` says what for)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from engine.capabilities import Capabilities
from engine.frame import Frame
from engine.generators.base import Quality
from engine.levers import LEAST_SIDE, SAMPLES, SIDES, STEP, Levers, Trial

#: Side at which samples and blocks are tried, of the full one's: their share of the time is the same.
_SMALL = 0.5
#: Stages whose time depends on what is tried.
_STAGES = ("volume", "normals")


def trials_of(facts: Capabilities) -> tuple[Trial, ...]:
    """What there is to try with a model."""
    sides = [Trial(side) for side in (1.0, *SIDES)]
    samples = [Trial(_SMALL, samples=share) for share in SAMPLES]
    blocks = [Trial(_SMALL, blocks=share) for share in facts.fewer_blocks]
    return (*sides, *samples, *blocks)


class LeverTrials:
    """The trials of one model with one face and camera.

    Args:
        facts: of the model.
        resolution, samples: of full quality.
        draw: a quality -> the picture; raises to give up, after which :meth:`step` may come again.
        clock: seconds.
    """

    def __init__(
        self,
        facts: Capabilities,
        resolution: int,
        samples: float,
        draw: Callable[[Quality], Frame],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._resolution, self._samples = resolution, samples
        self._draw, self._clock = draw, clock
        self._left = list(trials_of(facts))
        self._pictures: dict[Trial, Tensor] = {}
        self._seconds: dict[Trial, float] = {}

    @property
    def done(self) -> bool:
        """Whether nothing is left to try."""
        return not self._left

    def quality(self, trial: Trial) -> Quality:
        """What a trial draws."""
        side = round(self._resolution * trial.side / STEP) * STEP if trial.side < 1.0 else None
        least = min(LEAST_SIDE, self._resolution)
        return Quality(
            neural_resolution=self._resolution if side is None else max(least, side),
            samples=self._samples * trial.samples,
            blocks=trial.blocks,
        )

    def step(self) -> None:
        """Draw the next one."""
        trial = self._left[0]
        started = self._clock()
        frame = self._draw(self.quality(trial))
        whole = self._clock() - started
        parts = [frame.timings[stage] for stage in _STAGES if stage in frame.timings]
        self._seconds[trial] = sum(parts) if parts else whole
        self._pictures[trial] = frame.rgb.float().cpu()
        self._left.pop(0)

    def levers(self) -> Levers:
        """What came out."""
        plain = Trial(_SMALL)
        cost = max(self._seconds[plain], 1e-9)
        sides, samples, blocks = [], [], []
        for trial, picture in self._pictures.items():
            if trial.samples == trial.blocks == 1.0:
                sides.append((trial.side, _difference(picture, self._pictures[Trial()])))
                continue
            price = min(self._seconds[trial] / cost, 1.0)
            error = _difference(picture, self._pictures[plain])
            if trial.samples < 1.0:
                samples.append((trial.samples, price, error))
            else:
                blocks.append((trial.blocks, price, error))
        return Levers.of(sides, samples, blocks)


def _difference(picture: Tensor, reference: Tensor) -> float:
    """Root mean square difference of ``[h, w, 3]`` pictures, the smaller one enlarged as the window
    does it."""
    if picture.shape != reference.shape:
        planar = picture.permute(2, 0, 1)[None]
        size = list(reference.shape[:2])
        large = F.interpolate(planar, size, mode="bilinear", align_corners=False)
        picture = large[0].permute(1, 2, 0)
    found = float((picture - reference).square().mean())
    return math.sqrt(found) if math.isfinite(found) else 1.0
