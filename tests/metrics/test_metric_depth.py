"""Depth and view consistency on surfaces that are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.camera import OrbitPose
from engine.capabilities import Capabilities
from engine.metrics.depth import (
    depth_consistency,
    modified_chamfer,
    sample_step,
    side_yaw,
    surface_points,
)
from engine.metrics.views import tolerance_for, view_consistency
from engine.training.bundled.consistency import TOLERANCE
from tests.metrics.balls import BallGenerator


def test_the_chamfer_distance_of_a_few_points_by_hand() -> None:
    x = torch.tensor([[0.0, 0, 0], [1, 0, 0], [10, 0, 0]])
    y = torch.tensor([[0.0, 3, 4], [1, 1, 0]])
    # From x: sqrt(2) (to (1, 1, 0)), 1, sqrt(82): the median is sqrt(2). From y: 5 to the
    # first point or sqrt(26) to the second, hence 5, and 1: the median of two is 3.
    assert modified_chamfer(x, y) == pytest.approx(math.sqrt(2) + 3.0, rel=1e-6)
    assert modified_chamfer(y, x) == pytest.approx(math.sqrt(2) + 3.0, rel=1e-6)
    assert modified_chamfer(x, x) == 0.0
    assert math.isnan(modified_chamfer(x, y[:0]))


def test_what_one_view_hides_does_not_count() -> None:
    grid = torch.cartesian_prod(torch.arange(20.0), torch.arange(20.0))
    plane = torch.cat([grid, torch.zeros(400, 1)], dim=1)
    shifted = plane + torch.tensor([0.0, 0.0, 0.25])
    far = torch.cat([shifted, torch.full((150, 3), 1e3)])
    assert modified_chamfer(plane, far) == pytest.approx(0.5, rel=1e-6)


def test_many_points_are_compared_in_parts() -> None:
    random = np.random.default_rng(0)
    x, y = random.standard_normal((5000, 3)), random.standard_normal((300, 3))
    apart = np.linalg.norm(x[:, None] - y[None], axis=-1)
    expected = np.median(apart.min(1)) + np.median(apart.min(0))
    assert modified_chamfer(torch.tensor(x), torch.tensor(y)) == pytest.approx(expected, rel=1e-9)


def test_points_lie_on_the_surface_and_the_background_is_gone() -> None:
    generator = BallGenerator()
    pose = replace(generator.capabilities.default_pose, yaw=20.0, pitch=5.0)
    frame = generator.render(torch.zeros(1, 1), pose.camera())
    bounds = torch.tensor(generator.capabilities.bounds)
    points = surface_points(frame, pose.camera(), bounds)
    solid = int((frame.alpha > 0.5).sum())
    assert 100 < len(points) == solid < frame.alpha.numel()
    np.testing.assert_allclose(points.norm(dim=1).numpy(), generator.radius, atol=1e-5)
    painted = replace(frame, alpha=torch.ones_like(frame.alpha))
    assert len(surface_points(painted, pose.camera(), bounds)) == solid


def test_a_true_ball_is_consistent_and_a_turning_one_is_not() -> None:
    true = BallGenerator()
    step = sample_step(true.capabilities)
    assert step == pytest.approx(1.0 / 48)
    pixel = 2 * 2.7 * math.tan(math.radians(18.837 / 2)) / true.side
    value = depth_consistency(true, torch.zeros(1, 1), 25.0)
    # Two clouds on one surface miss each other by about half of a pixel at most, both ways.
    assert 0 < value * step < 2 * 0.71 * pixel
    swelling = BallGenerator(swell=0.05)
    # Seen from the side it is larger: both medians are the growth, but for the pixels.
    grown = 0.05 * math.sin(math.radians(25.0))
    worse = depth_consistency(swelling, torch.zeros(1, 1), 25.0) * step
    assert 2 * grown * 0.9 < worse < 2 * grown + 2 * 0.71 * pixel


def test_colours_of_a_painted_ball_agree_unless_paint_follows_the_camera() -> None:
    error, share = view_consistency(BallGenerator(), torch.zeros(1, 1))
    assert error < 0.01 and 0.4 < share < 1
    sliding, _ = view_consistency(BallGenerator(slide=1.0), torch.zeros(1, 1))
    assert sliding > 5 * error
    # What lies outside of the box is a painted background, not a head.
    backed = view_consistency(BallGenerator(backdrop=True), torch.zeros(1, 1))
    assert backed == pytest.approx((error, share), abs=0.02)


def test_scales_follow_the_family() -> None:
    eg3d = OrbitPose()
    assert tolerance_for(eg3d) == pytest.approx(TOLERANCE)
    half = OrbitPose(radius=eg3d.radius / 2)
    assert tolerance_for(half) == pytest.approx(TOLERANCE / 2)
    facts: Capabilities = BallGenerator().capabilities
    assert side_yaw(facts) == pytest.approx(1.5 * 22.5)
    assert side_yaw(facts, 10.0) == pytest.approx(15.0)
    assert side_yaw(facts, 90.0) == 80.0
