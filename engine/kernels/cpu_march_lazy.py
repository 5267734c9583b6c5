"""Rays through tri-planes on a CPU with most samples left out, compiled by Numba.

The rays of :func:`engine.kernels.cpu_march.march_rays`, looked at from the front to the back. EG3D averages
the raw densities of neighbours before it makes an opacity of them. An interval between two samples is
therefore left out where both of its ends lie in empty cells; where one does not, both are evaluated,
since a very low density takes away from its neighbour's. Behind what lets hardly any light through, nothing
is evaluated either, and counts as no weight.

The samples that are needed next, of a group of rays, are worked on at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels.cpu_march import (
    BATCH,
    activate,
    dense,
    densities,
    importance_depths,
    read_planes,
    squash,
)
from engine.kernels.cpu_math import compiled, exp, softplus

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bytes = NDArray[np.uint8]

#: Of :mod:`engine.kernels.cpu_math` and :mod:`engine.kernels.cpu_march`, which go into this file's
#: functions: see the former.
MATH, MARCH = "21c3f7ee8df6fc33", "cf4574d891f6268a"

f32, i32 = np.float32, np.int32

#: Rays whose samples are gathered, so that there are enough of them for whole batches.
GROUP = 64
#: Samples of a batch are computed in multiples of this.
WIDE = 16
ZERO, HALF, ONE, TINY = f32(0.0), f32(0.5), f32(1.0), f32(1e-10)


@compiled()
def mark(
    cells: Bytes, half: np.float32, origin: Floats, direction: Floats, depths: Floats, count: int,
    first: int, out: Bytes,
) -> None:  # fmt: skip
    """Which of a ray's samples ``first`` to ``first + count`` something may be at: 1, else 0.

    Args:
        cells, half: of an :class:`~engine.rendering.occupancy.Occupancy`.
        origin, direction: ``[3]``. depths: ``[>= first + count]``.
        out: ``[>= first + count]``, written.
    """
    side = cells.shape[0]
    scale, end = f32(side) / (half + half), f32(side)
    for s in range(first, first + count):
        x = (origin[0] + depths[s] * direction[0] + half) * scale
        y = (origin[1] + depths[s] * direction[1] + half) * scale
        z = (origin[2] + depths[s] * direction[2] + half) * scale
        # What is not a number stands outside.
        inside = x >= ZERO and x < end and y >= ZERO and y < end and z >= ZERO and z < end
        out[s] = cells[i32(x), i32(y), i32(z)] if inside else 1


@compiled()
def advance(
    depths: Floats, order: Ints, full: Bytes, sigmas: Floats, slots: Ints, count: int, held: int,
    least: np.float32, most: int, found: int, place: Ints, light: Floats, weights: Floats,
    rays: Ints, columns: Ints,
) -> int:  # fmt: skip
    """Weights of intervals as far as their ends are known, and which samples to evaluate next.

    Args:
        depths, full, sigmas: ``[G, T]`` of the samples: where they are, whether something may be there, raw
            density.
        slots: ``[G, T]`` the number of each evaluated sample, else -1; those that are chosen get one.
        order: ``[G, T]`` the samples from front to back, ``count`` of them.
        held: rays. least: a ray ends where less light than this arrives.
        most: intervals of one ray whose ends are chosen at once.
        found: samples that have a number.
        place, light: ``[G]`` how many intervals of each ray are known, and how much light is left there.
        weights: ``[G, T]`` of the intervals, written.
        rays, columns: ``[>= G T]``, written.

    Returns:
        How many samples were chosen; none once all weights are known.
    """
    n = 0
    for r in range(held):
        k, through = place[r], light[r]
        while k < count - 1:
            a, b = order[r, k], order[r, k + 1]
            if full[r, a] == 0 and full[r, b] == 0:
                weights[r, k] = ZERO
                k += 1
                continue
            if slots[r, a] < 0 or slots[r, b] < 0:
                break
            rate = softplus((sigmas[r, a] + sigmas[r, b]) * HALF - ONE)
            alpha = ONE - exp(-rate * (depths[r, b] - depths[r, a]))
            weights[r, k] = alpha * through
            through *= ONE - alpha + TINY
            k += 1
            if through < least:
                for rest in range(k, count - 1):
                    weights[r, rest] = ZERO
                k = count - 1
        place[r], light[r] = k, through
        left = most
        for j in range(k, count - 1):
            if left == 0:
                break
            a, b = order[r, j], order[r, j + 1]
            if full[r, a] == 0 and full[r, b] == 0:
                continue
            left -= 1
            if slots[r, a] < 0:
                slots[r, a], rays[n], columns[n] = found + n, r, a
                n += 1
            if slots[r, b] < 0:
                slots[r, b], rays[n], columns[n] = found + n, r, b
                n += 1
    return n


@compiled()
def march_rays(
    planes: Floats, rows: Floats, w1: Floats, b1: Floats, wd: Floats, bd: Floats,
    w2: Floats, b2: Floats, origins: Floats, directions: Floats, near: Floats, far: Floats,
    coarse: int, fine: int, disparity: bool, cells: Bytes, half: np.float32, least: np.float32,
    features: Floats, depth: Floats, opacity: Floats, extent: Floats,
) -> None:  # fmt: skip
    """Coarse samples, importance samples, compositing.

    Args:
        cells, half: of an :class:`~engine.rendering.occupancy.Occupancy`.
        least: a ray ends where less light than this arrives.
        planes, rows, w1, b1, wd, bd, w2, b2, origins, directions, near, far, coarse, fine, disparity:
            see :func:`engine.kernels.cpu_march.march_rays`.
        features, depth, opacity, extent: the same, written.
    """
    channels, units, kinds = planes.shape[3], w1.shape[0], w2.shape[0]
    total = coarse + fine
    points, place = np.empty((3, BATCH), f32), np.empty((3, BATCH), i32)
    share, texels = np.empty((3, 4, BATCH), f32), np.empty((BATCH, channels), f32)
    read, hidden = np.zeros((channels, BATCH), f32), np.zeros((units, BATCH), f32)
    sums, sigma = np.empty(BATCH, np.float64), np.empty(BATCH, f32)
    colours = np.empty((kinds, BATCH), f32)
    # Hidden units of all samples of the group that were evaluated.
    store = np.empty((units, GROUP * total), f32)
    # Even samples have the first columns.
    depths, full = np.empty((GROUP, total), f32), np.empty((GROUP, total), np.uint8)
    sigmas, slots = np.empty((GROUP, total), f32), np.empty((GROUP, total), i32)
    order, weights = np.empty((GROUP, total), i32), np.empty((GROUP, total), f32)
    at, light, cdf = np.empty(GROUP, i32), np.empty(GROUP, f32), np.empty(total, f32)
    rays, columns = np.empty(GROUP * total, i32), np.empty(GROUP * total, i32)
    shares, steps = np.empty(GROUP * total, f32), f32(coarse - 1)

    for first in range(0, len(origins), GROUP):
        held, found = min(GROUP, len(origins) - first), 0
        for part in range(2 if fine > 0 else 1):
            for r in range(held):
                g = first + r
                if part == 0:
                    a, b = near[g], far[g]
                    for i in range(coarse):
                        t = (f32(i) + HALF) / steps
                        t = ONE / ((ONE - t) / a + t / b) if disparity else a + t * (b - a)
                        depths[r, i], order[r, i] = t, i
                    mark(cells, half, origins[g], directions[g], depths[r], coarse, 0, full[r])
                    slots[r] = -1
                else:
                    line = depths[r]
                    importance_depths(line, weights[r], coarse, fine, cdf, line[coarse:])
                    mark(cells, half, origins[g], directions[g], line, fine, coarse, full[r])
                    i, j = 0, coarse
                    for k in range(total):
                        if j == total or (i < coarse and line[i] <= line[j]):
                            order[r, k] = i
                            i += 1
                        else:
                            order[r, k] = j
                            j += 1
                at[r], light[r] = 0, ONE
            count, most = (total if part else coarse), 1
            while True:
                chosen = advance(
                    depths, order, full, sigmas, slots, count, held, least, most, found, at, light,
                    weights, rays, columns,
                )  # fmt: skip
                if chosen == 0:
                    break
                for begin in range(0, chosen, BATCH):
                    n = min(BATCH, chosen - begin)
                    # Whole vectors: what is behind the last sample is computed for nothing.
                    wide = min(BATCH, (n + WIDE - 1) // WIDE * WIDE)
                    for s in range(n):
                        r = rays[begin + s]
                        t = depths[r, columns[begin + s]]
                        for axis in range(3):
                            points[axis, s] = (
                                origins[first + r, axis] + t * directions[first + r, axis]
                            )
                    read_planes(planes, rows, points, n, place, share, texels, read)
                    dense(read, w1, b1, hidden, wide)
                    activate(hidden, wide)
                    densities(hidden, wd, bd, sums, sigma, wide)
                    for s in range(n):
                        sigmas[rays[begin + s], columns[begin + s]] = sigma[s]
                    for unit in range(units):
                        into, line = store[unit], hidden[unit]
                        for s in range(n):
                            into[found + s] = line[s]
                    found += n
                most *= 2

        n = 0
        for r in range(held):
            g = first + r
            opaque, distance = ZERO, ZERO
            for k in range(total - 1):
                a, b = order[r, k], order[r, k + 1]
                opaque += weights[r, k]
                distance += weights[r, k] * ((depths[r, a] + depths[r, b]) * HALF)
            opacity[g], depth[g] = opaque, distance / opaque
            extent[g, 0] = depths[r, order[r, 0]]
            extent[g, 1] = depths[r, order[r, total - 1]]
            for k in range(total):
                before = weights[r, k - 1] if k > 0 else ZERO
                after = weights[r, k] if k < total - 1 else ZERO
                # Written so that what is not a number is decoded, and shows.
                if not ((before + after) * HALF <= ZERO):
                    shares[n], columns[n] = (before + after) * HALF, slots[r, order[r, k]]
                    rays[n] = g
                    n += 1
            for k in range(kinds):
                features[g, k] = ZERO
        for begin in range(0, n, BATCH):
            m = min(BATCH, n - begin)
            for unit in range(units):
                into, line = hidden[unit], store[unit]
                for s in range(m):
                    into[s] = line[columns[begin + s]]
            wide = min(BATCH, (m + WIDE - 1) // WIDE * WIDE)
            dense(hidden, w2, b2, colours, wide)
            squash(colours, wide)
            for k in range(kinds):
                line = colours[k]
                for s in range(m):
                    features[rays[begin + s], k] += shares[begin + s] * line[s]
