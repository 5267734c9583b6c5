"""Sines of many numbers on a CPU, compiled by Numba.

torch asks a library for each vector of sines; here the sine is a polynomial in the loop itself,
which is about three times as fast. The launcher stands in :mod:`engine.kernels.sine`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.kernels.kept import kept

if TYPE_CHECKING:
    from collections.abc import Callable

f32, i32 = np.float32, np.int32

TWO_OVER_PI, ROUNDER = f32(0.6366197723675814), f32(12582912.0)
# Half of pi in three parts (Cephes' of pi / 4, times two): products of the first two with a whole
# number of quarter turns are exact up to some 12,000 radians.
PART_1, PART_2, PART_3 = f32(1.5703125), f32(4.83751296997070312e-4), f32(7.549789954891882e-8)
# Cephes' sinf and cosf for -pi / 4 to pi / 4.
S2, S1, S0 = f32(-1.9515295891e-4), f32(8.3321608736e-3), f32(-1.6666654611e-1)
C2, C1, C0 = f32(2.443315711809948e-5), f32(-1.388731625493765e-3), f32(4.166664568298827e-2)
HALF, ONE = f32(0.5), f32(1.0)
#: Beyond an eighth of a turn only where x is so large that float32 has no angle left.
LIMIT = f32(0.8)


def _sines(x: NDArray[np.float32]) -> None:
    """``x`` ``[N]`` becomes its sine; absolute error below 1e-7 for x in -10,000 to 10,000."""
    for s in range(len(x)):
        angle = x[s]
        # Adding 1.5 * 2^23 rounds, and leaves the number of quarter turns in the low bits.
        shifted = angle * TWO_OVER_PI + ROUNDER
        n = shifted - ROUNDER
        r = ((angle - n * PART_1) - n * PART_2) - n * PART_3
        # Written so that what is not a number stays so, and shows.
        r = LIMIT if r > LIMIT else r
        r = -LIMIT if r < -LIMIT else r
        square = r * r
        sine = ((S2 * square + S1) * square + S0) * (square * r) + r
        cosine = ((C2 * square + C1) * square + C0) * (square * square) - HALF * square + ONE
        turns = f32(shifted).view(np.int32)
        value = cosine if turns & i32(1) else sine
        # After two or three quarter turns the sign is the other one: bit 1 moves there.
        sign = i32((turns & i32(2)) << i32(30))
        x[s] = i32(f32(value).view(np.int32) ^ sign).view(np.float32)


sines: Callable[[NDArray[np.float32]], None] = kept(
    fastmath={"contract", "nsz"}, error_model="numpy", nogil=True
)(_sines)
