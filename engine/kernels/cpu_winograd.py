"""3 x 3 convolutions with a quarter of the products, compiled by Numba: the transforms.

Winograd, "Arithmetic Complexity of Computations" (1980); Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks" (2016). Four results in a row are a product of polynomials, which is
known by its values at six points: 6 products stand for 12, along both sides 36 for 144. Pictures are
cut into tiles of 4 x 4 results, which read 6 x 6 values::

    Y = A^T [ (G g G^T) * (B^T d B) ] A

The products of all tiles and channels are 36 products of matrices, which torch makes; here is what
stands before and behind them, and what a layer does with its result.

**Points.** 0, 5/8, -5/8, 11/8, -11/8 and infinity: exact in binary, and with them the error is a third
of what the usual 0, 1, -1, 2, -2 leave: in the mean three times that of adding up the products one by one
(tests/kernels/test_winograd.py). The matrices follow from the points, see there as well.

**Layout.** Pictures are ``[height, width, channels]``, so that every loop runs along channels.

The launcher stands in :mod:`engine.kernels.winograd`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels.cpu_math import compiled

Floats = NDArray[np.float32]

#: Of :mod:`engine.kernels.cpu_math`, which goes into this file's functions: see there.
MATH = "21c3f7ee8df6fc33"

f32 = np.float32

#: The points that are not 0 and infinity, with both signs.
POINT_A, POINT_B = 5 / 8, 11 / 8
_A2, _B2 = POINT_A**2, POINT_B**2
A, B, A2, B2 = f32(POINT_A), f32(POINT_B), f32(_A2), f32(_B2)
A3, B3 = f32(POINT_A**3), f32(POINT_B**3)
SUM, PRODUCT = f32(_A2 + _B2), f32(_A2 * _B2)
# What values of a filter's polynomial are multiplied by: products of distances between points.
AT_ZERO = f32(1.0 / (_A2 * _B2))
EVEN_A, EVEN_B = f32(0.5 / (_A2 * (_A2 - _B2))), f32(0.5 / (_B2 * (_B2 - _A2)))
ODD_A, ODD_B = f32(0.5 / (POINT_A * (_A2 - _B2))), f32(0.5 / (POINT_B * (_B2 - _A2)))
LAST_A, LAST_B = f32(0.5 / (_A2 - _B2)), f32(0.5 / (_B2 - _A2))
ZERO = f32(0.0)
#: Numbers of a filter that are worked on at once.
RUN = 512


@compiled()
def transform_weights(taps: Floats, out: Floats) -> None:
    """``G g G^T``: ``[9, N]`` filters, tap by tap, -> ``[36, N]``."""
    half = np.empty((18, RUN), f32)
    for start in range(0, taps.shape[1], RUN):
        n = min(RUN, taps.shape[1] - start)
        for step in range(9):
            # Along columns into ``half``, for each of three; then along rows, for each of six.
            if step < 3:
                g0, g1, g2 = taps[step, start:], taps[3 + step, start:], taps[6 + step, start:]
                o0, o1, o2 = half[step], half[3 + step], half[6 + step]
                o3, o4, o5 = half[9 + step], half[12 + step], half[15 + step]
            else:
                row = step - 3
                g0, g1, g2 = half[3 * row], half[3 * row + 1], half[3 * row + 2]
                o0, o1, o2 = (
                    out[6 * row, start:],
                    out[6 * row + 1, start:],
                    out[6 * row + 2, start:],
                )
                o3, o4 = out[6 * row + 3, start:], out[6 * row + 4, start:]
                o5 = out[6 * row + 5, start:]
            for s in range(n):
                p, q, r = g0[s], g1[s], g2[s]
                even_a, odd_a = EVEN_A * p + LAST_A * r, ODD_A * q
                even_b, odd_b = EVEN_B * p + LAST_B * r, ODD_B * q
                o0[s] = AT_ZERO * p
                o1[s] = even_a + odd_a
                o2[s] = even_a - odd_a
                o3[s] = even_b + odd_b
                o4[s] = even_b - odd_b
                o5[s] = r


@compiled(inline=True)
def transform_six(
    d0: Floats,
    d1: Floats,
    d2: Floats,
    d3: Floats,
    d4: Floats,
    d5: Floats,
    out: Floats,
    at: int,
    step: int,
) -> None:
    """``B^T d`` of six values in a row, each ``[C]``, to the places ``at``, ``at + step``, ... of ``out``."""
    o0, o1, o2 = out[at], out[at + step], out[at + 2 * step]
    o3, o4, o5 = out[at + 3 * step], out[at + 4 * step], out[at + 5 * step]
    for c in range(len(d0)):
        v1, v2, v3, v4 = d1[c], d2[c], d3[c], d4[c]
        even_a, odd_a = v4 - B2 * v2, A * (v3 - B2 * v1)
        even_b, odd_b = v4 - A2 * v2, B * (v3 - A2 * v1)
        o0[c] = PRODUCT * d0[c] - SUM * v2 + v4
        o1[c] = even_a + odd_a
        o2[c] = even_a - odd_a
        o3[c] = even_b + odd_b
        o4[c] = even_b - odd_b
        o5[c] = PRODUCT * v1 - SUM * v3 + d5[c]


@compiled()
def transform_columns(source: Floats, top: int, left: int, half: Floats) -> None:
    """``B^T d`` of the 6 x 6 values from ``source[top, left]`` on: ``[36, C]``, written."""
    for j in range(6):
        x = left + j
        d0, d1, d2 = source[top, x], source[top + 1, x], source[top + 2, x]
        d3, d4, d5 = source[top + 3, x], source[top + 4, x], source[top + 5, x]
        transform_six(d0, d1, d2, d3, d4, d5, half, j, 6)


@compiled()
def transform_tiles(picture: Floats, first: int, at: int, count: int, out: Floats) -> None:
    """``B^T d B`` of tiles, counted row by row from ``first`` on.

    Args:
        picture: ``[height, width, C]``; zeros stand around it.
        out: ``[36, >= at + count, C]``, written from place ``at`` on.
    """
    height, width, channels = picture.shape
    across = (width + 3) // 4
    half, patch = np.empty((36, channels), f32), np.zeros((6, 6, channels), f32)
    for t in range(count):
        top, left = 4 * ((first + t) // across) - 1, 4 * ((first + t) % across) - 1
        if top >= 0 and left >= 0 and top + 6 <= height and left + 6 <= width:
            transform_columns(picture, top, left, half)
        else:
            for i in range(6):
                for j in range(6):
                    y, x = top + i, left + j
                    if y < 0 or x < 0 or y >= height or x >= width:
                        patch[i, j] = ZERO
                    else:
                        patch[i, j] = picture[y, x]
            transform_columns(patch, 0, 0, half)
        mine = out[:, at + t]
        for row in range(0, 36, 6):
            d0, d1, d2 = half[row], half[row + 1], half[row + 2]
            d3, d4, d5 = half[row + 3], half[row + 4], half[row + 5]
            transform_six(d0, d1, d2, d3, d4, d5, mine, row, 1)


@compiled()
def finish_tiles(
    products: Floats, first: int, at: int, count: int, noise: Floats, bias: Floats, slope: np.float32,
    gain: np.float32, limit: np.float32, out: Floats,
) -> None:  # fmt: skip
    """``A^T m A`` of tiles, and all that a layer does with it: noise, bias, leaky ReLU, limit.

    Args:
        products: ``[36, >= at + count, C]``.
        first, at, count: see :func:`transform_tiles`.
        noise: ``[height, width]``. bias: ``[C]``.
        slope, gain: of the leaky ReLU below zero, and what its result is multiplied by.
        limit: of the result's magnitude.
        out: ``[height, width, C]``, written where the tiles are.
    """
    height, width, channels = out.shape
    across = (width + 3) // 4
    half, beyond = np.empty((24, channels), f32), np.empty(channels, f32)
    for t in range(count):
        top, left = 4 * ((first + t) // across), 4 * ((first + t) % across)
        for j in range(6):
            m0, m1, m2 = products[j, at + t], products[6 + j, at + t], products[12 + j, at + t]
            m3, m4, m5 = (
                products[18 + j, at + t],
                products[24 + j, at + t],
                products[30 + j, at + t],
            )
            o0, o1, o2, o3 = half[j], half[6 + j], half[12 + j], half[18 + j]
            for c in range(channels):
                even_a, odd_a = m1[c] + m2[c], m1[c] - m2[c]
                even_b, odd_b = m3[c] + m4[c], m3[c] - m4[c]
                o0[c] = m0[c] + even_a + even_b
                o1[c] = A * odd_a + B * odd_b
                o2[c] = A2 * even_a + B2 * even_b
                o3[c] = A3 * odd_a + B3 * odd_b + m5[c]
        for i in range(min(4, height - top)):
            m0, m1, m2 = half[6 * i], half[6 * i + 1], half[6 * i + 2]
            m3, m4, m5 = half[6 * i + 3], half[6 * i + 4], half[6 * i + 5]
            y = top + i
            o0 = out[y, left]
            o1 = out[y, left + 1] if left + 1 < width else beyond
            o2 = out[y, left + 2] if left + 2 < width else beyond
            o3 = out[y, left + 3] if left + 3 < width else beyond
            n0 = noise[y, left]
            n1 = noise[y, left + 1] if left + 1 < width else ZERO
            n2 = noise[y, left + 2] if left + 2 < width else ZERO
            n3 = noise[y, left + 3] if left + 3 < width else ZERO
            for c in range(channels):
                even_a, odd_a = m1[c] + m2[c], m1[c] - m2[c]
                even_b, odd_b = m3[c] + m4[c], m3[c] - m4[c]
                b = bias[c]
                v0 = m0[c] + even_a + even_b + n0 + b
                v1 = A * odd_a + B * odd_b + n1 + b
                v2 = A2 * even_a + B2 * even_b + n2 + b
                v3 = A3 * odd_a + B3 * odd_b + m5[c] + n3 + b
                # Written so that what is not a number stays so, and shows.
                v0 = (v0 * slope if v0 < ZERO else v0) * gain
                v1 = (v1 * slope if v1 < ZERO else v1) * gain
                v2 = (v2 * slope if v2 < ZERO else v2) * gain
                v3 = (v3 * slope if v3 < ZERO else v3) * gain
                v0 = limit if v0 > limit else v0
                v1 = limit if v1 > limit else v1
                v2 = limit if v2 > limit else v2
                v3 = limit if v3 > limit else v3
                o0[c] = -limit if v0 < -limit else v0
                o1[c] = -limit if v1 < -limit else v1
                o2[c] = -limit if v2 < -limit else v2
                o3[c] = -limit if v3 < -limit else v3
