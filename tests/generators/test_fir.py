"""Resampling along columns and rows against the two-dimensional convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.fir import blur4, is_tent, separable_taps
from engine.generators.stylegan2_ops import fir_filter, upfirdn2d, upsample2d

#: Not symmetric, so that a flipped or transposed kernel shows.
UNEVEN = torch.outer(torch.tensor([1.0, 2.0, 5.0, 3.0]), torch.tensor([2.0, 7.0, 1.0, 4.0])) / 154


def picture(h: int, w: int, channels: int = 3) -> Tensor:
    return torch.randn(2, channels, h, w, generator=torch.Generator().manual_seed(h))


@pytest.mark.parametrize("kernel", [fir_filter(), UNEVEN])
def test_blur_is_a_convolution_with_the_flipped_kernel(kernel: Tensor) -> None:
    x = picture(70, 65)
    taps = separable_taps(x, kernel, 4.0)
    assert taps is not None
    weight = (4.0 * kernel).flip([0, 1])[None, None].expand(3, 1, -1, -1)
    expected = F.conv2d(F.pad(x, (1, 1, 1, 1)).double(), weight.double(), groups=3)
    torch.testing.assert_close(blur4(x, taps).double(), expected, rtol=0, atol=3e-6)
    assert torch.equal(upfirdn2d(x, kernel, padding=(1, 1, 1, 1), gain=4.0), blur4(x, taps))


@pytest.mark.parametrize("kernel", [fir_filter(), 3.0 * fir_filter(), UNEVEN])
def test_doubling_is_zero_insertion_and_convolution(kernel: Tensor) -> None:
    x = picture(64, 67)
    spread = torch.zeros(2, 3, 128, 134)
    spread[:, :, ::2, ::2] = x
    weight = (4.0 * kernel).flip([0, 1])[None, None].expand(3, 1, -1, -1)
    expected = F.conv2d(F.pad(spread, (2, 1, 2, 1)).double(), weight.double(), groups=3)
    torch.testing.assert_close(upsample2d(x, kernel).double(), expected, rtol=0, atol=6e-6)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = upsample2d(x.contiguous(memory_format=layout), kernel)
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=6e-6)


def test_gradients_pass_through_doubling() -> None:
    x = picture(4, 5).double().requires_grad_()
    kernel = fir_filter().double()
    assert is_tent(kernel) and not is_tent(UNEVEN) and not is_tent(fir_filter((1, 2, 1)))
    assert not is_tent(torch.zeros(4, 4)) and not is_tent(-fir_filter())
    assert torch.autograd.gradcheck(lambda y: upsample2d(y, kernel), (x,))


def test_it_is_left_alone_where_it_cannot_serve() -> None:
    x, kernel = picture(64, 64), fir_filter()
    assert separable_taps(picture(16, 16), kernel, 4.0) is None  # too small to pay
    assert separable_taps(x, torch.eye(4) / 4.0, 4.0) is None  # not a product
    assert separable_taps(x, -kernel, 4.0) is None
    assert separable_taps(x, fir_filter((1, 2, 1)), 4.0) is None
    wide = picture(64, 64, channels=16)
    assert separable_taps(wide, kernel, 4.0) is not None
    wide = wide.contiguous(memory_format=torch.channels_last)
    assert separable_taps(wide, kernel, 4.0) is None
    assert upfirdn2d(wide, kernel, padding=(1, 1, 1, 1)).stride()[1] == 1  # and so it stays
    learned = x.clone().requires_grad_()
    assert separable_taps(learned, kernel, 4.0) is None
    with torch.no_grad():
        assert separable_taps(learned, kernel, 4.0) is not None
    assert upsample2d(learned, kernel).requires_grad
