"""The scores and pictures of the benchmark that says whether families learn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.errors import UserError
from engine.training.gan.contract import Progress
from engine.training.gan.families import MODULES
from engine.training.heads.world import FOV_Y, RADIUS, orbit_camera
from tests.benchmarks.learning_data import SEEN_HEIGHT, Front, write_pictures
from tests.benchmarks.learning_scores import shape_scores
from tests.benchmarks.learning_tiny import ASKED, TINY
from tests.training.gan.checks import batch_of, losses_of


def ball(side: int = 16) -> Front:
    """The front of a ball, its nearest point in the middle."""
    line = (np.arange(side) + 0.5) / side - 0.5
    far = line[:, None] ** 2 + line[None] ** 2
    covered = far < 0.16
    depth = np.where(covered, -np.sqrt(np.maximum(0.2 - far, 0.0)), 0.0)
    depth[covered] -= depth[covered].mean()
    return Front(depth, covered, float(depth[covered].std()))


FRONT = ball()
DEPTH, OPAQUE = torch.from_numpy(FRONT.depth)[None], torch.ones(1, 16, 16)


def test_the_shape_itself_has_full_scores_wherever_it_stands() -> None:
    likeness, relief, spread = shape_scores(DEPTH + 7.0, OPAQUE, FRONT)
    assert (likeness, relief) == (pytest.approx(1.0), pytest.approx(1.0))
    assert spread == pytest.approx(FRONT.spread, rel=0.01)


def test_a_card_a_mould_and_nothing_at_all_have_none() -> None:
    flat = torch.full_like(DEPTH, 3.0)
    assert shape_scores(flat, OPAQUE, FRONT) == (0.0, pytest.approx(0.0), pytest.approx(0.0))
    likeness, relief, spread = shape_scores(-2.0 * DEPTH, OPAQUE, FRONT)
    assert (likeness, relief) == (pytest.approx(-1.0), pytest.approx(-2.0))
    assert spread > 0.0
    assert shape_scores(DEPTH, 0.4 * OPAQUE, FRONT) == (0.0, 0.0, 0.0)


def test_what_is_asked() -> None:
    before = {"kid": 6.0, "likeness": 0.0, "relief": 0.0, "spread": 0.0}
    after = {"kid": 2.0, "likeness": 0.9, "relief": 1.0, "spread": 0.04}
    assert ASKED.kept(before, after)
    for worse in ({"kid": 5.0}, {"likeness": 0.1}, {"relief": 0.0}, {"spread": 0.001}):
        assert not ASKED.kept(before, {**after, **worse})


@pytest.mark.parametrize("family", list(MODULES))
def test_tiny_configurations_can_be_trained_and_drawn(family: str) -> None:
    tiny = TINY[family]
    training = tiny.training(family)
    batch = batch_of(training.resolution, 2)
    late = Progress(10_000, 0)
    for phase in training.phases(late)[:1]:
        assert all(bool(v.isfinite()) for v in losses_of(training, phase, batch, late).values())
    assert "pose" in losses_of(training, training.phases(late)[0], batch, late)
    model = training.drawable(training.generator.state_dict())
    facts = model.capabilities
    frame = model.render(model.map(torch.zeros(facts.z_dim)), facts.default_pose.camera())
    assert frame.rgb.shape[:2] == (facts.resolution, facts.resolution)


def shards(folder: Path, yaws: list[float]) -> None:
    """One head, a ball of depth, seen from these sides."""
    cover = np.repeat(np.repeat(FRONT.covered, 2, axis=0), 2, axis=1)
    rgba = np.zeros((1, len(yaws), 32, 32, 4), np.uint8)
    rgba[:, :, cover] = (10, 20, 30, 255)
    depth = np.repeat(np.repeat(FRONT.depth, 2, axis=0), 2, axis=1) * SEEN_HEIGHT + RADIUS
    poses = np.stack([orbit_camera(yaw, 0.0).cam2world for yaw in yaws])[None]
    folder.mkdir()
    np.savez(
        folder / "heads-00000000-00000000.npz",
        index=np.zeros(1, np.int64), z=np.zeros((1, 4)), a=np.zeros((1, 4)),
        cam2world=poses.astype(np.float32), fov_y=np.float32(FOV_Y), rgba=rgba,
        depth=np.broadcast_to(np.where(cover, depth, 0.0), (1, len(yaws), 32, 32)).astype("f2"),
        seg=np.zeros((1, len(yaws), 32, 32), np.uint8),
    )  # fmt: skip


def test_pictures_are_made_of_shards(tmp_path: Path) -> None:
    shards(tmp_path / "shards", [0.0, 100.0, -40.0])
    # The view from behind is left out.
    assert write_pictures(tmp_path / "shards", tmp_path / "out", 16) == 2
    labels = json.loads((tmp_path / "out" / "dataset.json").read_text())["labels"]
    assert [len(label) for _, label in labels] == [25, 25]
    pixels = np.asarray(Image.open(tmp_path / "out" / labels[0][0]))
    assert pixels[8, 8].tolist() == [10, 20, 30]
    assert pixels[0, 0].tolist() == [255, 255, 255]
    front = Front.read(tmp_path / "out")
    above = FRONT.covered & (np.arange(16)[:, None] < 13)
    assert np.array_equal(front.covered, above)
    depth = DEPTH - float(FRONT.depth[above].mean())
    likeness, relief, _ = shape_scores(depth, OPAQUE, front)
    assert (likeness, relief) == (pytest.approx(1.0, abs=0.01), pytest.approx(1.0, abs=0.02))
    assert write_pictures(tmp_path / "shards", tmp_path / "one", 16, most=1) == 1


def test_shards_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no shards"):
        write_pictures(tmp_path, tmp_path / "out", 16)
    shards(tmp_path / "shards", [0.0])
    with pytest.raises(UserError, match="make none of 24"):
        write_pictures(tmp_path / "shards", tmp_path / "out", 24)
