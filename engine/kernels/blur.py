"""What follows an enlarging convolution on a CPU: the launcher of :mod:`engine.kernels.cpu_blur`.

The reference is :func:`engine.generators.stylegan2_ops.upfirdn2d` with one zero around the picture, and
:func:`engine.kernels.pictures.finish_reference`. Compiled code is kept, and turned off, as
:mod:`engine.kernels.cpu` says.
"""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor

from engine.kernels.pictures import Finish
from engine.kernels.pieces import in_pieces

#: Fewest channels and pixels of the result for which it pays.
LEAST_CHANNELS, LEAST_PIXELS = 16, 64 * 64
#: Rows of one piece.
_ROWS = 64


def fits(x: Tensor, kernel: Tensor) -> bool:
    """Whether :func:`blurred` takes a picture ``[1, C, H + 1, W + 1]``, and is quicker than torch."""
    return (
        x.ndim == 4
        and x.shape[0] == 1
        and x.shape[1] >= LEAST_CHANNELS
        and (x.shape[2] - 1) * (x.shape[3] - 1) >= LEAST_PIXELS
        and kernel.shape == (4, 4)
        and x.device.type == kernel.device.type == "cpu"
        and x.dtype == kernel.dtype == torch.float32
        and x.is_contiguous(memory_format=torch.channels_last)
        and not torch.is_grad_enabled()
        and os.environ.get("MAQUETTE_KERNELS", "") != "0"
    )


def taps_of(kernel: Tensor, gain: float) -> tuple[Tensor, Tensor] | None:
    """``[KH]`` taps along columns and ``[KW]`` along rows whose product is ``kernel * gain``; ``None``
    where there are none.

    Args:
        kernel: ``[KH, KW]``.
        gain: above 0.
    """
    total = float(kernel.sum())
    if not total > 0.0:
        return None
    columns, rows = kernel.sum(dim=1), kernel.sum(dim=0)
    if float((torch.outer(columns, rows) / total - kernel).abs().max()) > 1e-6 * total:
        return None
    scale = math.sqrt(gain / total)
    return columns * scale, rows * scale


def blurred(x: Tensor, taps: tuple[Tensor, Tensor], finish: Finish) -> Tensor:
    """Filtered with one zero around the picture, and what follows in a layer.

    Args:
        x: ``[1, C, H + 1, W + 1]``, channels innermost.
        taps: ``[4]`` each, from :func:`taps_of`.
        finish: noise, bias, activation and limit.

    Returns:
        ``[1, C, H, W]``, channels innermost.
    """
    from engine.kernels.cpu_blur import blur_rows

    channels, height, width = x.shape[1], x.shape[2] - 1, x.shape[3] - 1
    out = torch.empty((1, channels, height, width), memory_format=torch.channels_last)
    picture, result = (one[0].permute(1, 2, 0).detach().numpy() for one in (x, out))
    down, across = (side.flip(0).detach().contiguous().numpy() for side in taps)
    how = finish.for_rows(channels, height, width)

    def work(first: int, last: int) -> None:
        blur_rows(picture, down, across, first, last, *how, result)

    in_pieces(height, _ROWS, work, None)
    return out


def prepare() -> None:
    """Compile the function, or load it where it was compiled before."""
    side = math.isqrt(LEAST_PIXELS) + 1
    x = torch.zeros(1, LEAST_CHANNELS, side, side).to(memory_format=torch.channels_last)
    blurred(x, (torch.ones(4), torch.ones(4)), Finish())
