"""Cameras as 25 numbers, and mirrored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.camera import OrbitPose
from engine.training.data.cameras import angles_of, camera_of, label_of, mirrored, trouble_of

ANGLES = st.floats(-80, 80)


def project(label: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Where a world point falls, in units of the picture's side, by the definition."""
    pose, lens = label[:16].reshape(4, 4).astype(float), label[16:].reshape(3, 3).astype(float)
    seen = np.linalg.inv(pose) @ np.array([*point, 1.0])
    place = lens @ seen[:3]
    return place[:2] / place[2]


@given(ANGLES, ANGLES, st.floats(-40, 40), st.integers(0, 1000))
def test_a_mirrored_picture_is_that_of_the_mirrored_world(
    yaw: float, pitch: float, roll: float, seed: int
) -> None:
    point = np.random.default_rng(seed).uniform(-0.4, 0.4, 3)
    pose = OrbitPose(yaw=yaw, pitch=pitch, roll=roll, look_at=(0.02, 0.05, 0.1))
    label = label_of(pose.camera())
    label[17], label[18] = 0.03, 0.47  # skew and an odd centre
    x, y = project(label, point)
    u, v = project(mirrored(label), point * (-1, 1, 1))
    assert (u, v) == pytest.approx((1 - x, y), abs=2e-5)
    assert trouble_of(mirrored(label)) is None
    np.testing.assert_allclose(mirrored(mirrored(label)), label, atol=1e-7)


def test_angles_and_camera_come_back() -> None:
    label = label_of(OrbitPose(yaw=30, pitch=-12, fov_y=20).camera())
    assert angles_of(label) == pytest.approx((30, -12), abs=1e-4)
    assert angles_of(mirrored(label)) == pytest.approx((-30, -12), abs=1e-4)
    camera = camera_of(label)
    assert camera.fov_y == pytest.approx(20, abs=1e-4)
    np.testing.assert_allclose(
        camera.cam2world, OrbitPose(yaw=30, pitch=-12).camera().cam2world, atol=1e-6
    )


def test_what_is_no_camera() -> None:
    good = label_of(OrbitPose(yaw=30).camera())
    assert trouble_of(good) is None
    for place, value, reason in (
        (0, 5.0, "rotation"), (3, np.nan, "finite"), (12, 1.0, "last row"), (16, 0.0, "focal"),
        (20, 1e6, "focal"),
    ):  # fmt: skip
        bad = good.copy()
        bad[place] = value
        assert reason in str(trouble_of(bad))
    # Whatever passes can be drawn with.
    for focal in (0.29, 57.0):
        wide = good.copy()
        wide[[16, 20]] = focal
        assert trouble_of(wide) is None and camera_of(wide).focal == pytest.approx(focal)
    for focal in (0.28, 58.0):
        wide[[16, 20]] = focal
        assert "focal" in str(trouble_of(wide))
    random = np.random.default_rng(0)
    for _ in range(300):
        near = good.copy()
        near[[0, 1, 2, 4, 5, 6, 8, 9, 10]] += random.uniform(-0.004, 0.004, 9)
        if trouble_of(near) is None:
            camera_of(near)
    left_handed = good.copy()
    left_handed[[0, 4, 8]] *= -1
    assert "rotation" in str(trouble_of(left_handed))
