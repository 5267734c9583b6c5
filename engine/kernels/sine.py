"""Sines in place, for the networks that are made of them: pi-GAN, CIPS-3D, StyleSDF.

On a CPU they are a quarter of such a network's time in torch. :func:`sine_` hands large tensors to
:mod:`engine.kernels.cpu_sine`, and is ``Tensor.sin_`` everywhere else. Compiled code is kept, and
turned off, as :mod:`engine.kernels.cpu` says.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from engine.kernels.pieces import in_pieces

#: Fewest numbers that are worth it, and how many one piece has (they are still in the cache).
LEAST, PIECE = 1 << 12, 1 << 17


def _compiled(x: Tensor) -> bool:
    return (
        x.numel() >= LEAST
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.is_contiguous()
        and os.environ.get("MAQUETTE_KERNELS", "") != "0"
    )


def _overwrite(x: Tensor) -> Tensor:
    from engine.kernels.cpu_sine import sines

    flat = x.detach().reshape(-1).numpy()

    def work(first: int, last: int) -> None:
        sines(flat[first:last])

    in_pieces(len(flat), PIECE, work, None)
    return x


class _Sine(torch.autograd.Function):
    """The same numbers where they are to be differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _overwrite(x.clone())

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        slope: Tensor = slopes[0] * ctx.saved_tensors[0].cos()
        return slope


def sine_(x: Tensor) -> Tensor:
    """The sine of ``x``, which is overwritten unless it is to be differentiated.

    Angles beyond some 10,000, where float32 has few bits of an angle left, are less exact than
    torch's.
    """
    learning = torch.is_grad_enabled() and x.requires_grad
    if not _compiled(x):
        return x.sin() if learning else x.sin_()
    if learning:
        found: Tensor = _Sine.apply(x)  # type: ignore[no-untyped-call]
        return found
    return _overwrite(x)


def prepare() -> None:
    """Compile the function, or load it where it was compiled before."""
    sine_(torch.zeros(LEAST))
