"""``maquette prepare``: photographs as a data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from engine.training.data.photos import environment
from engine.training.data.training_data import TrainingData
from tests.cli.conftest import Run
from tests.cli.test_bad_input import one_sentence
from tests.training.data.photo_sets import face_at, fake_python, photo


@pytest.fixture(autouse=True)
def _no_mediapipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has installed."""
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    monkeypatch.setattr(environment, "own_folder", lambda: tmp_path / "no-environment")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(data.astronaut()).save(folder / "astronaut.png")
    (folder / "broken.jpg").write_bytes(b"x")
    return folder


def test_mediapipes_faces_become_a_data_set(run: Run, photos: Path, tmp_path: Path) -> None:
    face = face_at(12.0, 4.0, 250.0, 100.0, 60.0)
    photo(face, 420, 360).save(photos / "astronaut.png")
    assert face.dense is not None
    # The stand-in for MediaPipe halves what it was given.
    points = np.concatenate([face.dense, face.dense[:10]]) * 2
    python = fake_python(tmp_path, points)
    result = run(
        "prepare", photos, "--out", "set", "--resolution", 64, "--framing", "bundled",
        "--finder-python", python,
    )  # fmt: skip
    assert result.status == 0, result.err
    assert "1 pictures in set, 1 with cameras (MediaPipe 0.10.21-fake, then" in result.out
    assert "left out broken.jpg: it is damaged, or no picture" in result.out
    summary = TrainingData.open(tmp_path / "set", 64).summary
    assert summary.posed and summary.yaw is not None and summary.pitch is not None
    assert (summary.yaw[0], summary.pitch[0]) == pytest.approx((12, 4), abs=3)


def test_the_rough_finder_waits_for_confirmed_points(
    run: Run, photos: Path, tmp_path: Path
) -> None:
    result = run("prepare", photos, "--out", "wait")
    assert result.status == 0, result.err
    assert "MediaPipe finds faces by itself" in result.out and "--install-finder" in result.out
    assert "0 pictures in wait" in result.out and "only guessed" in result.out
    assert "wait in wait/maquette-points.json" in result.out and "another folder" in result.out
    path = tmp_path / "wait" / "maquette-points.json"
    stated = json.loads(path.read_text())
    stated["faces"]["astronaut.png"][0] |= {"certain": True, "yaw": -15.0, "pitch": 5.0}
    path.write_text(json.dumps(stated))
    words = ("prepare", photos, "--finder", "none", "--points", path, "--resolution", 128)
    report = json.loads(run(*words, "--out", "set", "--json").out)
    assert report["finder"] is None and len(report["pictures"]) == 1
    assert report["pictures"][0]["angles"]["yaw"] == -15.0
    assert report["skipped"]["broken.jpg"] == "it is damaged, or no picture"
    guessed = json.loads(run("prepare", photos, "--out", "rough", "--accept-guesses", "--json").out)
    assert len(guessed["pictures"]) == 1 and "have no camera" in " ".join(guessed["notes"])


def test_the_finder_is_installed_only_when_asked(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def install(say: object) -> Path:
        asked.append(say)
        return Path("somewhere")

    monkeypatch.setattr(environment, "install", install)
    run("prepare", photos, "--out", "wait")
    assert not asked
    result = run("prepare", "--install-finder")
    assert result.status == 0 and len(asked) == 1 and "ready in somewhere" in result.out


def test_mistakes_are_one_sentence(run: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "points.json").write_text("{")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for words, said in (
        ((), "Name the photographs"),
        ((photos,), "with --out"),
        ((photos, "--out", "set", "--resolution", 4), "16 to 4096"),
        ((photos, "--out", "set", "--finder", "mediapipe"), "MediaPipe is not installed"),
        ((photos, "--out", "set", "--finder-python", "nowhere"), "There is no Python at nowhere"),
        ((photos, "--out", "set", "--points", "points.json"), "cannot be read"),
        ((photos, "--out", "full"), "is not empty"),
        ((tmp_path / "gone", "--out", "set"), "is no folder and no zip archive"),
        ((photos, "--out", "set", "--finder", "none"), "No usable face"),
    ):
        assert said in one_sentence(run("prepare", *words))
    assert not (tmp_path / "set").exists()
