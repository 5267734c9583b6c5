"""StyleGAN2's 4-tap resampling of large pictures on a CPU: along columns, then along rows.

A two-dimensional kernel that is the product of two short ones needs 8 products a pixel instead of
16, and doing them channel by channel keeps everything in the processor's cache. That is 2 to 6
times faster than torch's grouped convolutions, which cannot use their matrix products here. For
small pictures and on a GPU those are faster, and gradients need them. Doubling with StyleGAN2's
own kernel is an interpolation that torch has.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.kernels.blur import taps_of

#: Pixels of a channel from which on this pays.
_LEAST_PIXELS = 64 * 64
#: From so many channels on, channels that lie innermost in memory fill the processor's vectors.
_WIDE, _INNERMOST = 16, torch.channels_last

#: StyleGAN2's own kernel, along one side.
_TENT = torch.tensor([0.125, 0.375, 0.375, 0.125])

Taps = tuple[list[float], list[float]]


def separable_taps(x: Tensor, kernel: Tensor, gain: float) -> Taps | None:
    """Taps along columns and rows whose product is ``kernel * gain``, or ``None`` where
    :func:`blur4` cannot be used or does not pay.

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
    taps = taps_of(kernel, gain)
    return None if taps is None else (taps[0].tolist(), taps[1].tolist())


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


def is_tent(kernel: Tensor) -> bool:
    """Whether a kernel ``[kh, kw]`` on the CPU is the outer product of (1, 3, 3, 1) / 8 with itself: doubling
    a picture with it is bilinear interpolation."""
    if kernel.shape != (4, 4) or kernel.device.type != "cpu" or kernel.requires_grad:
        return False
    tent = torch.outer(_TENT, _TENT).to(kernel.dtype)
    return float((kernel - tent).abs().max()) < 1e-7


def double_tent(x: Tensor) -> Tensor:
    """``[N, C, H, W]`` -> ``[N, C, 2 H, 2 W]``, brightness kept, zeros around the picture.

    A value stands a quarter of a pixel from the two that come of it, whose shares of it and of
    the next are 3 and 1 in 4: (1, 3, 3, 1) on a picture spread by two. torch's own
    interpolation is 3 to 15 times faster than convolutions here, and most of all backwards.
    """
    padded = F.pad(x, (1, 1, 1, 1))
    doubled = F.interpolate(padded, scale_factor=2.0, mode="bilinear", align_corners=False)
    return doubled[:, :, 2:-2, 2:-2]
