"""The 25 numbers by which EG3D's data sets tell a picture's camera.

The first 16 are the camera-to-world matrix row by row (OpenCV axes, +Y up, the face along +Z:
Maquette's own convention, see :mod:`engine.camera`), the last 9 the intrinsics row by row in units
of the picture's sides.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.camera import FAMILY_AXES, MAX_FOV, MIN_FOV, Camera

#: Numbers of a label.
LENGTH = 25
#: How far a rotation's columns may be from orthonormal.
_ROTATION_TOLERANCE = 5e-3
#: Focal lengths whose angle of view a camera of ours can have.
_MIN_FOCAL, _MAX_FOCAL = (0.5 / math.tan(math.radians(fov) / 2) for fov in (MAX_FOV, MIN_FOV))

Label = NDArray[np.float32]

#: What changes its sign when the world's x and the picture's x are both turned around: the
#: entries of the matrix that mix x with y or z, the position's x, and the skew.
_SIGNS = np.ones(LENGTH, np.float32)
_SIGNS[[1, 2, 3, 4, 8, 17]] = -1.0
_CENTRE_X = 18


def label_of(camera: Camera) -> Label:
    """``[25]`` the label of a camera of ours."""
    focal = camera.focal
    lens = np.array([[focal, 0.0, 0.5], [0.0, focal, 0.5], [0.0, 0.0, 1.0]])
    pose = FAMILY_AXES["eg3d"].from_ours(camera.cam2world)
    return np.concatenate([pose.ravel(), lens.ravel()]).astype(np.float32)


def camera_of(label: NDArray[np.floating]) -> Camera:
    """The camera of a label ``[25]``; its focal length is the vertical one.

    Raises:
        UserError: the matrix is no rotation with a position.
    """
    pose = np.asarray(label[:16], np.float64).reshape(4, 4)
    return Camera(FAMILY_AXES["eg3d"].to_ours(pose), Camera.fov_from_focal(float(label[20])))


def angles_of(label: NDArray[np.floating]) -> tuple[float, float]:
    """Yaw and pitch in degrees of the place the camera of a label ``[25]`` stands at, as seen from the world's
    origin: 0, 0 is before the face, positive yaw at the person's left, positive pitch above."""
    x, y, z = np.asarray(label, np.float64)[[3, 7, 11]]
    return (
        float(np.degrees(np.arctan2(x, z))),
        float(np.degrees(np.arctan2(y, np.hypot(x, z)))),
    )


def mirrored(label: Label) -> Label:
    """The label ``[..., 25]`` of the mirrored picture (left and right changed).

    A mirrored picture of a head is a picture of the mirrored head, taken from the place that is
    mirrored in the plane x = 0: with S = diag(-1, 1, 1) the rotation R becomes S R S and the
    position t becomes S t. Taken twice it is the label again.
    """
    result = label * _SIGNS
    result[..., _CENTRE_X] = 1.0 - label[..., _CENTRE_X]
    return result


def trouble_of(label: NDArray[np.floating]) -> str | None:
    """Why the numbers of a label ``[25]`` are no camera, to complete "its camera ..."; ``None`` if they are one."""
    if not np.isfinite(label).all():
        return "holds values that are not finite numbers"
    pose, lens = label[:16].reshape(4, 4), label[16:].reshape(3, 3)
    rotation = pose[:3, :3].astype(np.float64)
    apart = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if apart > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
        return "is not a rotation with a position"
    if np.abs(pose[3] - (0, 0, 0, 1)).max() > 1e-4:
        return "has a last row other than 0 0 0 1"
    if not (_MIN_FOCAL < lens[0, 0] < _MAX_FOCAL and _MIN_FOCAL < lens[1, 1] < _MAX_FOCAL):
        return "has no usable focal length in units of the picture's side"
    return None
