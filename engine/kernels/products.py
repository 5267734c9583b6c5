"""Products of many rows with one matrix on a CPU, for networks that are little else.

torch multiplies with MKL there, which leaves a tenth to a sixth of an AMD processor's rate unused;
oneDNN, which torch carries for convolutions, does not, and applies a leaky ReLU to what is still in
the cache. It wants the matrix in an order of its own: that is made once and kept as long as the
matrix lives. :func:`product` is plain torch everywhere else, and with ``MAQUETTE_KERNELS=0``.
"""

from __future__ import annotations

import os
import weakref
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

#: Fewest rows, and fewest columns of the matrix on both sides, that are worth it.
LEAST_ROWS, LEAST_SIDE = 256, 32

#: By the identity of a matrix: itself, its stamp, and the matrix in oneDNN's order.
_kept: dict[int, tuple[weakref.ref[Tensor], tuple[int, int], Tensor]] = {}


@cache
def _available() -> bool:
    """Whether this torch has the operators; they are what its own compiler calls."""
    operators = torch.ops.mkldnn
    return bool(torch._C._has_mkldnn) and all(
        hasattr(operators, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
    )


def quick(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN multiplies ``x`` ``[N, I]`` with ``weight`` here."""
    return (
        x.ndim == 2
        and x.shape[0] >= LEAST_ROWS
        and weight.ndim == 2
        and min(weight.shape) >= LEAST_SIDE
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and os.environ.get("MAQUETTE_KERNELS", "") != "0"
        and _available()
    )


def _ordered(weight: Tensor, turned: bool, rows: int) -> Tensor:
    """``weight`` in oneDNN's order, from the last time if it is the same still."""
    stamp = (-1 if weight.is_inference() else weight._version, weight.data_ptr())
    key = id(weight)
    known = _kept.get(key)
    if known is not None and known[0]() is weight and known[1] == stamp:
        return known[2]
    plain = (weight.T if turned else weight).detach().contiguous()
    made: Tensor = torch.ops.mkldnn._reorder_linear_weight(plain, rows)
    _kept[key] = (weakref.ref(weight, lambda _: _kept.pop(key, None)), stamp, made)
    return made


def product(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    slope: float | None = None,
    turned: bool = False,
    keep: bool = True,
) -> Tensor:
    """``x W^T + b``, and a leaky ReLU of it where a slope is given.

    Args:
        x: ``[N, I]``, or whatever ``F.linear`` takes.
        weight: ``[O, I]``, or ``[I, O]`` where it is ``turned``.
        bias: ``[O]``.
        slope: of the leaky ReLU for negative numbers.
        keep: the same tensor ``weight`` will come again.
    """
    if not quick(x, weight):
        if turned and bias is None:
            out = x @ weight
        else:
            out = F.linear(x, weight.mT if turned else weight, bias)
        if slope is None:
            return out
        return F.leaky_relu(out, slope, inplace=not torch.is_grad_enabled())
    if keep:
        ordered = _ordered(weight, turned, x.shape[0])
    else:
        ordered = weight.T.contiguous() if turned else weight.contiguous()
    how = ("none", []) if slope is None else ("leaky_relu", [slope])
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x.contiguous(), ordered, bias, *how, "")
    return found
