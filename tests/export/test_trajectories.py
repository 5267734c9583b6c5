"""Camera paths: closed, centred, in range."""

from __future__ import annotations

import math

import pytest

from engine.camera import OrbitPose
from engine.errors import UserError
from engine.trajectories import TRAJECTORIES, poses

BASE = OrbitPose(yaw=10.0, pitch=5.0, roll=2.0, radius=2.7, fov_y=20.0, look_at=(0, 0, 0.2))


def angles(kind: str, frames: int, **options: float) -> list[tuple[float, float]]:
    path = poses(kind, BASE, frames, **options)  # type: ignore[arg-type]
    return [(p.yaw - BASE.yaw, p.pitch - BASE.pitch) for p in path]


def close(got: list[tuple[float, float]], wanted: list[tuple[float, float]]) -> bool:
    return len(got) == len(wanted) and all(
        math.isclose(a, b, abs_tol=1e-9)
        for g, w in zip(got, wanted, strict=True)
        for a, b in zip(g, w, strict=True)
    )


def test_names() -> None:
    assert set(TRAJECTORIES) == {"orbit", "circle", "figure-eight", "yaw-sweep", "still"}


def test_orbit_by_hand() -> None:
    assert close(angles("orbit", 4), [(0, 0), (90, 0), (-180, 0), (-90, 0)])
    assert close(angles("orbit", 4, turns=-1), [(0, 0), (-90, 0), (-180, 0), (90, 0)])
    assert close(angles("orbit", 8, turns=2)[:4], angles("orbit", 4))


def test_circle_by_hand() -> None:
    got = angles("circle", 4, yaw_amplitude=20, pitch_amplitude=10)
    assert close(got, [(0, 10), (20, 0), (0, -10), (-20, 0)])


def test_figure_eight_by_hand() -> None:
    got = angles("figure-eight", 8, yaw_amplitude=20, pitch_amplitude=10)
    half = 20 * math.sqrt(0.5)
    wanted = [(0, 0), (half, 10), (20, 0), (half, -10), (0, 0), (-half, 10), (-20, 0), (-half, -10)]
    assert close(got, wanted)


def test_yaw_sweep_by_hand() -> None:
    got = angles("yaw-sweep", 12, yaw_amplitude=30)
    assert close(got[:4], [(0, 0), (15, 0), (30 * math.sqrt(0.75), 0), (30, 0)])
    assert close([got[9]], [(-30, 0)])


@pytest.mark.parametrize("kind", sorted(set(TRAJECTORIES) - {"still"}))
def test_loop_has_no_doubled_frame(kind: str) -> None:
    """The step from the last frame to the first is as long as its neighbours."""
    path = poses(kind, BASE, 100)
    positions = [p.camera().position for p in path]
    steps = [
        float(((positions[(i + 1) % 100] - positions[i]) ** 2).sum()) ** 0.5 for i in range(100)
    ]
    assert steps[99] > 1e-4
    assert steps[98] / 1.3 < steps[99] < steps[98] * 1.3
    assert all(
        (p.radius, p.fov_y, p.roll, p.look_at) == (2.7, 20.0, 2.0, (0, 0, 0.2)) for p in path
    )


def test_still_stays() -> None:
    assert poses("still", BASE, 3) == [BASE] * 3


def test_single_frame_is_the_base() -> None:
    for kind in ("orbit", "figure-eight", "yaw-sweep"):
        assert poses(kind, BASE, 1) == [BASE]


def test_stays_off_the_pole() -> None:
    high = OrbitPose(pitch=85)
    path = poses("circle", high, 50, pitch_amplitude=30)
    assert max(p.pitch for p in path) == 89.0
    for pose in path:
        pose.camera()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "spiral"}, "Unknown trajectory 'spiral'"),
        ({"frames": 0}, "1 to 10000 frames, not 0"),
        ({"frames": 10_001}, "not 10001"),
        ({"yaw_amplitude": -1.0}, "yaw amplitude"),
        ({"yaw_amplitude": math.nan}, "yaw amplitude"),
        ({"pitch_amplitude": 90.0}, "pitch amplitude"),
        ({"turns": 0}, "turns"),
        ({"turns": 101}, "turns"),
    ],
)
def test_bad_values(options: dict[str, object], message: str) -> None:
    arguments = {"kind": "circle", "base": BASE, "frames": 10, **options}
    with pytest.raises(UserError, match=message):
        poses(**arguments)  # type: ignore[arg-type]
