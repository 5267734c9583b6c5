"""Where the camera stood: from the points of a face to the 25 numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.camera import Camera, OrbitPose
from engine.training.data.photos.align import Square, ffhq_square
from engine.training.data.photos.faces import Face, Points, average_corners, average_face

#: Which world a data set is cut for.
#: ``ffhq``: squares as FFHQ's, cameras as EG3D's authors' FFHQ models have them.
#: ``bundled``: heads stand in the picture as those of the bundled generator do.
Framing = Literal["ffhq", "bundled"]

#: The orbit of EG3D's FFHQ models: focal length 4.2647 picture sides, around a point in the face.
FFHQ_ORBIT = OrbitPose(radius=2.7, fov_y=Camera.fov_from_focal(4.2647), look_at=(0.0, 0.0, 0.2))
#: The orbit of the bundled generator's heads (:mod:`engine.training.heads.world`).
BUNDLED_ORBIT = OrbitPose(radius=2.7, fov_y=18.837)
#: Steeper cameras are an error of the points, or nothing to train on.
MOST_PITCH = 60.0


@dataclass(frozen=True)
class Angles:
    """From where a face is seen, degrees.

    Attributes:
        yaw: positive: the camera is at the person's left. pitch: positive: above.
        roll: positive: the head is turned clockwise in the picture.
    """

    yaw: float
    pitch: float
    roll: float


def angles_of_dense(points: Points) -> Angles:
    """Angles from MediaPipe's points ``[468, 3]`` in pixels (OpenCV axes).

    The rotation between the average face and these points, both in three dimensions, with the
    scale that fits best (Umeyama 1991). On 344 rendered heads that made no part of the average face,
    yaws within 65 degrees, half of the yaws were within 1.3 degrees of the truth, 95 of 100 within
    4.8; of the pitches 3.0 and 9.0.
    """
    model = average_face()
    a, b = model - model.mean(0), points - points.mean(0)
    u, _, v = np.linalg.svd(a.T @ b)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(v.T @ u.T))])
    rotation = v.T @ flip @ u.T
    return angles_of_rotation(rotation)


def angles_of_rotation(world_to_camera: Points) -> Angles:
    """Angles of a rotation ``[3, 3]`` from the world (+Y up, the face along +Z) to a camera with
    OpenCV axes."""
    backward = -world_to_camera[2]
    yaw = math.degrees(math.atan2(backward[0], backward[2]))
    pitch = math.degrees(math.asin(float(np.clip(backward[1], -1.0, 1.0))))
    # Where the head's up lies in the picture, against up; at these angles it is upright.
    upright = OrbitPose(yaw=yaw, pitch=pitch).camera().cam2world[:3, :3].T
    turn = world_to_camera @ upright.T
    return Angles(yaw, pitch, math.degrees(math.atan2(turn[1, 0], turn[0, 0])))


def angles_of(face: Face) -> Angles | None:
    """What was said of a face, else what its points tell; ``None`` if neither does."""
    if face.yaw is not None and face.pitch is not None:
        return Angles(face.yaw, face.pitch, ffhq_square(face).roll)
    return None if face.dense is None else angles_of_dense(face.dense)


def _directed(orbit: OrbitPose, angles: Angles, roll: float = 0.0) -> Camera:
    """The camera on an orbit's sphere that looks at its point from the direction of the angles.
    ``roll`` turns it clockwise, degrees."""
    yaw, pitch = math.radians(angles.yaw), math.radians(angles.pitch)
    backward = np.array(
        [math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)]
    )
    target = np.asarray(orbit.look_at) - np.asarray(orbit.center)
    # |target + d * backward| = radius, for the d in front of the face.
    along = float(target @ backward)
    distance = -along + math.sqrt(along**2 - float(target @ target) + orbit.radius**2)
    straight = OrbitPose(
        yaw=angles.yaw, pitch=angles.pitch, roll=roll, radius=distance, fov_y=orbit.fov_y,
        center=orbit.look_at, look_at=orbit.look_at,
    )  # fmt: skip
    return straight.camera()


def framed(face: Face, angles: Angles | None, framing: Framing) -> tuple[Square, Camera | None]:
    """The square to cut, and the camera that sees what it shows.

    For ``ffhq`` the square is FFHQ's, and the camera is on the orbit of EG3D's FFHQ models and turned as
    the square is turned against the head. For ``bundled`` the camera comes first, on the bundled generator's orbit, and the
    square is the one in which eyes and mouth (or all points) of the face fall nearest to where this
    camera sees those of the average face.

    Raises:
        ValueError: ``bundled`` without angles.
    """
    if framing == "ffhq":
        square = ffhq_square(face)
        if angles is None:
            return square, None
        return square, _directed(FFHQ_ORBIT, angles, square.roll - angles.roll)
    if angles is None:
        raise ValueError("the bundled generator's framing needs angles")
    camera = _directed(BUNDLED_ORBIT, angles)
    if face.dense is None:
        model, seen = average_corners(), np.concatenate([face.eyes, face.mouth])
    else:
        model, seen = average_face(), face.dense[:, :2]
    return _fitting(seen, project(camera, model)), camera


def project(camera: Camera, points: Points) -> Points:
    """``[N, 2]`` where world points ``[N, 3]`` fall in a picture of side 1, y downwards."""
    matrix = camera.world_to_camera()
    local = points @ matrix[:3, :3].T + matrix[:3, 3]
    return np.asarray(camera.focal * local[:, :2] / local[:, 2:] + 0.5)


def _fitting(seen: Points, wanted: Points) -> Square:
    """The square in which points ``seen`` ``[N, 2]`` of a picture come nearest to the places
    ``wanted`` ``[N, 2]``: a turn, a scale and a shift by least squares, in complex numbers."""
    z = seen[:, 0] + 1j * seen[:, 1]
    w = wanted[:, 0] + 1j * wanted[:, 1]
    # From the square to the picture: z = a w + b.
    dw, dz = w - w.mean(), z - z.mean()
    a = (np.conj(dw) @ dz) / (np.conj(dw) @ dw)
    centre = z.mean() + a * (0.5 + 0.5j - w.mean())
    return Square(np.array([centre.real, centre.imag]), np.array([a.real, a.imag]) / 2.0)
