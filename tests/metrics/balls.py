"""A generator whose every head is a painted ball: its views are known exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from engine.camera import Camera, OrbitPose
from engine.capabilities import Capabilities
from engine.frame import Frame
from engine.generators.base import NEVER, CancelToken, Field, Generator, GoldenCase, Quality
from engine.rendering.rays import intrinsics_from_focal, pinhole_rays


class BallGenerator(Generator):
    """Balls of radius 0.3, the first number of z is their hue.

    Args:
        swell: how much larger they are, seen from the side. slide: how far the paint follows the
            camera. backdrop: an opaque plane far behind.
    """

    radius, side = 0.3, 48

    def __init__(self, swell: float = 0.0, slide: float = 0.0, backdrop: bool = False) -> None:
        self.swell, self.slide, self.backdrop = swell, slide, backdrop
        self.device = torch.device("cpu")
        self.conditionings: list[Camera | None] = []
        self.capabilities = Capabilities(
            family="balls", z_dim=3, num_ws=1, w_dim=1, resolution=self.side,
            neural_resolution=self.side, samples_per_ray=48, default_pose=OrbitPose(),
            bounds=((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5)), mesh_level=10.0,
        )  # fmt: skip

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        self.conditionings.append(conditioning)
        return psi * z[:1][None]

    def field(self, w: Tensor) -> Field:
        raise NotImplementedError

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        pose = torch.tensor(camera.cam2world)[None]
        lens = intrinsics_from_focal(torch.tensor([camera.focal], dtype=torch.float64))
        origins, directions = pinhole_rays(pose, lens, self.side, self.side)
        o, d = origins[0], directions[0]
        aside = math.hypot(float(camera.position[0]), 0.0) / float(o[0].norm())
        radius = self.radius + self.swell * aside
        along = (o * d).sum(-1)
        root = along.square() - (o.square().sum(-1) - radius**2)
        hit = root > 0
        depth = torch.where(hit, -along - root.clamp(min=0).sqrt(), 5.0)
        place = o + d * depth[:, None]
        phase = 9.0 * place + float(w[0, 0]) + self.slide * 9.0 * float(camera.position[0])
        colour = torch.where(hit[:, None], 0.5 + 0.4 * torch.sin(phase), 1.0)
        alpha = torch.ones_like(depth) if self.backdrop else hit.double()
        rgb = colour.float().reshape(self.side, self.side, 3)
        shape = (self.side, self.side)
        return Frame(rgb, rgb, depth.float().reshape(shape), alpha.float().reshape(shape))

    def golden_case(self, case: GoldenCase) -> Mapping[str, Tensor]:  # type: ignore[override]
        raise NotImplementedError
