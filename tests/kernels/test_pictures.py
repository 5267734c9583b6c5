"""Activation and resampling kernels against torch in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.kernels import pictures
from engine.kernels.pictures import (
    Finish,
    finish_reference,
    resample_reference,
    try_activate,
    try_resample,
)
from tests.kernels.fields import worst
from tests.kernels.places import at, everywhere

BOUND = 2e-6
SIXTEEN = {torch.float16: 2e-3, torch.bfloat16: 2e-2}


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _finishes(n: int, c: int, h: int, w: int) -> dict[str, Finish]:
    bias = _random(c, seed=1)
    return {
        "nothing": Finish(),
        "bias": Finish(bias=bias),
        "one noise": Finish(_random(h, w, seed=2), bias, "lrelu"),
        "noise each": Finish(_random(n, 1, h, w, seed=3), None, "lrelu", 0.75),
        "clamp": Finish(_random(1, 1, h, w, seed=4), bias, "linear", 0.5),
    }


def _moved(finish: Finish, device: torch.device, dtype: torch.dtype = torch.float32) -> Finish:
    def move(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(device, dtype)

    return Finish(move(finish.noise), move(finish.bias), finish.activation, finish.clamp)


@everywhere
@pytest.mark.parametrize("name", _finishes(1, 1, 1, 1))
@pytest.mark.parametrize("shape", [(2, 3, 9, 7), (1, 2, 50, 43)], ids=str)
def test_activation(place: str, name: str, shape: tuple[int, int, int, int]) -> None:
    x, finish = _random(*shape), _finishes(*shape)[name]
    expected = finish_reference(x.double(), _moved(finish, torch.device("cpu"), torch.float64))
    with at(place) as device:
        given = x.to(device)
        result = try_activate(given, _moved(finish, device))
        assert result is not None
        assert torch.equal(given.cpu(), x)
        over = try_activate(given, _moved(finish, device), inplace=True)
        assert over is given
        assert torch.equal(over, result)
    assert worst(result, expected) < BOUND


@everywhere
@pytest.mark.parametrize("dtype", SIXTEEN, ids=str)
def test_activation_of_16_bits(place: str, dtype: torch.dtype) -> None:
    x, finish = _random(1, 2, 5, 6).to(dtype), _finishes(1, 2, 5, 6)["one noise"]
    with at(place) as device:
        result = try_activate(x.to(device), _moved(finish, device))
    assert result is not None
    assert result.dtype == dtype
    exact = finish_reference(x.double(), _moved(finish, torch.device("cpu"), torch.float64))
    assert worst(result, exact) < SIXTEEN[dtype]
    # Nothing but the last rounding is lost.
    assert worst(result, exact.to(dtype)) <= SIXTEEN[dtype] / 2


#: up, down, padding, taps: the families' own first.
FILTERS = [
    (1, 1, (1, 1, 1, 1), (4, 4)),
    (2, 1, (2, 1, 2, 1), (4, 4)),
    (1, 2, (1, 1, 1, 1), (4, 4)),
    (1, 1, (0, 0, 0, 0), (3, 1)),
    (3, 2, (4, -2, -3, 5), (5, 6)),
    (4, 4, (-1, 7, 2, -5), (12, 2)),
    (2, 3, (0, 9, 1, 0), (1, 7)),
]


@everywhere
@pytest.mark.parametrize("case", FILTERS, ids=str)
def test_resampling(
    place: str, case: tuple[int, int, tuple[int, int, int, int], tuple[int, int]]
) -> None:
    up, down, padding, taps = case
    x, kernel = _random(1, 2, 37, 19), _random(*taps, seed=5)
    expected = resample_reference(x.double(), kernel.double(), up, down, padding, 4.0)
    with at(place) as device:
        result = try_resample(x.to(device), kernel.to(device), up, down, padding, 4.0)
    assert result is not None
    assert worst(result, expected) < 1e-5


@everywhere
@pytest.mark.parametrize("dtype", [torch.float32, *SIXTEEN], ids=str)
def test_resampling_with_what_follows(place: str, dtype: torch.dtype) -> None:
    x, kernel = _random(2, 3, 8, 6).to(dtype), _random(4, 4, seed=6)
    finish = _finishes(2, 3, 7, 5)["noise each"]
    double = _moved(finish, torch.device("cpu"), torch.float64)
    expected = resample_reference(x.double(), kernel.double(), 1, 1, (1, 1, 1, 1), 0.5, double)
    with at(place) as device:
        moved = _moved(finish, device)
        result = try_resample(
            x.to(device), kernel.to(device), 1, 1, (1, 1, 1, 1), 0.5, moved
        )  # fmt: skip
    assert result is not None
    assert worst(result, expected) < SIXTEEN.get(dtype, 1e-5)


def test_what_is_not_a_number_shows() -> None:
    x = torch.full((1, 1, 2, 2), torch.nan)
    with at("emulated"):
        result = try_activate(x, Finish(None, None, "lrelu", 1.0))
    assert result is not None
    assert bool(result.isnan().all())


def test_what_does_not_fit_is_left_to_torch() -> None:
    x, kernel = _random(1, 2, 6, 6), _random(4, 4)
    with at("emulated"):
        assert try_activate(x.double(), Finish()) is None
        assert try_activate(x.transpose(2, 3), Finish()) is None
        assert try_activate(x, Finish(bias=torch.zeros(3))) is None
        assert try_activate(x, Finish(noise=torch.zeros(6, 5))) is None
        assert try_activate(x, Finish(noise=torch.zeros(2, 1, 6, 6))) is None
        assert try_activate(x, Finish(bias=torch.zeros(4)[::2])) is None
        assert try_resample(x, kernel.T) is None
        assert try_resample(x, kernel.double()) is None
        assert try_resample(x, torch.zeros(13, 1)) is None
        assert try_resample(x, kernel, padding=(-2, -2, -2, -2)) is None
        assert try_resample(x, kernel, up=5) is None
        wanted = x.clone().requires_grad_(True)
        assert try_activate(wanted, Finish()) is None
        with torch.no_grad():
            assert try_activate(wanted, Finish()) is not None
    assert try_activate(x, Finish()) is None  # there is no GPU, and nothing stands in
    assert pictures.activating.problem(x) is not None
