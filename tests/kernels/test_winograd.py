"""Convolutions by fewer products against double precision, and the golden sets drawn that way."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.stylegan2_ops import styled_conv2d
from engine.kernels import winograd
from engine.kernels.cpu_winograd import POINT_A, POINT_B, transform_columns, transform_weights
from engine.kernels.pictures import Finish, finish_reference
from engine.verify import verify_folder

GOLDENS = Path(__file__).parent.parent / "data" / "goldens"
POINTS = [Fraction(0), *(Fraction(s * p) for p in (POINT_A, POINT_B) for s in (1, -1))]


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def product(roots: list[Fraction]) -> list[Fraction]:
    """Coefficients of the polynomial with these roots, the lowest first."""
    found = [Fraction(1)]
    for root in roots:
        higher, lower = [Fraction(0), *found], [*found, Fraction(0)]
        found = [a - root * b for a, b in zip(higher, lower, strict=True)]
    return found


def test_the_transforms_follow_from_the_points() -> None:
    """The rows of B^T are the polynomials that vanish at all other points, those of G a filter's values
    at the points by what such a polynomial has there."""
    zero = Fraction(0)
    inputs, filters = [], []
    for index, point in enumerate(POINTS):
        others = POINTS[:index] + POINTS[index + 1 :]
        inputs.append([*product(others), zero])
        share = math.prod((point - other for other in others), start=Fraction(1))
        filters.append([point**k / share for k in range(3)])
    inputs.append(product(POINTS))
    filters.append([zero, zero, Fraction(1)])
    columns = np.zeros((36, 6), np.float32)
    transform_columns(np.eye(6, dtype=np.float32)[:, None].repeat(6, axis=1).copy(), 0, 0, columns)
    np.testing.assert_allclose(columns[::6], np.array(inputs, np.float64), atol=1e-6)
    taps = np.zeros((9, 3), np.float32)
    taps[::3] = np.eye(3)  # the first column alone is not zero
    out = np.zeros((36, 3), np.float32)
    transform_weights(taps, out)
    scale = float(1 / product(POINTS[1:])[0])
    np.testing.assert_allclose(out[::6], np.array(filters, np.float64) * scale, atol=1e-6)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("size", [(64, 64), (67, 65), (62, 70)])
@pytest.mark.parametrize("channels", [(32, 40), (33, 32)])
def test_the_same_as_in_double_precision(size: tuple[int, int], channels: tuple[int, int]) -> None:
    inputs, outputs = channels
    x = numbers(1, inputs, *size).relu()
    weight = numbers(outputs, inputs, 3, 3, seed=1) / math.sqrt(9 * inputs)
    expected = F.conv2d(x.double(), weight.double(), padding=1)
    with torch.inference_mode():
        found = winograd.convolve(x, weight, Finish())
        rounded = F.conv2d(x, weight, padding=1)
    assert found.is_contiguous(memory_format=torch.channels_last)
    error, torchs = (found - expected).abs(), (rounded - expected).abs()
    assert error.max() < 2e-5
    assert error.square().mean().sqrt() < 6.0 * torchs.square().mean().sqrt()


@pytest.mark.parametrize(
    "finish",
    [
        Finish(None, numbers(32), "lrelu"),
        Finish(numbers(1, 1, 64, 64, seed=2), None, "lrelu", 0.7),
        Finish(numbers(64, 64, seed=2), numbers(32, seed=3), "linear", 1.5),
        Finish(numbers(64, 64, seed=2), numbers(32, seed=3), "lrelu", None, 1.0),
    ],
)
def test_what_follows_in_a_layer(finish: Finish) -> None:
    x, weight = numbers(1, 32, 64, 64), numbers(32, 32, 3, 3, seed=1) / 17.0
    with torch.inference_mode():
        found = winograd.convolve(x, weight, finish)
        expected = finish_reference(F.conv2d(x, weight, padding=1), finish)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)


def test_what_is_no_number_shows() -> None:
    x, weight = numbers(1, 32, 64, 64), numbers(32, 32, 3, 3, seed=1)
    x[0, 5, 10, 20] = torch.nan
    with torch.inference_mode():
        found = winograd.convolve(x, weight, Finish(None, numbers(32), "lrelu", 2.0))
    lost = found.isnan()
    assert bool(lost[0, :, 9:12, 19:22].all())
    assert not bool(lost[0, :, :, :12].any()), "within the tile and those beside it"


@pytest.mark.parametrize("side", [63, 64])
def test_a_layer_takes_it_from_its_size_on(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    real = winograd.convolve
    monkeypatch.setattr(winograd, "convolve", lambda *x: taken.append(side) or real(*x))  # type: ignore[func-returns-value]
    x, weight = numbers(1, 32, side, side), numbers(32, 32, 3, 3, seed=1)
    styles, bias, noise = numbers(1, 32, seed=2), numbers(32, seed=3), numbers(side, side)

    def layer(**others: int) -> Tensor:
        return styled_conv2d(x, weight, styles, bias, "lrelu", 9.0, padding=1, noise=noise)

    with torch.inference_mode():
        found = layer()
        assert taken == ([] if side < 64 else [64])
        monkeypatch.setenv("MAQUETTE_KERNELS", "0")
        torch.testing.assert_close(found, layer(), rtol=1e-5, atol=3e-5)
    monkeypatch.delenv("MAQUETTE_KERNELS")
    layer()
    assert len(taken) == int(side == 64), "gradients may be wanted"


def test_what_it_does_not_take() -> None:
    x, weight = numbers(1, 32, 64, 64), numbers(32, 32, 3, 3)
    assert not winograd.fits(x, weight, 1), "gradients may be wanted"
    with torch.no_grad():
        assert winograd.fits(x, weight, 1)
        assert not winograd.fits(x, weight, 0)
        assert not winograd.fits(x.repeat(2, 1, 1, 1), weight, 1)
        assert not winograd.fits(x, weight[:, :, :1, :1], 0)
        assert not winograd.fits(x[:, :31], weight[:, :31], 1)
        assert not winograd.fits(x.double(), weight.double(), 1)


@pytest.mark.parametrize("name", ["eg3d_ffhq", "epigraf", "stylesdf"])
def test_golden_sets_hold_where_every_layer_takes_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the tolerances of the sets, whose layers are too small to take it by themselves."""
    taken: list[torch.Size] = []
    real = winograd.convolve
    monkeypatch.setattr(winograd, "LEAST_PIXELS", 1)
    monkeypatch.setattr(winograd, "LEAST_CHANNELS", 1)
    monkeypatch.setattr(winograd, "convolve", lambda *x: taken.append(x[0].shape) or real(*x))  # type: ignore[func-returns-value]
    report = verify_folder(GOLDENS / name)
    assert report.passed
    assert len({shape[2] for shape in taken}) > 2


def test_pieces_of_tiles_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = numbers(1, 32, 66, 66), numbers(32, 32, 3, 3, seed=1)
    results = []
    with torch.inference_mode():
        for held in (1, 1 << 18, 1 << 24):
            monkeypatch.setattr(winograd, "HELD", held)
            results.append(winograd.convolve(x, weight, Finish()))
    for first, second in pairwise(results):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)
