"""The kernels on a GPU against torch in float64, with fresh inputs on every run.

Memory that a kernel should write is filled with NaN beforehand, so that an element it forgets
shows. A failure names the seed: ``MAQUETTE_SEED`` repeats it.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from engine.generators.triplane import TriplaneDecoder
from engine.kernels import launch, march, triplane
from engine.kernels.triplane import pack_decoder, pack_planes
from engine.rendering.volume import RayResult, RenderSettings, ray_limits, render_rays_in_chunks
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

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not launch.available()[0], reason=launch.available()[1]),
]

GPU = torch.device("cuda", 0)
SEED = int(os.environ.get("MAQUETTE_SEED") or random.SystemRandom().randrange(1 << 20))
#: Of features in -1 to 1, against float64.
BOUND = 1e-4

#: A picture of EG3D's released size.
FULL = Case(height=256, width=256, rays=128 * 128)
EVEN = RenderSettings(depth_resolution=96, depth_resolution_importance=0)


@contextmanager
def poisoned() -> Iterator[None]:
    """torch fills new memory with NaN."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def on_gpu(
    case: Case,
    seed: int,
    dtype: torch.dtype = torch.float32,
    early_stop: float = 0.0,
    precise: bool = False,
) -> tuple[RayResult, Tensor, TriplaneDecoder, tuple[Tensor, Tensor]]:
    """One case by the kernel, and what it was made from (on the CPU)."""
    planes, decoder = make_planes(case, seed), make_decoder(case, seed)
    rays = make_rays(case, seed)
    origins, directions = (ray.to(GPU) for ray in rays)
    limits = ray_limits(origins[None], directions[None], case.settings)
    with poisoned():
        result = march.march(
            pack_planes(planes.to(GPU), dtype),
            pack_decoder(copy.deepcopy(decoder).to(GPU)),
            origins,
            directions,
            (limits[0][0].contiguous(), limits[1][0].contiguous()),
            case.settings,
            early_stop,
            precise,
        )
        torch.cuda.synchronize()
    return result, planes.to(dtype), decoder, rays


@pytest.mark.parametrize("precise", [False, True], ids=["fast", "precise"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float", "half"])
@pytest.mark.parametrize("case", [*CASES, *SIZES], ids=lambda case: case.name)
def test_march(case: Case, dtype: torch.dtype, precise: bool) -> None:
    result, planes, decoder, rays = on_gpu(case, SEED, dtype, precise=precise)
    expected = march_in_double(planes, decoder, rays, case.settings)
    assert_same_pictures(result, expected, BOUND)
    assert middle(result.features, expected.features) < (5e-6 if case.rays < 5 else 2e-6), SEED


def _thousand(result: RayResult, rays: tuple[Tensor, Tensor]) -> tuple[RayResult, Tensor, Tensor]:
    """A random thousand of a picture's rays: results, origins, directions."""
    torch.manual_seed(SEED)
    chosen = torch.randperm(FULL.rays)[:1000]
    columns = (column[:, chosen.to(GPU)] for column in result[:3])
    return RayResult(*columns, result.depth_range), rays[0][chosen], rays[1][chosen]


def test_march_of_a_whole_picture() -> None:
    """16,384 rays; a random thousand of them in float64."""
    result, planes, decoder, rays = on_gpu(FULL, SEED)
    assert bool(result.features.isfinite().all())
    picked, *rays_picked = _thousand(result, rays)
    assert_as_exact_as_float32(
        picked, planes, decoder, (rays_picked[0], rays_picked[1]), FULL.settings
    )


def test_march_of_a_whole_picture_without_importance_samples() -> None:
    """The same field and rays where no rounding moves a sample: float32 itself is the bound."""
    case = replace(FULL, settings=EVEN)
    result, planes, decoder, rays = on_gpu(case, SEED)
    assert bool(result.features.isfinite().all())
    picked, origins, directions = _thousand(result, rays)
    expected = march_in_double(planes, decoder, (origins, directions), EVEN)
    assert worst(picked.features, expected.features) < BOUND, SEED
    assert middle(picked.features, expected.features) < 2e-6, SEED
    assert worst(picked.weight_sum, expected.weight_sum) < BOUND, SEED


def test_every_run_gives_the_same_bits() -> None:
    first, *_ = on_gpu(FULL, SEED)
    second, *_ = on_gpu(FULL, SEED)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


def test_early_stop_stays_within_its_bound() -> None:
    exact, *_ = on_gpu(FULL, SEED)
    for threshold in (1e-6, 1e-4, 1e-2):
        quick, *_ = on_gpu(FULL, SEED, early_stop=threshold)
        assert worst(quick.features, exact.features) <= 2.0 * 1.002 * threshold * 96 + 1e-6
        assert torch.equal(quick.depth, exact.depth)
        assert torch.equal(quick.weight_sum, exact.weight_sum)


@pytest.mark.parametrize("with_features", [True, False])
@pytest.mark.parametrize("count", [1, 31, 129, 100_003])
def test_points(count: int, with_features: bool) -> None:
    case = Case(height=61, width=83)
    planes, decoder = make_planes(case, SEED), make_decoder(case, SEED)
    torch.manual_seed(SEED)
    points = (torch.rand(count, 3) - 0.5) * 2.0
    points[0] = torch.tensor([1e30, 0.0, -1e30])
    with poisoned():
        density, features = triplane.evaluate(
            pack_planes(planes.to(GPU)),
            pack_decoder(copy.deepcopy(decoder).to(GPU)),
            points.to(GPU),
            1.2,
            case.settings.plane_axes,
            with_features,
        )
        torch.cuda.synchronize()
    wanted = triplane.evaluate_reference(
        planes.double(), decoder.double(), points.double(), 1.2, case.settings.plane_axes
    )
    # Densities deviate by 30 here: the bound is some 1e-5 of their range.
    assert worst(density, wanted[0]) < 5e-4, SEED
    if with_features:
        assert features is not None
        assert worst(features, wanted[1]) < 1e-5, SEED
    else:
        assert features is None


def test_no_points() -> None:
    case = Case()
    density, features = triplane.evaluate(
        pack_planes(make_planes(case, 0).to(GPU)),
        pack_decoder(make_decoder(case, 0).to(GPU)),
        torch.empty(0, 3, device=GPU),
        1.0,
        case.settings.plane_axes,
    )
    assert density.shape == (0,)
    assert features is not None
    assert features.shape == (0, case.features)


def _pictures(case: Case, count: int) -> tuple[Tensor, TriplaneDecoder, Tensor, Tensor]:
    planes = torch.stack([make_planes(case, SEED + i) for i in range(count)]).to(GPU)
    rays = [make_rays(case, SEED + i) for i in range(count)]
    origins, directions = (torch.stack([ray[i] for ray in rays]).to(GPU) for i in range(2))
    return planes, make_decoder(case, SEED).to(GPU), origins, directions


@pytest.mark.parametrize("limits", ["fixed", "auto"])
def test_the_render_path_uses_the_kernel_and_agrees_with_torch(limits: str) -> None:
    settings = RenderSettings(depth_resolution=24, depth_resolution_importance=24)
    if limits == "auto":
        settings = replace(settings, ray_start="auto", ray_end="auto")
    case = Case(rays=500, settings=settings)
    planes, decoder, origins, directions = _pictures(case, 2)
    with torch.inference_mode():
        quick = march.try_march(planes, decoder, origins, directions, settings)
        assert quick is not None
        chosen = render_rays_in_chunks(planes, decoder, origins, directions, settings)
        with launch.disabled():
            assert march.try_march(planes, decoder, origins, directions, settings) is None
            slow = render_rays_in_chunks(planes, decoder, origins, directions, settings)
    for a, b in zip(quick, chosen, strict=True):
        assert torch.equal(a, b)
    assert worst(quick.features, slow.features) < BOUND, SEED
    assert worst(quick.weight_sum, slow.weight_sum) < BOUND, SEED
    assert worst(quick.depth_range, slow.depth_range) < 1e-4, SEED


def test_gradients_keep_the_torch_path() -> None:
    case = Case()
    planes, decoder, origins, directions = _pictures(case, 1)
    planes.requires_grad_(True)
    assert march.try_march(planes, decoder, origins, directions, case.settings) is None
    assert march.march_problem(planes, decoder, case.settings) == "The kernels have no gradients."


def test_another_stream_keeps_the_order_of_work() -> None:
    """The kernel must see planes written just before on that stream, and what follows on it
    must see the kernel's result."""
    case = replace(FULL, rays=4096)
    planes, decoder, origins, directions = _pictures(case, 1)
    with torch.inference_mode():
        expected = march.try_march(planes, decoder, origins, directions, case.settings)
        stream = torch.cuda.Stream()
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            late = torch.zeros_like(planes)
            torch.cuda._sleep(20_000_000)
            late.copy_(planes)
            result = march.try_march(late, decoder, origins, directions, case.settings)
            assert result is not None
            copied = result.features.clone()
        stream.synchronize()
    assert expected is not None
    assert torch.equal(copied, expected.features)


def test_a_cuda_graph_captures_the_kernel() -> None:
    """Replayed on other rays, it gives the bits of the kernel launched on them."""
    case = replace(FULL, rays=4096)
    planes, decoder, origins, directions = _pictures(case, 1)
    with torch.inference_mode():
        for _ in range(2):  # compiled and packed before the capture
            march.try_march(planes, decoder, origins, directions, case.settings)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            march.try_march(planes, decoder, origins, directions, case.settings)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = march.try_march(planes, decoder, origins, directions, case.settings)
        assert captured is not None
        before = march.try_march(planes, decoder, origins, directions, case.settings)
        origins.copy_(origins.flip(1))
        directions.copy_(directions.flip(1))
        for column in captured:
            column.fill_(torch.nan)
        graph.replay()
        torch.cuda.synchronize()
        wanted = march.try_march(planes, decoder, origins, directions, case.settings)
    assert before is not None and wanted is not None
    assert not torch.equal(before.features, wanted.features)
    for mine, eager in zip(captured, wanted, strict=True):
        assert torch.equal(mine, eager), SEED


def test_a_kernel_error_is_not_silent() -> None:
    """More shared memory than any GPU has: the launch fails, and says so."""
    case = Case()
    with pytest.raises(Exception, match=r"(?i)invalid|resources|value"):
        launch.launch(
            "march.cu",
            "march_rays",
            march.march_parameters(
                pack_planes(make_planes(case, 0).to(GPU)),
                pack_decoder(make_decoder(case, 0).to(GPU)),
                *(ray.to(GPU) for ray in make_rays(case, 0)),
                (torch.zeros(37, device=GPU), torch.ones(37, device=GPU)),
                case.settings,
                (torch.zeros(37, 32, device=GPU), *torch.zeros(4, 37, device=GPU).unbind(0)),
            ),
            device=GPU,
            blocks=1,
            threads=128,
            shared=1 << 24,
            defines={"MQ_LANES": 16},
        )
