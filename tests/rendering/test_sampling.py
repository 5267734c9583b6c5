"""Samples along rays against numbers worked out by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from engine.rendering.sampling import (
    guided_depths,
    importance_depths,
    nerf_importance_depths,
    sample_histogram,
    smooth_weights,
    stratified_depths,
)


def test_even_samples_lie_in_the_middle_of_their_steps() -> None:
    start, end = torch.tensor([[2.0]]), torch.tensor([[3.0]])
    depths = stratified_depths(start, end, 5)
    # delta = 1/4; the last lies beyond the end, as in the release.
    assert depths.flatten().tolist() == pytest.approx([2.125, 2.375, 2.625, 2.875, 3.125])


def test_disparity_samples_are_even_in_inverse_depth() -> None:
    depths = stratified_depths(torch.tensor([[1.0]]), torch.tensor([[4.0]]), 3, disparity=True)
    # s = 0.25, 0.75, 1.25 -> 1/d = 1 - 0.75 s
    assert depths.flatten().tolist() == pytest.approx([1 / 0.8125, 1 / 0.4375, 1 / 0.0625])


def test_jitter_stays_in_each_step_and_is_seeded() -> None:
    start, end = torch.full((1, 200), 2.0), torch.full((1, 200), 3.0)
    one = stratified_depths(start, end, 5, jitter=torch.Generator().manual_seed(1))
    same = stratified_depths(start, end, 5, jitter=torch.Generator().manual_seed(1))
    other = stratified_depths(start, end, 5, jitter=torch.Generator().manual_seed(2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    steps = (one - 2.0) / 0.25 - torch.arange(5)
    assert 0 <= steps.min() < 0.05 and 0.95 < steps.max() < 1


def test_smoothing_takes_the_larger_neighbour_then_the_mean() -> None:
    smooth = smooth_weights(torch.tensor([[0.0, 1.0, 0.0, 0.4]]))
    # max of pairs with padding: 0, 1, 1, .4, .4 -> means .5, 1, .7, .4, + 0.01
    assert smooth[0].tolist() == pytest.approx([0.51, 1.01, 0.71, 0.41])


def test_histogram_by_hand() -> None:
    """Masses 1 and 3 over [0, 1] and [1, 3]: a quarter of the quantiles in the first bin."""
    edges, masses = torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([[1.0, 3.0]])
    drawn = sample_histogram(edges, masses, 5)
    # u = 0, .25, .5, .75, 1 -> 0, 1, 1 + 2/3, 1 + 4/3, 3; the floor of 1e-5 moves them a bit.
    assert drawn[0].tolist() == pytest.approx([0, 1, 5 / 3, 7 / 3, 3], abs=2e-5)


def test_histogram_leaves_an_empty_bin_nearly_alone() -> None:
    edges = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    drawn = sample_histogram(edges, torch.tensor([[1.0, 0.0, 1.0]]), 101)[0]
    assert int(((drawn > 1.001) & (drawn < 1.999)).sum()) <= 1
    assert drawn.tolist() == sorted(drawn.tolist())


def test_the_last_quantile_is_the_last_edge_also_where_the_last_bin_is_all_but_empty() -> None:
    """Sums that float32 rounds put it up to a hundredth of that bin elsewhere."""
    torch.manual_seed(4)
    edges, masses = torch.arange(11.0).expand(2000, -1), torch.rand(2000, 10)
    masses[:, -1] = 1e-5
    drawn = sample_histogram(edges, masses / masses.sum(dim=-1, keepdim=True), 12, right=False)
    assert (drawn[:, -1] - 10.0).abs().max() < 1e-6


def test_histogram_draws_its_distribution_at_random() -> None:
    edges, masses = torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([[1.0, 3.0]])
    drawn = sample_histogram(edges, masses, 20_000, torch.Generator().manual_seed(3))
    assert (drawn < 1).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert drawn.mean().item() == pytest.approx(0.25 * 0.5 + 0.75 * 2.0, abs=0.02)


def test_importance_samples_gather_at_the_surface() -> None:
    depths = torch.linspace(2.0, 3.0, 21).reshape(1, 1, 21)
    weights = torch.zeros(1, 1, 20, requires_grad=True)
    peaked = weights + torch.nn.functional.one_hot(torch.tensor([[12]]), 20)
    drawn = importance_depths(depths, peaked, 16)
    middle = (2.60 + 2.65) / 2
    assert not drawn.requires_grad
    assert (drawn - middle).abs().median() < 0.05
    # Never outside the middles of the first and last step.
    assert drawn.min() >= 2.025 - 1e-6 and drawn.max() <= 2.975 + 1e-6


def test_guided_samples_surround_the_surface_and_fill_empty_rays() -> None:
    guide = torch.tensor([[2.5, math.nan, 0.0, math.inf]])
    start, end = torch.full((1, 4), 2.0), torch.full((1, 4), 3.0)
    depths = guided_depths(guide, start, end, 9, width=0.05)
    assert depths.shape == (1, 4, 9) and bool(torch.isfinite(depths).all())
    assert depths[0, 0, 4].item() == pytest.approx(2.5)  # the median quantile
    assert depths[0, 0].std().item() == pytest.approx(0.05, rel=0.2)
    for ray in (1, 2, 3):
        expected = [2.0 + (k + 0.5) / 9 for k in range(9)]
        assert depths[0, ray].tolist() == pytest.approx(expected)


def test_nerf_importance_equals_a_literal_inversion() -> None:
    torch.manual_seed(2)
    depths = torch.rand(4, 6, dtype=torch.float64).sort(dim=-1).values
    weights = torch.rand(4, 6, dtype=torch.float64)
    drawn = nerf_importance_depths(depths, weights, 5)
    for ray in range(4):
        d, w = depths[ray].tolist(), weights[ray].tolist()
        edges = [(a + b) / 2 for a, b in pairwise(d)]
        masses = [x + 2e-5 for x in w[1:-1]]
        cdf = [0.0]
        for mass in masses:
            cdf.append(cdf[-1] + mass / sum(masses))
        for k in range(5):
            u = k / 4
            # The first edge whose cumulated mass reaches u.
            above = min((i for i, c in enumerate(cdf) if c >= u - 1e-15), default=4)
            below = max(above - 1, 0)
            width = cdf[above] - cdf[below]
            share = (u - cdf[below]) / (width if width >= 1e-5 else 1.0)
            expected = edges[below] + share * (edges[above] - edges[below])
            assert drawn[ray, k].item() == pytest.approx(expected, abs=1e-9)


def test_quantiles_on_an_edge_fall_to_the_side_that_is_asked_for() -> None:
    edges = torch.tensor([[0.0, 1.0, 2.0, 3.0]], dtype=torch.float64)
    # The middle bin is all but empty: exactly half of the mass lies on either side of it.
    masses = torch.tensor([[0.5, -1e-5, 0.5]], dtype=torch.float64)
    left = sample_histogram(edges, masses, 3, right=False)[0, 1].item()
    right = sample_histogram(edges, masses, 3, right=True)[0, 1].item()
    assert left == pytest.approx(1.0) and right == pytest.approx(2.0)
