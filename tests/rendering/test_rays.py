"""Rays against the intrinsics formula, golden cameras, and boxes by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.camera import FAMILY_AXES, Camera, OrbitPose
from engine.rendering.rays import (
    box_limits,
    framed_grid,
    inclusive_grid,
    intrinsics_from_focal,
    pinhole_rays,
)

GOLDENS = Path(__file__).parents[1] / "data" / "goldens" / "eg3d_ffhq" / "golden.npz"


def test_rays_follow_the_intrinsics_with_skew_and_offset() -> None:
    fx, fy, cx, cy, skew = 2.0, 1.5, 0.4, 0.55, 0.1
    intrinsics = torch.tensor([[[fx, skew, cx], [0, fy, cy], [0, 0, 1]]], dtype=torch.float64)
    angle = 0.3
    cam2world = torch.eye(4, dtype=torch.float64)
    cam2world[0, 0] = cam2world[2, 2] = math.cos(angle)
    cam2world[0, 2], cam2world[2, 0] = math.sin(angle), -math.sin(angle)
    cam2world[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    origins, directions = pinhole_rays(cam2world[None], intrinsics, 2, 4)
    assert origins.shape == directions.shape == (1, 8, 3)
    for i in range(2):
        for j in range(4):
            # A point at depth 1 along the ray must project to the pixel's middle:
            # u = fx x + skew y + cx, v = fy y + cy.
            ray = directions[0, 4 * i + j]
            local = cam2world[:3, :3].T @ ray
            x, y = (local[:2] / local[2]).tolist()
            assert fx * x + skew * y + cx == pytest.approx((j + 0.5) / 4, abs=1e-12)
            assert fy * y + cy == pytest.approx((i + 0.5) / 2, abs=1e-12)
            assert ray.norm().item() == pytest.approx(1.0, abs=1e-12)
            assert local[2] > 0
            assert origins[0, 4 * i + j].tolist() == [1.0, 2.0, 3.0]


def test_first_ray_of_a_frontal_camera_by_hand() -> None:
    """In front of the face (z = 2, looking along -z) the picture's right is the world's +x."""
    cam2world = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))[None]
    cam2world[0, 2, 3] = 2.0
    _, directions = pinhole_rays(cam2world, intrinsics_from_focal(torch.tensor([0.5])), 2, 2)
    # u = v = 0.25 -> x = y = -0.5 in the camera, that is (-0.5, 0.5, -1) in the world.
    expected = torch.tensor([-0.5, 0.5, -1.0]) / math.sqrt(1.5)
    torch.testing.assert_close(directions[0, 0], expected)


@pytest.mark.parametrize(
    ("view", "yaw", "p"), [("front", 0, 0), ("yaw", 0.3, 0), ("pitch", 0, 0.15)]
)
def test_orbit_poses_give_the_authors_look_at_matrices(view: str, yaw: float, p: float) -> None:
    """Their pitch p lifts the camera to y = -2 r p / pi; both orbit the origin and look at
    the pivot."""
    theirs = np.load(GOLDENS)[f"cam2world@{view}"]
    elevation = math.degrees(math.asin(-2.0 * p / math.pi))
    pose = OrbitPose(math.degrees(yaw), elevation, radius=2.7, look_at=(0.0, 0.0, 0.2))
    ours = FAMILY_AXES["eg3d"].from_ours(pose.camera().cam2world)
    np.testing.assert_allclose(ours, theirs, atol=3e-7)


def test_focal_of_the_default_view_round_trips() -> None:
    pose = OrbitPose(fov_y=Camera.fov_from_focal(4.2647))
    assert pose.camera().focal == pytest.approx(4.2647)


def test_box_limits_by_hand() -> None:
    origins = torch.tensor(
        [[0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [0.9, 0.0, 3.0]]
    )
    diagonal = 1 / math.sqrt(2)
    directions = torch.tensor(
        [
            [0.0, 0.0, -1.0],  # straight through a face: enters at 2, leaves at 4
            [diagonal, 0.0, diagonal],  # from inside: enters at 0, leaves at sqrt(2)
            [0.0, 0.0, -1.0],  # parallel to a slab, above it: misses
            [0.0, 0.0, 1.0],  # the box lies behind
            [0.0, 0.0, -1.0],  # parallel to a slab, within it
        ]
    )
    start, end, valid = box_limits(origins, directions, side=2.0)
    assert valid.tolist() == [True, True, False, False, True]
    assert start[valid].tolist() == pytest.approx([2.0, 0.0, 2.0])
    assert end[valid].tolist() == pytest.approx([4.0, math.sqrt(2), 4.0])


def test_framed_grids_keep_the_picture_in_place() -> None:
    """Screen position s (0 to 1) of a pixel's middle shows the same point at every size."""
    native, _ = inclusive_grid(9, 9)
    assert torch.equal(framed_grid(9, 9)[0], native)
    for side in (3, 5, 27):
        x, y = framed_grid(side, 9)
        screen = (torch.arange(side) + 0.5) / side
        # At 9 pixels, middles at 1/18 and 17/18 of the screen are -1 and 1.
        torch.testing.assert_close(x[0], (screen - 0.5) * 2.0 * 9 / 8)
        torch.testing.assert_close(y[:, 0], -x[0])
    assert framed_grid(3, 9)[0][0, 0] == pytest.approx(-0.75)
