"""What the compiled fields on a CPU share: how they are compiled, and functions that go into their loops.

Numba keeps compiled functions on disk by the file they are in, and does not see that a function of another
file, which was put into theirs, has changed. Files that use this one therefore name its text by a digest
(``MATH``), which has to be changed with it and makes a new file of theirs (tests/kernels/test_cpu_math.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit

from engine.kernels.kept import kept

F = TypeVar("F", bound=Callable[..., object])

f32, i32 = np.float32, np.int32

ZERO, ONE, TWO = f32(0.0), f32(1.0), f32(2.0)

# exp(x) = 2^n exp(r), n = round(x / ln 2), with ln 2 in two parts so that r is exact. Adding
# 1.5 * 2^23 rounds, and leaves n in the low bits. The polynomial for exp(r) is Cephes' expf.
LOWEST, HIGHEST = f32(-87.0), f32(88.0)
LOG2_E, ROUNDER, BIAS = f32(1.4426950408889634), f32(12582912.0), i32(0x4B400000 - 127)
LN2_HIGH, LN2_LOW = f32(0.693359375), f32(-2.12194440e-4)
E6, E5, E4 = f32(1.9875691500e-4), f32(1.3981999507e-3), f32(8.3334519073e-3)
E3, E2, E1 = f32(4.1665795894e-2), f32(1.6666665459e-1), f32(5.0000001201e-1)
# log(1 + e) = 2 artanh(e / (e + 2)); the series at e <= 1 has an error below 2e-9.
A7, A6, A5, A4 = f32(1.0 / 15.0), f32(1.0 / 13.0), f32(1.0 / 11.0), f32(1.0 / 9.0)
A3, A2, A1 = f32(1.0 / 7.0), f32(1.0 / 5.0), f32(1.0 / 3.0)


def compiled(inline: bool = False, reorder: bool = False) -> Callable[[F], F]:
    """``numba.njit`` as the fields want it: without the interpreter's lock, so that several threads
    work; kept on disk where that can be; divisions as the processor does them, since a check for zero would keep loops
    from becoming vector instructions.

    Args:
        inline: the function goes into those that call it, and is not kept by itself.
        reorder: a sum may be added in the order of the processor's vectors.
    """
    options: dict[str, object] = {"error_model": "numpy"}
    options["fastmath"] = {"contract", "nsz", "reassoc"} if reorder else {"contract", "nsz"}
    if inline:
        return cast("Callable[[F], F]", njit(inline="always", **options))
    return cast("Callable[[F], F]", kept(nogil=True, **options))


@compiled(inline=True)
def exp(x: np.float32) -> np.float32:
    """``e ** x`` for x in -87 to 88, beyond which it stays; relative error below 1e-7."""
    x = LOWEST if x < LOWEST else x
    x = HIGHEST if x > HIGHEST else x
    shifted = x * LOG2_E + ROUNDER
    n = shifted - ROUNDER
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = E6 * r + E5
    p = p * r + E4
    p = p * r + E3
    p = p * r + E2
    p = p * r + E1
    power = i32(i32(f32(shifted).view(np.int32) - BIAS) << i32(23)).view(np.float32)
    return (p * r * r + r + ONE) * power


@compiled(inline=True)
def softplus(x: np.float32) -> np.float32:
    """``log(1 + e ** x)``; relative error below 3e-7."""
    e = exp(-abs(x))
    t = e / (e + TWO)
    square = t * t
    s = A7 * square + A6
    s = s * square + A5
    s = s * square + A4
    s = s * square + A3
    s = s * square + A2
    s = s * square + A1
    s = s * square + ONE
    return (x if x > ZERO else ZERO) + TWO * t * s
