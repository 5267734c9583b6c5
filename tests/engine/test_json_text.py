"""JSON that UTF-8 can write, whatever a file is called."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine.json_text import json_text
from engine.training.data.photos.points import read_points, write_points
from engine.training.gan.options import TrainingOptions
from engine.training.gan.plan import RunFacts, RunPlan
from tests.training.data.photo_sets import face_at

NAME = os.fsdecode(b"two words \xff\x80")


@pytest.mark.parametrize("text", ["plain", "Zoë ψ", NAME, NAME + "ψ", "\ud800"])
def test_it_can_be_written_and_comes_back(text: str) -> None:
    written = json_text({"name": text}, 1).encode()
    assert json.loads(written) == {"name": text}


def test_letters_stay_letters() -> None:
    assert json_text(["Zoë"]) == '["Zoë"]'


def test_runs_and_points_of_such_files(tmp_path: Path) -> None:
    facts = RunFacts(RunPlan(str(tmp_path), f"/data/{NAME}"), TrainingOptions(), NAME)
    facts.write()
    assert RunFacts.read(tmp_path) == facts
    faces = {f"{NAME}.png": [face_at(0.0, 0.0, 150.0, 80.0, 40.0)]}
    write_points(tmp_path / "points.json", faces)
    assert list(read_points(tmp_path / "points.json")) == list(faces)
