"""Looks: the same heads in other colours, for a second model of one shape.

A look is a function of single pixels. Who somebody is, and the shape, stay as they were, so that a
model that has learnt a look can lend its colours to the one it was made from (CIPS-3D section 4.4
does so with cartoons).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.errors import UserError

#: Colours laid over black ``[..., 3]`` in [0, 1] and opacity ``[..., 1]`` -> colours over black.
Look = Callable[[Tensor, Tensor], Tensor]

#: Rec. 709's shares of red, green and blue in what is seen as brightness.
_BRIGHTNESS = (0.2126, 0.7152, 0.0722)
#: Bronze from its shadows to its highlights: brightness, then red, green and blue.
_BRONZE = (
    (0.00, 0.05, 0.03, 0.03),
    (0.18, 0.22, 0.12, 0.07),
    (0.40, 0.55, 0.34, 0.17),
    (0.65, 0.83, 0.60, 0.34),
    (1.00, 1.00, 0.93, 0.74),
)


def bronze(rgb: Tensor, alpha: Tensor) -> Tensor:
    """Everybody as a bronze bust: the brightness of a pixel decides its colour."""
    own = rgb / alpha.clamp_min(1e-3)
    bright = (own * own.new_tensor(_BRIGHTNESS)).sum(-1).clamp(0.0, 1.0)
    ramp = own.new_tensor(_BRONZE)
    upper = torch.searchsorted(ramp[1:-1, 0].contiguous(), bright) + 1
    lower = upper - 1
    share = (bright - ramp[lower, 0]) / (ramp[upper, 0] - ramp[lower, 0])
    return torch.lerp(ramp[lower, 1:], ramp[upper, 1:], share[..., None]) * alpha


LOOKS: dict[str, Look] = {"bronze": bronze}


def look_of(name: str) -> Look | None:
    """The look of that name; ``None`` for the empty name, which leaves heads as they are.

    Raises:
        UserError: there is no such look.
    """
    if not name:
        return None
    if name not in LOOKS:
        raise UserError(f"There is no look {name!r}; there are {', '.join(LOOKS)}.")
    return LOOKS[name]
