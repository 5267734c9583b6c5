"""The compiled functions for the CPU against torch in float64, with fresh inputs on every run.

A failure names the seed: ``MAQUETTE_SEED`` repeats it.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.errors import Cancelled
from engine.generators.base import CancelToken
from engine.generators.triplane import TriplaneDecoder, sample_planes
from engine.kernels import cpu
from engine.kernels.cpu_march import activate, squash
from engine.rendering.volume import RayResult, RenderSettings, render_rays, render_rays_in_chunks
from tests.kernels.fields import (
    CASES,
    SIZES,
    Case,
    assert_as_exact_as_float32,
    assert_same_pictures,
    make_decoder,
    make_planes,
    make_rays,
    march_in_double,
    middle,
    worst,
)

SEED = int(os.environ.get("MAQUETTE_SEED") or random.SystemRandom().randrange(1 << 20))
#: Of features in -1 to 1, against float64; the bound of the GPU's kernel.
BOUND = 1e-4
#: The bundled generator's sizes, and sizes that are no multiple of anything.
MORE = (
    Case(16, 32, 16, 64, 64, 700, RenderSettings(14, 12, "auto", "auto", white_back=True)),
    Case(5, 7, 3, 11, 9, 17, RenderSettings(6, 5)),
    Case(3, 2, 1, 6, 5, 9, RenderSettings(131, 7)),
)
#: A picture of EG3D's released size, a third as wide.
LARGE = Case(height=256, width=256, rays=44 * 44)


def drawn(
    case: Case, seed: int
) -> tuple[RayResult, Tensor, TriplaneDecoder, tuple[Tensor, Tensor]]:
    planes, decoder, rays = make_planes(case, seed), make_decoder(case, seed), make_rays(case, seed)
    found = cpu.try_march(planes[None], decoder, rays[0][None], rays[1][None], case.settings)
    assert found is not None
    return found, planes, decoder, rays


@pytest.mark.parametrize("case", [*CASES, *SIZES, *MORE], ids=lambda case: case.name)
def test_rays(case: Case) -> None:
    result, planes, decoder, rays = drawn(case, SEED)
    if case.rays > 100:  # among many rays float32 itself does not keep the bound
        return assert_as_exact_as_float32(result, planes, decoder, rays, case.settings)
    expected = march_in_double(planes, decoder, rays, case.settings)
    assert_same_pictures(result, expected, BOUND)
    assert middle(result.features, expected.features) < (5e-6 if case.rays < 5 else 2e-6), SEED


def test_a_large_picture_is_as_exact_as_float32() -> None:
    result, planes, decoder, rays = drawn(LARGE, SEED)
    assert_as_exact_as_float32(result, planes, decoder, rays, LARGE.settings)


def test_without_importance_samples_float32_itself_is_the_bound() -> None:
    case = replace(LARGE, settings=RenderSettings(96, 0))
    result, planes, decoder, rays = drawn(case, SEED)
    expected = march_in_double(planes, decoder, rays, case.settings)
    assert worst(result.features, expected.features) < BOUND, SEED
    assert worst(result.weight_sum, expected.weight_sum) < BOUND, SEED


@pytest.mark.parametrize("case", [CASES[0], *SIZES, *MORE], ids=lambda case: case.name)
def test_points(case: Case, threads: int) -> None:
    """Densities and features, also outside the box and on its edges, and more points than one
    piece holds."""
    planes, decoder = make_planes(case, SEED), make_decoder(case, SEED)
    torch.manual_seed(SEED)
    points = (torch.rand(2 * cpu.POINTS + 77, 3) - 0.5) * 1.3
    points[:4] = torch.tensor([[0.5] * 3, [-0.5] * 3, [9e9, 0, 0], [0, -9e9, 1]])
    settings = case.settings
    how = (settings.box_warp, settings.plane_axes)
    found = cpu.try_evaluate(planes[None], decoder, points[None], *how)
    assert found is not None and found[1] is not None
    axes = torch.tensor(settings.plane_axes, dtype=torch.float64)
    read = sample_planes(planes.double()[None], points.double()[None], settings.box_warp, axes)
    density, colour = decoder.double()(read)
    decoder.float()
    assert worst(found[0], density) < 1e-5 * float(density.abs().max()), SEED
    assert worst(found[1], colour) < 2e-5, SEED
    alone = cpu.try_evaluate(planes[None], decoder, points[None], *how, features=False)
    assert alone is not None and alone[1] is None
    assert torch.equal(alone[0], found[0])


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(cpu, "RAYS", 40)
    pictures = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        pictures.append(drawn(MORE[0], SEED)[0])
    torch.set_num_threads(before)
    for other in pictures[1:]:
        assert all(torch.equal(a, b) for a, b in zip(pictures[0], other, strict=True))


def test_exponentials() -> None:
    """Softplus and sigmoid within float32's rounding over all that a decoder can give."""
    x = np.linspace(-120, 120, 200_001, dtype=np.float32)[None]
    soft, sigmoid = x.copy(), x.copy()
    activate(soft, x.shape[1])
    squash(sigmoid, x.shape[1])
    exact = np.logaddexp(0.0, x.astype(np.float64))
    seen = exact > 1e-30
    assert np.abs(soft / exact - 1.0)[seen].max() < 4e-7
    assert soft[~seen].max() < 1e-30
    expected = 1.002 / (1.0 + np.exp(-x.astype(np.float64))) - 0.001
    assert np.abs(sigmoid - expected).max() < 2e-7


def test_what_is_not_a_number_shows_and_breaks_nothing() -> None:
    case = CASES[0]
    planes, decoder, rays = make_planes(case, 1), make_decoder(case, 1), make_rays(case, 1)
    planes[:] = torch.nan
    found = cpu.try_march(planes[None], decoder, rays[0][None], rays[1][None], case.settings)
    assert found is not None and bool(found.features.isnan().any())
    rays[1][3] = torch.nan
    found = cpu.try_march(
        make_planes(case, 1)[None], decoder, rays[0][None], rays[1][None], case.settings
    )
    assert found is not None
    assert bool(found.features[0, :3].isfinite().all())


def test_pictures_take_this_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole pictures are drawn here by default, by torch where that is asked for; both agree."""
    case = MORE[0]
    planes, decoder = make_planes(case, SEED)[None], make_decoder(case, SEED)
    origins, directions = (ray[None] for ray in make_rays(case, SEED))
    arguments = (planes, decoder, origins, directions, case.settings)
    quick = render_rays_in_chunks(*arguments)
    expected = cpu.try_march(*arguments)
    assert expected is not None
    assert all(torch.equal(a, b) for a, b in zip(quick, expected, strict=True))
    for turned_off in (False, True):
        if turned_off:
            monkeypatch.setenv("MAQUETTE_KERNELS", "0")
            assert cpu.try_march(*arguments) is None
        slow = render_rays_in_chunks(*arguments, chunk_samples=None if turned_off else 1000)
        torch.testing.assert_close(slow.features, render_rays(*arguments).features)
        assert middle(quick.features, slow.features) < 2e-6
        assert not torch.equal(quick.features, slow.features)


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_a_picture_is_given_up_between_pieces(allowed: int, threads: int) -> None:
    case = replace(LARGE, rays=16 * cpu.RAYS)
    planes, decoder = make_planes(case, 1)[None], make_decoder(case, 1)
    origins, directions = (ray[None] for ray in make_rays(case, 1))
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > allowed

    with pytest.raises(Cancelled):
        cpu.try_march(planes, decoder, origins, directions, case.settings, CancelToken(stop).check)
    assert asked <= allowed + 1


def test_changed_weights_and_planes_are_seen() -> None:
    case = CASES[1]
    planes, decoder = make_planes(case, 3)[None], make_decoder(case, 3)
    origins, directions = (ray[None] for ray in make_rays(case, 3))

    def features() -> Tensor:
        found = cpu.try_march(planes, decoder, origins, directions, case.settings)
        assert found is not None
        return found.features

    first = features()
    planes.mul_(0.5)
    second = features()
    with torch.no_grad():
        next(decoder.parameters()).mul_(0.5)
    third = features()
    assert not torch.equal(first, second) and not torch.equal(second, third)


def test_what_has_no_kernel_is_left_to_torch() -> None:
    case = CASES[0]
    planes, decoder = make_planes(case, 1)[None], make_decoder(case, 1)
    assert cpu.problem(planes, decoder) is None
    assert "float32" in (cpu.problem(planes.double(), decoder) or "")
    assert "[N, 3, C, H, W]" in (cpu.problem(planes[:, :, :8], decoder) or "")
    assert "gradients" in (cpu.problem(planes.clone().requires_grad_(), decoder) or "")
    with torch.no_grad():
        assert cpu.problem(planes.clone().requires_grad_(), decoder) is None
    assert "CPU" in (cpu.problem(planes.to("meta"), decoder) or "")
    assert "kind Sequential" in (cpu.problem(planes, decoder.net) or "")
    decoder.register_forward_hook(lambda *_: None)
    assert "hooked" in (cpu.problem(planes, decoder) or "")
