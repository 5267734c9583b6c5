"""Compiled tri-plane rays with most samples left out, against those with all of them.

``MAQUETTE_SEED`` draws others.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.errors import Cancelled
from engine.generators.base import CancelToken
from engine.generators.stylegan2 import FullyConnected
from engine.generators.triplane import TriplaneDecoder
from engine.kernels import cpu
from engine.rendering.occupancy import EVERYWHERE, Occupancy, Survey, level_below
from engine.rendering.volume import RayResult, RenderSettings
from tests.kernels.fields import CASES, Case, make_decoder, make_planes, make_rays

SEED = int(os.environ.get("MAQUETTE_SEED", "7"))
#: Of features in -1 to 1, where nothing but what no light reaches is left out, and where what is empty is.
EARLY, BOUND = 2e-5, 1e-4
SHARP = (
    Case(16, 32, 16, 32, 32, 300, RenderSettings(14, 12, "auto", "auto", white_back=True)),
    Case(5, 7, 3, 11, 9, 70, RenderSettings(24, 9)),
    Case(8, 16, 5, 16, 16, 70, RenderSettings(40, 0, "auto", "auto")),
    Case(4, 6, 2, 12, 12, 40, RenderSettings(7, 3, disparity_space_sampling=True)),
)


def march(case: Case, grid: Occupancy | None, decoder: TriplaneDecoder | None = None) -> RayResult:
    planes, rays = make_planes(case, SEED), make_rays(case, SEED)
    decoder = decoder or make_decoder(case, SEED)
    with torch.inference_mode():
        found = cpu.try_march(
            planes[None], decoder, rays[0][None], rays[1][None], case.settings, grid=grid
        )
    assert found is not None
    return found


def differ(found: RayResult, expected: RayResult) -> float:
    """Largest difference of features and opacities, and of depths where something is seen."""
    seen = expected.weight_sum > 0.01
    pairs = zip(found[:3], expected[:3], strict=True)
    parts = [(a - b).abs() for a, b in pairs]
    return float(torch.cat([parts[0].flatten(), parts[1][seen], parts[2].flatten()]).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_where_nothing_is_known_to_be_empty(case: Case) -> None:
    assert differ(march(case, EVERYWHERE), march(case, None)) < EARLY, SEED


def sharp(case: Case) -> TriplaneDecoder:
    """A decoder with hard surfaces, and much empty space between them."""
    decoder = make_decoder(case, SEED)
    last = decoder.net[2]
    assert isinstance(last, FullyConnected) and last.bias is not None
    points = (torch.rand(1, 4000, 3, generator=torch.Generator().manual_seed(SEED)) - 0.5) * 0.9
    with torch.no_grad():
        last.weight[0] *= 60.0

        def raw() -> Tensor:
            return density(case, decoder, points[0])

        last.bias[0] -= raw().quantile(0.8) / last.bias_gain
    return decoder


def density(case: Case, decoder: TriplaneDecoder, points: Tensor) -> Tensor:
    settings = case.settings
    with torch.inference_mode():
        found = cpu.try_evaluate(
            make_planes(case, SEED)[None], decoder, points[None], settings.box_warp,
            settings.plane_axes, features=False,
        )  # fmt: skip
    assert found is not None
    return found[0][0]


@pytest.mark.parametrize("case", SHARP, ids=lambda case: case.name)
def test_empty_space_is_left_out_unseen(case: Case) -> None:
    decoder = sharp(case)
    level = level_below(case.settings.longest, "softplus", shift=-1.0)
    half = case.settings.box_warp / 2.0
    survey = Survey(lambda points: density(case, decoder, points), half, 64, level, 1 << 16)
    while (grid := survey.step()) is None:
        pass
    assert 0.1 < grid.empty < 0.9, SEED
    expected = march(case, None, decoder)
    assert differ(march(case, grid, decoder), expected) < BOUND, SEED
    # A grid that is wrong about it is seen, which tells that cells are read where they are.
    for axis in range(3 if case.rays > 200 else 0):
        turned = Occupancy(np.flip(grid.cells, axis).copy(), half)
        assert differ(march(case, turned, decoder), expected) > 10 * BOUND, (axis, SEED)


def test_nothing_is_evaluated_in_an_empty_world() -> None:
    case = SHARP[0]
    nowhere = Occupancy(np.zeros((4, 4, 4), np.uint8), 100.0)
    found = march(case, nowhere)
    assert float(found.weight_sum.abs().max()) == 0.0
    backdrop = 2.0 * case.settings.backdrop - 1.0
    assert torch.equal(found.features, torch.full_like(found.features, backdrop))
    assert bool(found.depth.isfinite().all())


def test_what_is_not_a_number_shows() -> None:
    case = SHARP[0]
    decoder = make_decoder(case, SEED)
    last = decoder.net[2]
    assert isinstance(last, FullyConnected) and last.bias is not None
    with torch.no_grad():
        last.bias[0] = torch.nan
    assert not bool(march(case, EVERYWHERE, decoder).features.isfinite().any())


def test_any_number_of_threads_draws_the_same(threads: int) -> None:
    case = replace(SHARP[0], rays=1500)
    several = march(case, EVERYWHERE)
    torch.set_num_threads(1)
    for a, b in zip(several, march(case, EVERYWHERE), strict=True):
        assert torch.equal(a, b)


def test_it_stops_when_asked() -> None:
    token = CancelToken()
    token.cancel()
    case, decoder = SHARP[0], make_decoder(SHARP[0], SEED)
    rays = make_rays(case, SEED)
    with torch.inference_mode(), pytest.raises(Cancelled):
        cpu.try_march(
            make_planes(case, SEED)[None], decoder, rays[0][None], rays[1][None], case.settings,
            token.check, EVERYWHERE,
        )  # fmt: skip
