"""FiLM-conditioned sine layers against their formula, in double precision."""

from __future__ import annotations

import torch

from engine.generators.siren import film_frequencies, film_sine, fold_film


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
