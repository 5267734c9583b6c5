"""3 x 3 convolutions on a CPU by a quarter of the products: the launcher of
:mod:`engine.kernels.cpu_winograd`.

It takes one picture at a time, of channels and pixels enough that the transforms are the smaller part,
and does all that a StyleGAN2 layer does behind its convolution in the same pass. The reference is
``F.conv2d`` and :func:`engine.generators.stylegan2_ops.activate`; rounding is three times theirs, of
which a picture shows nothing (tests/kernels/test_winograd.py).

Compiled code is kept, and turned off, as :mod:`engine.kernels.cpu` says.
"""

from __future__ import annotations

import math
import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.kernels.pictures import Finish
from engine.kernels.pieces import in_pieces

Floats = NDArray[np.float32]

#: Fewest pixels, and fewest channels on both sides, for which it pays.
LEAST_PIXELS, LEAST_CHANNELS = 64 * 64, 32
#: Numbers of the transformed tiles and of their products that are held at once, about, and fewest
#: tiles: matrices of fewer rows are multiplied at a lower rate.
HELD, LEAST_TILES = 1 << 20, 64


def fits(x: Tensor, weight: Tensor, padding: int) -> bool:
    """Whether :func:`convolve` takes ``x`` ``[1, I, H, W]`` and ``weight`` ``[O, I, 3, 3]`` with so
    many zeros around the picture, and is quicker than torch."""
    return (
        x.ndim == 4
        and x.shape[0] == 1
        and weight.shape[2:] == (3, 3)
        and padding == 1
        and x.shape[2] * x.shape[3] >= LEAST_PIXELS
        and min(weight.shape[:2]) >= LEAST_CHANNELS
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and os.environ.get("MAQUETTE_KERNELS", "") != "0"
    )


def _array(tensor: Tensor) -> Floats:
    found: Floats = tensor.detach().contiguous().numpy()
    return found


def convolve(x: Tensor, weight: Tensor, finish: Finish) -> Tensor:
    """A convolution and what follows it in a layer; :func:`fits` says of what.

    Args:
        x: ``[1, I, H, W]``; quickest with channels innermost.
        weight: ``[O, I, 3, 3]``.
        finish: noise, bias, activation and limit.

    Returns:
        ``[1, O, H, W]``, channels innermost.
    """
    height, width = x.shape[2:]
    outputs, inputs = weight.shape[:2]
    from engine.kernels.cpu_winograd import finish_tiles, transform_tiles, transform_weights

    taps = weight.permute(2, 3, 1, 0).reshape(9, -1)
    spread = torch.empty(36, inputs, outputs)
    transform_weights(_array(taps), spread.view(36, -1).numpy())
    picture = _array(x[0].permute(1, 2, 0))
    out = torch.empty((1, outputs, height, width), memory_format=torch.channels_last)
    result = out[0].permute(1, 2, 0).numpy()
    how = finish.for_rows(outputs, height, width)
    tiles = -(-height // 4) * -(-width // 4)
    held = min(tiles, max(LEAST_TILES, HELD // (36 * (inputs + outputs))))
    values, products = torch.empty(36, held, inputs), torch.empty(36, held, outputs)
    before, behind = values.numpy(), products.numpy()
    piece = -(-held // torch.get_num_threads())
    for start in range(0, tiles, held):
        count = min(held, tiles - start)

        def transform(first: int, last: int, start: int = start) -> None:
            transform_tiles(picture, start + first, first, last - first, before)

        def complete(first: int, last: int, start: int = start) -> None:
            finish_tiles(behind, start + first, first, last - first, *how, result)

        in_pieces(count, piece, transform, None)
        torch.bmm(values, spread, out=products)
        in_pieces(count, piece, complete, None)
    return out


def prepare() -> None:
    """Compile everything, or load it where it was compiled before."""
    side, channels = math.isqrt(LEAST_PIXELS), LEAST_CHANNELS
    with torch.inference_mode():
        x, weight = torch.zeros(1, channels, side, side), torch.zeros(channels, channels, 3, 3)
        convolve(x, weight, Finish())
