"""The camera path as it is drawn into the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.path_preview import _runs, directions, seen
from engine.camera import OrbitPose
from engine.faces import Face, Identity
from engine.keyframe import Keyframe
from engine.timeline import Timeline

POSE = OrbitPose(radius=2.0, fov_y=20.0, look_at=(0.0, 0.0, 0.2))


def line(*yaws: float, loop: bool = False) -> Timeline:
    keys = (Keyframe(i, replace(POSE, yaw=yaw), Identity(Face())) for i, yaw in enumerate(yaws))
    return Timeline(tuple(keys), float(max(len(yaws), 1)), loop=loop)


def test_the_present_camera_lies_in_the_middle_and_others_to_their_sides() -> None:
    # Without the offset between what is circled and what is looked at the middle is exact.
    pose = replace(POSE, look_at=POSE.center)
    _, keys = directions(line(0.0, 40.0, -40.0, 180.0))
    here, left, right, behind = seen(keys, pose)
    assert here == pytest.approx([0.5, 0.5, 1.0])
    # A camera on the person's left stands on the right of the picture.
    assert left[0] > 0.6 and right[0] < 0.4 and left[1] == pytest.approx(0.5)
    assert behind == pytest.approx([0.5, 0.5, 0.0])
    above = seen(
        directions(Timeline((Keyframe(0, replace(pose, pitch=40.0), Identity(Face())),)))[1], pose
    )
    assert above[0, 1] < 0.4 and above[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("fov", [1.0, 20.0, 120.0])
def test_the_whole_globe_is_seen(fov: float) -> None:
    curve, _ = directions(line(0.0, 90.0, 180.0, -90.0, loop=True))
    for yaw in (0.0, 77.0):
        points = seen(curve, replace(POSE, fov_y=fov, yaw=yaw, pitch=30.0))
        assert points[:, :2].min() > 0.0 and points[:, :2].max() < 1.0
        assert set(points[:, 2]) == {0.0, 1.0}


def test_the_curve_runs_through_the_keys_and_a_loop_is_closed() -> None:
    curve, keys = directions(line(-30.0, 0.0, 30.0))
    assert np.linalg.norm(keys, axis=1) == pytest.approx([1.0] * 3)
    for key in keys:
        assert np.linalg.norm(curve - key, axis=1).min() < 0.02
    closed, _ = directions(line(-30.0, 0.0, 30.0, loop=True))
    assert closed[0] == pytest.approx(closed[-1]) and len(closed) == 96
    one, _ = directions(line(10.0))
    assert len(one) == 1 and _runs(seen(one, POSE)) == []


def test_stretches_meet_where_the_curve_goes_behind() -> None:
    curve = np.array([[0, 0, 1], [1, 0, 1], [2, 0, 0], [3, 0, 0], [4, 0, 1]], float)
    runs = _runs(curve)
    assert [(run[:, 0].tolist(), near) for run, near in runs] == [
        ([0, 1, 2], True), ([2, 3, 4], False),
    ]  # fmt: skip
