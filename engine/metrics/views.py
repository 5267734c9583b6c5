"""View consistency of any family: does a head keep its colours when the camera moves?

Pixels of one view are carried through their depth into another, as
:mod:`engine.training.bundled.consistency` does for the bundled generator, with its tolerance scaled
to the family's world.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from engine.camera import Camera, OrbitPose
from engine.frame import Frame
from engine.generators.base import Generator
from engine.metrics.depth import inside_box
from engine.training.bundled.consistency import TOLERANCE, YAWS, agreement, drawn_view
from engine.training.heads.world import FOV_Y, RADIUS


def _seen_height(pose: OrbitPose) -> float:
    """Height of what the picture shows at the place that the camera circles, world units."""
    return 2.0 * pose.radius * math.tan(math.radians(pose.fov_y) / 2.0)


def tolerance_for(pose: OrbitPose) -> float:
    """By how much depths may differ, world units: the same share of the picture's height as for
    the bundled generator."""
    return TOLERANCE * _seen_height(pose) / _seen_height(OrbitPose(radius=RADIUS, fov_y=FOV_Y))


@torch.inference_mode()
def view_consistency(generator: Generator, w: Tensor) -> tuple[float, float]:
    """Of one identity ``w`` ``[num_ws, w_dim]``, between two views 30 degrees apart.

    Returns:
        mean absolute difference of colours (full range 1; not a number where nothing could be
        compared), and the share of the head's pixels that could be compared.
    """
    facts = generator.capabilities
    tolerance = tolerance_for(facts.default_pose)
    bounds = torch.tensor(facts.bounds)
    views = []
    for yaw in YAWS:
        camera = replace(facts.default_pose, yaw=yaw, pitch=0.0).camera()
        frame = _head_only(generator.render(w, camera).cpu(), camera, bounds)
        pose = torch.tensor(camera.cam2world).float()
        views.append(drawn_view(frame, pose, facts.resolution, tolerance))
    return agreement(views[0], views[1], facts.default_pose.camera().focal, tolerance)


def _head_only(frame: Frame, camera: Camera, bounds: Tensor) -> Frame:
    """The frame without what lies outside of the field's box (painted backgrounds)."""
    inside = inside_box(frame, camera, bounds)[1].reshape(frame.alpha.shape)
    return replace(frame, alpha=frame.alpha * inside)
