"""NeRF++'s background points, against the geometry they stand for."""

from __future__ import annotations

import pytest
import torch

from engine.rendering.inverted_sphere import inverted_sphere_points


@pytest.mark.parametrize("radius", [1.0, 0.6, 0.05])
def test_points_lie_on_the_ray_and_on_their_sphere(radius: float) -> None:
    torch.manual_seed(0)
    origins = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64), dim=-1)
    origins = origins * radius
    directions = torch.nn.functional.normalize(
        -origins + 0.2 * torch.randn(50, 3, dtype=torch.float64), dim=-1
    )
    inverse = torch.tensor([1.0, 0.8, 0.5, 0.1], dtype=torch.float64).expand(50, 4)
    points = inverted_sphere_points(origins, directions, inverse)
    assert points.shape == (50, 4, 4)
    assert torch.equal(points[..., 3], inverse)
    places = points[..., :3] / inverse[..., None]
    # Independently: solve |o + t d| = r for t > 0.
    b = (origins * directions).sum(-1, keepdim=True)
    t = -b + torch.sqrt(b.square() - radius**2 + 1.0 / inverse.square())
    expected = origins[:, None] + t[..., None] * directions[:, None]
    assert torch.allclose(places, expected, atol=1e-9)


def test_infinitely_far_is_the_direction_itself() -> None:
    origin = torch.tensor([[0.0, 0.3, 0.9]], dtype=torch.float64)
    direction = torch.tensor([[0.0, 0.0, -1.0]], dtype=torch.float64)
    points = inverted_sphere_points(origin, direction, torch.zeros(1, 1, dtype=torch.float64))
    assert torch.allclose(points[0, 0], torch.tensor([0.0, 0.0, -1.0, 0.0], dtype=torch.float64))
