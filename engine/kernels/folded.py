"""EpiGRAF's planes on a CPU: the launcher of :mod:`engine.kernels.cpu_folded`.

What comes out is the torch path's picture but for rounding: the same samples and the same sums,
in another order. The reference is :func:`engine.rendering.nerf_march.march_rays` on
:meth:`engine.generators.epigraf_field.DecodedPlanes.values`.

Compiled code is kept, and turned off, as :mod:`engine.kernels.cpu` says.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.kernels.pieces import POINTS, RAYS, in_pieces
from engine.rendering.nerf_march import March, Marched

Floats = NDArray[np.float32]


class FoldedPlanes(NamedTuple):
    """A field whose first layer was applied to its planes.

    Attributes:
        table: ``[3 (side + 2)^2, H]`` a third of each texel, a frame of zeros about each plane.
        side: texels of a plane along one axis.
        extent: half the side of the cube that the planes span, world units.
        bias: ``[H]`` of the first layer.
        weight, last: ``[4, H]`` and ``[4]`` of the second.
    """

    table: Tensor
    side: int
    extent: float
    bias: Tensor
    weight: Tensor
    last: Tensor


def problem(field: FoldedPlanes, *others: Tensor) -> str | None:
    """Why this field cannot be read here, in one sentence, or ``None`` if it can.

    Args:
        field: the field.
        others: rays or points.
    """
    if os.environ.get("MAQUETTE_KERNELS", "") == "0":
        return "The kernels are turned off (MAQUETTE_KERNELS=0)."
    tensors = (field.table, field.bias, field.weight, field.last, *others)
    if any(tensor.device.type != "cpu" for tensor in tensors):
        return "Not everything is on the CPU."
    if any(tensor.dtype != torch.float32 for tensor in tensors):
        return "The kernels for the CPU compute in float32 only."
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return "The kernels have no gradients."
    return None


def _array(tensor: Tensor) -> Floats:
    found: Floats = tensor.detach().contiguous().numpy()
    return found


def _arguments(field: FoldedPlanes) -> tuple[object, ...]:
    """The first six arguments of the compiled functions."""
    parts = (_array(part) for part in (field.table, field.bias, field.weight, field.last))
    return (*parts, field.side, np.float32(field.extent))


def try_values(field: FoldedPlanes, points: Tensor) -> Tensor | None:
    """``[M, 3]`` points -> ``[M, 4]`` raw colours and densities by the compiled function where it
    can, else ``None``: the caller's torch path runs."""
    if problem(field, points) is not None:
        return None
    from engine.kernels.cpu_folded import evaluate_points

    # Its array arguments are unpacked, which no type checker follows.
    compiled: Callable[..., None] = evaluate_points
    arguments, at = _arguments(field), _array(points)
    out = np.empty((len(at), 4), np.float32)

    def work(first: int, last: int) -> None:
        compiled(*arguments, at[first:last], out[first:last])

    in_pieces(len(at), POINTS, work, None)
    return torch.from_numpy(out)


def try_march(
    field: FoldedPlanes,
    origin: Tensor,
    directions: Tensor,
    march: March,
    shift: float,
    check: Callable[[], None] | None = None,
) -> Marched | None:
    """Rays by the compiled function where it can, else ``None``: the caller's torch path runs.

    Args:
        field: the field.
        origin: ``[3]``.
        directions: ``[R, 3]`` unit; neighbours should stand side by side.
        march: how.
        shift: added to raw densities.
        check: called every few milliseconds; raises to stop.
    """
    if problem(field, origin, directions) is not None or origin.ndim != 1:
        return None
    from engine.kernels.cpu_folded import march_rays

    compiled: Callable[..., None] = march_rays
    even = torch.linspace(march.near, march.far, march.coarse)
    arguments, start, rays = _arguments(field), _array(origin), _array(directions)
    how = (
        _array(even),
        _array(torch.linspace(0.0, 1.0, march.fine)),
        march.activation == "softplus",
        np.float32(shift),
        np.float32(march.last_step),
        march.last_back,
        march.white_back,
    )
    out = np.empty((len(rays), 6), np.float32)

    def work(first: int, last: int) -> None:
        compiled(*arguments, start, rays[first:last], *how, out[first:last])

    in_pieces(len(rays), RAYS, work, check)
    found = torch.from_numpy(out)
    return Marched(found[:, :3].contiguous(), *(found[:, k].contiguous() for k in (3, 4, 5)))


def prepare() -> None:
    """Compile both functions, or load them where they were compiled before."""
    field = FoldedPlanes(
        torch.zeros(48, 4), 2, 1.0, torch.zeros(4), torch.zeros(4, 4), torch.zeros(4)
    )
    ray = torch.tensor([[0.0, 0.0, 1.0]])
    try_values(field, ray)
    try_march(field, torch.zeros(3), ray, March(0.0, 1.0, 4, 1), 0.0)
