"""Marching cubes over a field on a world-space grid, slab by slab.

The grid's sample ``(i, j, k)`` stands exactly at ``origin + spacing * (i, j, k)`` in world
units, with one spacing for all three axes: nothing is stretched, sheared or shifted by half
a voxel. Only a slab of a few layers is in memory at a time, so that the memory needed grows
with the square of the resolution and with the size of the surface, not with the cube.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from skimage import measure

from engine.capabilities import Capabilities
from engine.errors import ExportError
from engine.generators.base import NEVER, CancelToken, Field

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Volume = NDArray[np.float32]

#: Points that a field is asked about at once.
CHUNK_POINTS = 1 << 17
#: Samples and layers in a slab: at most 16 MiB of float32.
_SLAB_SAMPLES, _SLAB_LAYERS = 1 << 22, 16
#: Value outside the box, relative to the level, with inside counted as above. It is so far
#: off that a surface leaving the box is closed by a flat cut within 1e-4 voxels of its side.
OUTSIDE = -1e6
#: Distances to the level beyond this are clipped: they are far from the surface, and a value
#: such as 1e30 would lose its neighbour's contribution to rounding.
FAR = 1e5
#: What is said of a field that holds NaN.
NOT_A_NUMBER = (
    "The field of this model holds NaN (values that are not numbers), so no mesh can be "
    "cut from it; try another seed, or check that the model's file is intact."
)


@dataclass(frozen=True)
class Grid:
    """A regular grid of samples that covers a box.

    Attributes:
        origin: ``[3]`` world position of sample (0, 0, 0).
        spacing: distance between neighbouring samples, world units, the same on every axis.
        shape: samples along x, y and z.
    """

    origin: Floats
    spacing: float
    shape: tuple[int, int, int]

    @classmethod
    def over(cls, capabilities: Capabilities, resolution: int) -> Grid:
        """A grid over ``capabilities.bounds``.

        The longest side holds exactly ``resolution`` samples from face to face. A shorter
        side holds as many whole spacings as fit, centred in the box.
        """
        low, high = (np.asarray(corner, dtype=np.float64) for corner in capabilities.bounds)
        extent = high - low
        spacing = float(extent.max()) / (resolution - 1)
        cells = np.maximum(1, np.floor(extent / spacing + 1e-6)).astype(int)
        origin = (low + high) / 2.0 - cells * spacing / 2.0
        nx, ny, nz = (int(c) + 1 for c in cells)
        return cls(origin, spacing, (nx, ny, nz))

    def axis(self, index: int) -> Floats:
        """``[n]`` world coordinates of the samples along axis 0, 1 or 2."""
        return np.asarray(self.origin[index] + self.spacing * np.arange(self.shape[index]))

    def to_world(self, index_points: Floats) -> Floats:
        """``[N, 3]`` positions in units of samples -> world units."""
        return np.asarray(self.origin + self.spacing * index_points)


def extract_isosurface(
    field: Field,
    grid: Grid,
    level: float,
    meaning: Literal["density", "sdf"],
    device: torch.device,
    progress: Callable[[int, int], None],
    cancel: CancelToken = NEVER,
) -> tuple[Floats, Indices]:
    """The closed surface where a field crosses ``level``.

    Args:
        field: the radiance field.
        grid: where to sample it.
        level: value on the surface.
        meaning: ``"density"`` (inside is above the level) or ``"sdf"`` (inside is below).
        device: where the field computes.
        progress: called with (layers done, all layers).
        cancel: checked between chunks of points.

    Returns:
        ``[V, 3]`` float64 world positions and ``[F, 3]`` triangles, counter-clockwise seen
        from outside. Where the surface would leave the box it is closed by a flat cut.

    Raises:
        ExportError: the field is nowhere or everywhere inside, or holds NaN.
        Cancelled: ``cancel`` was set.
    """
    nx, ny, nz = grid.shape
    sign = 1.0 if meaning == "density" else -1.0
    layers = max(1, min(_SLAB_LAYERS, _SLAB_SAMPLES // (ny * nz)))
    last = np.full((1, ny + 2, nz + 2), OUTSIDE, np.float32)
    pieces: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []
    lowest, highest, count = math.inf, -math.inf, 0
    for start in range(0, nx, layers):
        stop = min(start + layers, nx)
        values = _sample(field, grid, start, stop, device, cancel)
        lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        inside = np.clip(sign * (values - np.float32(level)), -FAR, FAR)
        slab = np.full((1 + stop - start + (stop == nx), ny + 2, nz + 2), OUTSIDE, np.float32)
        slab[0] = last[0]
        slab[1 : 1 + stop - start, 1:-1, 1:-1] = inside
        last = slab[-1:].copy()
        found = marched(slab)
        if found is not None:
            # Slab sample (0, 0, 0) is grid sample (start - 1, -1, -1): the padding.
            vertices = found[0] + np.array([start - 1, -1, -1], np.float32)
            pieces.append((vertices, found[1] + count))
            count += len(vertices)
        progress(stop, nx)
    if not lowest < level < highest or not pieces:
        raise _no_surface(level, lowest, highest)
    vertices, faces = joined(pieces)
    return grid.to_world(vertices.astype(np.float64)), faces


def _sample(
    field: Field, grid: Grid, start: int, stop: int, device: torch.device, cancel: CancelToken
) -> Volume:
    """Layers ``start`` to ``stop`` of the grid: ``[stop - start, ny, nz]`` float32."""
    x, y, z = (torch.from_numpy(grid.axis(i)).to(torch.float32) for i in range(3))
    x = x[start:stop]
    shape = (stop - start, len(y), len(z))
    values = np.empty(math.prod(shape), np.float32)
    for first in range(0, values.size, CHUNK_POINTS):
        cancel.check()
        index = torch.arange(first, min(first + CHUNK_POINTS, values.size))
        points = torch.stack(
            [
                x[index // (shape[1] * shape[2])],
                y[index // shape[2] % shape[1]],
                z[index % shape[2]],
            ],
            dim=-1,
        )
        chunk = field.density(points.to(device)).float().reshape(-1).cpu().numpy()
        values[first : first + len(chunk)] = chunk
    if np.isnan(values).any():
        raise ExportError(NOT_A_NUMBER)
    return values.reshape(shape)


def marched(
    slab: Volume, mixed: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
    """Lewiner's marching cubes at 0: vertices ``[V, 3]`` in units of samples, and ``[F, 3]`` places in them; ``None``
    if there are none.

    Splitting a volume into slabs that share one layer changes nothing: every cube is cut by
    its own eight corners alone, and both slabs compute the same positions on the shared layer.

    Args:
        slab: the samples, ``[X, Y, Z]``.
        mixed: as large; true at least at the first and the last corner of every cube that the
            surface passes through. Saves the time of looking at all others.
    """
    if not (slab.min() < 0.0 < slab.max()):
        return None
    # scikit-image counts the winding in (plane, row, column), which mirrors (x, y, z).
    vertices, faces, _, _ = measure.marching_cubes(
        slab, 0.0, gradient_direction="ascent", mask=mixed
    )
    return vertices.astype(np.float32), faces.astype(np.int64)


def joined(
    pieces: list[tuple[NDArray[np.float32], NDArray[np.int64]]],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """One surface out of the slabs': equal positions become one vertex. Each is ``[V, 3]`` positions and ``[F, 3]``
    places in them."""
    from engine.kernels.cpu_sparse import relabelled, weld

    vertices = np.concatenate([piece[0] for piece in pieces])
    faces = np.concatenate([piece[1] for piece in pieces])
    count = len(vertices)
    table = np.empty(1 << max(4, (2 * count - 1).bit_length()), np.int32)
    first, index = np.empty(count, np.int32), np.empty(count, np.int32)
    places = weld(np.ascontiguousarray(vertices, np.float32), table, first, index)
    found = np.empty_like(faces)
    return vertices[first[:places]], found[: relabelled(faces, index, found)]


def _no_surface(level: float, lowest: float, highest: float) -> ExportError:
    if lowest == highest:
        return ExportError(
            f"The field of this model has the same value {lowest:g} everywhere, so there is no "
            "surface to cut; try another seed."
        )
    return ExportError(
        f"The field of this model has no surface at level {level:g}: its values lie between "
        f"{lowest:g} and {highest:g}; choose a level between them."
    )
