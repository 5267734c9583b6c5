"""A field's surface without leaving the GPU: every sample of the grid, and marching cubes there.

Vertices are those that :func:`~engine.export.isosurface.extract_isosurface` finds on the grid's edges;
where a cube can be cut in more than one way, triangles may differ (:mod:`engine.kernels.cubes` says
how it chooses), and no vertex ever lies inside of a cube.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch

from engine.errors import ExportError
from engine.export.isosurface import FAR, NOT_A_NUMBER, OUTSIDE, Floats, Grid, Indices, joined
from engine.generators.base import NEVER, CancelToken, Field
from engine.kernels.cubes import marching, try_march
from engine.kernels.launch import reaches

#: Most samples of a grid with its frame, which takes 14 bytes for each.
MOST_SAMPLES = 1 << 28
#: Points that a field is asked about at once.
CHUNK_POINTS = 1 << 21
_STEPS = 100


def extract_on_gpu(
    field: Field,
    grid: Grid,
    level: float,
    meaning: Literal["density", "sdf"],
    device: torch.device,
    progress: Callable[[int, int], None],
    cancel: CancelToken = NEVER,
) -> tuple[Floats, Indices] | None:
    """The closed surface where a field crosses ``level``.

    Args:
        field, grid, level, meaning, device: see ``extract_isosurface``.
        progress: called with (steps done, all steps).
        cancel: checked between chunks of points.

    Returns:
        Positions and triangles as ``extract_isosurface`` gives them; ``None`` where the kernels
        cannot run, where the grid is too large, and where there is no surface.

    Raises:
        ExportError: the field holds NaN.
        Cancelled: ``cancel`` was set.
    """
    padded = [n + 2 for n in grid.shape]
    if not reaches(device) or np.prod(padded, dtype=np.int64) > MOST_SAMPLES:
        return None
    values = torch.full(padded, OUTSIDE, device=device)
    if marching.problem(values) is not None:
        return None
    inside = values[1:-1, 1:-1, 1:-1]
    sign = 1.0 if meaning == "density" else -1.0
    axes = [torch.from_numpy(grid.axis(axis)).to(device, torch.float32) for axis in range(3)]
    nx, ny, nz = grid.shape
    layers = max(1, CHUNK_POINTS // (ny * nz))
    for first in range(0, nx, layers):
        cancel.check()
        part = slice(first, min(first + layers, nx))
        points = torch.stack(torch.meshgrid(axes[0][part], *axes[1:], indexing="ij"), dim=-1)
        found = field.density(points.reshape(-1, 3)).float().reshape(-1, ny, nz).to(device)
        if bool(found.isnan().any()):
            raise ExportError(NOT_A_NUMBER)
        inside[part] = (sign * (found - level)).clamp(-FAR, FAR)
        progress(part.stop * (_STEPS - 10) // nx, _STEPS)
    marched = try_march(values)
    if marched is None or not len(marched[1]) or not bool((inside <= 0.0).any()):
        return None
    vertices = marched[0].cpu().numpy() - np.float32(1.0)
    triangles = marched[1].cpu().numpy().astype(np.int64)
    if bool((inside == 0.0).any()):
        # Edges that meet in a sample on the surface each have a vertex there.
        vertices, triangles = joined([(vertices, triangles)])
    progress(_STEPS, _STEPS)
    return grid.to_world(vertices.astype(np.float64)), triangles
