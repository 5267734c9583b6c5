"""Where a field is empty: a coarse grid of one face, made once and asked by every camera.

A sample in an empty cell is not evaluated and counts as having no density at all. A face's grid is
found by evaluating its field at the corners of the cells (:class:`Survey`), a slice at a time, while
nothing else is to be done; :class:`Grids` keeps those of the last few faces.

**What is left out.** A cell is empty only where the density at its corners, and at those of the cells
around it, stays below a level even after a quarter of their spread was added. The level is chosen so
that a ray which passes nothing but empty cells is hidden by :data:`LEAST_SEEN` at most
(:func:`level_below`); where densities end in a ReLU it is 0, and nothing at all is left out. That holds at the
corners. Between them the field is not known: something that is thinner than a cell and denser than that
would be missed. Nothing like it was found in the generators that ship, and only without the quarter
(``python -m tests.benchmarks.bench_empty``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.generators.memo import LastFew

#: Share of the light that all samples of a ray which are left out for being empty may hold back.
LEAST_SEEN = 2e-5
#: Samples of a ray are not evaluated where less than this share of its light arrives.
LEAST_LIGHT = 1e-6
#: Share of the spread of the densities around a cell by which what lies between them may be denser.
MARGIN = 0.25
#: Share of a grid's cells that must be empty for it to be used.
LEAST_EMPTY = 0.05
#: Faces whose grids are kept (0.3 MB each at 64 cells a side).
KEPT = 4


class Occupancy(NamedTuple):
    """Where something may be. Outside of the cube it may be everywhere.

    Attributes:
        cells: ``[n, n, n]`` uint8 along x, y, z: 0 in empty cells, else 1.
        half: half the side of the cube around the origin that the cells fill, in the units in which
            the field is asked.
    """

    cells: NDArray[np.uint8]
    half: float

    @property
    def empty(self) -> float:
        """Share of the cells that are empty."""
        return 1.0 - float(self.cells.mean())


#: Where nothing is known to be empty: rays still end where no light arrives.
EVERYWHERE = Occupancy(np.ones((1, 1, 1), np.uint8), 1.0)


class Survey:
    """Finds where a field is empty, a slice of points at a time.

    Args:
        density: ``[N, 3]`` points -> ``[N]``, larger where more is: a raw density, or a signed distance
            with its sign turned.
        half: half the side of the cube that is looked at.
        side: cells along one axis.
        level: of ``density``, below which a point is empty.
        points: of one slice.
    """

    def __init__(
        self,
        density: Callable[[Tensor], Tensor],
        half: float,
        side: int,
        level: float,
        points: int,
    ) -> None:
        self.density, self.level = density, level
        self._slices = _look_around(density, half, side, level, points)

    def step(self) -> Occupancy | None:
        """Look at the next slice; the grid once all have been looked at."""
        return next(self._slices)


def _look_around(
    density: Callable[[Tensor], Tensor], half: float, side: int, level: float, points: int
) -> Iterator[Occupancy | None]:
    """What :class:`Survey` does, a slice with each ``next``. Not a method: work that is given up would hold the
    survey that holds it, and the face's planes with it, until Python looks for such circles, which
    is seldom."""
    ends = side + 1
    values = torch.empty(ends**3)
    axis = torch.linspace(-half, half, ends)
    for start in range(0, ends**3, points):
        index = torch.arange(start, min(start + points, ends**3))
        places = [index // ends**2, index // ends % ends, index % ends]
        found = density(torch.stack([axis[place] for place in places], dim=1))
        values[start : start + len(index)] = found
        yield None
    high = low = values.reshape(ends, ends, ends)
    for direction in range(3):
        high = _around(high, direction, torch.maximum)
        yield None
        low = _around(low, direction, torch.minimum)
        yield None
    # Written so that what is not a number is not empty.
    empty = high + MARGIN * (high - low) < level
    yield Occupancy((~empty).to(torch.uint8).numpy(), half)


def _around(values: Tensor, axis: int, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The largest (or least) of ``n + 1`` values along an axis at both ends of each cell and of those that
    touch it: ``n``."""
    cells = values.shape[axis] - 1
    each = of(values.narrow(axis, 0, cells), values.narrow(axis, 1, cells))
    before = torch.cat([each.narrow(axis, 0, 1), each.narrow(axis, 0, cells - 1)], dim=axis)
    after = torch.cat([each.narrow(axis, 1, cells - 1), each.narrow(axis, -1, 1)], dim=axis)
    return of(before, after)


def level_below(
    length: float, activation: Literal["relu", "softplus"], shift: float = 0.0
) -> float:
    """The raw density below which ``length`` of a ray is hidden by :data:`LEAST_SEEN` at most.

    Args:
        length: of the ray.
        activation: of the density; a softplus of very negative numbers is their exponential.
        shift: added to the raw density before that.
    """
    if activation == "relu":
        return -shift
    return math.log(LEAST_SEEN / length) - shift


def reach(slab: float, distance: float, fov_y: float) -> float:
    """Half the side of a cube that holds the samples of a square picture, for a camera that looks at the
    origin along an axis.

    Args:
        slab: samples lie so far before and behind the origin at most.
        distance: of the camera.
        fov_y: its angle of view, degrees.
    """
    across = math.sqrt(2.0) * math.tan(math.radians(fov_y) / 2.0) * (distance + slab)
    return max(slab, across)


def paid_after(cost: float, cells: int, samples: float) -> float:
    """Pictures of one face after which its grid has saved what it cost.

    Args:
        cost: of a corner of the grid, in samples of pictures that are drawn without it. With what share of
            them a grid leaves out, it was measured for each family, and rounded up.
        cells: along one axis of the grid.
        samples: of one picture.
    """
    return cost * (cells + 1) ** 3 / samples


class Grids:
    """The grids of the last few faces of a model, and the one that is being made."""

    def __init__(self) -> None:
        self._known: LastFew[Occupancy | None] = LastFew(KEPT)
        self._key: Tensor | None = None
        self._survey: Survey | None = None

    def find(self, w: Tensor) -> Occupancy | None:
        """The grid of ``w``, if it has been made and is worth asking."""
        return self._known.find(w)

    def advance(self, w: Tensor, begin: Callable[[Tensor], Survey | None]) -> bool:
        """Do a slice of the work for ``w``; ``begin`` starts it, or gives ``None`` where no grid would
        help. What was begun for another face is given up.

        Returns:
            Whether nothing is left to do.
        """
        if w in self._known:
            return True
        if self._key is None or not torch.equal(self._key, w):
            self._key, self._survey = w.clone(), begin(w)
        found = None if self._survey is None else self._survey.step()
        if self._survey is not None and found is None:
            return False
        self._key = self._survey = None
        # Grids that hardly leave anything out are not worth asking.
        worth = found if found is not None and found.empty > LEAST_EMPTY else None
        self._known.get(w, lambda _: worth)
        return True

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._key = self._survey = None
