"""Rays of pinhole cameras, and where they meet a box.

Cameras are camera-to-world matrices with OpenCV axes (x right, y down, z forward) and
intrinsics normalised by the picture's side, as EG3D states them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def intrinsics_from_focal(focal: Tensor) -> Tensor:
    """``[N]`` focal lengths in units of the picture's side -> ``[N, 3, 3]`` intrinsics with
    the principal point in the middle."""
    matrix = focal.new_zeros(focal.shape[0], 3, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = focal
    matrix[:, 0, 2] = matrix[:, 1, 2] = 0.5
    matrix[:, 2, 2] = 1.0
    return matrix


def pinhole_rays(
    cam2world: Tensor, intrinsics: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """One ray through the middle of every pixel, row by row from the top left.

    Args:
        cam2world: ``[N, 4, 4]``.
        intrinsics: ``[N, 3, 3]``, normalised: ``fx, fy, cx, cy`` and skew in units of the
            picture's sides.
        height, width: pixels.

    Returns:
        origins and unit directions, ``[N, height * width, 3]`` each, in world axes.
    """
    rows = (torch.arange(height, dtype=cam2world.dtype, device=cam2world.device) + 0.5) / height
    columns = (torch.arange(width, dtype=cam2world.dtype, device=cam2world.device) + 0.5) / width
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    u, v = u.reshape(1, -1), v.reshape(1, -1)
    fx, fy = intrinsics[:, 0, 0, None], intrinsics[:, 1, 1, None]
    cx, cy = intrinsics[:, 0, 2, None], intrinsics[:, 1, 2, None]
    skew = intrinsics[:, 0, 1, None]
    x = (u - cx + cy * skew / fy - skew * v / fy) / fx
    y = (v - cy) / fy
    local = torch.stack([x, y.expand_as(x), torch.ones_like(x)], dim=-1)
    directions = F.normalize(local @ cam2world[:, :3, :3].transpose(1, 2), dim=-1)
    origins = cam2world[:, None, :3, 3].expand_as(directions)
    return origins, directions


def grid_rays(cam2world: Tensor, x: Tensor, y: Tensor, fov_y: float) -> tuple[Tensor, Tensor]:
    """Rays through points of the picture plane of a camera with **OpenGL** axes (x right, y up,
    z backward), as most families' authors write theirs.

    Args:
        cam2world: ``[4, 4]``.
        x, y: ``[H, W]`` positions in the picture, -1 at its left and lower edges and 1 at its
            right and upper ones.
        fov_y: full angle in degrees between -1 and 1.

    Returns:
        ``[3]`` origin and ``[H * W, 3]`` directions ``(x t, y t, -1)``, ``t = tan(fov / 2)``,
        in world axes, row by row. They are **not** of unit length: a step of one moves a point
        by one along the viewing axis.
    """
    half = math.tan(math.radians(fov_y) / 2.0)
    local = torch.stack([x * half, y * half, -torch.ones_like(x)], dim=-1).reshape(-1, 3)
    return cam2world[:3, 3], local @ cam2world[:3, :3].T


def inclusive_grid(
    height: int, width: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """``[H, W]`` x and y from -1 to 1 with the **outermost pixels' middles** on the edges, y
    downwards from 1 (pi-GAN's lineage)."""
    columns = torch.linspace(-1.0, 1.0, width, device=device)
    rows = torch.linspace(1.0, -1.0, height, device=device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return x, y


def centred_grid(
    height: int, width: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """``[H, W]`` x and y of the pixels' middles when -1 and 1 are the picture's outer edges, y
    downwards from the top."""
    columns = (torch.arange(width, device=device) + 0.5) / width * 2.0 - 1.0
    rows = 1.0 - (torch.arange(height, device=device) + 0.5) / height * 2.0
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return x, y


def framed_grid(
    side: int, native: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """``[side, side]`` x and y of a picture that shows what :func:`inclusive_grid` shows at
    ``native`` pixels, at any other size.

    The outermost pixels' middles of a small inclusive picture lie further inwards on the screen
    than those of a large one; drawn so, previews would jump. Here the outer edges stay in place:
    with ``side == native`` this is the inclusive grid.
    """
    if side == native:
        return inclusive_grid(side, side, device)
    x, y = centred_grid(side, side, device)
    edge = native / (native - 1)
    return x * edge, y * edge


def box_limits(rays_o: Tensor, rays_d: Tensor, side: float) -> tuple[Tensor, Tensor, Tensor]:
    """Where rays enter and leave the cube of ``side`` around the world origin (slab method).

    Args:
        rays_o, rays_d: ``[..., 3]``.
        side: world units.

    Returns:
        distances of entry (at least 0, for a camera inside the cube) and of exit, and a mask
        of the rays that meet the cube in front of the camera; ``[...]`` each.
    """
    # A ray parallel to a slab divides by zero: the infinities of the right sign sort it in
    # or out. Exactly on the slab's face they give NaN, which counts as inside.
    inverse = 1.0 / rays_d
    first = (-side / 2 - rays_o) * inverse
    second = (side / 2 - rays_o) * inverse
    near = torch.minimum(first, second).nan_to_num(
        nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf
    )
    far = torch.maximum(first, second).nan_to_num(
        nan=torch.inf, posinf=torch.inf, neginf=-torch.inf
    )
    start = near.amax(dim=-1).clamp(min=0.0)
    end = far.amin(dim=-1)
    return start, end, end > start
