"""StyleGAN2's 4-tap resampling of large pictures on a CPU: along columns, then along rows.

A two-dimensional kernel that is the product of two short ones needs 8 products a pixel instead of
16, and doing them channel by channel keeps everything in the processor's cache. That is 2 to 6
times faster than torch's grouped convolutions, which cannot use their matrix products here. For
small pictures and on a GPU those are faster, and gradients need them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Pixels of a channel from which on this pays.
_LEAST_PIXELS = 64 * 64
#: From so many channels on, channels that lie innermost in memory fill the processor's vectors.
_WIDE, _INNERMOST = 16, torch.channels_last

Taps = tuple[list[float], list[float]]


def separable_taps(x: Tensor, kernel: Tensor, gain: float) -> Taps | None:
    """Taps along columns and rows whose product is ``kernel * gain``, or ``None`` where
    :func:`blur4` and :func:`double4` cannot be used or do not pay.

    Args:
        x: ``[N, C, H, W]`` what is to be resampled.
        kernel: ``[KH, KW]``.
        gain: above 0.
    """
    if torch.is_grad_enabled() and (x.requires_grad or kernel.requires_grad):
        return None
    if x.device.type != "cpu" or x.shape[2] * x.shape[3] < _LEAST_PIXELS:
        return None
    if kernel.shape != (4, 4) or kernel.device.type != "cpu":
        return None
    if x.shape[1] >= _WIDE and not x.is_contiguous() and x.is_contiguous(memory_format=_INNERMOST):
        return None  # here torch's grouped convolutions are quick, and keep this layout
    total = float(kernel.sum())
    if not total > 0.0:
        return None
    columns, rows = kernel.sum(dim=1), kernel.sum(dim=0)
    if float((torch.outer(columns, rows) / total - kernel).abs().max()) > 1e-6 * total:
        return None
    scale = math.sqrt(gain / total)
    return (columns * scale).tolist(), (rows * scale).tolist()


def blur4(x: Tensor, taps: Taps) -> Tensor:
    """``[N, C, H, W]`` with one zero around it, filtered: ``[N, C, H - 1, W - 1]``."""
    down, across = taps
    n, c, h, w = x.shape
    out = x.new_empty(n * c, h - 1, w - 1)
    framed, middle = x.new_zeros(h + 2, w + 2), x.new_empty(h - 1, w + 2)
    for source, target in zip(x.reshape(n * c, h, w), out, strict=True):
        framed[1:-1, 1:-1] = source
        torch.mul(framed[1:h], down[2], out=middle)
        for tap in (2, 0, 3):
            middle.add_(framed[tap : tap + h - 1], alpha=down[3 - tap])
        torch.mul(middle[:, 1:w], across[2], out=target)
        for tap in (2, 0, 3):
            target.add_(middle[:, tap : tap + w - 1], alpha=across[3 - tap])
    return out.reshape(n, c, h - 1, w - 1)


def double4(x: Tensor, taps: Taps) -> Tensor:
    """``[N, C, H, W]`` with a zero behind every value, two before the first and one more behind
    the last, filtered: ``[N, C, 2 H, 2 W]``.

    Even outputs lie between a value and the one before it, odd ones between it and the next.
    """
    down, across = taps
    n, c, h, w = x.shape
    out = x.new_empty(n * c, h, 2, 2 * w)
    framed = x.new_zeros(h + 2, 2 * w)  # widened rows, one of zeros above and below
    wide = framed[1:-1]
    even, odd = wide[:, 0::2], wide[:, 1::2]
    for source, target in zip(x.reshape(n * c, h, w), out, strict=True):
        torch.mul(source, across[1], out=even)
        even[:, 1:].add_(source[:, :-1], alpha=across[3])
        torch.mul(source, across[2], out=odd)
        odd[:, :-1].add_(source[:, 1:], alpha=across[0])
        torch.mul(wide, down[1], out=target[:, 0])
        target[:, 0].add_(framed[:-2], alpha=down[3])
        torch.mul(wide, down[2], out=target[:, 1])
        target[:, 1].add_(framed[2:], alpha=down[0])
    return out.reshape(n, c, 2 * h, 2 * w)
