"""Marching by hand, and against a literal loop."""

from __future__ import annotations

import math

import pytest
import torch

from engine.rendering.compositing import (
    alpha_weights,
    blend,
    close_last,
    march_weights,
    mean_depth,
    sample_weights,
    step_alphas,
)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_two_samples_by_hand() -> None:
    depths = torch.tensor([[[2.0, 2.5]]], dtype=torch.float64)
    densities = torch.tensor([[[3.0, 5.0]]], dtype=torch.float64)
    colours = torch.tensor([[[[0.2], [0.6]]]], dtype=torch.float64)
    weights = march_weights(depths, densities)
    alpha = 1 - math.exp(-softplus(4.0 - 1.0) * 0.5)
    assert weights.shape == (1, 1, 1)
    assert weights.item() == pytest.approx(alpha, rel=1e-12)
    assert blend(sample_weights(weights), colours).item() == pytest.approx(alpha * 0.4, rel=1e-12)
    depth, total = mean_depth(depths, weights)
    assert depth.item() == pytest.approx(2.25) and total.item() == pytest.approx(alpha)


def test_march_equals_a_literal_loop() -> None:
    torch.manual_seed(0)
    depths = torch.rand(1, 3, 7, dtype=torch.float64).sort(dim=-1).values + 2
    densities = torch.randn(1, 3, 7, dtype=torch.float64) * 4
    colours = torch.rand(1, 3, 7, 2, dtype=torch.float64)
    weights = march_weights(depths, densities)
    features = blend(sample_weights(weights), colours)
    depth, total = mean_depth(depths, weights)
    for ray in range(3):
        d, s, c = depths[0, ray].tolist(), densities[0, ray].tolist(), colours[0, ray].tolist()
        clear, opacity, distance, colour = 1.0, 0.0, 0.0, [0.0, 0.0]
        for i in range(6):
            alpha = 1 - math.exp(-softplus((s[i] + s[i + 1]) / 2 - 1) * (d[i + 1] - d[i]))
            w = alpha * clear
            clear *= 1 - alpha + 1e-10
            opacity += w
            distance += w * (d[i] + d[i + 1]) / 2
            colour = [colour[k] + w * (c[i][k] + c[i + 1][k]) / 2 for k in range(2)]
        assert features[0, ray].tolist() == pytest.approx(colour, rel=1e-9)
        assert depth[0, ray].item() == pytest.approx(distance / opacity, rel=1e-9)
        assert total[0, ray].item() == pytest.approx(opacity, rel=1e-9)


def test_an_empty_ray_has_infinite_depth_and_finite_gradients() -> None:
    depths = torch.tensor([[[2.0, 2.5, 3.0]]])
    densities = torch.full((1, 1, 3), -1000.0, requires_grad=True)
    depth, total = mean_depth(depths, march_weights(depths, densities))
    assert depth.item() == math.inf and total.item() == 0.0
    depth.clamp(max=3.0).sum().backward()
    assert densities.grad is not None and bool(torch.isfinite(densities.grad).all())


def test_nerf_quadrature_equals_a_literal_loop() -> None:
    torch.manual_seed(1)
    depths = torch.rand(3, 6, dtype=torch.float64).sort(dim=-1).values + 1
    densities = torch.rand(3, 6, dtype=torch.float64) * 5
    alphas = step_alphas(depths, densities, last=0.25)
    weights, behind = alpha_weights(alphas)
    closed = close_last(weights)
    for ray in range(3):
        d, s = depths[ray].tolist(), densities[ray].tolist()
        clear, total = 1.0, 0.0
        for i in range(6):
            step = d[i + 1] - d[i] if i < 5 else 0.25
            alpha = 1 - math.exp(-s[i] * step)
            assert alphas[ray, i].item() == pytest.approx(alpha, rel=1e-12)
            assert weights[ray, i].item() == pytest.approx(alpha * clear, rel=1e-12)
            total += alpha * clear
            if i == 5:
                assert behind[ray].item() == pytest.approx(clear, rel=1e-12)
                last = alpha * clear + 1 - total
                assert closed[ray, i].item() == pytest.approx(last, rel=1e-12)
            clear *= 1 - alpha + 1e-10
    assert torch.allclose(closed.sum(-1), torch.ones(3, dtype=torch.float64))
