"""The kernels' own sources, compiled for the CPU, against torch in float64.

Each CUDA thread is a thread here and each group operation a barrier, so that indexing,
synchronisation and arithmetic are those of the GPU; only the hardware's approximate
exponential and logarithm are replaced by exact ones.
"""

from __future__ import annotations

import copy
import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.assets import data_dir
from engine.kernels import march, triplane
from engine.kernels.triplane import PackedDecoder, pack_decoder, pack_planes
from engine.rendering.volume import RayResult, RenderSettings, ray_limits
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

HERE = Path(__file__).resolve().parent
Build = Callable[[PackedDecoder, bool, int], ctypes.CDLL]


def _compiler() -> str:
    named = os.environ.get("CXX")
    found = shutil.which(named) if named else None
    found = found or shutil.which("g++") or shutil.which("clang++")
    if found is None:
        pytest.fail("These tests need a C++20 compiler: install g++, or name one in CXX.")
    return found


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Compiles the kernels for given sizes, once each."""
    folder = tmp_path_factory.mktemp("host")
    built: dict[str, ctypes.CDLL] = {}

    def compile_for(decoder: PackedDecoder, half: bool, lanes: int) -> ctypes.CDLL:
        defines = decoder.defines(half) | {"MQ_LANES": lanes}
        key = "-".join(str(value) for value in defines.values())
        if key not in built:
            library = folder / f"kernels-{key}.so"
            flags = ["-std=c++20", "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-pthread"]
            flags += ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
            flags += [f"-D{name}={value}" for name, value in defines.items()]
            flags += [f"-I{data_dir('cuda')}", f"-I{HERE}"]
            source = str(HERE / "host_kernels.cpp")
            run = subprocess.run(
                [_compiler(), *flags, source, "-o", str(library)], capture_output=True, text=True
            )
            assert run.returncode == 0, run.stderr
            loaded = ctypes.CDLL(str(library))
            loaded.march_params_size.restype = ctypes.c_size_t
            loaded.triplane_params_size.restype = ctypes.c_size_t
            built[key] = loaded
        return built[key]

    return compile_for


def _run(
    function: Callable[..., None], parameters: np.ndarray, blocks: int, threads: int, shared: int
) -> None:
    function(
        parameters.tobytes(), ctypes.c_uint(blocks), ctypes.c_uint(threads),
        ctypes.c_size_t(shared // 4),
    )  # fmt: skip


def host_march(
    build: Build,
    case: Case,
    seed: int,
    *,
    lanes: int = march.LANES,
    threads: int = 32,
    half: bool = False,
    early_stop: float = 0.0,
) -> tuple[RayResult, RayResult]:
    """One case by the kernel on the CPU, and by torch in float64."""
    planes, decoder = make_planes(case, seed), make_decoder(case, seed)
    rays = make_rays(case, seed)
    dtype = torch.float16 if half else torch.float32
    packed, packed_decoder = pack_planes(planes, dtype), pack_decoder(decoder)
    start, end = ray_limits(rays[0][None], rays[1][None], case.settings)
    limits = start[0].contiguous(), end[0].contiguous()
    outputs = tuple(
        torch.full(shape, torch.nan) for shape in [(case.rays, case.features), *[(case.rays,)] * 4]
    )
    assert len(outputs) == 5
    parameters = march.march_parameters(
        packed, packed_decoder, *rays, limits, case.settings, outputs, early_stop
    )
    total = case.settings.depth_resolution + case.settings.depth_resolution_importance
    shared = packed_decoder.shared_bytes + 16 * total * (threads // lanes)
    library = build(packed_decoder, half, lanes)
    # Fewer blocks than rays need, so that blocks take a second turn.
    blocks = max(1, case.rays // (threads // lanes) // 2)
    _run(library.host_march, parameters, blocks, threads, shared)
    result = march.finish(outputs, case.settings)
    expected = march_in_double(planes.to(dtype), decoder, rays, case.settings)
    return result, expected


def test_structures_have_the_layout_of_the_sources(build: Build) -> None:
    decoder = pack_decoder(make_decoder(Case(), 0))
    library = build(decoder, False, march.LANES)
    assert library.march_params_size() == march.PARAMS_DTYPE.itemsize
    assert library.triplane_params_size() == triplane.PARAMS_DTYPE.itemsize
    assert library.weights_count() == decoder.weights.numel()


@pytest.mark.parametrize("case", [*CASES, *SIZES], ids=lambda case: case.name)
def test_march_equals_torch_in_double(build: Build, case: Case) -> None:
    result, expected = host_march(build, case, seed=3)
    assert_same_pictures(result, expected)
    if case.rays > 1:
        assert middle(result.features, expected.features) < 1e-6
    assert worst(result.depth_range, expected.depth_range) < 1e-5


def test_a_fine_field_is_marched_as_exactly_as_torch_does(build: Build) -> None:
    """Planes of the released size, where float32 is off by 1e-4 and more in some rays."""
    case, seed = Case(height=256, width=256, rays=150), 325429
    result, _ = host_march(build, case, seed)
    planes, decoder, rays = make_planes(case, seed), make_decoder(case, seed), make_rays(case, seed)
    assert_as_exact_as_float32(result, planes, decoder, rays, case.settings)


def test_a_fine_field_without_importance_samples(build: Build) -> None:
    case = Case(height=256, width=256, rays=60, settings=RenderSettings(96, 0))
    result, expected = host_march(build, case, seed=325429)
    assert_same_pictures(result, expected, 1e-4)
    assert middle(result.features, expected.features) < 2e-6


@pytest.mark.parametrize("wrong", ["features", "weight_sum"])
def test_a_small_fault_is_no_rounding(build: Build, wrong: str) -> None:
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


@pytest.mark.parametrize("lanes", [1, 4])
def test_other_group_sizes_give_the_same(build: Build, lanes: int) -> None:
    case = Case(rays=13)
    result, expected = host_march(build, case, seed=5, lanes=lanes, threads=8)
    assert_same_pictures(result, expected)


def test_half_planes(build: Build) -> None:
    result, expected = host_march(build, Case(rays=13), seed=7, half=True)
    assert_same_pictures(result, expected)


def test_early_stop_stays_within_its_bound(build: Build) -> None:
    """Few samples are decoded, depth and opacity do not change at all."""
    case = Case(rays=24)
    exact, _ = host_march(build, case, seed=9)
    for threshold in (1e-5, 3e-3):
        quick, _ = host_march(build, case, seed=9, early_stop=threshold)
        bound = 2.0 * 1.002 * threshold * 96
        assert 0.0 < worst(quick.features, exact.features) <= bound
        assert torch.equal(quick.depth, exact.depth)
        assert torch.equal(quick.weight_sum, exact.weight_sum)


@pytest.mark.parametrize("count", [1, 31, 64, 131])
@pytest.mark.parametrize("with_features", [True, False])
def test_points_equal_torch_in_double(build: Build, count: int, with_features: bool) -> None:
    case = Case(height=13, width=21)
    planes, decoder = make_planes(case, count), make_decoder(case, count)
    points = _awkward_points(count)
    packed, packed_decoder = pack_planes(planes), pack_decoder(decoder)
    density = torch.full((count,), torch.nan)
    features = torch.full((count, case.features), torch.nan)
    parameters = np.zeros((), triplane.PARAMS_DTYPE)
    parameters["planes"] = triplane.planes_record(packed, 1.2, case.settings.plane_axes)
    parameters["weights"] = packed_decoder.weights.data_ptr()
    parameters["points"] = points.data_ptr()
    parameters["density"] = density.data_ptr()
    parameters["features"] = features.data_ptr() if with_features else 0
    parameters["count"] = count
    library = build(packed_decoder, False, march.LANES)
    _run(library.host_triplane, parameters, 2, 32, packed_decoder.shared_bytes)
    double = copy.deepcopy(decoder).double()
    wanted = triplane.evaluate_reference(
        planes.double(), double, points.double(), 1.2, case.settings.plane_axes
    )
    assert worst(density, wanted[0]) < 1e-4
    if with_features:
        assert worst(features, wanted[1]) < 2e-6
    else:
        assert bool(features.isnan().all())


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
