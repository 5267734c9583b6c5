"""Cameras from the points of faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.camera import Camera, OrbitPose
from engine.training.data.cameras import angles_of as angles_of_label
from engine.training.data.cameras import label_of
from engine.training.data.photos.align import ffhq_square
from engine.training.data.photos.faces import Face, average_corners, average_face
from engine.training.data.photos.pose import (
    BUNDLED_ORBIT,
    FFHQ_ORBIT,
    Angles,
    angles_of,
    angles_of_dense,
    angles_of_rotation,
    framed,
    project,
)

RECORDED = Path(__file__).resolve().parent.parent.parent / "data" / "photos" / "landmarks.npz"


def test_the_average_face_is_a_face() -> None:
    face = average_face()
    assert face.shape == (468, 3)
    left, right, mouth_left, mouth_right = average_corners()
    assert left[0] == pytest.approx(-right[0]) and mouth_left[0] == pytest.approx(-mouth_right[0])
    # Eyes stand 6.3 cm apart in people; a unit is 35 cm.
    assert right[0] - left[0] == pytest.approx(0.063 / 0.35, rel=0.1)
    assert left[1] > mouth_left[1] and np.argmax(face[:, 2]) in (1, 4)  # the tip of the nose
    assert face[:, 2].min() > 0.12 and face[:, 2].max() < 0.45


@given(st.floats(-70, 70), st.floats(-50, 50), st.floats(-170, 170), st.floats(0.5, 5000))
def test_angles_of_a_turned_average_face_come_back_exactly(
    yaw: float, pitch: float, roll: float, scale: float
) -> None:
    rotation = OrbitPose(yaw=yaw, pitch=pitch).camera().cam2world[:3, :3].T
    a = np.radians(roll)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    points = scale * average_face() @ (turn @ rotation).T + (300, 200, 0)
    found = angles_of_dense(points)
    assert (found.yaw, found.pitch) == pytest.approx((yaw, pitch), abs=1e-6)
    assert found.roll == pytest.approx(roll, abs=1e-6)


def test_a_camera_at_the_persons_left_sees_the_nose_left_of_the_eyes() -> None:
    """The sign of yaw, without any rotation matrix: from the person's left (our +X) the nose
    points to the picture's left."""
    seen = project(OrbitPose(yaw=30).camera(), average_face())
    nose, eyes = seen[1], seen[[33, 133, 362, 263]].mean(0)
    assert nose[0] < eyes[0] and nose[1] > eyes[1]


def recorded() -> list[tuple[np.ndarray, np.ndarray]]:
    """What MediaPipe 0.10.21 said of 24 rendered heads of 256 pixels, and their true cameras."""
    with np.load(RECORDED) as data:
        return list(zip(data["points"] / 64.0, data["cam2world"].astype(float), strict=True))


def test_yaws_of_rendered_heads_are_found() -> None:
    errors = []
    for points, pose in recorded():
        truth = angles_of_rotation(pose[:3, :3].T)
        found = angles_of_dense(points)
        errors.append((found.yaw - truth.yaw, found.pitch - truth.pitch, truth.yaw))
    yaw, pitch, truths = np.array(errors).T
    assert truths.min() < -30 and truths.max() > 30
    assert np.median(np.abs(yaw)) < 2.0 and np.abs(yaw).max() < 8.0 and abs(yaw.mean()) < 1.0
    assert np.median(np.abs(pitch)) < 4.5 and np.abs(pitch).max() < 14.0


def test_rendered_heads_are_cut_as_they_stand() -> None:
    """The bundled generator's framing of a picture that is framed so is the whole picture."""
    squares = []
    for points, _ in recorded():
        face = Face.of_dense(points)
        square, camera = framed(face, angles_of(face), "bundled")
        assert camera is not None and camera.fov_y == BUNDLED_ORBIT.fov_y
        squares.append((square.side / 256, *(square.centre / 256), square.roll))
    found = np.median(squares, axis=0)
    assert found[:3] == pytest.approx((1.0, 0.5, 0.5), abs=0.02)
    assert found[3] == pytest.approx(0.0, abs=0.5)
    assert np.ptp(np.array(squares)[:, 0]) < 0.3


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (35.0, -12.0), (-50.0, 20.0)])
def test_the_bundled_framing_is_exact_for_the_average_face(
    dense: bool, yaw: float, pitch: float
) -> None:
    camera = OrbitPose(yaw=yaw, pitch=pitch, fov_y=BUNDLED_ORBIT.fov_y).camera()
    a, scale = np.radians(25.0), 700.0
    turn = scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])

    def placed(points: np.ndarray) -> np.ndarray:
        return project(camera, points) @ turn.T + (90.0, -40.0)

    corners = placed(average_corners())
    full = np.concatenate([placed(average_face()), np.zeros((468, 1))], axis=1)
    face = Face(corners[:2], corners[2:], full if dense else None, yaw=yaw, pitch=pitch)
    square, found = framed(face, angles_of(face), "bundled")
    assert square.side == pytest.approx(scale) and square.roll == pytest.approx(25.0)
    np.testing.assert_allclose(square.centre, turn @ (0.5, 0.5) + (90.0, -40.0))
    assert found is not None
    np.testing.assert_allclose(found.cam2world, camera.cam2world, atol=1e-9)


@given(st.floats(-70, 70), st.floats(-50, 50))
def test_ffhqs_cameras_are_on_eg3ds_orbit_and_look_as_the_angles_say(
    yaw: float, pitch: float
) -> None:
    face = Face(np.array([(40.0, 40), (60, 40)]), np.array([(43.0, 62), (57, 62)]))
    square, camera = framed(face, Angles(yaw, pitch, 0.0), "ffhq")
    assert camera is not None and square.side == ffhq_square(face).side
    assert np.linalg.norm(camera.position) == pytest.approx(2.7)
    assert camera.focal == pytest.approx(4.2647)
    found = angles_of_rotation(camera.cam2world[:3, :3].T)
    assert (found.yaw, found.pitch) == pytest.approx((yaw, pitch), abs=1e-6)
    # The point that it looks at is the middle of the picture, before it.
    middle = project(camera, np.array([FFHQ_ORBIT.look_at]))[0]
    assert middle == pytest.approx((0.5, 0.5))
    label = label_of(camera)
    assert label[16] == pytest.approx(4.2647, abs=1e-4)
    assert abs(yaw) < 1e-3 or np.sign(angles_of_label(label)[0]) == np.sign(yaw)


@given(st.floats(-60, 60), st.floats(-40, 40), st.floats(-170, 170))
def test_ffhqs_cameras_turn_with_the_square(yaw: float, pitch: float, roll: float) -> None:
    def turning(degrees: float) -> np.ndarray:
        a = np.radians(degrees)
        return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])

    rotation = turning(roll) @ OrbitPose(yaw=yaw, pitch=pitch).camera().cam2world[:3, :3].T
    face = Face.of_dense(1000.0 * average_face() @ rotation.T + (500, 400, 0))
    square, camera = framed(face, angles_of(face), "ffhq")
    assert camera is not None
    # Seen in the square, the head is turned back by as much as the square is.
    expected = turning(-square.roll) @ rotation
    np.testing.assert_allclose(camera.cam2world[:3, :3].T, expected, atol=1e-9)


def test_angles_by_hand_go_before_points() -> None:
    points, _ = recorded()[0]
    face = Face.of_dense(points)
    said = Face(face.eyes, face.mouth, face.dense, yaw=12.0, pitch=-3.0)
    angles = angles_of(said)
    assert angles is not None and (angles.yaw, angles.pitch) == (12.0, -3.0)
    bare = Face(face.eyes, face.mouth)
    assert angles_of(bare) is None
    assert framed(bare, None, "ffhq")[1] is None
    with pytest.raises(ValueError, match="needs angles"):
        framed(bare, None, "bundled")
    assert isinstance(framed(said, angles, "bundled")[1], Camera)
