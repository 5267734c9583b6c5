"""All scores together, of a generator whose views are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.camera import OrbitPose
from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken
from engine.metrics.effort import drawn, seconds_a_picture, stages
from engine.metrics.evaluate import EvaluationPlan, evaluate
from engine.metrics.report import markdown, notes_of
from engine.metrics.sampling import cameras_for, drawn_pictures
from engine.training.bundled.kid import FeatureNetwork
from engine.training.data.cameras import label_of
from engine.training.data.training_data import TrainingData
from tests.metrics.balls import BallGenerator


def colours(pictures: torch.Tensor) -> torch.Tensor:
    return torch.cat([pictures.mean((2, 3)), pictures.std((2, 3))], dim=1)


NETWORK = FeatureNetwork("means and spreads of colours", "ab" * 32, colours)


def write_balls(folder: Path, count: int, shift: float = 0.0, posed: bool = True) -> Path:
    """Pictures of balls as the generator draws them; ``shift`` makes them darker."""
    generator = BallGenerator()
    random = np.random.default_rng(1)
    labels = []
    folder.mkdir(parents=True)
    for number in range(count):
        pose = OrbitPose(yaw=float(random.normal(0, 20)))
        frame = generator.render(torch.tensor([[random.standard_normal()]]), pose.camera())
        pixels = ((frame.rgb - shift).clamp(0, 1) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
        labels.append([f"{number:03d}.png", label_of(pose.camera()).tolist()])
    if posed:
        (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def test_what_there_is_to_draw_is_known_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = TrainingData.open(write_balls(tmp_path / "set", 6), 48)
    plan = EvaluationPlan(samples=5, identities=2, repeats=3)
    work = stages(plan, 5)
    pictures: list[object] = []
    render = BallGenerator.render

    def counted(self: BallGenerator, *words: Any) -> Any:
        pictures.append(words)
        return render(self, *words)

    monkeypatch.setattr(BallGenerator, "render", lambda self, *words, **_: counted(self, *words))
    told: list[tuple[str, int, int]] = []
    evaluate(BallGenerator(), plan, data, NETWORK, lambda *done: told.append(done))
    assert drawn(work) == len(pictures) == 5 + 4 + 4 + 7
    assert [stage.what for stage in work] == list(dict.fromkeys(what for what, *_ in told))
    assert all({s.what: s.count for s in work}[what] == count for what, _, count in told)
    assert (drawn(work, "samples", 3), drawn(work, "views", 1)) == (3, 5 + 4 + 2)
    assert drawn(stages(EvaluationPlan(("depth",), identities=3), 0)) == 6
    before = len(pictures)
    assert seconds_a_picture(BallGenerator()) > 0 and len(pictures) == before + 2


def test_every_score_is_told_with_what_it_depends_on(tmp_path: Path) -> None:
    data = TrainingData.open(write_balls(tmp_path / "set", 24), 48)
    told: list[tuple[str, int, int]] = []
    plan = EvaluationPlan(samples=20, identities=2, repeats=1)
    facts = evaluate(BallGenerator(), plan, data, NETWORK, lambda *done: told.append(done))
    json.dumps(facts, allow_nan=False)
    found = facts["distances"]
    assert (found["drawn"], found["real"]) == (20, 20)
    assert found["features"] == {
        "name": "means and spreads of colours", "sha256": "ab" * 32, "numbers": 6,
    }  # fmt: skip
    assert 0 <= found["fid"] < 0.02
    assert facts["depth"]["chamfer"]["count"] == 2
    yaws = np.abs([float(np.degrees(np.arctan2(c[3], c[11]))) for c in data.all_cameras().numpy()])  # type: ignore[union-attr]
    assert facts["depth"]["side_yaw"] == pytest.approx(1.5 * 1.4826 * np.median(yaws), rel=1e-3)
    assert facts["views"]["error"]["mean"] < 0.01
    assert facts["speed"]["person"] > 0 and facts["speed"]["repeats"] == 1
    assert facts["data"]["pictures"] == 24
    assert ("samples", 19, 20) in told and ("depths", 1, 2) in told
    table = markdown({"model": {"name": "balls"}, **facts})
    for word in ("FID", "KID", "modified Chamfer", "view consistency", "seconds a view"):
        assert word in table
    assert "means and spreads of colours" in " ".join(notes_of(facts))


def test_pictures_of_another_kind_are_further_away(tmp_path: Path) -> None:
    plan = EvaluationPlan(scores=("distances",), samples=24)
    near, far = (
        evaluate(
            BallGenerator(),
            plan,
            TrainingData.open(write_balls(tmp_path / str(shift), 24, shift), 48),
            NETWORK,
        )["distances"]
        for shift in (0.0, 0.2)
    )
    assert far["fid"] > 10 * near["fid"] and far["kid"]["mean"] > near["kid"]["mean"]


def test_a_conditioned_mapping_is_shown_the_camera_that_draws() -> None:
    generator = BallGenerator()
    cameras = cameras_for(generator.capabilities, None, 5, seed=3)
    pictures = list(drawn_pictures(generator, cameras, seed=3))
    assert generator.conditionings == cameras
    assert len({p.mean().item() for p in pictures}) == 5
    again = list(drawn_pictures(BallGenerator(), cameras, seed=3))
    assert all(torch.equal(a, b) for a, b in zip(pictures, again, strict=True))


def test_poses_come_from_the_data_or_from_the_models_ranges() -> None:
    facts = BallGenerator().capabilities
    own = np.stack([label_of(OrbitPose(yaw=y, pitch=3).camera()) for y in (-30, 0, 30)])
    cameras = cameras_for(facts, own, 3, seed=0)
    poses = {round(float(np.degrees(np.arctan2(c.position[0], c.position[2])))) for c in cameras}
    assert poses == {-30, 0, 30}
    assert all(np.abs(own[:, :16] - c.cam2world.ravel()).max(1).min() < 1e-6 for c in cameras)
    # Another distance: only the angles are taken over.
    other = np.stack([label_of(OrbitPose(yaw=30, radius=1.0).camera())])
    camera = cameras_for(facts, other, 1, seed=0)[0]
    np.testing.assert_allclose(camera.cam2world, OrbitPose(yaw=30).camera().cam2world, atol=1e-5)
    free = cameras_for(facts, None, 4000, seed=0)
    yaws = np.degrees([np.arctan2(c.position[0], c.position[2]) for c in free])
    assert np.abs(yaws).max() <= 45.001 and yaws.std() == pytest.approx(22.5 * 0.9594, rel=0.05)


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="need real pictures"):
        evaluate(BallGenerator(), EvaluationPlan(scores=("distances",)))
    with pytest.raises(UserError, match="no score 'fit'"):
        EvaluationPlan(scores=("fit",))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="at least 4 samples"):
        EvaluationPlan(samples=3)
    with pytest.raises(UserError, match="nothing to measure"):
        EvaluationPlan(scores=())
    with pytest.raises(UserError, match="At least one identity"):
        EvaluationPlan(identities=0)
    data = TrainingData.open(write_balls(tmp_path / "few", 3), 48)
    with pytest.raises(UserError, match="has 3 pictures"):
        evaluate(BallGenerator(), EvaluationPlan(samples=4), data, NETWORK)
    stop = CancelToken(lambda: True)
    with pytest.raises(Cancelled):
        evaluate(BallGenerator(), EvaluationPlan(scores=("views",)), cancel=stop)
