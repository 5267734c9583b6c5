"""Cameras: hand-computed orbits, and every family's own matrices in our convention."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from engine.camera import FAMILY_AXES, AxisConvention, Camera, OrbitPose, look_at
from engine.errors import UserError

#: Camera-to-world matrices as each family's authors write them (their pose code, run), for
#: the frontal view, for a yaw parameter of +0.3 (EG3D: 17.2 degrees' worth at radius 2.7) and
#: for a pitch parameter of +0.15 (EG3D: a comparable one).
AUTHORS = Path(__file__).resolve().parents[1] / "data" / "cameras.npz"

#: Direction in which each family's own positive yaw and pitch parameters move the camera, in
#: our world: some authors measure angles the other way around.
YAW_SIGN = {"eg3d": 1, "epigraf": -1, "stylenerf": 1, "stylesdf": 1, "cips3d": -1, "pigan": -1}
PITCH_SIGN = {"eg3d": -1, "epigraf": -1, "stylenerf": -1, "stylesdf": 1, "cips3d": -1, "pigan": -1}

#: EG3D circles the world's origin but looks at a pivot in front of it.
LOOKS_AT = {family: (0.0, 0.0, 0.2 if family == "eg3d" else 0.0) for family in FAMILY_AXES}


@pytest.fixture(scope="module")
def authors() -> dict[str, np.ndarray]:
    with np.load(AUTHORS) as data:
        return {name: data[name].astype(np.float64) for name in data.files}


@pytest.mark.parametrize("family", sorted(FAMILY_AXES))
def test_the_frontal_camera_of_every_family_is_our_frontal_camera(family, authors):
    ours = FAMILY_AXES[family].to_ours(authors[f"{family}/front"])
    radius = float(np.linalg.norm(ours[:3, 3]))
    expected = OrbitPose(radius=radius, look_at=LOOKS_AT[family]).camera().cam2world
    np.testing.assert_allclose(ours, expected, atol=2e-4)


@pytest.mark.parametrize("family", sorted(FAMILY_AXES))
@pytest.mark.parametrize("turn", ["yaw", "pitch"])
def test_a_turn_in_every_family_is_the_same_orbit(family, turn, authors):
    ours = FAMILY_AXES[family].to_ours(authors[f"{family}/{turn}"])
    x, y, z = ours[:3, 3]
    radius = math.sqrt(x * x + y * y + z * z)
    yaw, pitch = math.degrees(math.atan2(x, z)), math.degrees(math.asin(y / radius))
    pose = OrbitPose(yaw=yaw, pitch=pitch, radius=radius, look_at=LOOKS_AT[family])
    expected = pose.camera().cam2world
    np.testing.assert_allclose(ours, expected, atol=2e-4)
    moved, still = (yaw, pitch) if turn == "yaw" else (pitch, yaw)
    sign = (YAW_SIGN if turn == "yaw" else PITCH_SIGN)[family]
    assert abs(still) < 1e-3
    assert sign * moved > 5.0


@pytest.mark.parametrize("family", sorted(FAMILY_AXES))
def test_conversion_and_back_is_the_identity(family, authors):
    convention = FAMILY_AXES[family]
    matrix = authors[f"{family}/yaw"]
    np.testing.assert_allclose(convention.from_ours(convention.to_ours(matrix)), matrix, atol=1e-12)
    points = np.random.default_rng(0).normal(size=(5, 3))
    there = convention.points_from_ours(points)
    np.testing.assert_allclose(convention.points_to_ours(there), points, atol=1e-12)


def test_positive_yaw_stands_at_the_persons_left_and_positive_pitch_above():
    camera = OrbitPose(yaw=90, radius=2).camera()
    np.testing.assert_allclose(camera.position, (2, 0, 0), atol=1e-12)
    np.testing.assert_allclose(camera.forward, (-1, 0, 0), atol=1e-12)
    # Seen from the person's left (+X), the face (+Z) looks to the left of the picture.
    face_in_camera = camera.world_to_camera()[:3, :3] @ (0, 0, 1)
    assert face_in_camera[0] == pytest.approx(-1)
    above = OrbitPose(pitch=30, radius=2).camera()
    np.testing.assert_allclose(above.position, (0, 1, math.sqrt(3)), atol=1e-12)


def test_focal_and_angle_of_view_are_inverse():
    camera = OrbitPose(fov_y=18.837).camera()
    # EG3D's own formula, 1 / (tan(fov * 3.14159 / 360) * 1.414), measures along the diagonal:
    # its "18.837 degrees" are 13.4 degrees of height.
    assert camera.focal == pytest.approx(0.5 / math.tan(math.radians(18.837 / 2)))
    eg3d_focal = 1 / (math.tan(18.837 * 3.14159 / 360) * 1.414)
    assert Camera.fov_from_focal(eg3d_focal) == pytest.approx(13.377, abs=2e-3)
    assert Camera.fov_from_focal(camera.focal) == pytest.approx(18.837)


def test_roll_turns_the_picture_about_its_middle():
    upright = OrbitPose().camera().cam2world
    rolled = OrbitPose(roll=90).camera().cam2world
    np.testing.assert_allclose(rolled[:3, 0], upright[:3, 1], atol=1e-12)
    np.testing.assert_allclose(rolled[:3, 1], -upright[:3, 0], atol=1e-12)
    np.testing.assert_allclose(rolled[:3, 2], upright[:3, 2], atol=1e-12)


def test_panning_by_one_height_moves_the_target_to_the_border():
    pose = OrbitPose(radius=2.0, fov_y=20.0)
    moved = pose.panned(0.5, 0.0)
    seen = moved.camera().world_to_camera() @ np.array([0.0, 0.0, 0.0, 1.0])
    focal = moved.camera().focal
    # Half a picture height to the right: the old target is now half a height to the left.
    assert focal * seen[0] / seen[2] == pytest.approx(-0.5)
    assert seen[1] == pytest.approx(0.0)


def test_turning_wraps_yaw_and_clamps_pitch():
    pose = OrbitPose(yaw=170).turned(yaw=20, pitch=500)
    assert pose.yaw == pytest.approx(-170)
    assert pose.pitch == 89.0


def test_json_round_trip_and_damage():
    pose = OrbitPose(1, 2, 3, 4, 5, (6, 7, 8), (9, 10, 11))
    assert OrbitPose.from_json(pose.to_json()) == pose
    for key, value in (("yaw", "x"), ("radius", None), ("look_at", [1, 2]), ("pitch", math.nan),
                       ("yaw", 10**400), ("look_at", [1e308, 0, 0]), ("radius", 1e7)):  # fmt: skip
        with pytest.raises(UserError):
            OrbitPose.from_json({**pose.to_json(), key: value})
    with pytest.raises(UserError):
        OrbitPose.from_json({"yaw": 0})


@pytest.mark.parametrize(
    "make",
    [
        lambda: Camera(np.eye(3), 20),
        lambda: Camera(np.full((4, 4), np.nan), 20),
        lambda: Camera(np.diag([1.0, 1.0, -1.0, 1.0]), 20),
        lambda: Camera(np.eye(4), 0),
        lambda: Camera(np.eye(4), 180),
        lambda: look_at((0, 0, 0), (0, 0, 0)),
        lambda: look_at((0, 1, 0), (0, 0, 0)),
        lambda: OrbitPose(radius=0).camera(),
        lambda: AxisConvention("directx"),
        lambda: AxisConvention("opengl", "+y", "-y"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(make):
    with pytest.raises(UserError) as caught:
        make()
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
