"""Cameras of a batch as angles, angles drawn from a prior, and back to the authors' matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.camera import FAMILY_AXES
from engine.training.gan.adversarial import Step

#: Angles stay this far from straight up, where a camera's sides are undefined.
_HIGHEST = math.radians(89.0)


@dataclass(frozen=True)
class PosePrior:
    """Where training cameras stand, on a sphere around the origin.

    Attributes:
        yaw, pitch: middle, radians: yaw towards the person's left, pitch upwards.
        yaw_spread, pitch_spread: standard deviations, or limits where it is not gaussian.
        gaussian: else uniform.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    yaw_spread: float = 0.3
    pitch_spread: float = 0.155
    gaussian: bool = True

    def drawn(self, step: Step) -> Tensor:
        """``[N, 2]`` yaw and pitch."""
        draw = step.normal(2) if self.gaussian else step.uniform(2) * 2.0 - 1.0
        spread = torch.tensor([self.yaw_spread, self.pitch_spread], device=draw.device)
        middle = torch.tensor([self.yaw, self.pitch], device=draw.device)
        return middle + draw * spread


def angles_of(cameras: Tensor) -> Tensor:
    """``[N, 25]`` EG3D's labels -> ``[N, 2]`` yaw and pitch, radians, of where they stand."""
    place = cameras[:, :16].reshape(-1, 4, 4)[:, :3, 3]
    place = place / torch.linalg.vector_norm(place, dim=-1, keepdim=True)
    return torch.stack([torch.atan2(place[:, 0], place[:, 2]), torch.asin(place[:, 1])], dim=-1)


def orbit(angles: Tensor, radius: float, family: str) -> Tensor:
    """``[N, 2]`` yaw and pitch -> ``[N, 4, 4]`` cameras that look at the origin from ``radius``,
    as the authors of ``family`` write them."""
    yaw, pitch = angles[:, 0], angles[:, 1].clamp(-_HIGHEST, _HIGHEST)
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    towards = [yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()]
    place = torch.stack(towards, dim=-1)
    right = torch.stack([yaw.cos(), zero, -yaw.sin()], dim=-1)
    down = torch.linalg.cross(-place, right)
    ours = torch.stack([right, down, -place, place * radius], dim=-1)
    last = torch.stack([zero, zero, zero, one], dim=-1)[:, None]
    ours = torch.cat([ours, last], dim=1)
    # The convention's two rotations, by what it does to the unit matrix.
    axes = FAMILY_AXES[family]
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    turn = torch.eye(4)
    turn[:3, :3] = torch.tensor(axes.world_rotation.T, dtype=torch.float32)
    ours = turn.to(ours) @ ours
    return ours @ flip.to(ours) if axes.axes == "opengl" else ours


def poses_of(step: Step, prior: PosePrior, of_data: bool) -> Tensor:
    """``[N, 2]`` angles to draw from: those of the batch's cameras, where these are wanted and
    known, else the prior's."""
    known = known_poses(step, of_data)
    return prior.drawn(step) if known is None else known


def known_poses(step: Step, of_data: bool) -> Tensor | None:
    """``[N, 2]`` angles of the batch's cameras, where these are wanted and known."""
    return angles_of(step.batch.cameras) if of_data and step.batch.cameras is not None else None
