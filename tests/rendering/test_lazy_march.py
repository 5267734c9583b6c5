"""Marches that leave out what is not seen, against those that evaluate every sample.

``MAQUETTE_SEED`` draws others.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from engine.errors import Cancelled
from engine.generators.base import NEVER, CancelToken
from engine.rendering.lazy_march import march_lazily
from engine.rendering.nerf_march import March, Marched, march_rays, unit_rays
from engine.rendering.occupancy import (
    EVERYWHERE,
    LEAST_LIGHT,
    LEAST_SEEN,
    Occupancy,
    Survey,
    level_below,
)

SEED = int(os.environ.get("MAQUETTE_SEED", "7"))
#: Of features in -1 to 1: what is left out, on both sides, and rounding.
BOUND = 2.0 * (LEAST_SEEN + LEAST_LIGHT) + 5e-6
MARCHES = (
    March(0.5, 1.5, 16, 0),
    March(0.5, 1.5, 16, 0, activation="softplus", last_step=1e-3),
    March(0.5, 1.5, 12, 12),
    March(0.5, 1.5, 12, 12, last_back=True),
    March(0.5, 1.5, 12, 7, activation="softplus", white_back=True),
    March(0.5, 1.5, 12, 12, activation="softplus", last_step=1e-3),
)


class Blobs:
    """Some soft balls of random colours around the origin, and how often they were asked for."""

    def __init__(self, hardness: float = 4000.0) -> None:
        draw = torch.Generator().manual_seed(SEED)
        self._centres = (torch.rand(6, 3, generator=draw) - 0.5) * 0.4
        self._radii = 0.05 + 0.08 * torch.rand(6, generator=draw)
        self._hardness, self.points = hardness, 0

    def density(self, points: Tensor) -> Tensor:
        centres, radii = self._centres.to(points), self._radii.to(points)
        depth: Tensor = (radii - torch.cdist(points, centres)).amax(dim=1)
        return self._hardness * depth

    def __call__(self, points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        self.points += len(points)
        return self.density(points), torch.sin(7.0 * points + 0.3)

    def grid(self, march: March) -> Occupancy:
        level = level_below(march.far - march.near, march.activation)
        survey = Survey(self.density, 0.4, 32, level, 1 << 14)
        while (found := survey.step()) is None:
            pass
        return found


def rays(side: int = 20) -> tuple[Tensor, Tensor]:
    camera = torch.eye(4)
    camera[:3, 3] = torch.tensor([0.05, -0.02, 1.0])
    return unit_rays(camera, 40.0, side, side)


def largest(found: Marched, expected: Marched) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(found, expected, strict=True))


def name_of(march: March) -> str:
    return f"{march.coarse}+{march.fine}-{march.activation}{'-back' * march.last_back}"


@pytest.mark.parametrize("march", MARCHES, ids=name_of)
@torch.inference_mode()
def test_the_same_pictures_from_few_samples(march: March) -> None:
    every, some, early = Blobs(), Blobs(), Blobs()
    expected = march_rays(every, *rays(), march)
    assert 0.05 < float(expected.opacity.mean()) < 0.95, SEED
    assert largest(march_lazily(early, *rays(), march, EVERYWHERE), expected) < BOUND, SEED
    assert largest(march_lazily(some, *rays(), march, some.grid(march)), expected) < BOUND, SEED
    assert early.points < every.points
    assert some.points < 0.6 * every.points


@torch.inference_mode()
def test_nothing_is_left_out_of_a_haze() -> None:
    march, every, some = MARCHES[2], Blobs(0.0), Blobs(0.0)

    def haze(blobs: Blobs, points: Tensor, ways: Tensor) -> tuple[Tensor, Tensor]:
        found, features = blobs(points, ways)
        return found + 0.5, features

    expected = march_rays(lambda p, d: haze(every, p, d), *rays(), march)
    found = march_lazily(lambda p, d: haze(some, p, d), *rays(), march, EVERYWHERE)
    assert some.points == every.points and largest(found, expected) < 5e-6


@torch.inference_mode()
def test_what_finer_steps_see_behind_a_thin_wall_is_asked_again() -> None:
    """The even steps take a thin wall for as thick as a step: nothing is seen behind it then. With the other
    samples in between it is thin, and the even samples behind it count."""
    march = March(0.5, 1.5, 11, 24)

    def wall(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        depth = 1.0 - points[:, 2]
        thin = (depth - 0.8).abs() < 0.004
        behind = (depth > 1.05).float()
        return torch.where(thin, 150.0, 0.0) + behind, torch.stack([thin.float(), behind], dim=1)

    origin, directions = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([[0.0, 0.0, -1.0]])
    expected = march_rays(wall, origin, directions, march)
    even = march_rays(wall, origin, directions, replace(march, fine=0))
    assert float(even.features[0, 1]) < 1e-6 and float(expected.features[0, 1]) > 0.05
    found = march_lazily(wall, origin, directions, march, EVERYWHERE)
    assert largest(found, expected) < BOUND


@torch.inference_mode()
def test_the_last_sample_is_never_empty() -> None:
    """Its step is endless: a softplus of a very low density is opaque there."""
    march = March(0.5, 1.5, 8, 0, activation="softplus")
    nowhere = Occupancy(EVERYWHERE.cells * 0, 4.0)

    def thin(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full((len(points),), -12.0), torch.ones(len(points), 1)

    found = march_lazily(thin, *rays(), march, nowhere)
    assert largest(found, march_rays(thin, *rays(), march)) < BOUND
    assert float(found.features.min()) > 0.99


@torch.inference_mode()
def test_what_is_not_a_number_shows() -> None:
    def broken(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full((len(points),), torch.nan), torch.ones(len(points), 1)

    for march in (MARCHES[0], MARCHES[4]):
        assert not bool(march_lazily(broken, *rays(), march, EVERYWHERE).features.isfinite().any())


@torch.inference_mode()
def test_it_stops_when_asked() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        march_lazily(Blobs(), *rays(), MARCHES[2], EVERYWHERE, token.check)
    march_lazily(Blobs(), *rays(), MARCHES[2], EVERYWHERE, NEVER.check)
