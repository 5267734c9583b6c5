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
    Volume,
    joined,
    marched,
)
from engine.generators.base import NEVER, CancelToken, Field

Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

#: Most samples of a grid, which are all held (1 GiB); larger grids are cut slab by slab.
MOST_SAMPLES = 1 << 28
#: Cells of a brick along each axis: what marching cubes is given at once.
_BRICK = 32
#: Steps of the progress: coarse samples, blocks, the surface, triangles.
_STEPS, _COARSE, _BLOCKS, _FOLLOWED = 100, 25, 35, 80

#: All corners of a block, and its sides: the block behind each, and which samples lie on it.
_CORNERS = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
_TRIPLES = [(x, y, z) for x in (0, 1, 2) for y in (0, 1, 2) for z in (0, 1, 2)]
_SIDES = [(axis, step) for axis in range(3) for step in (-1, 1)]


class _Samples:
    """A grid's samples, inside above zero, as far as they are known."""

    def __init__(
        self, density: Callable[[Places], Volume], shape: tuple[int, int, int], cancel: CancelToken
    ) -> None:
        self._density, self._cancel = density, cancel
        self.shape = shape
        self.values = np.full(shape, np.nan, np.float32)
        self.flat = self.values.reshape(-1)
        # Untouched but where something is asked for, so that most of it never gets memory.
        self._turn = np.empty(self.flat.shape, np.int32)

    def ask(self, places: Places) -> None:
        """Evaluate the samples at flat indices that are not known yet.

        Raises:
            ExportError: the field holds NaN.
        """
        places = places[np.isnan(self.flat[places])]
        # Of equal ones the last: quicker than sorting.
        turns = np.arange(len(places), dtype=np.int32)
        self._turn[places] = turns
        places = places[self._turn[places] == turns]
        for first in range(0, len(places), CHUNK_POINTS):
            self._cancel.check()
            part = places[first : first + CHUNK_POINTS]
            found = self._density(part)
            if np.isnan(found).any():
                raise ExportError(NOT_A_NUMBER)
            self.flat[part] = found

    def places(self, x: Places, y: Places, z: Places) -> Places:
        """Flat indices; what lies beyond the grid stands for its last sample."""
        _, ny, nz = self.shape
        x, y, z = (np.minimum(i, n - 1) for i, n in zip((x, y, z), self.shape, strict=True))
        return np.asarray((x * ny + y) * nz + z)


def _lattice(count: int, step: int) -> Places:
    """Every ``step``-th of ``count`` indices, and the last one."""
    return np.unique(np.append(np.arange(0, count, step), count - 1))


def _passed(inside: Flags) -> Flags:
    """Blocks between the samples of a lattice that the surface passes through. Outside of the grid
    there is nothing, so that it also passes where an outermost sample is inside."""
    shape = tuple(n - 1 for n in inside.shape)
    some, every = np.zeros(shape, bool), np.ones(shape, bool)
    for corner in _CORNERS:
        seen = inside[tuple(slice(c, c + n) for c, n in zip(corner, shape, strict=True))]
        some |= seen
        every &= seen
    for axis in range(3):
        wall = np.moveaxis(every, axis, 0)
        wall[0] = wall[-1] = False
    return np.asarray(some & ~every)


def _known(samples: _Samples, lattices: list[Places], beneath: Flags | None) -> Flags:
    """Which samples of a lattice are inside; those not known are as ``beneath``, the lattice twice
    as coarse, has them."""
    found = samples.values[np.ix_(*lattices)]
    inside = found > 0.0
    if beneath is None:
        return np.asarray(inside)
    lower = beneath[np.ix_(*(np.arange(n) // 2 for n in found.shape))]
    return np.where(np.isnan(found), lower, inside)


def _halved(samples: _Samples, blocks: Flags, step: int) -> None:
    """Evaluate the samples of ``blocks``, which are ``2 * step`` wide, at every ``step``."""
    at = np.nonzero(blocks)
    wanted = np.zeros([-(-(n - 1) // step) + 1 for n in samples.shape], bool)
    for offset in _TRIPLES:
        where = (
            np.minimum(2 * i + o, n - 1)
            for i, o, n in zip(at, offset, wanted.shape, strict=True)
        )  # fmt: skip
        wanted[tuple(where)] = True
    x, y, z = (i.astype(np.int64) * step for i in np.nonzero(wanted))
    samples.ask(samples.places(x, y, z))


def _followed(samples: _Samples, active: Flags) -> None:
    """Evaluate all samples of the active blocks, which are two samples wide, and of those that the
    surface reaches from them; ``active`` grows."""
    fresh = np.stack(np.nonzero(active), axis=1)
    while len(fresh):
        at = [
            samples.places(*(2 * fresh[:, axis] + o for axis, o in enumerate(offset)))
            for offset in _TRIPLES
        ]
        samples.ask(np.concatenate(at))
        inside = np.stack([samples.flat[places] > 0.0 for places in at], axis=1)
        inside = inside.reshape(-1, 3, 3, 3)
        reached = []
        for axis, step in _SIDES:
            side = np.take(inside, 1 + step, axis=axis + 1).reshape(-1, 9)
            crossed = side.any(axis=1) & ~side.all(axis=1)
            behind = fresh[crossed]
            behind[:, axis] += step
            behind = behind[(behind[:, axis] >= 0) & (behind[:, axis] < active.shape[axis])]
            behind = behind[~active[tuple(behind.T)]]
            active[tuple(behind.T)] = True
            reached.append(behind)
        fresh = np.concatenate(reached)


def _bricks(active: Flags, shape: tuple[int, int, int]) -> Iterator[tuple[int, ...]]:
    """Bricks of the padded grid in which an active block lies."""
    flags = np.zeros([n // _BRICK + 1 for n in shape], bool)
    spans = []
    for axis, index in enumerate(np.nonzero(active)):
        # Sample i is padded sample i + 1; blocks at a wall have the cells beyond it, too.
        low = 2 * index + (index > 0)
        high = np.minimum(2 * index + 2 + (index == active.shape[axis] - 1), shape[axis])
        spans.append((low // _BRICK, high // _BRICK))
    for corner in _CORNERS:
        flags[tuple(span[c] for span, c in zip(spans, corner, strict=True))] = True
    yield from zip(*(axis.tolist() for axis in np.nonzero(flags)), strict=True)


def _brick(samples: _Samples, inside: Flags, brick: tuple[int, ...]) -> Volume:
    """The padded samples of a brick. What is not known is far from the surface, on the side of the
    next coarser sample below it."""
    cut = []
    for b, n in zip(brick, samples.shape, strict=True):
        cut.append(np.arange(b * _BRICK - 1, min((b + 1) * _BRICK - 1, n) + 1))
    held = [index[(index >= 0) & (index < n)] for index, n in zip(cut, samples.shape, strict=True)]
    spans = tuple(slice(index[0], index[-1] + 1) for index in held)
    found = samples.values[spans]
    lower = inside[np.ix_(*(index // 2 for index in held))]
    found = np.where(np.isnan(found), np.where(lower, FAR, -FAR), np.clip(found, -FAR, FAR))
    padded = np.full([len(index) for index in cut], OUTSIDE, np.float32)
    start = [int(index[0] < 0) for index in cut]
    padded[tuple(slice(s, s + n) for s, n in zip(start, found.shape, strict=True))] = found
    return padded


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
    axes = [torch.from_numpy(grid.axis(axis)).to(torch.float32) for axis in range(3)]
    sign = np.float32(1.0 if meaning == "density" else -1.0)

    def density(places: Places) -> Volume:
        at = np.unravel_index(places, grid.shape)
        points = torch.stack([axis[torch.from_numpy(i)] for axis, i in zip(axes, at, strict=True)])
        found = field.density(points.T.contiguous().to(device)).float().reshape(-1).cpu().numpy()
        return np.asarray(sign * (found - np.float32(level)))

    samples = _Samples(density, grid.shape, cancel)
    coarse, middle = ([_lattice(n, step) for n in grid.shape] for step in (4, 2))
    samples.ask(samples.places(*(i.reshape(-1) for i in np.meshgrid(*coarse, indexing="ij"))))
    inside = _known(samples, coarse, None)
    blocks = _passed(inside)
    if not blocks.any() or inside.all():
        return None
    progress(_COARSE, _STEPS)
    _halved(samples, blocks, 2)
    inside = _known(samples, middle, inside)
    active = _passed(inside)
    progress(_BLOCKS, _STEPS)
    _followed(samples, active)
    # The surface may have been followed into blocks that seemed to have none.
    inside = _known(samples, middle, _known(samples, coarse, None))
    progress(_FOLLOWED, _STEPS)
    pieces, count = [], 0
    for brick in _bricks(active, grid.shape):
        cancel.check()
        found = marched(_brick(samples, inside, brick))
        if found is not None:
            shift = np.array([b * _BRICK - 1 for b in brick], np.float32)
            pieces.append((found[0] + shift, found[1] + count))
            count += len(found[0])
    if not pieces:
        return None
    vertices, faces = joined(pieces)
    progress(_STEPS, _STEPS)
    return grid.to_world(vertices.astype(np.float64)), faces
