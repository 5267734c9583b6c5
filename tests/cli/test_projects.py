"""Projects on the command line: drawn like pictures, described, and refused in one sentence."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.document import Document
from app.model_search import find_model
from app.project import Project, read_project, write_project
from engine.camera import OrbitPose
from engine.checkpoints import file_sha256
from engine.export.picture import read_recipe
from engine.faces import Face, Identity
from engine.keyframe import Keyframe
from engine.recipe import ModelRef, Recipe
from engine.timeline import Timeline
from tests.cli.conftest import GOLDEN, Run


@pytest.fixture
def checkpoint(golden: Path) -> Path:
    """In one file, of which a project knows the sum."""
    return golden


@pytest.fixture
def project(tmp_path: Path, checkpoint: Path) -> Path:
    recipe = Recipe(
        model=ModelRef(str(checkpoint), file_sha256(checkpoint), "face"),
        seed=4,
        psi=0.61,
        pose=OrbitPose(yaw=12.5, pitch=-3.0, radius=2.7, look_at=(0.0, 0.0, 0.2)),
    )
    path = tmp_path / "anna.maquette"
    write_project(path, Project(Document(recipe, replace(recipe.pose, yaw=0.0))))
    return path


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_project_is_drawn_as_its_picture_would_be(run: Run, project: Path) -> None:
    result = run("render", "--from", project, "--out", "a.png")
    assert result.status == 0, result.err
    recipe = read_recipe("a.png")
    assert recipe == read_project(project).document.recipe
    assert run("render", "--from", "a.png", "--out", "b.png").status == 0
    assert (pixels("a.png") == pixels("b.png")).all()
    assert run("render", "--from", project, "--yaw", -30, "--out", "c.png").status == 0
    turned = read_recipe("c.png")
    assert turned.pose == replace(recipe.pose, yaw=-30.0) and turned.seed == 4


def test_a_project_whose_model_is_not_the_one_is_refused(
    run: Run, project: Path, checkpoint: Path
) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes() + b"\0")
    changed = run("render", "--from", project, "--out", "a.png")
    assert (changed.status, len(changed.err.splitlines())) == (2, 1) and "changed" in changed.err
    checkpoint.unlink()
    gone = run("render", "--from", project, "--out", "a.png")
    assert (gone.status, len(gone.err.splitlines())) == (2, 1) and "--model" in gone.err
    assert not Path("a.png").exists()


def test_inspect_describes_a_project(run: Run, project: Path, checkpoint: Path) -> None:
    lines = run("inspect", project).out
    for words in ("maquette-project/1", str(checkpoint), "seed 4, psi 0.61", "yaw 12.5"):
        assert words in lines
    facts = json.loads(run("inspect", project, "--json").out)
    assert facts["document"]["recipe"]["seed"] == 4 and facts["thumbnail"] is False
    assert facts["arrays"] == {}


@pytest.mark.parametrize(
    "words",
    [["inspect"], ["render", "--out", "a.png", "--from"], ["mesh", "--out", "a.glb", "--from"]],
)
def test_a_bad_project_is_one_sentence(run: Run, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "bad.maquette").write_bytes(b"PK\x05\x06" + bytes(30))
    for name in ("bad.maquette", "none.maquette"):
        result = run(*words, name)
        assert result.status == 2 and len(result.err.splitlines()) == 1 and name in result.err


def test_a_picture_knows_the_averages_that_it_was_drawn_with(run: Run, tmp_path: Path) -> None:
    for name in ("generator.pth", "ema.pth"):
        shutil.copy(GOLDEN.parent / "pigan" / "CelebA" / name, tmp_path / name)
    small = ("--size", 16, "--out", "a.png")
    assert run("render", "--model", "generator.pth", "--seed", 1, *small).status == 0
    assert run("render", "--from", "a.png", "--out", "b.png").status == 0
    kept = read_recipe("a.png").model
    facts = json.loads(run("inspect", "generator.pth", "--json").out)
    assert facts["identity"] == kept.sha256 != facts["sha256"]
    assert kept.sha256 in run("inspect", "generator.pth").out
    assert find_model(kept, (), ()).outcome == "found"
    (tmp_path / "ema.pth").unlink()
    changed = run("render", "--from", "a.png", "--out", "b.png")
    assert changed.status == 2 and "changed" in changed.err
    assert find_model(kept, (), ()).outcome == "changed"


def test_inspect_tells_of_a_timeline(run: Run, tmp_path: Path) -> None:
    assert "timeline" not in told(run, tmp_path, Timeline())
    keys = tuple(Keyframe(t, OrbitPose(), Identity(Face(i))) for i, t in enumerate((0.0, 1.5)))
    line = told(run, tmp_path, Timeline(keys, 4.0, 24.0, loop=True))
    assert "timeline     2 keys (at 0, 1.5 s) in 4 s, in a loop, 24 frames a second" in line


def told(run: Run, tmp_path: Path, line: Timeline) -> str:
    """What inspect says of a project with a timeline."""
    write_project(tmp_path / "line.maquette", Project(Document(timeline=line)))
    return run("inspect", "line.maquette").out


def test_inspect_describes_a_picture(run: Run, project: Path, tmp_path: Path) -> None:
    assert run("render", "--from", project, "--size", 16, "--out", "a.png").status == 0
    lines = run("inspect", "a.png").out
    assert "seed 4, psi 0.61" in lines and "yaw 12.5" in lines and "sheet" not in lines
    facts = json.loads(run("inspect", "a.png", "--json").out)
    assert facts["recipe"]["seed"] == 4 and facts["sheet"] is None
    (tmp_path / "b.png").write_bytes(b"no")
    result = run("inspect", "b.png")
    assert result.status == 2 and len(result.err.splitlines()) == 1
