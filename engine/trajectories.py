"""Camera paths for videos: closed loops around a pose.

Frame ``i`` of ``n`` stands at phase ``i / n`` of the loop, so the frame after the last one is
the first one again: a video that repeats shows no doubled and no missing frame.

Needs numpy only, so that the window can preview a path.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from engine.camera import MAX_PITCH, OrbitPose
from engine.errors import UserError

#: Name -> what it does, for people.
TRAJECTORIES: dict[str, str] = {
    "orbit": "a full turn around the head at the same height",
    "circle": "the camera draws a circle about its position, the face stays in view",
    "figure-eight": "the camera draws a lying eight about its position",
    "yaw-sweep": "side to side and back, slow at the ends",
    "still": "the camera stays where it is, for a morph between faces",
}

MIN_FRAMES, MAX_FRAMES = 1, 10_000
MAX_TURNS = 100


def poses(
    kind: str,
    base: OrbitPose,
    frames: int,
    *,
    yaw_amplitude: float = 25.0,
    pitch_amplitude: float = 12.0,
    turns: int = 1,
) -> list[OrbitPose]:
    """The poses of a closed camera path.

    With the phase ``t = 2 pi turns i / frames``:

    - ``orbit``: yaw advances by ``360 turns i / frames``; the amplitudes are not used;
    - ``circle``: yaw + ``A sin t``, pitch + ``B cos t`` (starts above the base);
    - ``figure-eight``: yaw + ``A sin t``, pitch + ``B sin 2t`` (a Lissajous curve, starts at
      the base);
    - ``yaw-sweep``: yaw + ``A sin t``, fastest at the base and at rest at both ends;
    - ``still``: the base, every time.

    Args:
        kind: a key of :data:`TRAJECTORIES`.
        base: the pose in the middle; its radius, angle of view and centre are kept.
        frames: 1 to 10000.
        yaw_amplitude: A, degrees, 0 to 180.
        pitch_amplitude: B, degrees, 0 to 89; the pitch stops at +-89 where a path would go
            over the pole.
        turns: how often the path is run through in those frames, -100 to 100, not 0;
            negative runs backwards.

    Returns:
        ``frames`` poses; yaw wrapped to -180..180.

    Raises:
        UserError: an unknown name or a number out of range.
    """
    _check(kind, frames, yaw_amplitude, pitch_amplitude, turns)
    phase = np.arange(frames) * turns / frames
    angle = 2.0 * math.pi * phase
    still = np.zeros(frames)
    if kind == "orbit":
        yaw, pitch = 360.0 * phase, still
    elif kind == "circle":
        yaw, pitch = yaw_amplitude * np.sin(angle), pitch_amplitude * np.cos(angle)
    elif kind == "figure-eight":
        yaw, pitch = yaw_amplitude * np.sin(angle), pitch_amplitude * np.sin(2.0 * angle)
    elif kind == "yaw-sweep":
        yaw, pitch = yaw_amplitude * np.sin(angle), still
    else:
        yaw, pitch = still, still
    return [_moved(base, float(y), float(p)) for y, p in zip(yaw, pitch, strict=True)]


def _moved(base: OrbitPose, yaw: float, pitch: float) -> OrbitPose:
    wrapped = (base.yaw + yaw + 180.0) % 360.0 - 180.0
    # Wrapping costs the last bits; a pose that needs none keeps its exact yaw.
    exact = base.yaw + yaw
    inside = -180.0 <= exact < 180.0
    lifted = min(max(base.pitch + pitch, -MAX_PITCH), MAX_PITCH)
    return replace(base, yaw=exact if inside else wrapped, pitch=lifted)


def _check(
    kind: str, frames: int, yaw_amplitude: float, pitch_amplitude: float, turns: int
) -> None:
    if kind not in TRAJECTORIES:
        raise UserError(f"Unknown trajectory {kind!r}; use one of {', '.join(TRAJECTORIES)}.")
    if not MIN_FRAMES <= frames <= MAX_FRAMES:
        raise UserError(f"A video must have {MIN_FRAMES} to {MAX_FRAMES} frames, not {frames}.")
    if not 0.0 <= yaw_amplitude <= 180.0:
        raise UserError(f"The yaw amplitude must be 0 to 180 degrees, not {yaw_amplitude:g}.")
    if not 0.0 <= pitch_amplitude <= MAX_PITCH:
        raise UserError(
            f"The pitch amplitude must be 0 to {MAX_PITCH:g} degrees, not {pitch_amplitude:g}."
        )
    if turns == 0 or abs(turns) > MAX_TURNS:
        raise UserError(f"The number of turns must be 1 to {MAX_TURNS}, or negative, not {turns}.")
