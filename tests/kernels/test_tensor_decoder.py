"""The tri-plane decoder by tensor cores: as exact as without them, and used where it is meant to be."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.generators.triplane import EG3D_AXES
from engine.kernels import march, tensor_decoder, triplane
from engine.kernels.fragments import following_fragments, fragments
from engine.kernels.triplane import evaluate, evaluate_reference, pack_decoder, pack_planes
from engine.kernels.use import Kernel
from engine.rendering.volume import RenderSettings, ray_limits
from tests.kernels.emulator import emulated
from tests.kernels.fields import (
    Case,
    assert_same_pictures,
    make_decoder,
    make_planes,
    make_rays,
    march_in_double,
    worst,
)
from tests.kernels.places import at, everywhere

#: Sizes of the trial at first use, so that the emulation compiles them once; features are as wide as planes.
SMALL = Case(8, 16, 8, 9, 7)
#: Features wider than planes, hidden units that fill no 16.
UNEVEN = Case(16, 40, 24, 6, 11)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Mapping[str, int]]]:
    """Compile-time sizes of every launch."""
    seen: list[Mapping[str, int]] = []

    def spy(plain: Any) -> Any:
        def launch(*arguments: Any, **more: Any) -> None:
            seen.append(more["defines"])
            plain(*arguments, **more)

        return launch

    for module in (march, triplane):
        monkeypatch.setattr(module, "launch", spy(module.launch))
    yield seen


@everywhere
@pytest.mark.parametrize(
    ("case", "count"),
    [(SMALL, 1), (SMALL, 131), (UNEVEN, 40)],
    ids=["one point", "many", "uneven sizes"],
)
def test_points_equal_torch_in_double(place: str, case: Case, count: int) -> None:
    planes, decoder = make_planes(case, count), make_decoder(case, count)
    torch.manual_seed(count)
    points = (torch.rand(count, 3) - 0.5) * 1.4
    points[0] = torch.tensor([1e30, 0.0, -1e30])
    dtype = torch.float16
    with torch.no_grad(), at(place) as device:
        packed = pack_planes(planes.to(device), dtype)
        weights = pack_decoder(copy.deepcopy(decoder).to(device))
        arguments = (packed, weights, points.to(device), 1.2, EG3D_AXES)
        density, features = evaluate(*arguments, features=True, tensor=True)
        alone, nothing = evaluate(*arguments, features=False, tensor=True)
    exact = evaluate_reference(
        planes.to(dtype).double(), copy.deepcopy(decoder).double(), points.double(), 1.2, EG3D_AXES
    )
    # Densities deviate by 30 here; a GPU's exponential is an approximation.
    assert worst(density, exact[0]) < (1e-4 if place == "emulated" else 5e-4)
    assert features is not None
    assert worst(features, exact[1]) < (2e-6 if place == "emulated" else 1e-5)
    assert nothing is None and torch.equal(alone, density)


@everywhere
@pytest.mark.parametrize(("coarse", "fine"), [(5, 3), (33, 9), (4, 0)])
def test_rays_equal_torch_in_double(place: str, coarse: int, fine: int) -> None:
    """Fewer samples than a warp has lanes, and more; as many rays as blocks have no whole number of."""
    settings = RenderSettings(coarse, fine, box_warp=1.0)
    case = Case(8, 16, 8, 9, 7, 6, settings)
    planes, decoder, rays = make_planes(case, 2), make_decoder(case, 2), make_rays(case, 2)
    start, end = ray_limits(rays[0][None], rays[1][None], settings)
    with torch.no_grad(), at(place) as device:
        limits = (start[0].contiguous().to(device), end[0].contiguous().to(device))
        packed = pack_planes(planes.to(device), torch.float16)
        weights = pack_decoder(copy.deepcopy(decoder).to(device))
        moved = (rays[0].to(device), rays[1].to(device))
        result = march.march(packed, weights, *moved, limits, settings, tensor=True)
    expected = march_in_double(planes.half(), decoder, rays, settings)
    assert_same_pictures(result, expected, 2e-5 if place == "emulated" else 1e-4)


def test_planes_of_16_bits_take_them_and_others_do_not(
    launches: list[Mapping[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(case: Case, dtype: torch.dtype, asked: bool | None = None) -> bool:
        packed = pack_planes(make_planes(case, 0), dtype)
        weights = pack_decoder(make_decoder(case, 0))
        points = torch.zeros(3, 3)
        launches.clear()
        evaluate(packed, weights, points, 1.0, EG3D_AXES, features=False, tensor=asked)
        return launches[-1].get("MQ_TENSOR", 0) == 1

    with torch.no_grad(), emulated(orders=(1,)):
        assert taken(SMALL, torch.float16)
        assert not taken(SMALL, torch.float16, asked=False)
        assert not taken(SMALL, torch.float32)
        assert not taken(Case(8, 16, 4, 9, 7), torch.float16)  # four features
        monkeypatch.setenv("MAQUETTE_KERNELS", "triplane")
        assert not taken(SMALL, torch.float16)


def test_rays_without_room_for_them_are_marched_as_before(
    launches: list[Mapping[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RenderSettings(5, 3, box_warp=1.0)
    case = Case(8, 16, 8, 9, 7, 3, settings)
    packed = pack_planes(make_planes(case, 0), torch.float16)
    weights, rays = pack_decoder(make_decoder(case, 0)), make_rays(case, 0)
    start, end = ray_limits(rays[0][None], rays[1][None], settings)
    limits = (start[0].contiguous(), end[0].contiguous())
    least = march.shared_bytes(weights, 8)
    assert march.shared_bytes(weights, 8, tensor=True) > least
    monkeypatch.setattr(march, "MAX_SHARED", least)
    with torch.no_grad(), emulated(orders=(1,)):
        march.march(packed, weights, *rays, limits, settings, tensor=True)
    assert "MQ_TENSOR" not in launches[-1] and launches[-1]["MQ_LANES"] == march.LANES


def test_points_without_room_for_their_stage_are_decoded_as_before(
    launches: list[Mapping[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(8, 16, 8, 9, 7, 3, RenderSettings(5, 3, box_warp=1.0))
    packed = pack_planes(make_planes(case, 0), torch.float16)
    weights, points = pack_decoder(make_decoder(case, 0)), torch.rand(7, 3) - 0.5
    for least, tensor in ((weights.block_bytes(True), True), (weights.block_bytes(False), False)):
        monkeypatch.setattr(triplane, "MAX_SHARED", least)
        with torch.no_grad(), emulated(orders=(1,)):
            triplane.evaluate(packed, weights, points, 1.0, EG3D_AXES, tensor=True)
        assert ("MQ_TENSOR" in launches[-1]) is tensor


def test_weights_in_another_order_are_found_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """And torch's picture comes from the kernels without tensor cores."""
    monkeypatch.setattr(tensor_decoder, "following_fragments", fragments)
    again = Kernel("tensor", tensor_decoder._check)
    monkeypatch.setattr(tensor_decoder, "tensor_cores", again)
    planes, decoder = make_planes(SMALL, 0), make_decoder(SMALL, 0)
    points = (torch.arange(9.0) * 0.7).sin().reshape(3, 3) * 0.4
    with torch.no_grad(), emulated(orders=(1,)):
        packed = pack_planes(planes, torch.float16)
        found = evaluate(packed, pack_decoder(decoder), points, 1.0, EG3D_AXES)
        assert "draws wrongly" in str(again.problem(packed))
    exact = evaluate_reference(planes.half().float(), decoder, points, 1.0, EG3D_AXES)
    assert found[1] is not None
    assert worst(found[1], exact[1]) < 1e-5


def test_the_lanes_order_by_hand() -> None:
    weight = torch.arange(16.0 * 24).reshape(16, 24)

    def of(order: Tensor, k: int, n: int, lane: int) -> list[float]:
        tiles: list[float] = order.reshape(3, 2, 32, 2)[k, n, lane].tolist()
        return tiles

    # Lane 4 g + t of tile (k, n): row 8 n + g, and columns t and t + 4 or 2 t and 2 t + 1 of tile k.
    assert of(fragments(weight), 2, 1, 4 * 3 + 1) == [(11 * 24 + 17), (11 * 24 + 21)]
    assert of(following_fragments(weight), 2, 1, 4 * 3 + 1) == [(11 * 24 + 18), (11 * 24 + 19)]
