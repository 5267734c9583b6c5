"""EpiGRAF's rays and points on a CPU, compiled by Numba.

The decoder's first layer is linear in what is read off the planes, so that it was applied to the
planes themselves beforehand (:class:`~engine.generators.epigraf_field.DecodedPlanes`). A sample is
then a sum of twelve rows of one table, a leaky ReLU, and four dot products: one loop over the
hidden units, which writes nothing but its four sums. Only those are kept of a sample.

The quadrature is that of :mod:`engine.rendering.nerf_march`, which is the reference. Numbers are
float32 but for the sums along a ray. The dot products may be added in the order of the
processor's vectors; nothing else is reordered.

The launcher stands in :mod:`engine.kernels.folded`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels.cpu_math import compiled, exp, softplus

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]

#: Of :mod:`engine.kernels.cpu_math`, which goes into this file's functions: see there.
MATH = "21c3f7ee8df6fc33"

f32, i32, u64 = np.float32, np.int32, np.uint64

#: Points that are worked on at once.
BATCH = 64
#: Rays that are marched side by side: their samples of one depth read the same few texels, which
#: are then still in the first cache.
GROUP = 8
#: Numbers of a sample: red, green, blue, density.
KINDS = 4

ZERO, HALF, ONE, TWO = f32(0.0), f32(0.5), f32(1.0), f32(2.0)
SLOPE = f32(0.2)
#: As in :mod:`engine.rendering.sampling` and :mod:`engine.rendering.compositing`.
PDF_FLOOR, TINY = 1e-5, f32(1e-10)


@compiled()
def find_texels(
    points: Floats, n: int, extent: np.float32, side: int, first: Ints, upper: Floats
) -> None:
    """In which texel of an axis each coordinate lies, and how far (as ``PlaneTable`` has it).

    Args:
        points: ``[3, >= n]`` x, y, z.
        extent: coordinates are divided by it.
        side: texels of a plane along one axis; its frame stands around them.
        first: ``[3, >= n]``, written: -1 to side - 1.
        upper: ``[3, >= n]``, written: 0 to 1.
    """
    scale, end = HALF * f32(side - 1), f32(side)
    for axis in range(3):
        line, left, right = points[axis], first[axis], upper[axis]
        for s in range(n):
            place = (line[s] / extent + ONE) * scale
            # What is not a number stands outside.
            place = place if place > -ONE else -ONE
            place = place if place < end else end
            # Counted from the frame, so that cutting off is rounding down.
            whole = i32(place + ONE)
            whole = whole if whole < side else i32(side)
            left[s] = whole - i32(1)
            right[s] = place - (f32(whole) - ONE)


@compiled(reorder=True)
def decode(
    table: Floats, bias: Floats, weight: Floats, last: Floats, side: int, n: int,
    first: Ints, upper: Floats, out: Floats,
) -> None:  # fmt: skip
    """Colour and density of ``n`` points.

    Args:
        table: ``[3 (side + 2)^2, H]`` the planes after the first layer, a third of each.
        bias: ``[H]`` of the first layer. weight, last: ``[4, H]`` and ``[4]``, the second one.
        first, upper: from :func:`find_texels`.
        out: ``[>= n, 4]``, written.
    """
    pitch = side + 2
    units = table.shape[1]
    one, below, beside = u64(1), u64(pitch), u64(pitch + 1)
    for s in range(n):
        x, y, z = first[0, s] + 1, first[1, s] + 1, first[2, s] + 1
        i = u64(y * pitch + x)
        j = u64((pitch + z) * pitch + x)
        k = u64((2 * pitch + z) * pitch + y)
        i1, i2, i3 = i + one, i + below, i + beside
        j1, j2, j3 = j + one, j + below, j + beside
        k1, k2, k3 = k + one, k + below, k + beside
        xu, yu, zu = upper[0, s], upper[1, s], upper[2, s]
        xl, yl, zl = ONE - xu, ONE - yu, ONE - zu
        p0, p1, p2, p3 = yl * xl, yl * xu, yu * xl, yu * xu
        q0, q1, q2, q3 = zl * xl, zl * xu, zu * xl, zu * xu
        r0, r1, r2, r3 = zl * yl, zl * yu, zu * yl, zu * yu
        red, green, blue, density = last[0], last[1], last[2], last[3]
        for c in range(units):
            h = bias[c] + (
                (p0 * table[i, c] + p1 * table[i1, c] + p2 * table[i2, c] + p3 * table[i3, c])
                + (q0 * table[j, c] + q1 * table[j1, c] + q2 * table[j2, c] + q3 * table[j3, c])
                + (r0 * table[k, c] + r1 * table[k1, c] + r2 * table[k2, c] + r3 * table[k3, c])
            )  # fmt: skip
            h = h if h > ZERO else h * SLOPE
            red += weight[0, c] * h
            green += weight[1, c] * h
            blue += weight[2, c] * h
            density += weight[3, c] * h
        out[s, 0], out[s, 1], out[s, 2], out[s, 3] = red, green, blue, density


@compiled()
def evaluate_points(
    table: Floats, bias: Floats, weight: Floats, last: Floats, side: int, extent: np.float32,
    points: Floats, out: Floats,
) -> None:  # fmt: skip
    """Raw colours and densities ``[M, 4]`` (written to ``out``) of points ``[M, 3]``; see
    :func:`decode` for the field."""
    batch = np.empty((3, BATCH), f32)
    first, upper = np.empty((3, BATCH), i32), np.empty((3, BATCH), f32)
    for start in range(0, len(points), BATCH):
        n = min(BATCH, len(points) - start)
        for s in range(n):
            for axis in range(3):
                batch[axis, s] = points[start + s, axis]
        find_texels(batch, n, extent, side, first, upper)
        decode(table, bias, weight, last, side, n, first, upper, out[start:])


@compiled()
def weigh(
    depths: Floats, densities: Floats, n: int, soft: bool, last_step: np.float32, weights: Floats
) -> np.float32:
    """Weights of ``n`` samples; returns how much light passes all but the last of them
    (:func:`engine.rendering.compositing.alpha_weights`)."""
    for s in range(n - 1):
        weights[s] = depths[s + 1] - depths[s]
    weights[n - 1] = last_step
    if soft:
        for s in range(n):
            weights[s] = ONE - exp(-softplus(densities[s]) * weights[s])
    else:
        for s in range(n):
            solid = densities[s]
            # Written so that what is not a number stays so, and shows.
            solid = ZERO if solid < ZERO else solid
            weights[s] = ONE - exp(-solid * weights[s])
    through = ONE
    for s in range(n - 1):
        alpha = weights[s]
        weights[s] = alpha * through
        through *= ONE - alpha + TINY
    weights[n - 1] *= through
    return through


@compiled()
def importance_depths(
    depths: Floats, weights: Floats, coarse: int, quantiles: Floats, cdf: Floats, out: Floats
) -> None:
    """Ascending depths where the coarse samples have their weight
    (:func:`engine.rendering.sampling.nerf_importance_depths`). ``cdf`` is scratch."""
    bins = coarse - 2
    total = 0.0
    for i in range(1, bins + 1):
        total += np.float64(weights[i]) + 2.0 * PDF_FLOOR
    running = 0.0
    cdf[0] = ZERO
    for i in range(1, bins + 1):
        running += (np.float64(weights[i]) + 2.0 * PDF_FLOOR) / total
        cdf[i] = f32(running)
    index, previous = 0, depths[0]
    for j in range(len(quantiles)):
        u = quantiles[j]
        while index <= bins and cdf[index] < u:
            index += 1
        below, above = max(index - 1, 0), min(index, bins)
        mass = cdf[above] - cdf[below]
        mass = ONE if mass < f32(PDF_FLOOR) else mass
        start = (depths[below] + depths[below + 1]) * HALF
        end = (depths[above] + depths[above + 1]) * HALF
        # Rounding can put a sample before its neighbour across a bin's edge.
        previous = max(start + (u - cdf[below]) / mass * (end - start), previous)
        out[j] = previous


@compiled()
def march_rays(
    table: Floats, bias: Floats, weight: Floats, last: Floats, side: int, extent: np.float32,
    origin: Floats, directions: Floats, even: Floats, quantiles: Floats, soft: bool,
    shift: np.float32, last_step: np.float32, closed: bool, white: bool, out: Floats,
) -> None:  # fmt: skip
    """Coarse samples, importance samples, compositing.

    Args:
        table, bias, weight, last, side: see :func:`decode`. extent: see :func:`find_texels`.
        origin: ``[3]``. directions: ``[R, 3]`` unit.
        even: depths of the even samples, 4 or more. quantiles: of the others, or none.
        soft: the density's activation is a softplus, else a ReLU. shift: added before it.
        last_step, closed, white: ``last_step``, ``last_back`` and ``white_back`` of a ``March``.
        out: ``[R, 6]``, written: the colour's three numbers, depth, sum of the weights, and the
            share of the light that passes all samples but the last.
    """
    coarse, fine = len(even), len(quantiles)
    total, most = coarse + fine, max(coarse, fine)
    points = np.empty((3, GROUP * most), f32)
    first, upper = np.empty((3, GROUP * most), i32), np.empty((3, GROUP * most), f32)
    # Of each ray the depths of the even samples, then of the others; numbers of the same samples,
    # those of one depth side by side.
    places, values = np.empty((GROUP, total), f32), np.empty((GROUP * total, KINDS), f32)
    depths, densities, weights = np.empty(total, f32), np.empty(total, f32), np.empty(total, f32)
    source, cdf = np.empty(total, i32), np.empty(coarse, f32)
    for r in range(GROUP):
        places[r, :coarse] = even
    for start in range(0, len(directions), GROUP):
        held = min(GROUP, len(directions) - start)
        for part in range(2 if fine > 0 else 1):
            begin, count = (0, coarse) if part == 0 else (coarse, fine)
            if part == 1:
                for r in range(held):
                    for s in range(coarse):
                        densities[s] = values[s * held + r, 3] + shift
                    weigh(places[r], densities, coarse, soft, last_step, weights)
                    importance_depths(
                        places[r], weights, coarse, quantiles, cdf, places[r, coarse:]
                    )
            for axis in range(3):
                o, line = origin[axis], points[axis]
                for r in range(held):
                    d = directions[start + r, axis]
                    for s in range(count):
                        line[s * held + r] = o + places[r, begin + s] * d
            find_texels(points, held * count, extent, side, first, upper)
            decode(
                table, bias, weight, last, side, held * count, first, upper, values[begin * held :]
            )
        for r in range(held):
            i, j = 0, coarse
            for s in range(total):
                # Of equal depths the importance sample comes first.
                if i < coarse and (j == total or places[r, i] < places[r, j]):
                    source[s] = i
                    i += 1
                else:
                    source[s] = j
                    j += 1
                depths[s] = places[r, source[s]]
                source[s] = source[s] * held + r
                densities[s] = values[source[s], 3] + shift
            behind = weigh(depths, densities, total, soft, last_step, weights)
            if closed:
                whole = 0.0
                for s in range(total):
                    whole += np.float64(weights[s])
                weights[total - 1] += f32(1.0 - whole)
            red, green, blue, distance, whole = 0.0, 0.0, 0.0, 0.0, 0.0
            for s in range(total):
                share, at = np.float64(weights[s]), source[s]
                red += share * values[at, 0]
                green += share * values[at, 1]
                blue += share * values[at, 2]
                distance += share * depths[s]
                whole += share
            rest = 1.0 - whole if white else 0.0
            found = out[start + r]
            found[0], found[1], found[2] = red + rest, green + rest, blue + rest
            found[3], found[4], found[5] = distance, whole, behind
