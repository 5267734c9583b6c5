"""Which facts of a head one view of it shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engine.training.heads.mesh import Label

#: Turned further than this from the front (degrees), a face is a profile, and then no face.
PROFILE, BEHIND = 70.0, 100.0
#: Share of the picture that must be eyes, or lips, before their colour is told: about ten pixels
#: of a picture of 128.
ENOUGH = 10.0 / 128**2

_OF_A_FACE = frozenset({"expression", "smile", "laugh", "mouth", "eye", "iris", "lipstick",
                        "glasses", "frame"})  # fmt: skip
_FROM_BEHIND = frozenset({"hair", "shade", "style", "cut", "hat", "hatted", "hat colour"})


def turn(cam2world: NDArray[np.floating]) -> float:
    """How far a camera ``[4, 4]`` (world of the heads) stands from the front, 0 to 180 degrees."""
    x, _, z = (float(v) for v in cam2world[:3, 3])
    return abs(float(np.degrees(np.arctan2(x, z))))


def visible(known: Mapping[str, str], labels: NDArray[np.uint8], angle: float) -> dict[str, str]:
    """The facts that can be seen.

    Args:
        known: all facts of the head (``wording.facts``).
        labels: ``[R, R]`` segmentation of the view. angle: of :func:`turn`.
    """
    if angle > BEHIND:
        return {kind: value for kind, value in known.items() if kind in _FROM_BEHIND}
    hidden: set[str] = set()
    if angle > PROFILE:
        hidden |= _OF_A_FACE
    if float((labels == Label.EYE).mean()) < ENOUGH:
        hidden |= {"eye", "iris"}
    if float((labels == Label.LIPS).mean()) < ENOUGH:
        hidden |= {"lipstick"}
    return {kind: value for kind, value in known.items() if kind not in hidden}
