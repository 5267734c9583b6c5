"""Projects on the command line: drawn like pictures, described, and refused in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.document import Document
from app.project import Project, read_project, write_project
from engine.camera import OrbitPose
from engine.checkpoints import file_sha256
from engine.export.picture import read_recipe
from engine.recipe import ModelRef, Recipe
from tests.cli.conftest import Run


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
