"""Tri-plane fields on a CPU, compiled by Numba: points, and whole rays.

The same algorithm as ``cuda/march.cu``: the densities of all samples come first, the
compositing weights then tell what share of the picture each sample has, and only samples with a
share are decoded to features. What torch spends on passing every intermediate result through
memory, and on reading it again, is saved: the samples of a few rays stay in the first cache from
their points to their colours.

**Layout.** The samples of a few rays are the innermost axis (``[channels, samples]``), so that
every loop over them is one vector instruction for 8 or 16 samples. Loops are therefore
written out where a vector library would have been shorter, and nothing in them calls
anything that is not inlined. Numbers are float32 but for one sum; no operations are reordered.

The launcher stands in :mod:`engine.kernels.cpu`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels.cpu_math import compiled, exp, softplus

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Doubles = NDArray[np.float64]

#: Of :mod:`engine.kernels.cpu_math`, which goes into this file's functions: see there.
MATH = "21c3f7ee8df6fc33"

f32, i32, u64 = np.float32, np.int32, np.uint64

#: Samples that are worked on at once, about: their features fit into the first cache.
BATCH = 128

ZERO, HALF, ONE, TWO, THIRD = f32(0.0), f32(0.5), f32(1.0), f32(2.0), f32(1.0 / 3.0)
#: As in :mod:`engine.rendering.sampling` and :mod:`engine.rendering.compositing`.
WEIGHT_FLOOR, PDF_FLOOR, TINY = f32(0.01), f32(1e-5), f32(1e-10)
#: The range of a feature: a sigmoid widened by a thousandth on both sides.
STRETCH, SHIFT = f32(1.002), f32(0.001)


@compiled()
def dense(x: Floats, weight: Floats, bias: Floats, out: Floats, n: int) -> None:
    """``out[j, :n] = bias[j] + sum_i weight[j, i] x[i, :n]``, both in steps of four where there
    are as many: then a value that was read serves four sums, and a sum is written once for
    four values."""
    rows, columns = weight.shape
    j = 0
    while j + 4 <= rows:
        j1, j2, j3 = j + 1, j + 2, j + 3
        o0, o1, o2, o3 = out[j], out[j1], out[j2], out[j3]
        b0, b1, b2, b3 = bias[j], bias[j1], bias[j2], bias[j3]
        for s in range(n):
            o0[s] = b0
            o1[s] = b1
            o2[s] = b2
            o3[s] = b3
        i = 0
        while i + 4 <= columns:
            x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
            a0, a1, a2, a3 = weight[j, i], weight[j, i + 1], weight[j, i + 2], weight[j, i + 3]
            c0, c1, c2, c3 = weight[j1, i], weight[j1, i + 1], weight[j1, i + 2], weight[j1, i + 3]
            d0, d1, d2, d3 = weight[j2, i], weight[j2, i + 1], weight[j2, i + 2], weight[j2, i + 3]
            e0, e1, e2, e3 = weight[j3, i], weight[j3, i + 1], weight[j3, i + 2], weight[j3, i + 3]
            for s in range(n):
                p, q, u, v = x0[s], x1[s], x2[s], x3[s]
                o0[s] += a0 * p + a1 * q + a2 * u + a3 * v
                o1[s] += c0 * p + c1 * q + c2 * u + c3 * v
                o2[s] += d0 * p + d1 * q + d2 * u + d3 * v
                o3[s] += e0 * p + e1 * q + e2 * u + e3 * v
            i += 4
        while i < columns:
            x0 = x[i]
            a0, c0, d0, e0 = weight[j, i], weight[j1, i], weight[j2, i], weight[j3, i]
            for s in range(n):
                p = x0[s]
                o0[s] += a0 * p
                o1[s] += c0 * p
                o2[s] += d0 * p
                o3[s] += e0 * p
            i += 1
        j += 4
    for row in range(j, rows):
        o0, b0 = out[row], bias[row]
        for s in range(n):
            o0[s] = b0
        for i in range(columns):
            w, x0 = weight[row, i], x[i]
            for s in range(n):
                o0[s] += w * x0[s]


@compiled()
def read_planes(
    planes: Floats, rows: Floats, points: Floats, n: int, place: Ints, share: Floats,
    texels: Floats, out: Floats,
) -> None:  # fmt: skip
    """Mean of three planes, read bilinearly at points; outside a plane is zero.

    Args:
        planes: ``[3, height + 3, width + 3, C]``, one row and column of zeros before and two
            behind, so that no texel has to be asked whether it exists.
        rows: ``[3, 2, 3]``: world point to (width, height) coordinate in -1 to 1.
        points: ``[3, >= n]`` x, y, z in world units.
        place, share, texels: scratch, ``[3, >= n]``, ``[3, 4, >= n]`` and ``[>= n, C]``.
        out: ``[C, >= n]``.
    """
    across, channels = planes.shape[2], planes.shape[3]
    width, height = f32(across - 3), f32(planes.shape[1] - 3)
    x, y, z = points[0], points[1], points[2]
    for plane in range(3):
        u0, u1, u2 = rows[plane, 0, 0], rows[plane, 0, 1], rows[plane, 0, 2]
        v0, v1, v2 = rows[plane, 1, 0], rows[plane, 1, 1], rows[plane, 1, 2]
        where = place[plane]
        s0, s1, s2, s3 = share[plane, 0], share[plane, 1], share[plane, 2], share[plane, 3]
        stride = i32(across)
        for s in range(n):
            u = u0 * x[s] + u1 * y[s] + u2 * z[s]
            v = v0 * x[s] + v1 * y[s] + v2 * z[s]
            # Rounded as torch's grid_sample does it: half a texel's last bit counts. A point
            # that is not a number stands outside.
            column = (u + ONE) * (width * HALF) - HALF
            row = (v + ONE) * (height * HALF) - HALF
            column = column if column > -ONE else -ONE
            column = column if column < width else width
            row = row if row > -ONE else -ONE
            row = row if row < height else height
            # Texels are counted from the zeros before the first one.
            left, top = i32(column + ONE), i32(row + ONE)
            right, lower = column - (f32(left) - ONE), row - (f32(top) - ONE)
            where[s] = top * stride + left
            s0[s] = (ONE - right) * (ONE - lower) * THIRD
            s1[s] = right * (ONE - lower) * THIRD
            s2[s] = (ONE - right) * lower * THIRD
            s3[s] = right * lower * THIRD
    flat = planes.reshape(3, planes.shape[1] * across, channels)
    one, below, beside = u64(1), u64(across), u64(across + 1)
    for s in range(n):
        i, j, k = u64(place[0, s]), u64(place[1, s]), u64(place[2, s])
        a0, a1, a2, a3 = flat[0, i], flat[0, i + one], flat[0, i + below], flat[0, i + beside]
        b0, b1, b2, b3 = flat[1, j], flat[1, j + one], flat[1, j + below], flat[1, j + beside]
        c0, c1, c2, c3 = flat[2, k], flat[2, k + one], flat[2, k + below], flat[2, k + beside]
        p0, p1, p2, p3 = share[0, 0, s], share[0, 1, s], share[0, 2, s], share[0, 3, s]
        q0, q1, q2, q3 = share[1, 0, s], share[1, 1, s], share[1, 2, s], share[1, 3, s]
        r0, r1, r2, r3 = share[2, 0, s], share[2, 1, s], share[2, 2, s], share[2, 3, s]
        texel = texels[s]
        for c in range(channels):
            texel[c] = (
                (p0 * a0[c] + p1 * a1[c] + p2 * a2[c] + p3 * a3[c])
                + (q0 * b0[c] + q1 * b1[c] + q2 * b2[c] + q3 * b3[c])
                + (r0 * c0[c] + r1 * c1[c] + r2 * c2[c] + r3 * c3[c])
            )  # fmt: skip
    for c in range(channels):
        line = out[c]
        for s in range(n):
            line[s] = texels[s, c]


@compiled()
def activate(hidden: Floats, n: int) -> None:
    """Softplus of ``[H, :n]``, in place."""
    for unit in range(hidden.shape[0]):
        line = hidden[unit]
        for s in range(n):
            line[s] = softplus(line[s])


@compiled()
def densities(
    hidden: Floats, weight: Floats, bias: Floats, sums: Doubles, out: Floats, n: int
) -> None:
    """``out[:n] = bias + weight @ hidden``, summed in float64: terms that are twenty times the
    sum are usual here, and surfaces are where they cancel. ``sums`` is scratch, ``[>= n]``."""
    for s in range(n):
        sums[s] = bias[0]
    for unit in range(0, len(hidden) - 1, 2):
        a, b = np.float64(weight[0, unit]), np.float64(weight[0, unit + 1])
        x, y = hidden[unit], hidden[unit + 1]
        for s in range(n):
            sums[s] += a * x[s] + b * y[s]
    if len(hidden) % 2:
        a, x = np.float64(weight[0, len(hidden) - 1]), hidden[len(hidden) - 1]
        for s in range(n):
            sums[s] += a * x[s]
    for s in range(n):
        out[s] = sums[s]


@compiled()
def squash(values: Floats, n: int) -> None:
    """The stretched sigmoid of ``[K, :n]``, in place."""
    for k in range(values.shape[0]):
        line = values[k]
        for s in range(n):
            line[s] = STRETCH / (ONE + exp(-line[s])) - SHIFT


@compiled()
def interval_weights(depths: Floats, sigmas: Floats, n: int, weights: Floats) -> None:
    """Compositing weights ``[:n - 1]`` of the intervals between ``n`` samples
    (:func:`engine.rendering.compositing.march_weights`)."""
    for i in range(n - 1):
        rate = softplus((sigmas[i] + sigmas[i + 1]) * HALF - ONE)
        weights[i] = ONE - exp(-rate * (depths[i + 1] - depths[i]))
    through = ONE
    for i in range(n - 1):
        alpha = weights[i]
        weights[i] = alpha * through
        through *= ONE - alpha + TINY


@compiled()
def importance_depths(
    depths: Floats, weights: Floats, coarse: int, fine: int, cdf: Floats, out: Floats
) -> None:
    """``fine`` ascending depths where the ``coarse`` ones have their weight: the distribution
    of :func:`engine.rendering.sampling.importance_depths`, inverted at evenly spaced quantiles.
    ``cdf`` is scratch."""
    bins = coarse - 3
    total = ZERO
    cdf[0] = ZERO
    for i in range(1, bins + 1):
        left = max(weights[i - 1], weights[i])
        right = max(weights[i], weights[i + 1])
        total += (left + right) * HALF + WEIGHT_FLOOR + PDF_FLOOR
        cdf[i] = total
    for i in range(1, bins + 1):
        cdf[i] /= total
    index, previous = 0, depths[0]
    for j in range(fine):
        u = f32(j) / f32(fine - 1) if fine > 1 else ZERO
        while index <= bins and cdf[index] <= u:
            index += 1
        below, above = max(index - 1, 0), min(index, bins)
        mass = cdf[above] - cdf[below]
        mass = ONE if mass < PDF_FLOOR else mass
        start = (depths[below] + depths[below + 1]) * HALF
        end = (depths[above] + depths[above + 1]) * HALF
        # Rounding can put a sample before its neighbour across a bin's edge.
        previous = max(start + (u - cdf[below]) / mass * (end - start), previous)
        out[j] = previous


@compiled()
def evaluate_points(
    planes: Floats, rows: Floats, w1: Floats, b1: Floats, wd: Floats, bd: Floats,
    w2: Floats, b2: Floats, points: Floats, density: Floats, features: Floats,
) -> None:  # fmt: skip
    """Raw densities and features at free points.

    Args:
        planes, rows: see :func:`read_planes`.
        w1, b1: ``[H, C]`` and ``[H]``, the hidden layer. wd, bd: ``[1, H]`` and ``[1]``, the
            density. w2, b2: ``[K, H]`` and ``[K]``, the features.
        points: ``[M, 3]``.
        density: ``[M]``, written. features: ``[M, K]``, written, or of no rows: left out.
    """
    count, channels, units, kinds = len(points), planes.shape[3], w1.shape[0], w2.shape[0]
    batch, place = np.empty((3, BATCH), f32), np.empty((3, BATCH), i32)
    share, texels = np.empty((3, 4, BATCH), f32), np.empty((BATCH, channels), f32)
    read = np.empty((channels, BATCH), f32)
    hidden, sums = np.empty((units, BATCH), f32), np.empty(BATCH, np.float64)
    colours = np.empty((kinds, BATCH), f32)
    for first in range(0, count, BATCH):
        n = min(BATCH, count - first)
        for axis in range(3):
            for s in range(n):
                batch[axis, s] = points[first + s, axis]
        read_planes(planes, rows, batch, n, place, share, texels, read)
        dense(read, w1, b1, hidden, n)
        activate(hidden, n)
        densities(hidden, wd, bd, sums, density[first:], n)
        if len(features) > 0:
            dense(hidden, w2, b2, colours, n)
            squash(colours, n)
            for s in range(n):
                for k in range(kinds):
                    features[first + s, k] = colours[k, s]


@compiled()
def march_rays(
    planes: Floats, rows: Floats, w1: Floats, b1: Floats, wd: Floats, bd: Floats,
    w2: Floats, b2: Floats, origins: Floats, directions: Floats, near: Floats, far: Floats,
    coarse: int, fine: int, disparity: bool, features: Floats, depth: Floats,
    opacity: Floats, extent: Floats,
) -> None:  # fmt: skip
    """Coarse samples, importance samples, compositing.

    Args:
        planes, rows, w1, b1, wd, bd, w2, b2: see :func:`evaluate_points`.
        origins, directions: ``[R, 3]``. near, far: ``[R]`` first and last depth.
        coarse, fine: samples per ray, at least 4 and 0. disparity: even in inverse depth.
        features: ``[R, K]``, written: the sum of weight times feature.
        depth: ``[R]``, written: the weighted mean, not finite where all weights are 0.
        opacity: ``[R]``, written: the sum of weights.
        extent: ``[R, 2]``, written: depth of the first and the last sample.
    """
    channels, units, kinds = planes.shape[3], w1.shape[0], w2.shape[0]
    total, most = coarse + fine, max(coarse, fine)
    group = max(1, BATCH // most)
    size = group * most
    points = np.empty((3, size), f32)
    place, share = np.empty((3, size), i32), np.empty((3, 4, size), f32)
    texels, read = np.empty((size, channels), f32), np.empty((channels, size), f32)
    # What was computed of the even samples and of the importance samples.
    hidden_a, hidden_b = np.empty((units, size), f32), np.empty((units, size), f32)
    sigma_a, sigma_b, sums = np.empty(size, f32), np.empty(size, f32), np.empty(size, np.float64)
    even, more = np.empty((group, coarse), f32), np.empty((group, max(1, fine)), f32)
    # One ray, merged: depths, densities, which sample it was, interval weights.
    depths, sigmas, weights = np.empty(total, f32), np.empty(total, f32), np.empty(total, f32)
    source, cdf = np.empty(total, i32), np.empty(total, f32)
    # The samples of the group that have a share of the picture.
    chosen, shares = np.empty(group * total, i32), np.empty(group * total, f32)
    first_of = np.empty(group + 1, i32)
    units_of, colours = np.empty((units, group * total), f32), np.empty((kinds, group * total), f32)
    steps = f32(coarse - 1)

    for first in range(0, len(origins), group):
        held = min(group, len(origins) - first)
        n = 0
        for r in range(held):
            g = first + r
            a, b = near[g], far[g]
            for i in range(coarse):
                t = (f32(i) + HALF) / steps
                t = ONE / ((ONE - t) / a + t / b) if disparity else a + t * (b - a)
                even[r, i] = t
                for axis in range(3):
                    points[axis, n] = origins[g, axis] + t * directions[g, axis]
                n += 1
        read_planes(planes, rows, points, n, place, share, texels, read)
        dense(read, w1, b1, hidden_a, n)
        activate(hidden_a, n)
        densities(hidden_a, wd, bd, sums, sigma_a, n)
        if fine > 0:
            n = 0
            for r in range(held):
                g = first + r
                interval_weights(even[r], sigma_a[r * coarse :], coarse, weights)
                importance_depths(even[r], weights, coarse, fine, cdf, more[r])
                for i in range(fine):
                    for axis in range(3):
                        points[axis, n] = origins[g, axis] + more[r, i] * directions[g, axis]
                    n += 1
            read_planes(planes, rows, points, n, place, share, texels, read)
            dense(read, w1, b1, hidden_b, n)
            activate(hidden_b, n)
            densities(hidden_b, wd, bd, sums, sigma_b, n)

        n = 0
        for r in range(held):
            g = first + r
            i = j = 0
            for k in range(total):
                if j == fine or (i < coarse and even[r, i] <= more[r, j]):
                    depths[k], sigmas[k] = even[r, i], sigma_a[r * coarse + i]
                    source[k] = r * coarse + i
                    i += 1
                else:
                    depths[k], sigmas[k] = more[r, j], sigma_b[r * fine + j]
                    source[k] = -1 - (r * fine + j)
                    j += 1
            interval_weights(depths, sigmas, total, weights)
            opaque, distance = ZERO, ZERO
            for k in range(total - 1):
                opaque += weights[k]
                distance += weights[k] * ((depths[k] + depths[k + 1]) * HALF)
            opacity[g], depth[g] = opaque, distance / opaque
            extent[g, 0], extent[g, 1] = depths[0], depths[total - 1]
            first_of[r] = n
            for k in range(total):
                before = weights[k - 1] if k > 0 else ZERO
                after = weights[k] if k < total - 1 else ZERO
                # Written so that what is not a number is decoded, and shows.
                if not ((before + after) * HALF <= ZERO):
                    shares[n], chosen[n] = (before + after) * HALF, source[k]
                    n += 1
        first_of[held] = n
        for unit in range(units):
            line_a, line_b, line = hidden_a[unit], hidden_b[unit], units_of[unit]
            for s in range(n):
                which = chosen[s]
                line[s] = line_a[which] if which >= 0 else line_b[-1 - which]
        dense(units_of, w2, b2, colours, n)
        squash(colours, n)
        for k in range(kinds):
            line = colours[k]
            for r in range(held):
                value = ZERO
                for s in range(first_of[r], first_of[r + 1]):
                    value += shares[s] * line[s]
                features[first + r, k] = value
