"""Tri-planes as one table: values worked out by hand, and torch's own interpolation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.rendering.plane_lookup import PlaneTable, tile_order


def by_grid_sample(planes: Tensor, points: Tensor, extent: float) -> Tensor:
    """``[M, C]``: one interpolation a plane, then their mean."""
    at = points / extent
    grid = torch.stack([at[:, [0, 1]], at[:, [0, 2]], at[:, [1, 2]]])[:, None]
    return F.grid_sample(planes, grid, align_corners=True)[:, :, 0].mean(dim=0).T


def test_corners_and_middles_by_hand() -> None:
    planes = torch.zeros(3, 1, 2, 2)
    planes[0, 0] = torch.tensor([[3.0, 6.0], [9.0, 12.0]])  # rows are y, columns x
    planes[1, 0, 1] = 30.0  # z = +1
    table = PlaneTable(planes, extent=2.0)
    points = [[-2, -2, -2], [2, -2, -2], [-2, 2, -2], [0, 0, -2], [2, 2, 2], [0, 0, 0]]
    read = table.read(torch.tensor(points, dtype=torch.float32))[:, 0]
    expected = [1.0, 2.0, 3.0, 7.5 / 3, 14.0, (7.5 + 15.0) / 3]
    assert read.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("side", [2, 5, 16])
def test_it_is_the_mean_of_three_interpolations(side: int) -> None:
    random = torch.Generator().manual_seed(side)
    planes = torch.randn(3, 7, side, side, generator=random)
    points = (torch.rand(4000, 3, generator=random) - 0.5) * 1.6  # far out on every side
    edges = torch.tensor([[0.3, 0.3, 0.3], [-0.3, 0.3, -0.3], [0.3001, 0, 0], [9.0, -9.0, 0.1]])
    points = torch.cat([points, edges])
    read = PlaneTable(planes, 0.3).read(points)
    torch.testing.assert_close(read, by_grid_sample(planes, points, 0.3), rtol=0, atol=2e-5)
    assert read[-2].abs().sum() > 0


def test_far_outside_there_is_nothing() -> None:
    table = PlaneTable(torch.ones(3, 4, 8, 8))
    far = torch.tensor([[1e9, 1e9, 1e9], [-5.0, 2.0, 3.0], [-1e30, 0.0, 1.3]])
    assert table.read(far).abs().max() == 0.0
    inside = torch.tensor([[0.0, 0.5, -1.0]])
    assert table.read(inside).tolist() == [pytest.approx([1.0] * 4)]


def test_planes_must_be_three_squares() -> None:
    for shape in ((2, 4, 8, 8), (3, 4, 8, 9)):
        with pytest.raises(ValueError, match="planes must be"):
            PlaneTable(torch.zeros(shape))


@pytest.mark.parametrize(("height", "width", "tile"), [(4, 4, 2), (5, 7, 3), (3, 2, 16)])
def test_tiles_come_one_after_the_other(height: int, width: int, tile: int) -> None:
    order = tile_order(height, width, torch.device("cpu"), tile).tolist()
    assert sorted(order) == list(range(height * width))
    tiles = [(pixel // width // tile, pixel % width // tile) for pixel in order]
    assert tiles == sorted(tiles)
    if tile == 2:
        assert order == [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]
