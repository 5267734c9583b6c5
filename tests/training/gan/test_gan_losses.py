"""Losses against values computed by hand or found in another way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from engine.training.gan.losses import (
    density_smoothness,
    discriminator_logistic,
    eikonal,
    gaussian_blur,
    generator_logistic,
    minimal_surface,
    path_lengths,
    path_penalty,
    pose_alignment,
    r1_penalty,
    resized,
    scores,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_logistic_losses() -> None:
    fake, real = torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 3.0])
    expected = (math.log(2.0) + math.log1p(math.exp(-2.0))) / 2.0
    assert float(generator_logistic(fake)) == pytest.approx(expected, rel=1e-6)
    on_fake, on_real = discriminator_logistic(fake, real)
    assert float(on_fake) == pytest.approx((math.log(2.0) + math.log1p(math.exp(2.0))) / 2.0)
    assert float(on_real) == pytest.approx((math.log1p(math.e) + math.log1p(math.exp(-3.0))) / 2.0)


def test_r1_of_a_quadratic_discriminator() -> None:
    """D(x) = x A x / 2 + b x has the gradient A x + b for a symmetric A."""
    random = seeded()
    a = torch.randn(12, 12, generator=random, dtype=torch.float64)
    a, b = a + a.t(), torch.randn(12, generator=random, dtype=torch.float64)
    pictures = torch.randn(5, 3, 2, 2, generator=random, dtype=torch.float64).requires_grad_()
    flat = pictures.flatten(1)
    logits = 0.5 * torch.einsum("ni,ij,nj->n", flat, a, flat) + flat @ b
    expected = 3.0 / 2.0 * (flat @ a + b).square().sum(dim=1).mean()
    assert float(r1_penalty(logits, [pictures], 3.0).detach()) == pytest.approx(
        float(expected.detach()), rel=1e-12
    )


def test_r1_adds_the_squares_of_all_inputs_and_reaches_the_weights() -> None:
    weight = torch.tensor([2.0, -1.0], requires_grad=True)
    one, two = torch.randn(4, 3, requires_grad=True), torch.randn(4, 5, requires_grad=True)
    logits = one.sum(dim=1) * weight[0] + two.sum(dim=1) * weight[1]
    penalty = r1_penalty(logits, (one, two), 1.0)
    assert float(penalty.detach()) == pytest.approx(0.5 * (3 * 4.0 + 5 * 1.0))
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert gradient.tolist() == pytest.approx([3 * 2.0, 5 * -1.0])


def test_path_lengths_of_a_linear_map() -> None:
    """Pictures M w have J^T y = M^T y, row by row; y is drawn from the same generator."""
    random = seeded(1)
    maps = torch.randn(4, 3 * 4 * 4, 6, generator=random, dtype=torch.float64)
    ws = torch.randn(2, 4, 6, generator=random, dtype=torch.float64).requires_grad_()
    pictures = torch.einsum("rpd,nrd->np", maps, ws).reshape(2, 3, 4, 4)
    lengths = path_lengths(pictures, ws, seeded(2))
    y = torch.randn(2, 3, 4, 4, generator=seeded(2), dtype=torch.float64) / 4.0
    rows = torch.einsum("rpd,np->nrd", maps, y.flatten(1))
    expected = rows.square().sum(dim=2).mean(dim=1).sqrt()
    torch.testing.assert_close(lengths, expected, rtol=1e-12, atol=0)


def test_path_length_does_not_depend_on_the_pictures_size() -> None:
    """For a map that repeats a value over all pixels, E|J^T y|^2 is C |w-gradient|^2: dividing by
    the root of the pixels takes their number out."""
    found = []
    for side in (4, 16):
        ws = torch.ones(2000, 1, 1, requires_grad=True)
        pictures = ws.reshape(-1, 1, 1, 1) * torch.ones(1, 1, side, side)
        found.append(float(path_lengths(pictures, ws, seeded(3)).square().mean().detach()))
    assert found == pytest.approx([1.0, 1.0], abs=0.1)


def test_path_penalty_follows_its_average() -> None:
    lengths = torch.tensor([1.0, 3.0], requires_grad=True)
    penalty, average = path_penalty(lengths, torch.tensor(1.0), decay=0.5, weight=2.0)
    assert float(average) == pytest.approx(1.5)
    assert not average.requires_grad
    assert float(penalty.detach()) == pytest.approx(2.0 * (0.25 + 2.25) / 2.0)
    (gradient,) = torch.autograd.grad(penalty, lengths)
    assert gradient.tolist() == pytest.approx([2.0 * (1.0 - 1.5), 2.0 * (3.0 - 1.5)])


def test_eikonal_of_known_distances() -> None:
    points = torch.randn(50, 3, generator=seeded(), dtype=torch.float64).requires_grad_()

    def gradients(field: Tensor) -> Tensor:
        return torch.autograd.grad(field.sum(), points, create_graph=True)[0]

    sphere = points.norm(dim=-1) - 0.3
    assert float(eikonal(gradients(sphere)).detach()) == pytest.approx(0.0, abs=1e-20)
    assert float(eikonal(gradients(3.0 * sphere)).detach()) == pytest.approx(4.0)
    # |p|^2 grows by 2 |p|.
    expected = (2.0 * points.detach().norm(dim=-1) - 1.0).square().mean()
    found = eikonal(gradients(points.square().sum(dim=-1))).detach()
    assert float(found) == pytest.approx(float(expected))


def test_minimal_surface() -> None:
    distances = torch.tensor([0.0, 0.01, -0.01, 0.2])
    expected = (1.0 + 2.0 / math.e + math.exp(-20.0)) / 4.0
    assert float(minimal_surface(distances)) == pytest.approx(expected, rel=1e-6)


def test_pose_alignment_is_smooth_l1() -> None:
    angles = torch.tensor([[0.0, 0.0], [0.5, 0.0]])
    read = torch.tensor([[0.2, 0.0], [0.5, 3.0]])
    assert float(pose_alignment(read, angles)) == pytest.approx((0.5 * 0.04 + 2.5) / 4.0)


def test_density_smoothness() -> None:
    assert float(density_smoothness(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 0.0]))) == 1.25


def test_scores_are_means_and_signs() -> None:
    found = scores("real", torch.tensor([2.0, -1.0, 3.0, 4.0], requires_grad=True))
    assert float(found["score/real"]) == 2.0 and float(found["score/real_sign"]) == 0.5
    assert not any(value.requires_grad for value in found.values())


def test_blur_is_the_stated_kernel() -> None:
    dot = torch.zeros(1, 1, 15, 15)
    dot[0, 0, 7, 7] = 1.0
    found = gaussian_blur(dot, 2.0)[0, 0]
    weights = torch.tensor(
        [2.0 ** -((abs(i - 7) / 2.0) ** 2) if abs(i - 7) <= 6 else 0.0 for i in range(15)]
    )
    weights = weights / weights.sum()
    torch.testing.assert_close(found, torch.outer(weights, weights))
    assert gaussian_blur(dot, 0.3) is dot


def test_resizing_keeps_means_and_gradients() -> None:
    picture = torch.randn(2, 3, 16, 16, generator=seeded(), dtype=torch.float64)
    small = resized(picture.requires_grad_(), 8)
    inner = small[..., 2:-2, 2:-2]
    assert small.shape == (2, 3, 8, 8) and bool(inner.isfinite().all())
    # Twice differentiable: R1 looks through it.
    (first,) = torch.autograd.grad(small.square().sum(), picture, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), picture)
    assert bool(second.abs().sum() > 0)
    flat = torch.full((1, 1, 16, 16), 0.7)
    torch.testing.assert_close(resized(flat, 4), torch.full((1, 1, 4, 4), 0.7))
