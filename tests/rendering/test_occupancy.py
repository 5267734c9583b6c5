"""Grids that know where a field is empty: what they may leave out, and how they are made and kept.

``MAQUETTE_SEED`` draws others.
"""

from __future__ import annotations

import gc
import math
import os
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.rendering import occupancy
from engine.rendering.occupancy import (
    KEPT,
    LEAST_SEEN,
    Grids,
    Occupancy,
    Survey,
    level_below,
    reach,
)

SEED = int(os.environ.get("MAQUETTE_SEED", "7"))
HALF = 0.5
Density = Callable[[Tensor], Tensor]


def surveyed(density: Density, side: int = 24, level: float = 0.0) -> Occupancy:
    survey = Survey(density, HALF, side, level, 1000)
    while (found := survey.step()) is None:
        pass
    return found


def empty_at(grid: Occupancy, points: Tensor) -> Tensor:
    """Whether points inside the cube lie in empty cells."""
    side = grid.cells.shape[0]
    index = ((points + grid.half) / (2 * grid.half) * side).long().clamp(0, side - 1)
    return torch.from_numpy(grid.cells)[index[:, 0], index[:, 1], index[:, 2]] == 0


def waves() -> Density:
    """Random waves as long as ten cells and more: what a network that was trained looks like to a grid."""
    draw = torch.Generator().manual_seed(SEED)
    ways = torch.randn(40, 3, generator=draw)
    ways = ways / ways.norm(dim=1, keepdim=True) * (torch.rand(40, 1, generator=draw) * 15.0)
    phases = torch.rand(40, generator=draw) * math.tau
    return lambda points: torch.cos(points @ ways.T + phases).sum(dim=1) - 6.0


@pytest.mark.parametrize("level", [0.0, -3.0])
def test_nothing_lies_in_empty_cells(level: float) -> None:
    density = waves()
    grid = surveyed(density, level=level)
    points = (
        (torch.rand(200_000, 3, generator=torch.Generator().manual_seed(SEED)) - 0.5) * 2 * HALF
    )
    empty, found = empty_at(grid, points), density(points)
    assert not bool((found[empty] > level).any()), (float(found[empty].max()), SEED)
    assert bool((found > level).any()), SEED
    assert 0.02 < grid.empty < float((found < level).double().mean()), SEED


def test_what_falls_between_the_corners_is_seen_by_its_slopes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A ball that touches no corner: the density around it rises towards it."""
    centre = torch.tensor([0.5, 0.5, 0.5]) / 24

    def density(points: Tensor) -> Tensor:
        return 1000.0 * (0.6 / 24 - (points - centre).norm(dim=1))

    inside = centre + torch.randn(500, 3) * 1e-3
    assert bool((density(inside) > 0).all())
    assert not bool(empty_at(surveyed(density), inside).any())
    monkeypatch.setattr(occupancy, "MARGIN", 0.0)
    assert bool(empty_at(surveyed(density), inside).all()), "the margin is not what finds it"


def test_what_is_not_a_number_is_not_empty() -> None:
    def density(points: Tensor) -> Tensor:
        return torch.where(points[:, 0] > 0.3, torch.nan, -1.0)

    grid = surveyed(density)
    assert bool(empty_at(grid, torch.tensor([[-0.4, 0.0, 0.0]])))
    assert not bool(empty_at(grid, torch.tensor([[0.31, 0.0, 0.0], [0.45, 0.2, 0.1]])).any())


def test_axes_and_walls_are_where_points_are() -> None:
    """Something in one corner of the cube, in another place along every axis."""
    spot = torch.tensor([0.45, -0.2, 0.1])
    grid = surveyed(lambda points: 0.05 - (points - spot).norm(dim=1))
    assert not bool(empty_at(grid, spot[None]))
    for other in ([-0.2, 0.45, 0.1], [0.1, -0.2, 0.45], [-0.45, -0.2, 0.1]):
        assert bool(empty_at(grid, torch.tensor([other])))


@pytest.mark.parametrize("shift", [0.0, -1.0])
@pytest.mark.parametrize("length", [0.24, 1.7])
def test_a_ray_below_the_level_is_hardly_hidden(length: float, shift: float) -> None:
    raw = torch.tensor(level_below(length, "softplus", shift) + shift, dtype=torch.float64)
    hidden = 1.0 - torch.exp(-torch.nn.functional.softplus(raw) * length)
    assert 0.99 * LEAST_SEEN < hidden <= LEAST_SEEN
    assert level_below(length, "relu", shift) == -shift


def test_the_cube_holds_the_outermost_rays() -> None:
    half = reach(0.12, 1.0, 12.0)
    corner = math.sqrt(2.0) * math.tan(math.radians(6.0)) * 1.12
    assert half == pytest.approx(corner) and reach(0.5, 1.0, 12.0) == 0.5


def test_a_slice_asks_for_no_more_points_than_it_was_told() -> None:
    asked: list[int] = []

    def density(points: Tensor) -> Tensor:
        asked.append(len(points))
        return -torch.ones(len(points))

    surveyed(density, side=12)
    assert max(asked) == 1000 and sum(asked) == 13**3


def nothing(points: Tensor) -> Tensor:
    return -torch.ones(len(points))


def survey(density: Density = nothing) -> Survey:
    return Survey(density, HALF, 10, 0.0, 500)


def test_a_grid_is_made_slice_by_slice_and_found_again() -> None:
    grids, w, slices = Grids(), torch.ones(2, 3), 0
    while not grids.advance(w, lambda _: survey()):
        slices += 1
        assert grids.find(w) is None
    # Three of points, and what is made of them.
    assert 3 <= slices < 12
    found = grids.find(w.clone())
    assert found is not None and found.empty == 1.0
    assert grids.advance(w, lambda _: pytest.fail("it is known"))
    grids.clear()
    assert grids.find(w) is None


def test_another_face_begins_anew() -> None:
    grids, begun = Grids(), []

    def begin(w: Tensor) -> Survey:
        begun.append(float(w))
        return survey()

    for face in (1.0, 2.0, 1.0):
        assert not grids.advance(torch.tensor(face), begin)
    assert begun == [1.0, 2.0, 1.0]


def test_what_is_given_up_holds_nothing() -> None:
    """A survey holds its face's planes, some ten megabytes: they go at once, not when Python next looks for what
    holds itself."""
    grids = Grids()

    def begun(w: Tensor) -> weakref.ref[Density]:
        density = waves()
        grids.advance(w, lambda _: survey(density))
        return weakref.ref(density)

    gc.disable()
    try:
        held = begun(torch.zeros(4))
        assert held() is not None
        begun(torch.ones(4))
        assert held() is None
    finally:
        gc.enable()


def test_only_a_few_are_kept() -> None:
    grids = Grids()
    for face in range(KEPT + 3):
        while not grids.advance(torch.tensor(face), lambda _: survey()):
            pass
    known = [face for face in range(KEPT + 3) if grids.find(torch.tensor(face)) is not None]
    assert known == list(range(3, KEPT + 3))


def test_full_fields_and_those_that_have_no_survey_are_looked_at_once() -> None:
    grids, w = Grids(), torch.ones(1)
    while not grids.advance(w, lambda _: survey(lambda points: torch.ones(len(points)))):
        pass
    assert grids.find(w) is None, "a grid that leaves nothing out is of no use"
    assert grids.advance(w, lambda _: pytest.fail("it is known"))
    assert grids.advance(w + 1, lambda _: None) and grids.find(w + 1) is None


def test_half_of_a_cube_is_half_of_its_cells() -> None:
    grid = surveyed(lambda points: points[:, 2] + 0.0)
    empty = np.argwhere(grid.cells == 0)
    assert empty[:, 2].max() < 11 and empty[:, 0].max() == 23
    assert 0.3 < grid.empty < 0.5
