"""Products by oneDNN against double precision, and what is left to torch."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.base import Quality, latent_from_seed
from engine.generators.cips3d import CIPS3D
from engine.kernels import products
from engine.kernels.products import LEAST_ROWS, LEAST_SIDE, product
from tests.generators.tiny_cips3d import tiny_model

ROWS, INPUTS, OUTPUTS = 300, 48, 65


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Which products went to oneDNN, by their rows."""
    seen: list[int] = []
    real = torch.ops.mkldnn._linear_pointwise

    def counted(x: Tensor, *others: object) -> Tensor:
        seen.append(len(x))
        found: Tensor = real(x, *others)
        return found

    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", counted)
    products._kept.clear()
    yield seen


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("slope", [None, 0.2])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_the_same_as_in_double_precision(
    called: list[int], slope: float | None, biased: bool, turned: bool, keep: bool
) -> None:
    x, weight, bias = numbers(ROWS, INPUTS), numbers(OUTPUTS, INPUTS, seed=1), numbers(OUTPUTS)
    expected = F.linear(x.double(), weight.double(), bias.double() if biased else None)
    expected = expected if slope is None else F.leaky_relu(expected, slope)
    given = weight.T.contiguous() if turned else weight
    with torch.inference_mode():
        for _ in range(2):
            found = product(x, given, bias if biased else None, slope, turned, keep)
            torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    assert called == [ROWS, ROWS]
    assert len(products._kept) == int(keep)


def test_rows_and_columns_that_are_not_side_by_side(called: list[int]) -> None:
    wide, weight = numbers(ROWS, 2 * INPUTS), numbers(OUTPUTS, 2 * INPUTS, seed=1)
    x, part = wide[:, ::2], weight[:, :INPUTS]
    with torch.no_grad():
        found = product(x, part)
    torch.testing.assert_close(found, x @ part.T, rtol=1e-4, atol=1e-4)
    assert called


def test_a_matrix_that_was_changed_is_ordered_anew(called: list[int]) -> None:
    x, weight = numbers(ROWS, INPUTS), numbers(OUTPUTS, INPUTS, seed=1)
    with torch.no_grad():
        before = product(x, weight)
        weight.mul_(2.0)
        assert torch.allclose(product(x, weight), 2.0 * before, rtol=1e-5, atol=1e-5)
        assert len(products._kept) == 1
        del weight
        gc.collect()
    assert not products._kept, "kept longer than what it was made of"


@pytest.mark.parametrize("rows", [1, LEAST_ROWS - 1])
def test_few_rows_are_torchs(called: list[int], rows: int) -> None:
    x, weight = numbers(rows, INPUTS), numbers(OUTPUTS, INPUTS)
    with torch.no_grad():
        assert torch.equal(product(x, weight), F.linear(x, weight))
        product(numbers(ROWS, LEAST_SIDE - 1), numbers(OUTPUTS, LEAST_SIDE - 1))
        product(x.double(), weight.double())
    assert not called


def test_what_may_be_learned_is_torchs(called: list[int]) -> None:
    x, weight = numbers(ROWS, INPUTS), numbers(INPUTS, OUTPUTS).requires_grad_()
    found = product(x, weight, slope=0.2, turned=True)
    assert torch.equal(found, F.leaky_relu(x @ weight, 0.2))
    found.sum().backward()
    assert weight.grad is not None and not called
    batch = product(x[None], weight.detach()[None], turned=True)
    assert batch.shape == (1, ROWS, OUTPUTS)


def test_turned_off_with_the_kernels(called: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "MAQUETTE_KERNELS", "0")
    x, weight = numbers(ROWS, INPUTS), numbers(OUTPUTS, INPUTS)
    with torch.no_grad():
        assert torch.equal(product(x, weight), F.linear(x, weight))
    assert not called


def test_a_torch_without_the_operators_draws_too(
    called: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "_available", lambda: False)
    with torch.no_grad():
        product(numbers(ROWS, INPUTS), numbers(OUTPUTS, INPUTS))
    assert not called


def test_a_picture_that_was_multiplied_by_onednn(called: list[int]) -> None:
    """All layers of CIPS-3D's implicit network, over one face's weights, ordered once."""
    model = wide_model()
    w = model.map(latent_from_seed(1, model.capabilities.z_dim))
    camera = model.capabilities.default_pose.camera()
    quick = model.render(w, camera, Quality(neural_resolution=32)).rgb
    assert len(called) >= 2 * model.config.inr_blocks - 1
    count = len(products._kept)
    model.render(w, camera, Quality(neural_resolution=32))
    assert len(products._kept) == count
    drawn = len(called)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "_available", lambda: False)
        plain = model.render(w, camera, Quality(neural_resolution=32)).rgb
    assert (quick - plain).abs().max() < 1e-5
    assert len(called) == drawn


def wide_model() -> CIPS3D:
    """Tiny, but with an implicit network that is wide enough for oneDNN."""
    return tiny_model(inr_width=LEAST_SIDE)
