"""A generator whose shape is known exactly: an ellipsoid head with a ball for a nose.

The head's middle is ``CENTER`` and its half axes are ``AXES``, all different and off the
origin, so that a swapped, mirrored, sheared or shifted grid shows. The nose sticks out along
+Z. Colours tell the octant around the middle.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from engine.camera import Camera, OrbitPose
from engine.capabilities import Capabilities
from engine.frame import Frame, normals_from_depth
from engine.generators.base import (
    NEVER,
    CancelToken,
    Field,
    Generator,
    GoldenCase,
    Quality,
)

CENTER = (0.03, -0.02, 0.05)
AXES = (0.30, 0.40, 0.35)
NOSE_RADIUS = 0.08
#: The nose's ball sits on the front pole of the ellipsoid.
NOSE = (CENTER[0], CENTER[1], CENTER[2] + AXES[2])
LEVEL = 10.0
SLOPE = 40.0
BOUNDS = ((-0.6, -0.5, -0.5), (0.4, 0.5, 0.7))


class AnalyticField(Field):
    """Signed distance (approximate off the surface) or a density made of it."""

    def __init__(
        self,
        meaning: Literal["density", "sdf"] = "density",
        nose: bool = True,
        axes: tuple[float, float, float] = AXES,
    ) -> None:
        self.meaning, self.nose = meaning, nose
        self.center, self.axes = torch.tensor(CENTER), torch.tensor(axes)
        self.bounds = (torch.tensor(BOUNDS[0]), torch.tensor(BOUNDS[1]))
        self.largest_request = 0

    def distance(self, points: Tensor) -> Tensor:
        head = (((points - self.center) / self.axes).norm(dim=-1) - 1.0) * self.axes.min()
        if not self.nose:
            return head
        return torch.minimum(head, (points - torch.tensor(NOSE)).norm(dim=-1) - NOSE_RADIUS)

    def density(self, points: Tensor) -> Tensor:
        self.largest_request = max(self.largest_request, len(points))
        distance = self.distance(points)
        return distance if self.meaning == "sdf" else LEVEL - SLOPE * distance

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        octant = (points > self.center).float()
        return 0.2 + 0.6 * octant


class AnalyticGenerator(Generator):
    """Latents only tint the background; everything else is the same shape."""

    def __init__(self, field: AnalyticField | None = None, resolution: int = 32) -> None:
        self.device = torch.device("cpu")
        self.made = field or AnalyticField()
        self.renders = 0
        meaning = self.made.meaning
        self.capabilities = Capabilities(
            family="analytic",
            z_dim=8,
            num_ws=4,
            w_dim=8,
            resolution=resolution,
            neural_resolution=resolution,
            samples_per_ray=48,
            default_pose=OrbitPose(radius=2.7, fov_y=30.0),
            bounds=BOUNDS,
            mesh_level=LEVEL if meaning == "density" else 0.0,
            mesh_level_meaning=meaning,
        )

    def map(
        self,
        z: Tensor,
        psi: float = 1.0,
        cutoff: int | None = None,
        conditioning: Camera | None = None,
    ) -> Tensor:
        return psi * z.float().expand(4, 8)

    def field(self, w: Tensor) -> Field:
        return self.made

    def render(
        self, w: Tensor, camera: Camera, quality: Quality = Quality(), cancel: CancelToken = NEVER
    ) -> Frame:
        cancel.check()
        self.renders += 1
        side = quality.neural_resolution or self.capabilities.neural_resolution
        line = (torch.arange(side) + 0.5) / side - 0.5
        y, x = torch.meshgrid(line, line, indexing="ij")
        local = torch.stack([x / camera.focal, y / camera.focal, torch.ones_like(x)], dim=-1)
        rotation = torch.tensor(camera.cam2world[:3, :3].copy(), dtype=torch.float32)
        rays_d = torch.nn.functional.normalize(local @ rotation.T, dim=-1)
        rays_o = torch.tensor(camera.position.copy(), dtype=torch.float32).expand_as(rays_d)
        depth = torch.full((side, side), 1.5)
        for _ in range(48):
            depth = depth + 0.8 * self.made.distance(rays_o + depth[..., None] * rays_d)
        points = rays_o + depth[..., None] * rays_d
        hit = (self.made.distance(points) < 1e-2) & (depth < 4.0)
        background = torch.sigmoid(w[0, :3])
        rgb = torch.where(hit[..., None], self.made.color(points), background)
        depth = torch.where(hit, depth, torch.tensor(4.0))
        alpha = hit.float()
        normal = normals_from_depth(depth, alpha, rays_o, rays_d) if quality.normals else None
        return Frame(rgb=rgb, raw=rgb, depth=depth, alpha=alpha, normal=normal)

    def golden_case(self, case: GoldenCase) -> dict[str, Tensor]:
        raise NotImplementedError("an analytic shape has no golden sets")
