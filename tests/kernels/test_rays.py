"""Rays composited inside the kernel against torch in float64, held to float32's own error."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from engine.kernels import rays as module
from engine.kernels.field import PointLayers, pack_layers
from engine.kernels.rays import (
    Aggregated,
    RaySamples,
    aggregate_reference,
    rays_problem,
    try_aggregate,
)
from tests.kernels.fields import worst
from tests.kernels.places import at, everywhere
from tests.kernels.test_field import converted, make_field

#: What is not a place that importance sampling chose.
SUMS = ("hidden", "share", "front", "place", "clear")


def bundle(
    count: int, samples: int, fine: int = 0, inputs: int = 3, lengths: bool = True, **how: bool
) -> RaySamples:
    """Rays of a camera near the field; with four coordinates points anywhere."""
    torch.manual_seed(samples)
    directions = torch.randn(count, 3) * 0.2 + torch.tensor([0.0, 0.0, -1.0])
    return RaySamples(
        torch.linspace(0.0, 1.0, samples),
        torch.tensor([0.1, -0.2, 1.0]),
        directions,
        0.3,
        1.9,
        fine,
        torch.randn(count, samples, inputs) if inputs != 3 else None,
        directions.norm(dim=1) if lengths else None,
        **how,
    )


def moved(rays: RaySamples, target: torch.device | torch.dtype) -> RaySamples:
    """Every tensor of it moved or converted."""
    return replace(
        rays, **{n: v.to(target) for n, v in vars(rays).items() if isinstance(v, Tensor)}
    )


#: One sample a ray, whole blocks, rays that leave rows idle, more samples than a warp has lanes, more than one turn of a
#: block; open and closed rays, steps along the ray and between places.
CASES: dict[str, tuple[PointLayers, RaySamples]] = {
    "one sample": (make_field(8, 1, octaves=2), bundle(3, 1, stretched=True)),
    "one pass": (make_field(24, 3, octaves=3), bundle(21, 6, stretched=True, closed=True)),
    "beyond": (make_field(16, 2, octaves=5, inputs=4), bundle(37, 4, inputs=4, lengths=False)),
    "two passes": (make_field(16, 3, octaves=3), bundle(9, 14, 14, stretched=True, closed=True)),
    "places": (make_field(16, 2, octaves=2), bundle(11, 5, 9)),
    "many samples": (make_field(12, 2, octaves=2), bundle(2, 64, 40, stretched=True)),
    "sines": (make_field(24, 2), bundle(7, 8, 8, lengths=False, closed=True)),
}


def by_kernel(place: str, field: PointLayers, rays: RaySamples) -> Aggregated:
    with at(place) as device:
        found = try_aggregate(pack_layers(converted(field, device)), moved(rays, device))
    assert found is not None
    return Aggregated(*(part.cpu() for part in found))


@everywhere
@pytest.mark.parametrize("name", CASES)
def test_sums_along_rays_equal_torch(place: str, name: str) -> None:
    """At the same second samples: where those lie is tested below."""
    field, rays = CASES[name]
    mine = by_kernel(place, field, rays)
    drawn = mine.drawn if rays.fine else None
    double = None if drawn is None else drawn.double()
    exact = aggregate_reference(converted(field, torch.float64), moved(rays, torch.float64), double)
    single = aggregate_reference(field, rays, drawn)
    for part in SUMS:
        found, truth = getattr(mine, part), getattr(exact, part)
        assert found.shape == truth.shape
        # As for the field itself: three products of split numbers lose about as much as float32 does.
        assert worst(found, truth) < 3.0 * worst(getattr(single, part), truth) + 2e-6, part
    assert float(exact.hidden.std()) > 0.01 or name == "one sample"


@everywhere
@pytest.mark.parametrize("name", ["two passes", "places", "sines", "many samples"])
def test_second_samples_lie_where_torch_draws_them(place: str, name: str) -> None:
    """As near as the weights are known: a rounding moves a sample where they hardly rise."""
    field, rays = CASES[name]
    drawn = by_kernel(place, field, rays).drawn
    exact = aggregate_reference(converted(field, torch.float64), moved(rays, torch.float64)).drawn
    single = aggregate_reference(field, rays).drawn
    assert drawn.shape == exact.shape == (len(rays.directions), rays.fine)
    assert bool((drawn.diff(dim=1) >= 0).all())
    error, own = (drawn.double() - exact).abs(), (single.double() - exact).abs()
    assert float(error.max()) < 4.0 * float(own.max()) + 2e-5
    assert float(error.median()) < 2e-6


def test_a_ray_that_meets_nothing_lets_all_light_pass() -> None:
    field, rays = CASES["two passes"]
    assert field.density is not None
    nothing = replace(field, density=(field.density[0] * 0.0, torch.tensor([-1.0])))
    found = by_kernel("emulated", nothing, rays)
    assert float((found.clear - 1.0).abs().max()) < 1e-6
    assert float(found.share.abs().max()) == 0.0 and float(found.hidden.abs().max()) == 0.0
    closed = by_kernel("emulated", nothing, replace(rays, closed=False))
    # All of it falls on the last sample.
    assert float((closed.share - 1.0).abs().max()) < 1e-6
    assert float(closed.front.abs().max()) == 0.0


def test_what_is_not_a_number_shows() -> None:
    field, rays = CASES["one pass"]
    broken = moved(rays, torch.float32)
    broken.directions[3] = torch.nan
    found = by_kernel("emulated", field, broken)
    assert bool(found.hidden[3].isnan().all()) and not bool(found.hidden[:3].isnan().any())


def test_rays_that_do_not_fit_say_why() -> None:
    field = pack_layers(make_field(24, 2, octaves=2))
    assert rays_problem(field, bundle(3, 64, 64)) is None
    assert (
        rays_problem(field, bundle(3, 65))
        == "The kernel takes 3 to 64 samples of a ray in each pass."
    )
    assert rays_problem(field, bundle(3, 2, 4)) == rays_problem(field, bundle(3, 65))
    four = pack_layers(make_field(24, 2, octaves=2, inputs=4))
    assert rays_problem(four, bundle(3, 4)) == "Points along rays have three coordinates."
    assert rays_problem(four, bundle(3, 4, inputs=4)) is None
    twice = replace(bundle(3, 4, inputs=4), fine=4)
    assert rays_problem(four, twice) == "Second samples lie along the rays."
    wide = pack_layers(make_field(256, 1, octaves=2))
    assert rays_problem(wide, bundle(3, 4)) is None
    assert "do not fit" in str(rays_problem(wide, bundle(3, 4, 4)))
    bare = pack_layers(replace(make_field(24, 2, octaves=2), density=None))
    assert rays_problem(bare, bundle(3, 4)) == "Rays need a density."
    with at("emulated"):
        assert try_aggregate(wide, bundle(3, 4, 4)) is None
        assert try_aggregate(field, moved(bundle(3, 4), torch.float64)) is None
        assert try_aggregate(None, bundle(3, 4)) is None


def test_a_kernel_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    field, rays = CASES["one pass"]
    monkeypatch.setattr(module, "aggregating", type(module.aggregating)("rays", module._check))
    monkeypatch.setattr(module, "aggregate_reference", lambda *_: wrong)
    wrong = Aggregated(
        *(torch.zeros(10, 24), *(torch.zeros(10) for _ in range(4)), torch.zeros(10, 7))
    )
    with at("emulated"):
        assert try_aggregate(pack_layers(field), rays) is None
        problem = module.aggregating.problem(rays.directions)
    assert problem is not None and "draws wrongly" in problem and "the hidden of rays" in problem
