"""The march of pi-GAN's lineage against rays worked out by hand and a literal loop."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken
from engine.rendering.nerf_march import (
    March,
    march_guided,
    march_in_chunks,
    march_rays,
    unit_rays,
)

ORIGIN = torch.tensor([0.0, 0.0, 2.0])
AHEAD = torch.tensor([[0.0, 0.0, -1.0]])


def _uniform(density: float) -> object:
    """A fog of one density whose only feature is the distance from the camera."""

    def field(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(points[:, 0], density), 2.0 - points[:, 2:]

    return field


def _blob(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    density = 30.0 * (0.5 - points.norm(dim=-1)) + points[:, 0]
    return density, torch.cat([points.sin(), directions], dim=-1)


def test_rays_reach_the_edges_of_the_view_with_the_outermost_pixels() -> None:
    origin, directions = unit_rays(torch.eye(4), 90.0, 3, 3)
    assert origin.tolist() == [0, 0, 0]
    third = 1 / math.sqrt(3)
    assert directions[0].tolist() == pytest.approx([-third, third, -third])
    assert directions[4].tolist() == [0, 0, -1]
    half = 1 / math.sqrt(2)
    assert directions[5].tolist() == pytest.approx([half, 0, -half])


def test_previews_show_what_the_native_picture_shows() -> None:
    """Each pixel of half the side looks between the four that it stands for."""
    _, native = unit_rays(torch.eye(4), 90.0, 8, 8, native=8)
    _, half = unit_rays(torch.eye(4), 90.0, 4, 4, native=8)
    assert torch.equal(native, unit_rays(torch.eye(4), 90.0, 8, 8)[1])
    plane = [(d / -d[:, 2:])[:, :2].reshape(n, n, 2) for d, n in ((native, 8), (half, 4))]
    middles = plane[0].reshape(4, 2, 4, 2, 2).mean(dim=(1, 3))
    assert torch.allclose(plane[1], middles, atol=1e-6)


def test_even_samples_of_a_fog_by_hand() -> None:
    """Density ln 2 and steps of 1: each sample holds back half of what reaches it."""
    march = March(1.0, 4.0, 4, 0)
    result = march_rays(_uniform(math.log(2.0)), ORIGIN, AHEAD, march)
    # The last step is endless, so the last sample takes all that is left: 1/8.
    weights = [0.5, 0.25, 0.125, 0.125]
    depth = sum(w * t for w, t in zip(weights, (1, 2, 3, 4), strict=True))
    assert result.depth.item() == pytest.approx(depth)
    assert result.features.item() == pytest.approx(depth)
    assert result.weight_sum.item() == pytest.approx(1.0)
    assert result.behind.item() == pytest.approx(0.125)
    assert result.opacity.item() == pytest.approx(0.875)


def test_what_lies_behind_an_empty_ray() -> None:
    march = March(1.0, 4.0, 4, 0)
    empty = _uniform(-1.0)
    plain = march_rays(empty, ORIGIN, AHEAD, march)
    assert plain.weight_sum.item() == 0 and plain.features.item() == 0 and plain.depth.item() == 0
    assert plain.expected_depth(4.0).item() == 4.0 and plain.opacity.item() == 0
    last = march_rays(empty, ORIGIN, AHEAD, replace(march, last_back=True))
    assert last.weight_sum.item() == 1 and last.features.item() == 4 and last.depth.item() == 4
    assert last.opacity.item() == 0
    white = march_rays(empty, ORIGIN, AHEAD, replace(march, white_back=True))
    assert white.features.item() == 1 and white.weight_sum.item() == 0


def test_softplus_and_a_short_last_step() -> None:
    march = March(1.0, 4.0, 4, 0, activation="softplus", last_step=1.0)
    result = march_rays(_uniform(0.0), ORIGIN, AHEAD, march)  # softplus(0) = ln 2
    assert result.weight_sum.item() == pytest.approx(15 / 16)
    assert result.behind.item() == pytest.approx(1 / 8)


def test_guided_rays_look_within_their_steps_and_around_what_is_known() -> None:
    asked: list[Tensor] = []

    def field(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(2.0 - points[:, 2].reshape(2, -1))
        return torch.full_like(points[:, 0], -1.0), points

    march, both = March(1.0, 4.0, 4, 3), AHEAD.expand(2, -1)
    known = torch.tensor([2.2, 0.0])
    march_guided(field, ORIGIN, both, march, known, 0.1)
    # Even samples in the middles of their steps; the others at a normal distribution's sixths
    # (the quantile of 5/6 is 0.9674) times 0.1 of the ray, or spread where nothing is known.
    spread = 0.967422 * 0.3
    first = sorted([1.5, 2.5, 3.5, 4.5, 2.2 - spread, 2.2, 2.2 + spread])
    second = sorted([1.5, 2.5, 3.5, 4.5, 1.5, 2.5, 3.5])
    assert asked[0][0].tolist() == pytest.approx(first, abs=1e-4)
    assert asked[0][1].tolist() == pytest.approx(second, abs=1e-4)
    draw = torch.Generator().manual_seed(0)
    march_guided(field, ORIGIN, both, replace(march, fine=0), known, 0.1, draw)
    steps = torch.arange(1.0, 5.0)
    inside = (asked[1] >= steps) & (asked[1] < steps + 1.0)
    assert inside.all() and not torch.allclose(asked[1][0], asked[1][1])


def test_a_guided_ray_meets_a_shell_that_even_samples_pass_by() -> None:
    def shell(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        depth = 2.0 - points[:, 2:]
        return 1e5 * (0.02 - (depth[:, 0] - 2.2).abs()), depth

    march = March(1.0, 4.0, 4, 5)
    assert march_rays(shell, ORIGIN, AHEAD, march).opacity.item() == 0
    found = march_guided(shell, ORIGIN, AHEAD, march, torch.tensor([2.2]), 0.01)
    assert found.opacity.item() == pytest.approx(1.0)
    assert found.depth.item() == pytest.approx(2.2, abs=0.02)


def _literal(origin: Tensor, direction: Tensor, march: March) -> tuple[list[float], float, float]:
    """One ray, sample by sample, from the description and in float64."""

    def look(t: float) -> tuple[float, Tensor]:
        density, feature = _blob((origin + t * direction)[None], direction[None])
        return float(density), feature[0]

    def weights(samples: list[tuple[float, float, Tensor]]) -> list[float]:
        out, light = [], 1.0
        for i, (t, density, _) in enumerate(samples):
            step = samples[i + 1][0] - t if i + 1 < len(samples) else 1e10
            alpha = 1.0 - math.exp(-step * max(density, 0.0))
            out.append(alpha * light)
            light *= 1.0 - alpha + 1e-10
        return out

    n = march.coarse
    depths = [march.near + i * (march.far - march.near) / (n - 1) for i in range(n)]
    samples = [(t, *look(t)) for t in depths]
    mass = [w + 2e-5 for w in weights(samples)][1:-1]
    edges = [(a + b) / 2 for a, b in pairwise(depths)]
    cdf = [sum(mass[:i]) / sum(mass) for i in range(len(mass) + 1)]
    for j in range(march.fine):
        u = j / (march.fine - 1)
        index = next((i for i, c in enumerate(cdf) if c >= u), len(cdf))
        below, above = max(index - 1, 0), min(index, len(mass))
        width = cdf[above] - cdf[below]
        share = (u - cdf[below]) / (width if width >= 1e-5 else 1.0)
        t = edges[below] + share * (edges[above] - edges[below])
        samples.append((t, *look(t)))
    samples.sort(key=lambda s: s[0])
    final = weights(samples)
    feature = sum(w * s[2] for w, s in zip(final, samples, strict=True))
    assert isinstance(feature, Tensor)
    return feature.tolist(), sum(w * s[0] for w, s in zip(final, samples, strict=True)), sum(final)


def test_two_passes_against_a_literal_loop() -> None:
    march = March(1.2, 2.8, 9, 7)
    cam = torch.eye(4, dtype=torch.float64)
    cam[2, 3] = 2.0
    origin, directions = unit_rays(cam, 40.0, 4, 5)
    result = march_in_chunks(_blob, origin, directions, march, chunk_samples=40)
    for ray in range(20):
        feature, depth, total = _literal(origin, directions[ray], march)
        assert result.features[ray].tolist() == pytest.approx(feature, abs=1e-5)
        assert result.depth[ray].item() == pytest.approx(depth, abs=1e-5)
        assert result.weight_sum[ray].item() == pytest.approx(total, abs=1e-5)


def test_chunks_and_own_origins_change_nothing() -> None:
    origin, directions = unit_rays(torch.eye(4), 50.0, 6, 6)
    origin = origin + ORIGIN
    march = March(1.0, 3.0, 8, 8, last_back=True)
    whole = march_rays(_blob, origin, directions, march)
    parts = march_in_chunks(_blob, origin.expand(36, 3), directions, march, chunk_samples=56)
    for one, other in zip(whole, parts, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_gradients_reach_the_field() -> None:
    scale = torch.tensor(1.0, requires_grad=True)

    def field(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        density, features = _blob(points, directions)
        return density * scale, features

    march_rays(field, ORIGIN, AHEAD, March(1.0, 3.0, 8, 8)).depth.sum().backward()
    assert scale.grad is not None and scale.grad.item() < 0  # denser: seen nearer


def test_cancelling_stops_before_the_next_chunk() -> None:
    token, seen = CancelToken(), []

    def field(points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(points.shape[0])
        token.cancel()
        return _blob(points, directions)

    _, directions = unit_rays(torch.eye(4), 50.0, 6, 6)
    with pytest.raises(Cancelled):
        march_in_chunks(field, ORIGIN, directions, March(1.0, 3.0, 8, 0), token.check, 32)
    assert seen == [32]


def test_counts_and_limits() -> None:
    march = March(0.88, 1.12, 12, 12)
    assert march.scaled(0.5).coarse == 6 and march.scaled(0.01).coarse == 4
    assert replace(march, fine=0).scaled(2.0).fine == 0
    near = march.shifted(-1.0)
    assert near.near == 0.0 and near.far == pytest.approx(0.12)
    far = march.shifted(1.0)
    assert (far.near, far.far) == pytest.approx((1.88, 2.12))
    for wrong in ({"near": 2.0}, {"coarse": 3}, {"fine": -1}, {"activation": "exp"}):
        with pytest.raises(UserError):
            replace(march, **wrong)
