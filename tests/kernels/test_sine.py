"""Compiled sines against float64's, and what is left to torch."""

from __future__ import annotations

import pytest
import torch

from engine.generators.siren import film_sine
from engine.kernels.pieces import in_pieces
from engine.kernels.sine import LEAST, PIECE, sine_


@pytest.mark.parametrize("reach", [3.0, 100.0, 10_000.0])
def test_as_exact_as_float32_allows(reach: float) -> None:
    x = torch.linspace(-reach, reach, 400_003)
    expected = x.double().sin()
    found = sine_(x.clone())
    assert (found - expected).abs().max() < 1e-7
    assert not torch.equal(found, x.sin()), "torch drew this"


def test_zero_turns_and_what_is_no_number() -> None:
    x = torch.zeros(LEAST)
    x[1:4] = torch.tensor([torch.pi, -torch.pi / 2, 1e30])
    x[4:7] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    found = sine_(x)
    assert found[0] == 0.0 and abs(float(found[1])) < 2e-7 and abs(float(found[2]) + 1.0) < 2e-7
    assert abs(float(found[3])) <= 1.0
    assert bool(found[4:7].isnan().all()) and bool((found[7:] == 0.0).all())


def test_it_works_in_place_whatever_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    torch.manual_seed(3)
    x = torch.randn(5 * PIECE // 128 + 1, 128) * 30
    pictures = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        own = x.clone()
        assert sine_(own) is own
        pictures.append(own)
    torch.set_num_threads(before)
    assert all(torch.equal(pictures[0], other) for other in pictures[1:])


def test_the_rest_is_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    small, double = torch.randn(LEAST - 1), torch.randn(LEAST, dtype=torch.float64)
    turned = torch.randn(128, 128).T
    for x in (small, double, turned):
        assert torch.equal(sine_(x.clone(memory_format=torch.preserve_format)), x.sin())
    large = torch.randn(LEAST)
    monkeypatch.setenv("MAQUETTE_KERNELS", "0")
    assert torch.equal(sine_(large.clone()), large.sin())


def test_gradients_pass_through_the_same_numbers() -> None:
    torch.manual_seed(1)
    x = torch.randn(LEAST // 16, 3, requires_grad=True)
    weight, bias, frequency = torch.randn(64, 3), torch.randn(64), torch.full((64,), 3.0)
    film_sine(x, weight, bias, frequency, bias).sum().backward()
    inner = 3.0 * (x.detach() @ weight.T + bias) + bias
    assert x.grad is not None
    torch.testing.assert_close(x.grad, (3.0 * inner.cos()) @ weight, rtol=1e-4, atol=1e-4)
    angles = torch.randn(LEAST, requires_grad=True)
    learned = sine_(angles)
    assert torch.equal(learned, sine_(angles.detach().clone()))
    assert not torch.equal(angles, learned), "what is differentiated must stay"
    (slope,) = torch.autograd.grad(learned.sum(), angles, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), angles)
    torch.testing.assert_close(bend, -angles.sin())


def test_pieces_are_all_worked_on_once() -> None:
    seen: list[int] = []
    in_pieces(1001, 100, lambda first, last: seen.extend(range(first, last)), None)
    assert sorted(seen) == list(range(1001))
    in_pieces(0, 100, lambda first, last: seen.append(-1), None)
    assert -1 not in seen
