"""Which samples of rays are evaluated at all, on a CPU, compiled by Numba.

The bookkeeping of :mod:`engine.rendering.lazy_march`, which says what it is for. The launcher stands in
:mod:`engine.kernels.lazy`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels.cpu_math import compiled, exp

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bytes = NDArray[np.uint8]

#: Of :mod:`engine.kernels.cpu_math`, which goes into this file's functions: see there.
MATH = "21c3f7ee8df6fc33"

f32, i32 = np.float32, np.int32
ZERO, ONE, TINY = f32(0.0), f32(1.0), f32(1e-10)


@compiled()
def mark(
    cells: Bytes, half: np.float32, origin: Floats, directions: Floats, depths: Floats, open_: Bytes
) -> None:
    """Which samples something may be at.

    Args:
        cells, half: of an :class:`~engine.rendering.occupancy.Occupancy`.
        origin: ``[3]``. directions: ``[R, 3]``. depths: ``[R, S]``.
        open_: ``[R, S]``, written: 0 where the cell is empty, else 1.
    """
    side = cells.shape[0]
    scale, end = f32(side) / (half + half), f32(side)
    for r in range(len(depths)):
        for s in range(depths.shape[1]):
            t = depths[r, s]
            x = (origin[0] + t * directions[r, 0] + half) * scale
            y = (origin[1] + t * directions[r, 1] + half) * scale
            z = (origin[2] + t * directions[r, 2] + half) * scale
            # What is not a number stands outside.
            inside = x >= ZERO and x < end and y >= ZERO and y < end and z >= ZERO and z < end
            open_[r, s] = cells[i32(x), i32(y), i32(z)] if inside else 1


@compiled()
def choose(
    depths: Floats, order: Ints, solid: Floats, open_: Bytes, last_step: np.float32,
    least: np.float32, most: int, place: Ints, light: Floats, rays: Ints, columns: Ints,
) -> int:  # fmt: skip
    """The next samples to evaluate, from the front to the back of each ray.

    Args:
        depths: ``[R, S]`` ascending. order: ``[R, S]`` the columns of ``solid`` and ``open_`` that these
            samples have.
        solid: ``[R, C]`` densities, 0 where they are not known.
        open_: ``[R, C]``, 1 where a density is still to be found; those that are chosen become 0.
        last_step: length of the step behind the last sample.
        least: a ray ends where less light than this arrives.
        most: samples of one ray that are chosen at once.
        place, light: ``[R]`` how far each ray has come, and how much light arrives there.
        rays, columns: ``[>= R most]``, written.

    Returns:
        How many were chosen; none once all rays have ended.
    """
    samples, n = depths.shape[1], 0
    for r in range(len(depths)):
        k, through = place[r], light[r]
        while k < samples and open_[r, order[r, k]] == 0:
            density = solid[r, order[r, k]]
            if density != ZERO:
                step = depths[r, k + 1] - depths[r, k] if k + 1 < samples else last_step
                through *= exp(-density * step) + TINY
            k += 1
            if through < least:
                k = samples
        place[r], light[r] = k, through
        left = most
        for j in range(k, samples):
            column = order[r, j]
            if open_[r, column] != 0:
                open_[r, column] = 0
                rays[n], columns[n] = r, column
                n += 1
                left -= 1
                if left == 0:
                    break
    return n


@compiled()
def blend(weights: Floats, rays: Ints, columns: Ints, features: Floats, out: Floats) -> None:
    """``out[ray] += weight * feature`` of each sample that was evaluated.

    Args:
        weights: ``[R, C]``. rays, columns: ``[N]``. features: ``[N, K]``. out: ``[R, K]``.
    """
    kinds = features.shape[1]
    for s in range(len(rays)):
        weight = weights[rays[s], columns[s]]
        # What is not a number shows.
        if weight != ZERO:
            line, into = features[s], out[rays[s]]
            for k in range(kinds):
                into[k] += weight * line[k]
