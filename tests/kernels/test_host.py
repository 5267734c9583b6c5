"""The tri-plane kernels on the CPU (:mod:`tests.kernels.emulator`), against torch in float64.

Launchers, sources and the arithmetic are those of the GPU; only the hardware's approximate
exponential and logarithm are replaced by exact ones.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from engine.kernels import march, triplane
from engine.kernels.triplane import pack_decoder, pack_planes
from engine.rendering.volume import RayResult, RenderSettings, ray_limits
from tests.kernels.emulator import build, emulated
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


def host_march(
    case: Case, seed: int, *, dtype: torch.dtype = torch.float32, early_stop: float = 0.0
) -> tuple[RayResult, RayResult]:
    """One case by the kernel on the CPU, and by torch in float64."""
    planes, decoder = make_planes(case, seed), make_decoder(case, seed)
    rays = make_rays(case, seed)
    start, end = ray_limits(rays[0][None], rays[1][None], case.settings)
    limits = start[0].contiguous(), end[0].contiguous()
    with emulated():
        result = march.march(
            pack_planes(planes, dtype),
            pack_decoder(decoder),
            *rays,
            limits,
            case.settings,
            early_stop,
        )
    return result, march_in_double(planes.to(dtype), decoder, rays, case.settings)


def test_the_weights_have_the_layout_of_the_sources() -> None:
    decoder = pack_decoder(make_decoder(Case(8, 16, 4), 0))
    defines = tuple(sorted(decoder.defines(torch.float32).items()))
    text = (
        '#include "decoder.cuh"\n'
        'extern "C" int weights_count() { return mq::Weights::count; }\n'
        "struct None { int none; };\nMQ_KERNEL void nothing(const None) {}"
    )
    assert build("decoder.cuh", "nothing", defines, text).weights_count() == decoder.weights.numel()


@pytest.mark.parametrize("case", [*CASES, *SIZES], ids=lambda case: case.name)
def test_march_equals_torch_in_double(case: Case) -> None:
    result, expected = host_march(case, seed=3)
    assert_same_pictures(result, expected)
    if case.rays > 1:
        assert middle(result.features, expected.features) < 1e-6
    assert worst(result.depth_range, expected.depth_range) < 1e-5


def test_a_fine_field_is_marched_as_exactly_as_torch_does() -> None:
    """Planes of the released size, where float32 is off by 1e-4 and more in some rays."""
    case, seed = Case(height=256, width=256, rays=150), 325429
    result, _ = host_march(case, seed)
    planes, decoder, rays = make_planes(case, seed), make_decoder(case, seed), make_rays(case, seed)
    assert_as_exact_as_float32(result, planes, decoder, rays, case.settings)


def test_a_fine_field_without_importance_samples() -> None:
    case = Case(height=256, width=256, rays=60, settings=RenderSettings(96, 0))
    result, expected = host_march(case, seed=325429)
    assert_same_pictures(result, expected, 1e-4)
    assert middle(result.features, expected.features) < 2e-6


@pytest.mark.parametrize("wrong", ["features", "weight_sum"])
def test_a_small_fault_is_no_rounding(wrong: str) -> None:
    """One ray off by 0.01, or three rays in a hundred off by 1e-3, are found."""
    case, seed = Case(height=64, width=64, rays=100), 11
    planes, decoder, rays = make_planes(case, seed), make_decoder(case, seed), make_rays(case, seed)
    exact = march_in_double(planes, decoder, rays, case.settings)
    assert_as_exact_as_float32(exact, planes, decoder, rays, case.settings)
    for count, fault in ((1, 0.01), (3, 1e-3)):
        column = getattr(exact, wrong).clone()
        column[:, :count] += fault
        result = exact._replace(**{wrong: column})
        with pytest.raises(AssertionError, match=wrong):
            assert_as_exact_as_float32(result, planes, decoder, rays, case.settings)


def test_the_ray_of_a_case_with_one_hits_something() -> None:
    case = CASES[1]
    assert case.rays == 1
    for seed in range(20):
        planes, decoder = make_planes(case, seed), make_decoder(case, seed)
        result = march_in_double(planes, decoder, make_rays(case, seed), case.settings)
        assert 0.5 < float(result.weight_sum) <= 0.99


def test_the_cases_are_not_trivial() -> None:
    """Fields neither empty nor solid: else the comparisons would show little."""
    for case in (*CASES[:1], *CASES[3:]):
        planes, decoder = make_planes(case, 3), make_decoder(case, 3)
        result = march_in_double(planes, decoder, make_rays(case, 3), case.settings)
        assert result.weight_sum.min() < 0.3, case.name
        assert result.weight_sum.max() > 0.9, case.name
        assert result.features.std() > 0.2, case.name


@pytest.mark.parametrize("lanes", [8, 32])
def test_other_group_sizes_give_the_same(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(march, "LANES", lanes)
    case = Case(rays=13, settings=RenderSettings(9, 8))
    result, expected = host_march(case, seed=5)
    assert_same_pictures(result, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_planes_of_16_bits(dtype: torch.dtype) -> None:
    result, expected = host_march(Case(rays=13), seed=7, dtype=dtype)
    assert_same_pictures(result, expected)


def test_early_stop_stays_within_its_bound() -> None:
    """Few samples are decoded, depth and opacity do not change at all."""
    case = Case(rays=24)
    exact, _ = host_march(case, seed=9)
    for threshold in (1e-5, 3e-3):
        quick, _ = host_march(case, seed=9, early_stop=threshold)
        bound = 2.0 * 1.002 * threshold * 96
        assert 0.0 < worst(quick.features, exact.features) <= bound
        assert torch.equal(quick.depth, exact.depth)
        assert torch.equal(quick.weight_sum, exact.weight_sum)


@pytest.mark.parametrize("count", [1, 31, 64, 131])
@pytest.mark.parametrize("with_features", [True, False])
def test_points_equal_torch_in_double(count: int, with_features: bool) -> None:
    case = Case(height=13, width=21)
    planes, decoder = make_planes(case, count), make_decoder(case, count)
    points = _awkward_points(count)
    with emulated():
        density, features = triplane.evaluate(
            pack_planes(planes),
            pack_decoder(decoder),
            points,
            1.2,
            case.settings.plane_axes,
            with_features,
        )
    double = copy.deepcopy(decoder).double()
    wanted = triplane.evaluate_reference(
        planes.double(), double, points.double(), 1.2, case.settings.plane_axes
    )
    assert worst(density, wanted[0]) < 1e-4
    if with_features:
        assert features is not None
        assert worst(features, wanted[1]) < 2e-6
    else:
        assert features is None


def _awkward_points(count: int) -> Tensor:
    """Inside, outside, on the border, far away."""
    torch.manual_seed(count)
    points = (torch.rand(count, 3) - 0.5) * 2.0
    special = torch.tensor(
        [[0.6, 0.6, 0.6], [-0.6, 0.0, 0.6], [1e6, 0.0, 0.0], [0.0, -1e30, 0.0], [0.0, 0.0, 0.0]]
    )
    size = min(count, len(special))
    points[:size] = special[:size]
    return points


def test_weights_are_packed_where_the_sources_read_them() -> None:
    """A decoder of 8, 4 and 4 by hand: offsets of ``mq::Weights``."""
    case = Case(8, 4, 4)
    decoder = make_decoder(case, 1)
    packed = pack_decoder(decoder).weights
    first, last = decoder.net[0], decoder.net[2]
    gain = 0.7 / 8**0.5
    assert torch.allclose(packed[:32], first.weight.reshape(-1) * gain)
    # Hidden unit 2, feature 1 stands after the 32 hidden weights at row 2, column 1.
    assert torch.isclose(packed[32 + 2 * 4 + 1], last.weight[2, 2] * 0.7 / 2.0)
    assert torch.allclose(packed[48:52], first.bias * 0.7)
    assert torch.allclose(packed[52:56], last.weight[0] * 0.7 / 2.0)
    assert torch.allclose(packed[56:60], last.bias[1:] * 0.7)
    assert torch.isclose(packed[60], last.bias[0] * 0.7)
    assert packed.numel() == 64
