"""Depth consistency: do the depths of two views tell of one surface?

After StyleSDF (Or-El et al. 2022, section 4.3): the depth of a frontal and of a side view, one and a
half standard deviations of the training poses away, become two clouds of points in the world, the
background is removed, and their distance is a Chamfer distance with medians in the place of means,
so that what one view hides does not count. It is told in steps of the samples along a ray; the paper
has 0.40 for its faces. Its wording leaves open whether distances are squared; here they are not.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engine.camera import Camera
from engine.capabilities import Capabilities
from engine.frame import Frame
from engine.generators.base import Generator
from engine.rendering.rays import intrinsics_from_focal, pinhole_rays

#: The side view is so many standard deviations of the poses' yaw away.
DEVIATIONS = 1.5
#: Points further outside of the field's box than this share of its side are background.
_MARGIN = 0.02
_CHUNK = 2048


def modified_chamfer(first: Tensor, second: Tensor) -> float:
    """``median over x of min |x - y|`` plus ``median over y of min |x - y|`` for the clouds
    ``[M, 3]`` and ``[N, 3]``. The median of an even number is the mean of the middle two. Not a
    number where a cloud is empty."""
    if not len(first) or not len(second):
        return float("nan")
    return _median(_nearest(first, second)) + _median(_nearest(second, first))


def _nearest(points: Tensor, others: Tensor) -> Tensor:
    """``[M]`` distance of each point to the nearest of the others, without the rounding that
    expanding the square brings."""
    exact = "donot_use_mm_for_euclid_dist"
    parts = [
        torch.cdist(part, others, compute_mode=exact).amin(dim=1)
        for part in torch.split(points, _CHUNK)
    ]
    return torch.cat(parts)


def _median(values: Tensor) -> float:
    return float(values.double().quantile(0.5))


def inside_box(frame: Frame, camera: Camera, bounds: Tensor) -> tuple[Tensor, Tensor]:
    """Where the rays of a frame end, and whether that is in the field's box.

    Args:
        bounds: ``[2, 3]`` corners of the box, world units.

    Returns:
        ``[H * W, 3]`` float64 points in the world, and ``[H * W]`` of truth values.
    """
    height, width = frame.depth.shape
    pose = torch.as_tensor(camera.cam2world.copy())[None].double()
    lens = intrinsics_from_focal(torch.tensor([camera.focal], dtype=torch.float64))
    origins, directions = pinhole_rays(pose, lens, height, width)
    points = origins[0] + directions[0] * frame.depth.double().cpu().reshape(-1, 1)
    low, high = bounds.double()
    slack = _MARGIN * (high - low)
    return points, ((points > low - slack) & (points < high + slack)).all(dim=1)


def surface_points(frame: Frame, camera: Camera, bounds: Tensor) -> Tensor:
    """``[N, 3]`` float64 where the rays of a frame hit the head, world units.

    What is at most half opaque, or outside the field's box ``bounds`` ``[2, 3]``, is background.
    """
    points, inside = inside_box(frame, camera, bounds)
    return points[inside & (frame.alpha.cpu().reshape(-1) > 0.5)]


def sample_step(capabilities: Capabilities) -> float:
    """What distances are told in: the depth of the field's box by the samples along a ray (for
    StyleSDF the paper's: 0.24 / 24)."""
    low, high = capabilities.bounds
    return (high[2] - low[2]) / capabilities.samples_per_ray


def side_yaw(capabilities: Capabilities, yaw_deviation: float | None = None) -> float:
    """Yaw of the side view in degrees: one and a half of the poses' standard deviation, that of
    the data where it is known, else a quarter of the range that the model was trained in."""
    low, high = capabilities.yaw_range
    deviation = (high - low) / 4.0 if yaw_deviation is None else yaw_deviation
    return min(DEVIATIONS * deviation, 80.0)


@torch.inference_mode()
def depth_consistency(generator: Generator, w: Tensor, yaw: float) -> float:
    """The modified Chamfer distance of one identity ``w`` ``[num_ws, w_dim]`` between the frontal view and the view
    ``yaw`` degrees aside, in steps (:func:`sample_step`). Not a number where a view is empty."""
    facts = generator.capabilities
    bounds = torch.tensor(facts.bounds)
    clouds = []
    for angle in (0.0, yaw):
        camera = replace(facts.default_pose, yaw=angle, pitch=0.0).camera()
        clouds.append(surface_points(generator.render(w, camera), camera, bounds))
    return modified_chamfer(clouds[0], clouds[1]) / sample_step(facts)
