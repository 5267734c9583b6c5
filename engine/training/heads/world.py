"""Where heads stand in the model's world, and how cameras look at them.

The pack is measured in decimetres. One unit of the model's world is 3.5 dm, its origin
lies inside the head, +Y is up and the face looks along +Z (see :mod:`engine.camera`).
Everything that is drawn lies inside the upright cylinder of radius :data:`CLIP_RADIUS`
and height ``2 * CLIP_HEIGHT``, hence inside the cube of side 1 around the origin. A
cylinder rather than the cube itself is used because a cut through the shoulders then
stays outside the picture whatever the yaw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.camera import Camera, OrbitPose
from engine.training.heads.attributes import LATENT_SIZE

#: Decimetres per world unit.
UNIT_DM = 3.5
#: The world's origin in the head frame (dm): see :func:`engine.training.heads.build.build_head`.
ORIGIN_DM = np.array([0.0, 0.09, -0.10], dtype=np.float32)
CLIP_RADIUS = 0.497
CLIP_HEIGHT = 0.497

RADIUS = 2.7
FOV_Y = 18.837
NEAR, FAR = 1.5, 4.5

Array = NDArray[np.float32]


def to_world(points: NDArray[np.floating]) -> Array:
    """Points ``[..., 3]`` of the head frame (dm) in world units."""
    return ((points - ORIGIN_DM) / UNIT_DM).astype(np.float32)


def orbit_camera(yaw: float, pitch: float) -> Camera:
    """The data set's camera at these angles (degrees)."""
    return OrbitPose(yaw=yaw, pitch=pitch, radius=RADIUS, fov_y=FOV_Y).camera()


def view_projection(camera: Camera) -> Array:
    """``[4, 4]`` world point (column vector) to OpenGL clip coordinates.

    Derived from ``camera.cam2world`` alone. A camera-space point ``(x, y, z)`` (OpenCV
    axes) lands at normalised device coordinates ``(2 f x / z, -2 f y / z)`` with ``f`` the
    focal length in picture heights, so that the ray through the centre of pixel ``(i, j)``
    of an ``R x R`` picture has ``x / z = ((j + .5) / R - .5) / f`` and
    ``y / z = ((i + .5) / R - .5) / f`` once row 0 is the top.
    """
    f = camera.focal
    projection = np.array(
        [
            [2 * f, 0, 0, 0],
            [0, -2 * f, 0, 0],
            [0, 0, (FAR + NEAR) / (FAR - NEAR), -2 * FAR * NEAR / (FAR - NEAR)],
            [0, 0, 1, 0],
        ]
    )
    return (projection @ camera.world_to_camera()).astype(np.float32)


def head_latent(seed: int, index: int) -> Array:
    """``[72]`` the latent of head ``index`` of data set ``seed``; nothing else matters."""
    rng = np.random.default_rng([seed, 0, index])
    return rng.standard_normal(LATENT_SIZE).astype(np.float32)


def view_angles(seed: int, index: int, views: int) -> list[tuple[float, float]]:
    """``views`` pairs (yaw, pitch) in degrees for one head.

    85 % of the yaws are N(0, 28) clipped to +-75, the others uniform all around: faces are
    what matters, and the rest must not be a guess. The pitch is N(2, 11) clipped to +-30. A
    head's first views do not depend on ``views``.
    """
    rng = np.random.default_rng([seed, 1, index])
    angles = []
    for _ in range(views):
        choice, turn, around, lift = (
            rng.random(),
            rng.normal(0.0, 28.0),
            rng.uniform(-180.0, 180.0),
            rng.normal(2.0, 11.0),
        )
        yaw = float(np.clip(turn, -75.0, 75.0)) if choice < 0.85 else float(around)
        angles.append((yaw, float(np.clip(lift, -30.0, 30.0))))
    return angles
