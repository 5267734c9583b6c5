"""Marching cubes where the surface is: most samples of a grid are never asked for.

Every fourth sample along each axis is evaluated first. Blocks of samples that the surface passes
through are then halved twice, and from there the surface is followed: where it leaves a block
through a side, the block behind that side is looked at too, until it has closed. What comes out
is what :func:`~engine.export.isosurface.extract_isosurface` finds on the same grid, vertex for
vertex, but for pieces that are thinner than four samples everywhere **and** touch nothing that
was found. A mesh of its largest piece alone does not miss them; for a mesh of all pieces every
sample is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import ExportError
from engine.export.isosurface import (
    CHUNK_POINTS,
    FAR,
    NOT_A_NUMBER,
    OUTSIDE,
    Floats,
    Grid,
    Indices,
    joined,
    marched,
)
from engine.generators.base import NEVER, CancelToken, Field
from engine.kernels.pieces import in_pieces

Flags = NDArray[np.uint8]
Places = NDArray[np.int32]
#: Samples of a brick, and which cubes marching cubes looks at.
Brick = tuple[NDArray[np.float32], NDArray[np.bool_]]

#: Most samples of a grid, which are all held (1 GiB); larger grids are cut slab by slab.
MOST_SAMPLES = 1 << 28
#: Cells of a brick along each axis: what marching cubes is given at once.
_BRICK = 32
#: Bricks that are held at once: 12 MB.
_AT_ONCE = 64
#: Steps of the progress: coarse samples, blocks, the surface, triangles.
_STEPS, _COARSE, _BLOCKS, _FOLLOWED = 100, 25, 35, 80
_CORNERS = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]


class _Samples:
    """A grid's samples, inside above zero, as far as they are known
    (:mod:`engine.kernels.cpu_sparse` says how they are kept)."""

    def __init__(self, field: Field, grid: Grid, level: float, inwards: float) -> None:
        self._field, self._level = field, np.float32(level)
        self._inwards = np.float32(inwards)
        self._axes = [grid.axis(axis).astype(np.float32) for axis in range(3)]
        self.shape = grid.shape
        self.values = np.zeros(grid.shape, np.float32)
        self.bits = self.values.view(np.int32)

    def ask(self, queue: Places, device: torch.device, cancel: CancelToken) -> None:
        """Evaluate the samples at the indices ``[M, 3]``.

        Raises:
            ExportError: the field holds NaN.
        """
        from engine.kernels.cpu_sparse import place, store

        x, y, z = self._axes
        for first in range(0, len(queue), CHUNK_POINTS):
            cancel.check()
            part = queue[first : first + CHUNK_POINTS]
            points = np.empty((len(part), 3), np.float32)
            place(part, x, y, z, points)
            found = self._field.density(torch.from_numpy(points).to(device))
            here = found.float().reshape(-1).cpu().contiguous().numpy()
            if not store(self.bits, part, here, self._level, self._inwards):
                raise ExportError(NOT_A_NUMBER)

    def lattice(self, step: int) -> Places:
        """The samples of a lattice, which were not asked for yet."""
        from engine.kernels.cpu_sparse import ask_lattice

        queue = np.empty((np.prod(self.sides(step), dtype=np.int64), 3), np.int32)
        return queue[: ask_lattice(self.bits, step, queue)]

    def blocks(self, blocks: Places, step: int) -> Places:
        """Those samples of blocks, which are ``2 * step`` wide, that were not asked for yet."""
        from engine.kernels.cpu_sparse import ask_blocks

        queue = np.empty((27 * len(blocks), 3), np.int32)
        return queue[: ask_blocks(self.bits, blocks, step, queue)]

    def sides(self, step: int) -> tuple[int, ...]:
        """Samples of a lattice along each axis: every ``step``-th of the grid's, and the last."""
        return tuple(-(-(n - 1) // step) + 1 for n in self.shape)

    def inside(self, step: int, beneath: Flags | None = None) -> Flags:
        """Which samples of a lattice are inside; those not known are as ``beneath``, the lattice
        twice as coarse, has them."""
        from engine.kernels.cpu_sparse import sides

        found = np.empty(self.sides(step), np.uint8)
        nothing = np.empty((0, 0, 0), np.uint8)
        sides(self.values, self.bits, step, nothing if beneath is None else beneath, found)
        return found


def _passed(inside: Flags) -> tuple[Flags, Places]:
    """Blocks between the samples of a lattice that the surface passes through: their flags, and
    their indices ``[N, 3]``."""
    from engine.kernels.cpu_sparse import passed

    active = np.empty([n - 1 for n in inside.shape], np.uint8)
    blocks = np.empty((active.size, 3), np.int32)
    return active, blocks[: passed(inside, active, blocks)]


def _bricks(blocks: Places, ends: tuple[int, ...], shape: tuple[int, ...]) -> Iterator[Places]:
    """First samples ``[3]`` of the bricks of the padded grid in which an active block lies.

    Args:
        blocks: ``[N, 3]``. ends: how many there could be along each axis.
        shape: samples along each axis.
    """
    flags = np.zeros([n // _BRICK + 1 for n in shape], bool)
    spans = []
    for index, end, count in zip(blocks.T, ends, shape, strict=True):
        # Sample i is padded sample i + 1; blocks at a wall have the cells beyond it, too.
        low = 2 * index + (index > 0)
        high = np.minimum(2 * index + 2 + (index == end - 1), count)
        spans.append((low // _BRICK, high // _BRICK))
    for corner in _CORNERS:
        flags[tuple(span[c] for span, c in zip(spans, corner, strict=True))] = True
    yield from (np.argwhere(flags) * _BRICK - 1).astype(np.int32)


def _filled(
    samples: _Samples, inside: Flags, corners: list[Places], cancel: CancelToken
) -> Iterator[tuple[Places, Brick]]:
    """The bricks that the surface passes through, with their first samples; some are filled at
    once by several threads, as many as torch may use."""
    from engine.kernels.cpu_sparse import fill_brick

    far, outside = np.float32(FAR), np.float32(OUTSIDE)

    def filled(corner: Places) -> Brick | None:
        size = [min(_BRICK + 1, n + 1 - int(c)) for c, n in zip(corner, samples.shape, strict=True)]
        padded, mixed = np.empty(size, np.float32), np.empty(size, bool)
        some = fill_brick(samples.values, samples.bits, inside, corner, far, outside, padded, mixed)
        return (padded, mixed) if some else None

    def fill(group: list[Places], bricks: list[Brick | None], start: int, stop: int) -> None:
        bricks[start:stop] = map(filled, group[start:stop])

    for first in range(0, len(corners), _AT_ONCE):
        group = corners[first : first + _AT_ONCE]
        bricks: list[Brick | None] = [None] * len(group)

        in_pieces(len(group), 2, partial(fill, group, bricks), cancel.check)
        for corner, brick in zip(group, bricks, strict=True):
            cancel.check()
            if brick is not None:
                yield corner, brick


def extract_near_surface(
    field: Field,
    grid: Grid,
    level: float,
    meaning: Literal["density", "sdf"],
    device: torch.device,
    progress: Callable[[int, int], None],
    cancel: CancelToken = NEVER,
) -> tuple[Floats, Indices] | None:
    """The closed surface where a field crosses ``level``, as far as every fourth sample shows it.

    Args:
        field, grid, level, meaning, device: see ``extract_isosurface``.
        progress: called with (steps done, all steps).
        cancel: checked between chunks of points.

    Returns:
        Positions and triangles as ``extract_isosurface`` gives them; ``None`` where nothing was
        found, where everything seems to be inside, and where the grid has more than
        :data:`MOST_SAMPLES` samples.

    Raises:
        ExportError: the field holds NaN.
        Cancelled: ``cancel`` was set.
    """
    if np.prod(grid.shape, dtype=np.int64) > MOST_SAMPLES:
        return None
    from engine.kernels.cpu_sparse import follow

    samples = _Samples(field, grid, level, 1.0 if meaning == "density" else -1.0)
    samples.ask(samples.lattice(4), device, cancel)
    coarse = samples.inside(4)
    _, blocks = _passed(coarse)
    if not len(blocks) or coarse.all():
        return None
    progress(_COARSE, _STEPS)
    samples.ask(samples.blocks(blocks, 2), device, cancel)
    inside = samples.inside(2, coarse)
    active, fresh = _passed(inside)
    progress(_BLOCKS, _STEPS)
    met = []
    while len(fresh):
        met.append(fresh)
        samples.ask(samples.blocks(fresh, 1), device, cancel)
        reached = np.empty((6 * len(fresh), 3), np.int32)
        fresh = reached[: follow(samples.values, fresh, inside, active, reached)]
    progress(_FOLLOWED, _STEPS)
    pieces, count = [], 0
    # Most surfaces are thin: where none is met, nothing is left to look at.
    bricks = list(_bricks(np.concatenate(met), active.shape, grid.shape)) if met else []
    for corner, brick in _filled(samples, inside, bricks, cancel):
        found = marched(*brick)
        if found is not None:
            pieces.append((found[0] + corner.astype(np.float32), found[1] + count))
            count += len(found[0])
    if not pieces:
        return None
    vertices, faces = joined(pieces)
    progress(_STEPS, _STEPS)
    return grid.to_world(vertices.astype(np.float64)), faces
