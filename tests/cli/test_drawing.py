"""Pictures, videos and meshes from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image

from engine.checkpoints import file_sha256
from engine.export.picture import read_recipe
from engine.generators.cips3d import CIPS3D
from tests.cli.conftest import Run


def pixels(path: Path | str) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def checkpoint(golden: Path) -> Path:
    """A face that is one: with depths, a mesh and an authors' file."""
    return golden


def test_several_seeds_become_several_different_pictures(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    result = run("render", "--model", checkpoint, "--seed", "3,7-8", "--out", "many")
    assert result.status == 0, result.err
    assert sorted(p.name for p in (tmp_path / "many").iterdir()) == [
        "seed0003.png", "seed0007.png", "seed0008.png",
    ]  # fmt: skip
    first, second = pixels("many/seed0003.png"), pixels("many/seed0007.png")
    assert first.shape == (64, 64, 3)
    assert np.abs(first.astype(int) - second).mean() > 1.0


def test_the_recipe_holds_what_was_asked(run: Run, checkpoint: Path) -> None:
    words = "--seed 5 --psi 0.5 --cutoff 3 --yaw 20 --pitch -10 --roll 5 --radius 2.6 --fov 14"
    more = "--size 48 --neural-resolution 20 --samples 0.5 --transparent --out a.png"
    result = run("render", "--model", checkpoint, *words.split(), *more.split())
    assert result.status == 0, result.err
    recipe = read_recipe("a.png")
    pose = recipe.pose
    assert (recipe.seed, recipe.psi, recipe.cutoff) == (5, 0.5, 3)
    assert (pose.yaw, pose.pitch, pose.roll, pose.radius, pose.fov_y) == (20, -10, 5, 2.6, 14)
    assert (recipe.size, recipe.neural_resolution, recipe.samples) == (48, 20, 0.5)
    assert recipe.transparent and pixels("a.png").shape == (48, 48, 4)
    assert recipe.model.sha256 == file_sha256(checkpoint)
    assert Path(recipe.model.path) == checkpoint.resolve()


@pytest.mark.parametrize("view", ["raw", "depth", "normals", "opacity"])
def test_every_view_can_be_written(run: Run, checkpoint: Path, view: str) -> None:
    assert run("render", "--model", checkpoint, "--view", view, "--out", "v.png").status == 0
    assert read_recipe("v.png").view == view
    assert pixels("v.png").std() > 0


def test_from_gives_the_identical_pixels(run: Run, checkpoint: Path) -> None:
    words = ["--seed", "4", "--yaw", "12.3", "--psi", "0.61", "--out", "first.png"]
    assert run("render", "--model", checkpoint, *words).status == 0
    assert run("render", "--from", "first.png", "--out", "again.png").status == 0
    assert (pixels("first.png") == pixels("again.png")).all()
    assert read_recipe("first.png") == read_recipe("again.png")


def test_from_changes_only_what_is_given_besides(run: Run, checkpoint: Path) -> None:
    run("render", "--model", checkpoint, "--seed", 4, "--yaw", 12, "--psi", 0.6, "--out", "a.png")
    assert run("render", "--from", "a.png", "--yaw", -20, "--out", "b.png").status == 0
    before, after = read_recipe("a.png"), read_recipe("b.png")
    assert (after.seed, after.psi, after.pose.yaw) == (4, 0.6, -20)
    assert after.pose.radius == before.pose.radius
    assert (pixels("a.png") != pixels("b.png")).any()


def test_from_refuses_another_model_unless_it_is_named(run: Run, checkpoint: Path) -> None:
    run("render", "--model", checkpoint, "--out", "a.png")
    data = bytearray(checkpoint.read_bytes())
    data += b"\0"
    moved = checkpoint.with_name("moved.pkl")
    checkpoint.rename(moved)
    gone = run("render", "--from", "a.png", "--out", "b.png")
    assert (gone.status, len(gone.err.splitlines())) == (2, 1) and "--model" in gone.err
    checkpoint.write_bytes(data)
    changed = run("render", "--from", "a.png", "--out", "b.png")
    assert (changed.status, len(changed.err.splitlines())) == (2, 1) and "changed" in changed.err
    assert not Path("b.png").exists()
    assert run("render", "--from", "a.png", "--model", moved, "--out", "b.png").status == 0
    assert (pixels("a.png") == pixels("b.png")).all()


def test_json_states_what_was_written(run: Run, checkpoint: Path) -> None:
    result = run("render", "--model", checkpoint, "--seed", "1-2", "--out", "d", "--json")
    facts = json.loads(result.out)
    assert [Path(item["path"]).name for item in facts] == ["seed0001.png", "seed0002.png"]
    assert facts[0]["size"] == [64, 64] and facts[1]["recipe"]["seed"] == 2


def test_a_video_of_a_few_frames(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    words = [
        "video",
        "--frames",
        "3",
        "--fps",
        "10",
        "--trajectory",
        "yaw-sweep",
        "--size",
        "32",
        "--seed",
        "2",
        "--json",
    ]
    result = run(*words, "--model", checkpoint, "--out", "v.mp4")
    assert result.status == 0, result.err
    facts = json.loads(result.out)
    assert (facts["frames"], facts["fps"], facts["format"]) == (3, 10.0, "mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["v.mp4"]


def test_a_video_as_pictures_carries_recipes(run: Run, checkpoint: Path) -> None:
    words = ["video", "--frames", "2", "--trajectory", "orbit", "--size", "32", "--out", "frames"]
    assert run(*words, "--model", checkpoint).status == 0
    yaws = [read_recipe(path).pose.yaw for path in sorted(Path("frames").iterdir())]
    assert yaws == [0.0, -180.0]


def test_a_frame_that_was_surveyed_is_drawn_again_to_the_bit(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.generators.cips3d._SURVEY_CELLS", 20)
    monkeypatch.setattr(CIPS3D, "survey_pays_after", lambda *_: 2.0)
    asked: list[bool] = []
    monkeypatch.setattr(CIPS3D, "survey", _noting(asked, CIPS3D.survey))
    video = ["video", "--model", "bundled:cips3d", "--frames", "2", "--neural-resolution", "24"]
    assert run(*video, "--trajectory", "yaw-sweep", "--out", "frames").status == 0
    frame = "frames/frame_0002.png"
    for source, out in ((frame, "again.png"), ("again.png", "twice.png")):
        assert run("render", "--from", source, "--out", out).status == 0
        assert (pixels(out) == pixels(frame)).all()
    assert len(asked) == 3
    assert run("render", "--model", "bundled:cips3d", "--out", "alone.png").status == 0
    assert run("render", "--from", "alone.png", "--out", "other.png").status == 0
    assert len(asked) == 3


def _noting(asked: list[bool], survey: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*what: Any) -> Any:
        asked.append(True)
        return survey(*what)

    return noted


def test_a_mesh_with_colours(run: Run, checkpoint: Path) -> None:
    result = run("mesh", "--model", checkpoint, "--resolution", 32, "--out", "h.glb", "--json")
    assert result.status == 0, result.err
    facts = json.loads(result.out)
    scene = trimesh.load("h.glb")
    assert sum(len(g.faces) for g in scene.geometry.values()) == facts["faces"] > 0


def test_a_converted_model_draws_the_same_picture(run: Run, checkpoint: Path) -> None:
    converted = run("convert", checkpoint, "--out", "native", "--json")
    assert converted.status == 0, converted.err
    assert Path(json.loads(converted.out)["path"]).name == "native.json"
    run("render", "--model", checkpoint, "--seed", 9, "--out", "a.png")
    run("render", "--model", "native.json", "--seed", 9, "--out", "b.png")
    assert (pixels("a.png") == pixels("b.png")).all()
    assert read_recipe("b.png").model.sha256 == file_sha256("native.safetensors")


def test_convert_never_overwrites_by_itself(run: Run, checkpoint: Path) -> None:
    assert run("convert", checkpoint, "--out", "native").status == 0
    before = Path("native.json").stat().st_mtime_ns
    again = run("convert", checkpoint, "--out", "native")
    assert again.status == 2 and "--overwrite" in again.err
    assert Path("native.json").stat().st_mtime_ns == before
    assert run("convert", checkpoint, "--out", "native", "--overwrite", "--half").status == 0


def test_inspect_tells_family_and_tensors(run: Run, checkpoint: Path) -> None:
    people = run("inspect", checkpoint)
    assert people.status == 0 and "eg3d" in people.out and "backbone" not in people.out
    assert "backbone" in run("inspect", checkpoint, "--tensors").out
    facts = json.loads(run("inspect", checkpoint, "--json").out)
    assert facts["family"] == "eg3d" and facts["sha256"] == file_sha256(checkpoint)
    assert facts["options"]["img_resolution"] == 64
