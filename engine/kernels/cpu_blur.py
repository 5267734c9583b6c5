"""What follows an enlarging convolution on a CPU, compiled by Numba: StyleGAN2's filter, noise, bias and
activation in one pass.

A picture of 512 pixels and 64 channels is 64 MB, and each pass over it takes longer than what is
computed there. A row of results is filtered along columns into the cache, then along itself.
Pictures are ``[height, width, channels]``, so that every loop runs along channels.

The launcher stands in :mod:`engine.kernels.blur`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels.cpu_math import compiled

Floats = NDArray[np.float32]

#: Of :mod:`engine.kernels.cpu_math`, which goes into this file's functions: see there.
MATH = "21c3f7ee8df6fc33"

f32 = np.float32
ZERO = f32(0.0)


@compiled()
def blur_rows(
    picture: Floats, down: Floats, across: Floats, first: int, last: int, noise: Floats,
    bias: Floats, slope: np.float32, gain: np.float32, limit: np.float32, out: Floats,
) -> None:  # fmt: skip
    """Rows ``first`` to ``last`` of the result.

    Args:
        picture: ``[height + 1, width + 1, C]``; one zero stands around it.
        down, across: ``[4]`` taps along columns and along rows, in the order of the values.
        noise: ``[height, width]``. bias: ``[C]``.
        slope, gain: of the leaky ReLU below zero, and what its result is multiplied by.
        limit: of the result's magnitude.
        out: ``[height, width, C]``, written.
    """
    tall, wide, channels = picture.shape
    width = out.shape[1]
    run = wide * channels
    flat = picture.reshape(tall, run)
    # A pixel of zeros before the row and one behind it.
    held = np.zeros(run + 2 * channels, f32)
    row = held[channels:]
    nothing = np.zeros(run, f32)
    d0, d1, d2, d3 = down[0], down[1], down[2], down[3]
    a0, a1, a2, a3 = across[0], across[1], across[2], across[3]
    for y in range(first, last):
        p = flat[y - 1] if y > 0 else nothing
        q, r = flat[y], flat[y + 1]
        s = flat[y + 2] if y + 2 < tall else nothing
        for n in range(run):
            row[n] = d0 * p[n] + d1 * q[n] + d2 * r[n] + d3 * s[n]
        for x in range(width):
            start = x * channels
            v0, v1 = held[start:], held[start + channels :]
            v2, v3 = held[start + 2 * channels :], held[start + 3 * channels :]
            grain, target = noise[y, x], out[y, x]
            for c in range(channels):
                value = a0 * v0[c] + a1 * v1[c] + a2 * v2[c] + a3 * v3[c] + grain + bias[c]
                # Written so that what is not a number stays so, and shows.
                value = (value * slope if value < ZERO else value) * gain
                value = limit if value > limit else value
                target[c] = -limit if value < -limit else value
