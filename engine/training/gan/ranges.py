"""Which numbers the options of a family's losses may have.

A weight, a rate or a length below zero would train, and train nonsense: such a number is refused where it
is given. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from engine.errors import UserError

#: Ends included. What is not named here is a weight, a length or a count, at least 0.
_OTHERS = (0.0, 1e12)
_SHARE, _RATE, _SPREAD = (0.0, 1.0), (0.0, 1.0), (0.0, math.pi)
#: Sides in pixels, where 0 stands for the model's own.
_SIDE = (0, 4096)
_POINTS = (1, 1_000_000)
_CHANNELS = (0, 65536)
RANGES: dict[str, tuple[float, float]] = {
    "pace": (1e-6, 1e6),
    "judge_channels": _CHANNELS,
    "generator_rate": _RATE,
    "discriminator_rate": _RATE,
    "ball_radius": (0.01, 10.0),
    "ball_points": _POINTS,
    "swap_from": _SHARE,
    "swap_to": _SHARE,
    "density_points": _POINTS,
    # A raw density, which may well be below zero.
    "density_start": (-1e3, 1e3),
    "neural_from": (4, 4096),
    "neural_to": (4, 4096),
    "volume_side": _SIDE,
    "patch_side": _SIDE,
    # Of a beta distribution, which has no shape at 0.
    "beta_from": (1e-6, 1e3),
    "beta_to": (1e-6, 1e3),
    "yaw_spread": _SPREAD,
    "pitch_spread": _SPREAD,
    "side": _SIDE,
    "auxiliary": (-1, 1),
    "least_side": (4, 4096),
    "best_share": _SHARE,
    "best_decay": _SHARE,
    "path_decay": _SHARE,
    "path_shrink": (1, 65536),
    "mixing": _SHARE,
    "magnitude_decay": _SHARE,
    "doublings": (0, 8),
    "decoder_channels": (1, 65536),
    "sphere_radius": (1e-6, 1e3),
    "sphere_points": _POINTS,
}


def spelt(number: float) -> str:
    """A number as a person writes it: 4294967295 and not 4.29497e+09."""
    return f"{number:.15g}"


def check_ranges(values: Mapping[str, Any]) -> None:
    """Numbers by the names of options; other values are passed over.

    Raises:
        UserError: naming the first that is out of its range.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        low, high = RANGES.get(name, _OTHERS)
        if not low <= value <= high:
            raise UserError(
                f"The option {name!r} must be {spelt(low)} to {spelt(high)}, not {spelt(value)}."
            )
