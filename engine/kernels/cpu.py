"""Tri-plane fields on a CPU: the launcher of :mod:`engine.kernels.cpu_march`.

A picture's rays are cut into pieces, which as many threads march as torch may use. What comes
out is the torch path's picture but for rounding: the same samples and the same sums in
float32, in another order. The reference is :func:`engine.rendering.volume.render_rays`.

Numba compiles the functions when they are first called (some ten seconds) and keeps them on
disk; ``python -m engine.kernels.cpu`` does so beforehand. ``MAQUETTE_KERNELS=0`` turns them off.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.generators.stylegan2 import FullyConnected
from engine.generators.triplane import Axes, TriplaneDecoder
from engine.kernels.march import finish
from engine.kernels.pieces import POINTS, RAYS, in_pieces
from engine.kernels.triplane import PackCache, projection_rows
from engine.rendering.occupancy import LEAST_LIGHT, Occupancy
from engine.rendering.volume import RayResult, RenderSettings, ray_limits

Floats = NDArray[np.float32]


def _array(tensor: Tensor) -> Floats:
    found: Floats = tensor.detach().to(torch.float32).contiguous().numpy()
    return found


def pack_planes(planes: Tensor, dtype: torch.dtype = torch.float32) -> Floats:
    """``[3, C, H, W]`` -> ``[3, H + 3, W + 3, C]``: a texel is one run of memory, and zeros
    stand around each plane, one before and two behind."""
    count, channels, height, width = planes.shape
    padded = np.zeros((count, height + 3, width + 3, channels), np.float32)
    padded[:, 1:-2, 1:-2] = planes.detach().to(dtype).permute(0, 2, 3, 1).numpy()
    return padded


def pack_decoder(decoder: TriplaneDecoder) -> tuple[Floats, ...]:
    """Weight and bias of the hidden layer, of the density and of the features, gains folded
    in: ``[H, C]``, ``[H]``, ``[1, H]``, ``[1]``, ``[K, H]``, ``[K]``."""
    first, last = decoder.net[0], decoder.net[2]
    assert isinstance(first, FullyConnected) and isinstance(last, FullyConnected)
    assert first.bias is not None and last.bias is not None
    out, out_bias = last.weight * last.weight_gain, last.bias * last.bias_gain
    hidden, hidden_bias = first.weight * first.weight_gain, first.bias * first.bias_gain
    parts = (hidden, hidden_bias, out[:1], out_bias[:1], out[1:], out_bias[1:])
    return tuple(_array(part) for part in parts)


#: What was packed, as long as its originals live. Padded planes of EG3D's released size are 26 MB.
_packs: PackCache[Floats, tuple[Floats, ...]] = PackCache(pack_planes, pack_decoder, 2)


def problem(planes: Tensor, decoder: object, *others: Tensor) -> str | None:
    """Why this field cannot be drawn here, in one sentence, or ``None`` if it can.

    Args:
        planes: ``[N, 3, C, H, W]``.
        decoder: the model's decoder.
        others: rays or points.
    """
    if os.environ.get("MAQUETTE_KERNELS", "") == "0":
        return "The kernels are turned off (MAQUETTE_KERNELS=0)."
    if type(decoder) is not TriplaneDecoder or decoder._forward_hooks:
        return f"There is no kernel for a decoder of the kind {type(decoder).__name__}, or hooked."
    first, last = decoder.net[0], decoder.net[2]
    assert isinstance(first, FullyConnected) and isinstance(last, FullyConnected)
    if first.bias is None or last.bias is None:
        return "The kernels need a decoder with biases."
    tensors = (planes, *others, first.weight)
    if any(tensor.device.type != "cpu" for tensor in tensors):
        return "Not everything is on the CPU."
    if any(tensor.dtype != torch.float32 for tensor in tensors):
        return "The kernels for the CPU compute in float32 only."
    if planes.dim() != 5 or planes.shape[1] != 3 or planes.shape[2] != first.weight.shape[1]:
        return f"The kernels read planes [N, 3, C, H, W], not {list(planes.shape)}."
    learning = any(parameter.requires_grad for parameter in decoder.parameters())
    if torch.is_grad_enabled() and (learning or any(t.requires_grad for t in (planes, *others))):
        return "The kernels have no gradients."
    return None


def _field(
    planes: Tensor, index: int, decoder: TriplaneDecoder, box_warp: float, axes: Axes
) -> tuple[Floats, ...]:
    """The first eight arguments of the compiled functions."""
    rows = projection_rows(axes).reshape(3, 2, 3) * np.float32(2.0 / box_warp)
    return (_packs.planes(planes, index, torch.float32), rows, *_packs.decoder(decoder))


def try_march(
    planes: Tensor,
    decoder: object,
    rays_o: Tensor,
    rays_d: Tensor,
    settings: RenderSettings,
    check: Callable[[], None] | None = None,
    grid: Occupancy | None = None,
) -> RayResult | None:
    """Whole pictures by the compiled functions where they can, else ``None``: the caller's
    torch path runs.

    Args:
        planes: ``[N, 3, C, H, W]``, packed once and kept as long as this tensor lives.
        decoder: the model's decoder.
        rays_o, rays_d: ``[N, R, 3]``.
        settings: how to march.
        check: called every few milliseconds; raises to stop.
        grid: where the field is empty, if that is known: then samples that are not seen are left out
            (:mod:`engine.kernels.cpu_march_lazy`).
    """
    if problem(planes, decoder, rays_o, rays_d) is not None or rays_o.shape[1] == 0:
        return None
    assert isinstance(decoder, TriplaneDecoder)
    from engine.kernels import cpu_march, cpu_march_lazy

    # Their array arguments are unpacked, which no type checker follows.
    compiled: Callable[..., None] = cpu_march.march_rays
    sparing: tuple[object, ...] = ()
    if grid is not None:
        compiled = cpu_march_lazy.march_rays
        sparing = (grid.cells, np.float32(grid.half), np.float32(LEAST_LIGHT))
    start, end = ray_limits(rays_o, rays_d, settings)
    results = []
    for n in range(planes.shape[0]):
        field = _field(planes, n, decoder, settings.box_warp, settings.plane_axes)
        rays = tuple(_array(x[n]) for x in (rays_o, rays_d, start, end))
        count = rays_o.shape[1]
        features = np.empty((count, len(field[-1])), np.float32)
        depth, opacity = np.empty(count, np.float32), np.empty(count, np.float32)
        extent = np.empty((count, 2), np.float32)
        outputs = (features, depth, opacity, extent)
        how = (
            settings.depth_resolution,
            settings.depth_resolution_importance,
            settings.disparity_space_sampling,
        )

        def work(
            first: int,
            last: int,
            field: tuple[Floats, ...] = field,
            rays: tuple[Floats, ...] = rays,
            outputs: tuple[Floats, ...] = outputs,
            how: tuple[int, int, bool] = how,
        ) -> None:
            part = slice(first, last)
            ways = (x[part] for x in rays)
            compiled(*field, *ways, *how, *sparing, *(x[part] for x in outputs))

        in_pieces(count, RAYS, work, check)
        found = [torch.from_numpy(x) for x in (features, depth, opacity, *extent.T)]
        results.append(finish((found[0], found[1], found[2], found[3], found[4]), settings))
    return RayResult(*(torch.cat(columns) for columns in zip(*results, strict=True)))


def try_evaluate(
    planes: Tensor,
    decoder: object,
    points: Tensor,
    box_warp: float,
    plane_axes: Axes,
    features: bool = True,
) -> tuple[Tensor, Tensor | None] | None:
    """Density and features at points by the compiled functions where they can, else ``None``.

    Args:
        planes: ``[N, 3, C, H, W]``, packed once and kept as long as this tensor lives.
        decoder: the model's decoder.
        points: ``[N, M, 3]`` world coordinates.
        box_warp: side of the cube that the planes span, world units.
        plane_axes: axes of the planes, see ``project_to_planes``.
        features: also compute the features.

    Returns:
        ``[N, M]`` raw density and ``[N, M, K]`` features in ``[-0.001, 1.001]`` (or ``None``).
    """
    if problem(planes, decoder, points) is not None:
        return None
    assert isinstance(decoder, TriplaneDecoder)
    from engine.kernels.cpu_march import evaluate_points

    count = points.shape[1]
    densities, colours = [], []
    for n in range(planes.shape[0]):
        field = _field(planes, n, decoder, box_warp, plane_axes)
        at, density = _array(points[n]), np.empty(count, np.float32)
        kinds = len(field[-1])
        colour = np.empty((count if features else 0, kinds), np.float32)

        def work(
            first: int,
            last: int,
            field: tuple[Floats, ...] = field,
            arrays: tuple[Floats, Floats, Floats] = (at, density, colour),
        ) -> None:
            evaluate_points(*field, *(array[first:last] for array in arrays))

        in_pieces(count, POINTS, work, None)
        densities.append(torch.from_numpy(density))
        colours.append(torch.from_numpy(colour))
    return torch.stack(densities), torch.stack(colours) if features else None


def prepare() -> None:
    """Compile everything for the CPU, or load it where it was compiled before."""
    from engine.kernels import blur, cpu_sparse, folded, lazy, sine, winograd

    blur.prepare()
    cpu_sparse.prepare()
    folded.prepare()
    lazy.prepare()
    sine.prepare()
    winograd.prepare()
    decoder = TriplaneDecoder(4, 3, 4).requires_grad_(False)
    planes, points = torch.zeros(1, 3, 4, 4, 4), torch.zeros(1, 2, 3)
    settings = RenderSettings(4, 1)
    try_evaluate(planes, decoder, points, settings.box_warp, settings.plane_axes)
    for grid in (None, Occupancy(np.ones((1, 1, 1), np.uint8), 1.0)):
        try_march(planes, decoder, points, torch.ones(1, 2, 3), settings, grid=grid)


if __name__ == "__main__":
    prepare()
