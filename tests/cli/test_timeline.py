"""Videos of saved paths and of projects from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.document import Document
from app.project import Project, write_project
from engine.camera import OrbitPose
from engine.export.picture import read_recipe
from engine.faces import Face, Identity
from engine.identity import StyleSource
from engine.keyframe import Keyframe
from engine.timeline import Timeline, save_timeline
from tests.cli.conftest import Run

POSE = OrbitPose(yaw=-20.0)


def path_of_two(seed: int = 2) -> Timeline:
    # Row 99 is none of this model's: the path comes from another one.
    start = Identity(Face(1, mixes=(StyleSource(3, (0, 99)),)))
    keys = (
        Keyframe(0.0, POSE, start),
        Keyframe(0.2, replace(POSE, yaw=20.0), Identity(Face(seed))),
    )
    return Timeline(keys, 0.2, 10.0)


def test_a_saved_path_is_filmed(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    save_timeline(path_of_two(), tmp_path / "path.json")
    words = ("--model", checkpoint, "--timeline", "path.json", "--size", 16, "--out", "frames")
    result = run("video", *words, "--json")
    assert result.status == 0, result.err
    facts = json.loads(result.out)
    assert (facts["frames"], facts["fps"]) == (3, 10.0)
    shown = [read_recipe(path) for path in sorted((tmp_path / "frames").iterdir())]
    assert [recipe.pose.yaw for recipe in shown] == [-20.0, 0.0, 20.0]
    assert shown[0].seed == 1 and shown[0].mixes[0].rows == (0,)
    assert shown[1].fades and shown[2].identity == Identity(Face(2))
    # A picture between keys is drawn again from itself, and gives way to a face that is named.
    middle = tmp_path / "frames" / "frame_0002.png"
    assert run("render", "--from", middle, "--out", "again.png").status == 0
    assert (tmp_path / "again.png").read_bytes() == middle.read_bytes()
    assert run("render", "--from", middle, "--seed", 3, "--out", "other.png").status == 0
    assert read_recipe(tmp_path / "other.png").identity.face.seed == 3
    assert not read_recipe(tmp_path / "other.png").fades


def test_a_projects_timeline_is_filmed(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    write_project(tmp_path / "a.maquette", Project(Document(timeline=path_of_two(8))))
    words = ("--model", checkpoint, "--timeline", "a.maquette", "--size", 16, "--out", "frames")
    assert run("video", *words).status == 0
    assert read_recipe(tmp_path / "frames" / "frame_0003.png").seed == 8


def test_distances_follow_the_model_that_films(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    home = OrbitPose(radius=27.0, fov_y=18.0)
    line = path_of_two()
    far = replace(
        line, keys=tuple(replace(key, pose=replace(key.pose, radius=54.0)) for key in line.keys)
    )
    save_timeline(replace(far, framing=home), tmp_path / "path.json")
    write_project(tmp_path / "a.maquette", Project(Document(home=home, timeline=far)))
    for number, name in enumerate(("path.json", "a.maquette")):
        words = ("--model", checkpoint, "--timeline", name, "--size", 16, "--out", f"f{number}")
        assert run("video", *words).status == 0
        pose = read_recipe(tmp_path / f"f{number}" / "frame_0001.png").pose
        # Twice as far as this model's own 2.7, as it was twice the other's.
        assert pose.radius == pytest.approx(5.4)


def test_what_cannot_be_filmed_is_one_sentence(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    save_timeline(Timeline(), tmp_path / "empty.json")
    (tmp_path / "bad.json").write_text("{")
    for name, sentence in (
        ("empty.json", "has no keys"),
        ("bad.json", "cannot be read"),
        ("none.json", "no timeline at"),
    ):
        result = run("video", "--model", checkpoint, "--timeline", name, "--out", "a.mp4")
        assert result.status == 2 and sentence in result.err and result.err.count("\n") == 1
