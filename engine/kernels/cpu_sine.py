"""Sines of many numbers on a CPU, compiled by Numba.

torch asks a library for each vector of sines; here the sine is a polynomial in the loop itself,
which is three to six times as fast. The launcher stands in :mod:`engine.kernels.sine`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

f32, i32 = np.float32, np.int32

ONE_OVER_PI, ROUNDER = f32(0.3183098861837907), f32(12582912.0)
# Pi in three parts (Cephes' of pi / 4, times four): products of the first two with a whole number
# of turns are exact up to some 12,000.
PI_HIGH, PI_MIDDLE, PI_LOW = f32(3.140625), f32(9.67502593994140625e-4), f32(1.509957990978376e-7)
# sin(r) = r + r^3 p(r^2) for r in -pi / 2 to pi / 2, least largest error 5e-9.
S3, S2 = f32(2.599445650470e-06), f32(-1.980634087143e-04)
S1, S0 = f32(8.333013511474e-03), f32(-1.666665694298e-01)
#: Beyond a quarter of a turn only where x is so large that float32 has no angle left.
LIMIT = f32(1.6)


def _sines(x: NDArray[np.float32]) -> None:
    """``x`` ``[N]`` becomes its sine; absolute error below 2e-7 for x in -10,000 to 10,000."""
    for s in range(len(x)):
        angle = x[s]
        # Adding 1.5 * 2^23 rounds, and leaves the number of half turns in the low bits.
        shifted = angle * ONE_OVER_PI + ROUNDER
        n = shifted - ROUNDER
        r = ((angle - n * PI_HIGH) - n * PI_MIDDLE) - n * PI_LOW
        # Written so that what is not a number stays so, and shows.
        r = LIMIT if r > LIMIT else r
        r = -LIMIT if r < -LIMIT else r
        square = r * r
        p = S3 * square + S2
        p = p * square + S1
        p = p * square + S0
        sine = p * (square * r) + r
        # After an odd number of half turns the sign is the other one: the lowest bit moves there.
        odd = i32(f32(shifted).view(np.int32) << i32(31))
        x[s] = i32(f32(sine).view(np.int32) ^ odd).view(np.float32)


sines: Callable[[NDArray[np.float32]], None] = njit(
    fastmath={"contract", "nsz"}, error_model="numpy", nogil=True, cache=True
)(_sines)
