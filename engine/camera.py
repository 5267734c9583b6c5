"""Cameras: one convention inside, every authors' convention at the border.

**Inside Maquette** a camera is a 4x4 camera-to-world matrix with OpenCV axes (x right,
y down, z forward, into the picture) in a right-handed world where +Y is up and the face
looks along +Z. The person's left hand is therefore on the +X side. The unit of length is
the model family's own world scale.

**At the border**, :class:`AxisConvention` states how the authors of a family wrote their
matrices (camera axes, world up, direction of the face) and converts both ways. A head
therefore turns the same way in every family for the same yaw and pitch.

This module needs numpy only, so that the window process never loads torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError

Matrix = NDArray[np.float64]
Vec3 = tuple[float, float, float]

#: Turning a camera's y and z axes around changes OpenGL axes into OpenCV axes and back.
_FLIP_YZ: Matrix = np.diag([1.0, -1.0, -1.0, 1.0])

#: Beyond this the up direction of an orbit is undefined.
MAX_PITCH = 89.0
MIN_FOV, MAX_FOV = 1.0, 120.0
#: Lengths in a file's camera; heads are about one unit large.
_FARTHEST = 1e6


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera with square pixels and the principal point in the middle.

    Attributes:
        cam2world: ``[4, 4]`` float64, OpenCV axes, world as in the module's docstring.
        fov_y: full vertical angle of view in degrees, in ``[1, 120]``.

    Raises:
        UserError: the matrix is not a finite rigid transform or ``fov_y`` is out of range.
    """

    cam2world: Matrix
    fov_y: float

    def __post_init__(self) -> None:
        matrix = np.array(self.cam2world, dtype=np.float64)
        if matrix.shape != (4, 4):
            raise UserError(f"A camera matrix must be 4 x 4, not {matrix.shape}.")
        if not np.isfinite(matrix).all():
            raise UserError("The camera matrix holds values that are not finite numbers.")
        rotation = matrix[:3, :3]
        if abs(np.linalg.det(rotation) - 1.0) > 1e-2:
            raise UserError("The camera matrix is not a rotation with a position.")
        if not (MIN_FOV <= self.fov_y <= MAX_FOV):
            raise UserError(
                f"The angle of view must be {MIN_FOV:g} to {MAX_FOV:g} degrees, not {self.fov_y:g}."
            )
        matrix.setflags(write=False)
        object.__setattr__(self, "cam2world", matrix)
        object.__setattr__(self, "fov_y", float(self.fov_y))

    @property
    def position(self) -> Matrix:
        """``[3]`` the centre of projection, world units."""
        return self.cam2world[:3, 3]

    @property
    def forward(self) -> Matrix:
        """``[3]`` unit viewing direction."""
        return self.cam2world[:3, 2]

    @property
    def focal(self) -> float:
        """Focal length in units of the picture's height (EG3D's normalised ``fx``)."""
        return 0.5 / math.tan(math.radians(self.fov_y) / 2.0)

    @staticmethod
    def fov_from_focal(focal: float) -> float:
        """Full angle of view in degrees for a focal length in units of the height."""
        return math.degrees(2.0 * math.atan(0.5 / focal))

    def world_to_camera(self) -> Matrix:
        """``[4, 4]`` the inverse matrix."""
        inverse = np.eye(4)
        inverse[:3, :3] = self.cam2world[:3, :3].T
        inverse[:3, 3] = -inverse[:3, :3] @ self.cam2world[:3, 3]
        return inverse


def look_at(position: Vec3 | Matrix, target: Vec3 | Matrix, roll: float = 0.0) -> Matrix:
    """Camera-to-world matrix ``[4, 4]`` that looks from ``position`` at ``target``.

    World +Y is up in the picture; ``roll`` (degrees) then turns the camera clockwise about
    its viewing direction.

    Raises:
        UserError: both points coincide, or the view is straight up or down.
    """
    eye = np.asarray(position, dtype=np.float64)
    forward = np.asarray(target, dtype=np.float64) - eye
    length = float(np.linalg.norm(forward))
    if not length > 1e-9:
        raise UserError("The camera stands on the point it looks at; move it away.")
    forward = forward / length
    right = _cross(forward, np.array((0.0, 1.0, 0.0)))
    width = float(np.linalg.norm(right))
    if width < 1e-9:
        raise UserError("The camera looks straight up or down, where 'up' is undefined.")
    right = right / width
    down = _cross(forward, right)
    if roll:
        angle = math.radians(roll)
        right, down = (
            math.cos(angle) * right + math.sin(angle) * down,
            math.cos(angle) * down - math.sin(angle) * right,
        )
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = right, down, forward, eye
    return matrix


def _cross(a: Matrix, b: Matrix) -> Matrix:
    """The cross product; NumPy's own takes ten times as long for a single one."""
    (x, y, z), (u, v, w) = a.tolist(), b.tolist()
    return np.array((y * w - z * v, z * u - x * w, x * v - y * u))


@dataclass(frozen=True)
class OrbitPose:
    """A camera on a sphere, in the terms people drag: what documents and recipes hold.

    Attributes:
        yaw: degrees; positive moves the camera to the person's left (+X).
        pitch: degrees; positive lifts the camera. Limited to +-89.
        roll: degrees about the viewing direction.
        radius: distance from ``center`` in the family's world units.
        fov_y: full vertical angle of view, degrees.
        center: the point that the camera circles.
        look_at: the point in the middle of the picture (EG3D circles the origin but looks
            at a pivot 0.2 in front of it, hence two points).
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    radius: float = 2.7
    fov_y: float = 18.837
    center: Vec3 = field(default=(0.0, 0.0, 0.0))
    look_at: Vec3 = field(default=(0.0, 0.0, 0.0))

    def camera(self) -> Camera:
        """The camera of this pose.

        Raises:
            UserError: the radius is not above zero.
        """
        if not self.radius > 0:
            raise UserError(f"The camera's radius must be above zero, not {self.radius:g}.")
        pitch = math.radians(min(max(self.pitch, -MAX_PITCH), MAX_PITCH))
        yaw = math.radians(self.yaw)
        direction = np.array(
            [math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)]
        )
        position = np.asarray(self.center) + self.radius * direction
        return Camera(look_at(position, self.look_at, self.roll), self.fov_y)

    def turned(self, yaw: float = 0.0, pitch: float = 0.0) -> Self:
        """The pose after dragging by so many degrees (pitch clamped, yaw wrapped to +-180)."""
        wrapped = (self.yaw + yaw + 180.0) % 360.0 - 180.0
        clamped = min(max(self.pitch + pitch, -MAX_PITCH), MAX_PITCH)
        return replace(self, yaw=wrapped, pitch=clamped)

    def panned(self, right: float, down: float) -> Self:
        """The pose moved in its own picture plane, in units of the picture's height.

        ``right=1`` moves what is seen by one picture height to the left, as dragging a map.
        """
        camera = self.camera()
        distance = float(np.linalg.norm(np.asarray(self.look_at) - camera.position))
        scale = distance / camera.focal
        offset = scale * (right * camera.cam2world[:3, 0] + down * camera.cam2world[:3, 1])
        return replace(
            self, center=_shift(self.center, offset), look_at=_shift(self.look_at, offset)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data for recipes and documents; :meth:`from_json` is its inverse."""
        return {
            "yaw": self.yaw,
            "pitch": self.pitch,
            "roll": self.roll,
            "radius": self.radius,
            "fov_y": self.fov_y,
            "center": list(self.center),
            "look_at": list(self.look_at),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read :meth:`to_json`'s form.

        Raises:
            UserError: a value is missing, of the wrong kind or not finite.
        """
        try:
            yaw, pitch, roll, radius, fov_y = (
                float(data[k]) for k in ("yaw", "pitch", "roll", "radius", "fov_y")
            )
            center, target = _vec3(data["center"]), _vec3(data["look_at"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"The camera in this file cannot be read ({error}).") from error
        if not all(map(math.isfinite, (yaw, pitch, roll, radius, fov_y, *center, *target))):
            raise UserError("The camera in this file holds values that are not finite numbers.")
        if max(map(abs, (radius, *center, *target))) > _FARTHEST:
            raise UserError(
                f"The camera in this file stands or looks farther than {_FARTHEST:,.0f} units away."
            )
        return cls(yaw, pitch, roll, radius, fov_y, center, target)


def _vec3(values: Any) -> Vec3:
    x, y, z = (float(v) for v in values)
    return (x, y, z)


def _shift(point: Vec3, offset: Matrix) -> Vec3:
    return _vec3(np.asarray(point) + offset)


_AXES: dict[str, Vec3] = {
    "+x": (1, 0, 0), "-x": (-1, 0, 0),
    "+y": (0, 1, 0), "-y": (0, -1, 0),
    "+z": (0, 0, 1), "-z": (0, 0, -1),
}  # fmt: skip


@dataclass(frozen=True)
class AxisConvention:
    """How somebody else writes camera-to-world matrices.

    Attributes:
        axes: ``"opencv"`` (x right, y down, z forward) or ``"opengl"`` (x right, y up,
            z backward) columns.
        up: world direction of the top of the head, ``"+y"`` for instance.
        face: world direction in which the face looks.
    """

    axes: Literal["opencv", "opengl"] = "opencv"
    up: str = "+y"
    face: str = "+z"

    def __post_init__(self) -> None:
        if self.axes not in ("opencv", "opengl"):
            raise UserError(f"Unknown camera axes {self.axes!r}; they are 'opencv' or 'opengl'.")
        if self.up not in _AXES or self.face not in _AXES or self.up[1] == self.face[1]:
            raise UserError(
                f"World up {self.up!r} and face {self.face!r} must be two different axes."
            )

    @property
    def world_rotation(self) -> Matrix:
        """``[3, 3]`` rotation R with ``ours = R @ theirs`` for points and directions."""
        up, face = np.array(_AXES[self.up], float), np.array(_AXES[self.face], float)
        left = np.cross(up, face)
        return np.stack([left, up, face])

    def to_ours(self, cam2world: Matrix) -> Matrix:
        """Their camera-to-world matrix ``[4, 4]`` in Maquette's convention."""
        matrix = np.asarray(cam2world, dtype=np.float64)
        world = np.eye(4)
        world[:3, :3] = self.world_rotation
        flip = _FLIP_YZ if self.axes == "opengl" else np.eye(4)
        return np.asarray(world @ matrix @ flip, dtype=np.float64)

    def from_ours(self, cam2world: Matrix) -> Matrix:
        """Maquette's camera-to-world matrix ``[4, 4]`` in their convention."""
        world = np.eye(4)
        world[:3, :3] = self.world_rotation.T
        flip = _FLIP_YZ if self.axes == "opengl" else np.eye(4)
        return np.asarray(world @ np.asarray(cam2world) @ flip, dtype=np.float64)

    def points_to_ours(self, points: Matrix) -> Matrix:
        """Their world points ``[..., 3]`` in our world."""
        return np.asarray(np.asarray(points) @ self.world_rotation.T, dtype=np.float64)

    def points_from_ours(self, points: Matrix) -> Matrix:
        """Our world points ``[..., 3]`` in their world."""
        return np.asarray(np.asarray(points) @ self.world_rotation, dtype=np.float64)


#: How the authors of each family write their matrices (read off their releases).
FAMILY_AXES: dict[str, AxisConvention] = {
    "eg3d": AxisConvention("opencv", "+y", "+z"),
    "epigraf": AxisConvention("opengl", "+y", "+x"),
    "stylenerf": AxisConvention("opengl", "+z", "+x"),
    "stylesdf": AxisConvention("opengl", "+y", "+z"),
    "cips3d": AxisConvention("opengl", "+y", "+z"),
    "pigan": AxisConvention("opengl", "+y", "+z"),
}
