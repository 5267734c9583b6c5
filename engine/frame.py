"""What a rendering gives back."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Frame:
    """One rendered view. All tensors are float32 on one device, row-major, row 0 on top.

    Attributes:
        rgb: ``[H, W, 3]`` the final picture in ``[0, 1]`` (sRGB values as the network gives).
        raw: ``[h, w, 3]`` the volume rendering before any upsampler, in ``[0, 1]``; the
            same tensor as ``rgb`` for families without one.
        depth: ``[h, w]`` distance along the unit ray in world units. Where nothing is hit it
            holds the far limit of the rays.
        alpha: ``[h, w]`` accumulated opacity in ``[0, 1]``.
        normal: ``[h, w, 3]`` unit normals in world axes pointing at the viewer, zero where
            nothing is hit; ``None`` unless it was asked for.
        timings: seconds by stage name.
    """

    rgb: Tensor
    raw: Tensor
    depth: Tensor
    alpha: Tensor
    normal: Tensor | None = None
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of the final picture."""
        return int(self.rgb.shape[0]), int(self.rgb.shape[1])

    def cpu(self) -> Frame:
        """The same frame in main memory."""
        if self.rgb.device.type == "cpu":
            return self
        normal = None if self.normal is None else self.normal.cpu()
        return Frame(
            self.rgb.cpu(), self.raw.cpu(), self.depth.cpu(), self.alpha.cpu(), normal, self.timings
        )


def normals_from_depth(depth: Tensor, alpha: Tensor, rays_o: Tensor, rays_d: Tensor) -> Tensor:
    """World-space normals of the visible surface from a depth map.

    Args:
        depth: ``[H, W]`` distance along each unit ray.
        alpha: ``[H, W]`` opacity; normals are zero where it is below one half.
        rays_o: ``[H, W, 3]`` ray origins.
        rays_d: ``[H, W, 3]`` unit directions.

    Returns:
        ``[H, W, 3]`` unit vectors facing the camera, by central differences of the surface
        points. At silhouettes they lean outwards, as any screen-space normal does.
    """
    points = rays_o + depth[..., None] * rays_d
    padded = torch.nn.functional.pad(points.permute(2, 0, 1)[None], (1, 1, 1, 1), mode="replicate")
    padded = padded[0].permute(1, 2, 0)
    across = padded[1:-1, 2:] - padded[1:-1, :-2]
    along = padded[2:, 1:-1] - padded[:-2, 1:-1]
    normal = torch.linalg.cross(across, along, dim=-1)
    normal = torch.nn.functional.normalize(normal, dim=-1, eps=1e-12)
    facing = (normal * rays_d).sum(-1, keepdim=True) > 0
    normal = torch.where(facing, -normal, normal)
    return normal * (alpha >= 0.5).float()[..., None]
