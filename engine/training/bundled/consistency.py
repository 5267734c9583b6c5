"""View consistency: does a head keep its colours when the camera moves?

Each pixel of one view is carried through its depth into another view of the same head, and the
colours are compared where the depths agree, that is, where the point is not hidden there. A field
that is rendered truly gives nearly nothing; a super-resolution that paints on each view by
itself, or a depth that is no depth, gives more. What light glides over (a shine on the skin, a
resampled edge) gives something even to the truth, so the same is told of the rendered heads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.camera import Camera
from engine.frame import Frame
from engine.generators.base import Generator
from engine.rendering.rays import intrinsics_from_focal, pinhole_rays
from engine.training.bundled.losses import shrunk_depth
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.scores import Progress, Stat, at_side, draw
from engine.training.heads.world import FOV_Y, orbit_camera

#: Depths agree when they differ by less, world units (1.6 % of a head's height).
TOLERANCE = 0.01
#: Yaws of the two views that every model is asked for, degrees.
YAWS = (-15.0, 15.0)
#: Views of the shards are compared when their directions differ by less, degrees.
MOST_APART = 45.0


class View(NamedTuple):
    """One view of a head.

    Attributes:
        rgb: ``[3, S, S]`` in ``[0, 1]``.
        depth: ``[S, S]`` along the pixel's unit ray, world units; 0 = nothing.
        cam2world: ``[4, 4]``.
    """

    rgb: Tensor
    depth: Tensor
    cam2world: Tensor


@dataclass(frozen=True)
class Agreement:
    """Of two views of many heads.

    Attributes:
        error: mean absolute difference of colours (full range 1) over the pixels compared.
        share: of the solid pixels that could be compared.
    """

    error: Stat
    share: Stat


def carried(
    first: View, second: View, focal: float, tolerance: float = TOLERANCE
) -> tuple[float, int, int]:
    """Carry the pixels of one view into another.

    Args:
        focal: of both, in units of the picture's side. tolerance: see :data:`TOLERANCE`, in the
            world units of the views.

    Returns:
        sum over the compared pixels of the mean absolute colour difference, how many were
        compared, and how many are solid in the first view.
    """
    side = first.depth.shape[-1]
    lens = intrinsics_from_focal(torch.tensor([focal], device=first.depth.device))
    origins, directions = pinhole_rays(first.cam2world[None].float(), lens, side, side)
    points = (origins + directions * first.depth.reshape(1, -1, 1))[0]
    to_centre = points - second.cam2world[:3, 3]
    x, y, z = (to_centre @ second.cam2world[:3, :3]).unbind(-1)
    ahead = z > 1e-6
    place = torch.stack([x, y], dim=-1) * (2.0 * focal) / z.clamp(min=1e-6)[:, None]
    layers = torch.cat([second.rgb, second.depth[None], (second.depth > 0).float()[None]])
    seen = F.grid_sample(layers[None], place[None, None], mode="bilinear", align_corners=False)[
        0, :, 0
    ]
    solid = first.depth.reshape(-1) > 0
    # All four pixels around must be solid: a mean with nothing is the depth of no surface.
    near = (seen[3] - to_centre.norm(dim=-1)).abs() < tolerance
    compared = solid & ahead & (seen[4] > 0.999) & near
    apart = (first.rgb.reshape(3, -1) - seen[:3]).abs().mean(0)
    return float(apart[compared].sum()), int(compared.sum()), int(solid.sum())


def agreement(
    first: View, second: View, focal: float, tolerance: float = TOLERANCE
) -> tuple[float, float]:
    """Mean colour error and share of pixels compared, both ways together.

    Returns:
        the error is not a number where no pixel could be compared.
    """
    there = carried(first, second, focal, tolerance)
    back = carried(second, first, focal, tolerance)
    total, compared, solid = (a + b for a, b in zip(there, back, strict=True))
    return total / compared if compared else float("nan"), compared / max(solid, 1)


def drawn_view(frame: Frame, cam2world: Tensor, side: int, tolerance: float = TOLERANCE) -> View:
    """A drawn picture as a view of ``side`` pixels. Its depth is enlarged between neighbours of
    the same surface and is nothing elsewhere."""
    solid = (frame.alpha > 0.5)[None, None]
    depth = frame.depth[None, None]
    # A mean across a silhouette would be carried to where nothing is.
    near = -F.max_pool2d(-depth, 3, stride=1, padding=1)
    steep = F.max_pool2d(depth, 3, stride=1, padding=1) - near > 8 * tolerance
    usable = (solid & ~steep).float()
    inside = F.interpolate(usable, (side, side), mode="bilinear", align_corners=False) > 0.999
    smooth = F.interpolate(depth, (side, side), mode="bilinear", align_corners=False)
    rgb = at_side(frame.rgb.permute(2, 0, 1)[None], side)[0]
    return View(rgb, (smooth * inside)[0, 0], cam2world)


def true_view(pool: HeadPool, head: int, view: int, side: int) -> View:
    """A rendered view, made ``side`` pixels wide."""
    patch = pool.whole(np.array([head]), view)
    times = pool.resolution // side
    rgb = at_side((patch.rgb + 1) / 2, side)[0]
    return View(rgb, shrunk_depth(patch.depth, times)[0, 0], patch.cam2world[0])


def _near_pair(pool: HeadPool, head: int) -> bool:
    """Whether the first two views of a head look from about the same side."""
    if pool.views < 2:
        return False
    first, second = (pool.whole(np.array([head]), view).cam2world[0, :3, 2] for view in (0, 1))
    return float(first @ second) > math.cos(math.radians(MOST_APART))


@torch.inference_mode()
def measure_consistency(
    generator: Generator, pool: HeadPool, count: int, say: Progress | None = None
) -> dict[str, Agreement]:
    """View consistency on the first ``count`` heads' latents.

    Returns:
        ``"turned"``: the model from both of :data:`YAWS`. Where shards hold two views that are
        close enough: ``"truth"``, of these, and ``"same_views"``, the model from the same cameras.
    """
    side = min(generator.capabilities.resolution, pool.resolution)
    turns = [torch.tensor(orbit_camera(yaw, 0.0).cam2world).float() for yaw in YAWS]
    turns = [turn.to(pool.device) for turn in turns]
    found: dict[str, list[tuple[float, float]]] = {}
    focal = Camera(np.eye(4), FOV_Y).focal
    for head in range(count):
        z = pool.whole(np.array([head]), 0).z[0]

        def ours(cam2world: Tensor, z: Tensor = z) -> View:
            return drawn_view(draw(generator, z, cam2world)[0], cam2world, side)

        pair = agreement(ours(turns[0]), ours(turns[1]), focal)
        found.setdefault("turned", []).append(pair)
        if _near_pair(pool, head):
            truth = [true_view(pool, head, view, side) for view in (0, 1)]
            found.setdefault("truth", []).append(agreement(truth[0], truth[1], focal))
            drawn = [ours(view.cam2world) for view in truth]
            found.setdefault("same_views", []).append(agreement(drawn[0], drawn[1], focal))
        if say and (head + 1) % 50 == 0:
            say(f"{head + 1} of {count} heads are turned.")
    return {
        name: Agreement(Stat.of([e for e, _ in pairs]), Stat.of([s for _, s in pairs]))
        for name, pairs in found.items()
    }
