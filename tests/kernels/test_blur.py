"""Filter, noise, bias and activation in one pass, against torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engine.generators.stylegan2_ops import fir_filter, styled_conv2d, upfirdn2d
from engine.kernels import blur
from engine.kernels.pictures import Finish, finish_reference


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    "kernel", [fir_filter(), torch.outer(torch.arange(1.0, 5.0), numbers(4) ** 2)]
)
@pytest.mark.parametrize(
    "finish",
    [
        Finish(),
        Finish(numbers(70, 65), numbers(18, seed=1), "lrelu", 0.5),
        Finish(numbers(1, 1, 70, 65), None, "lrelu", None, 1.0),
        Finish(None, numbers(18, seed=1), "linear", 1.0),
    ],
)
def test_the_same_as_torch(kernel: Tensor, finish: Finish) -> None:
    x = numbers(1, 18, 71, 66).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert blur.fits(x, kernel)
        taps = blur.taps_of(kernel, 4.0)
        assert taps is not None
        found = blur.blurred(x, taps, finish)
        plain = upfirdn2d(x.double(), kernel.double(), padding=(1, 1, 1, 1), gain=4.0)
        expected = finish_reference(plain.float(), finish)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(plain.abs().max()))


def test_what_is_no_number_shows_and_stays_where_it_is() -> None:
    x = numbers(1, 16, 65, 65).to(memory_format=torch.channels_last)
    x[0, 3, 20, 30] = torch.nan
    with torch.inference_mode():
        taps = blur.taps_of(fir_filter(), 4.0)
        assert taps is not None
        found = blur.blurred(x, taps, Finish(None, None, "lrelu", 1.0))
    lost = found.isnan().nonzero()
    assert lost.amin(dim=0).tolist() == [0, 3, 18, 28]
    assert lost.amax(dim=0).tolist() == [0, 3, 21, 31] and len(lost) == 16


def test_kernels_that_are_no_product_of_two_have_no_taps() -> None:
    assert blur.taps_of(torch.eye(4), 4.0) is None
    assert blur.taps_of(torch.zeros(4, 4), 4.0) is None


@pytest.mark.parametrize("channels", [15, 16])
def test_a_layer_takes_it_and_is_what_it_was(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    real = blur.blurred
    monkeypatch.setattr(blur, "blurred", lambda *x: taken.append(1) or real(*x))  # type: ignore[func-returns-value]
    x = numbers(1, 20, 33, 32).to(memory_format=torch.channels_last)
    weight, styles = numbers(channels, 20, 3, 3, seed=1), numbers(1, 20, seed=2)
    bias, noise = numbers(channels, seed=3), numbers(66, 64, seed=4)

    def layer() -> Tensor:
        return styled_conv2d(
            x, weight, styles, bias, "lrelu", 9.0, 2, fir_filter(), padding=1, noise=noise
        )

    with torch.inference_mode():
        found = layer()
        assert len(taken) == int(channels >= blur.LEAST_CHANNELS)
        monkeypatch.setenv("MAQUETTE_KERNELS", "0")
        torch.testing.assert_close(found, layer(), rtol=1e-5, atol=2e-5)
    monkeypatch.delenv("MAQUETTE_KERNELS")
    torch.testing.assert_close(found, layer(), rtol=1e-5, atol=2e-5)
    assert len(taken) == int(channels >= blur.LEAST_CHANNELS), "gradients may be wanted"
