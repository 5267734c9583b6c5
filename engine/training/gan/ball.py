"""Beginning as a ball: new fields are taught the density of one, before anything is drawn.

A new field is mist, in which a head can as well grow as a hollow mould (which, turning the other way,
looks alike), or as a hole that a bright backdrop is seen around. StyleSDF begins as a sphere (Or-El et
al., 2022, supplement); here the families with densities can begin likewise, which their authors' do
not.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Generator as RandomState
from torch import Tensor

from engine.training.gan.adversarial import Adversarial, CommonOptions, Step, unmixed
from engine.training.gan.contract import Augment, Batch, Phase, Progress

#: The phase in which nothing else is learnt.
BALL = Phase("generator_ball", "generator")
#: Thickness of a ball's rim, in radii.
_RIM = 0.25


@dataclass(frozen=True)
class BallOptions(CommonOptions):
    """How a new field begins.

    Attributes:
        ball_steps: steps in which it learns to be a ball, before all others; 0 for none, as
            published. Not in fine-tuning.
        ball_radius: of the ball around the world's origin, as a share of what is
            seen there from the middle of a picture to its edge.
        ball_density, ball_clear: raw density inside, and how far below zero it is outside.
        ball_points: of an identity and a step.
    """

    ball_steps: int = 0
    ball_radius: float = 0.45
    ball_density: float = 10.0
    ball_clear: float = 4.0
    ball_points: int = 1024


class BallTraining(Adversarial):
    """Training that can begin so."""

    common: BallOptions

    @property
    @abstractmethod
    def reach(self) -> float:
        """What is seen around the world's origin, from the middle of a picture to its edge, in world
        units."""

    @abstractmethod
    def raw_densities(self, step: Step, points: Tensor) -> Tensor:
        """``[N, M]`` of new latents at ``[N, M, 3]`` points around the world's origin, as they are
        before their activation."""

    def phases(self, progress: Progress) -> Sequence[Phase]:
        """The ball alone at first, then as everywhere."""
        if not self.common.fine_tuning and progress.step < self.common.ball_steps:
            return [BALL]
        return super().phases(progress)

    def losses(
        self,
        phase: Phase,
        batch: Batch,
        progress: Progress,
        random: RandomState,
        augment: Augment,
    ) -> Mapping[str, Tensor]:
        """See :meth:`~engine.training.gan.contract.FamilyTraining.losses`."""
        if phase.name != BALL.name:
            return super().losses(phase, batch, progress, random, augment)
        step = Step(batch, progress, random, augment)
        options = self.common
        with unmixed(step.device):
            points = ball_points(step, options.ball_points, self.reach)
            raw = self.raw_densities(step, points)
            radius = options.ball_radius * self.reach
            error = ball_error(raw, points, radius, options.ball_density, options.ball_clear)
            return {"ball": error}


def ball_points(step: Step, count: int, reach: float) -> Tensor:
    """``[N, count, 3]``: at even distances up to ``reach`` from the origin."""
    along = torch.nn.functional.normalize(step.normal(count, 3), dim=-1)
    return along * step.uniform(count, 1) * reach


def ball_error(raw: Tensor, points: Tensor, radius: float, density: float, clear: float) -> Tensor:
    """Mean distance of ``[N, M]`` raw densities at ``[N, M, 3]`` points from a ball's, which are
    ``density`` inside, ``-clear`` outside and go from one to the other in its rim."""
    inwards = 1.0 - torch.linalg.vector_norm(points, dim=-1) / radius
    inside = (inwards / _RIM).clamp(-0.5, 0.5) + 0.5
    truth = inside * (density + clear) - clear
    error: Tensor = (raw - truth).abs().mean()
    return error
