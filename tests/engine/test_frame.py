"""Frames and the pictures made of them, by hand-computed values."""

from __future__ import annotations

import math

import pytest
import torch

from engine.frame import Frame, normals_from_depth
from engine.views import view_image


def plane_rays(size: int, half: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    """Rays of a camera at (0, 0, 3) that looks along -Z, y down the rows."""
    steps = torch.linspace(-half, half, size)
    y, x = torch.meshgrid(-steps, steps, indexing="ij")
    directions = torch.nn.functional.normalize(torch.stack([x, y, -torch.ones_like(x)], -1), dim=-1)
    return torch.tensor([0.0, 0.0, 3.0]).expand_as(directions), directions


def depth_of_plane(origin, directions, normal, offset):
    """Distance along each ray to the plane ``normal . p = offset``."""
    return (offset - origin @ normal) / (directions @ normal)


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.4, 0.0), (0.0, -0.5), (0.3, 0.2)])
def test_normals_of_a_tilted_plane_are_its_normal(tilt):
    origin, directions = plane_rays(16)
    normal = torch.nn.functional.normalize(torch.tensor([*tilt, 1.0]), dim=0)
    depth = depth_of_plane(origin, directions, normal, 0.1)
    found = normals_from_depth(depth, torch.ones(16, 16), origin, directions)
    torch.testing.assert_close(found[2:-2, 2:-2], normal.expand(12, 12, 3), atol=1e-4, rtol=0)


def test_normals_are_zero_where_nothing_is_hit():
    origin, directions = plane_rays(8)
    alpha = torch.zeros(8, 8)
    alpha[3, 4] = 1
    found = normals_from_depth(torch.full((8, 8), 2.0), alpha, origin, directions)
    assert found.abs().sum(-1).nonzero().tolist() == [[3, 4]]


def make_frame(**changes) -> Frame:
    values = {
        "rgb": torch.full((4, 4, 3), 1.5),
        "raw": torch.full((2, 2, 3), -0.5),
        "depth": torch.tensor([[1.0, 2.0], [3.0, math.inf]]),
        "alpha": torch.tensor([[1.0, 1.0], [0.6, 0.0]]),
        "normal": torch.zeros(2, 2, 3),
    }
    return Frame(**{**values, **changes})


def test_views_are_clamped_and_of_the_right_size():
    frame = make_frame()
    assert view_image(frame, "picture").tolist() == torch.ones(4, 4, 3).tolist()
    assert view_image(frame, "raw").tolist() == torch.zeros(2, 2, 3).tolist()
    assert view_image(frame, "opacity")[1, 0].tolist() == pytest.approx([0.6] * 3)
    assert view_image(frame, "normals").tolist() == torch.full((2, 2, 3), 0.5).tolist()


def test_depth_is_bright_near_and_black_where_nothing_is_hit():
    shown = view_image(make_frame(), "depth")[..., 0]
    expected = torch.tensor([[1.0, 1 - 0.85 / 2], [0.15, 0.0]])
    torch.testing.assert_close(shown, expected)


def test_depth_of_an_empty_picture_is_black():
    frame = make_frame(alpha=torch.zeros(2, 2))
    assert view_image(frame, "depth").sum() == 0


def test_normals_must_have_been_rendered():
    with pytest.raises(ValueError, match="normals"):
        view_image(make_frame(normal=None), "normals")
