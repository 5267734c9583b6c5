"""FiLM-conditioned sine layers against their formula, in double precision."""

from __future__ import annotations

import gc

import torch
from torch import Tensor

from engine.generators import siren
from engine.generators.siren import film_frequencies, film_sine, fold_film
from engine.kernels.products import LEAST_ROWS


def test_a_folded_layer_is_the_modulated_one() -> None:
    draw = torch.Generator().manual_seed(3)
    x, weight = torch.randn(5, 4, generator=draw), torch.randn(6, 4, generator=draw)
    bias, raw, phase = torch.randn(3, 6, generator=draw)
    frequency = film_frequencies(raw)
    assert torch.equal(frequency, raw * 15.0 + 30.0)
    inner = (x.double() @ weight.double().T + bias.double()) * frequency.double() + phase.double()
    folded, offset = fold_film(weight, bias, frequency, phase)
    assert folded.shape == (6, 4) and offset.shape == (6,)
    torch.testing.assert_close((x @ folded.T + offset).double(), inner, rtol=0, atol=1e-4)
    # One identity folds, a batch of identities does not; gradients need the second way.
    with torch.no_grad():
        once = film_sine(x, weight, bias, frequency, phase)
        each = film_sine(x, weight, bias, frequency.expand(5, 6), phase.expand(5, 6))
    torch.testing.assert_close(once.double(), inner.sin(), rtol=0, atol=1e-4)
    torch.testing.assert_close(each.double(), inner.sin(), rtol=0, atol=1e-4)


def test_several_identities_at_once_are_each_one_of_them() -> None:
    draw = torch.Generator().manual_seed(4)
    x, weight = torch.randn(3, 5, 4, generator=draw), torch.randn(6, 4, generator=draw)
    bias = torch.randn(6, generator=draw)
    frequency, phase = torch.randn(2, 3, 6, generator=draw).unbind()
    together = film_sine(x, weight, bias, frequency, phase)
    for one in range(3):
        alone = film_sine(x[one], weight, bias, frequency[one], phase[one])
        torch.testing.assert_close(together[one], alone, rtol=0, atol=1e-5)


def test_an_identity_is_folded_once_for_all_its_chunks() -> None:
    """And anew where weights were changed in place, or another identity comes."""
    draw = torch.Generator().manual_seed(5)
    x, weight = torch.randn(LEAST_ROWS, 40, generator=draw), torch.randn(48, 40, generator=draw)
    bias, raw, phase = torch.randn(3, 48, generator=draw)
    frequency = film_frequencies(raw)
    siren._folds.clear()

    def checked(frequency: Tensor) -> Tensor:
        found = film_sine(x, weight, bias, frequency, phase)
        inner = (x @ weight.T + bias).double() * frequency.double() + phase.double()
        torch.testing.assert_close(found.double(), inner.sin(), rtol=0, atol=1e-3)
        return siren._folds[id(frequency)][2][0]

    with torch.no_grad():
        first = checked(frequency)
        assert checked(frequency) is first
        weight.mul_(0.5)
        assert checked(frequency) is not first
        other = film_frequencies(raw + 1.0)
        checked(other)
        assert len(siren._folds) == 2
        del other
        gc.collect()
        assert len(siren._folds) == 1
