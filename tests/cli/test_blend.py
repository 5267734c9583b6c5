"""``maquette blend``: two models in, one converted model out that opens everywhere."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from engine.draw import Painter
from engine.export.picture import save_picture
from engine.generators.registry import open_model
from engine.hashing import model_sha256
from engine.layer_swap import LayerSwap
from engine.recipe import ModelRef, Recipe
from tests.cli.conftest import Run

SET = Path(__file__).resolve().parent.parent / "data" / "goldens" / "cips3d"
FIRST, SECOND = SET / "checkpoint.pth", SET / "second.pth"
EG3D = SET.parent / "eg3d_ffhq" / "checkpoint.pkl"


def drawn(run: Run, model: object, out: str) -> Image.Image:
    words = ("--model", model, "--neural-resolution", 32, "--seed", 1, "--psi", 1)
    result = run("render", *words, "--out", out)
    assert result.status == 0, result.err
    with Image.open(out) as image:
        return image.convert("RGB")


def test_a_blend_opens_and_draws_between_its_models(run: Run, tmp_path: Path) -> None:
    layers = ("--layers", 1024, 512, 256, 128, 64, 32)
    result = run("blend", FIRST, SECOND, *layers, "--gamma", 0.5, "--out", "toon")
    assert result.status == 0 and "toon.safetensors" in result.out, result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toon.json", "toon.safetensors"]
    facts = json.loads(Path("toon.json").read_text())
    assert facts["name"] == "checkpoint with second"
    assert "layers 32, 64, 128, 256, 512, 1024 are 0.5" in facts["assumptions"][-1]
    assert "0.5 those of second" in run("inspect", "toon.json").out
    photo, toon = drawn(run, FIRST, "a.png"), drawn(run, "toon.json", "b.png")
    assert ImageChops.difference(photo, toon).getbbox() is not None


def test_no_share_of_the_other_is_the_model_itself(run: Run) -> None:
    assert run("blend", FIRST, SECOND, "--gamma", 0, "--out", "same").status == 0
    a, b = drawn(run, FIRST, "a.png"), drawn(run, "same.safetensors", "b.png")
    assert ImageChops.difference(a, b).getbbox() is None


def test_releases_and_folders_to_write_to(run: Run, tmp_path: Path) -> None:
    release = tmp_path / "finetune_photo2cartoon"
    release.mkdir()
    shutil.copy(SECOND, release / "G_ema.pth")
    with zipfile.ZipFile("photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(FIRST, "train_ffhq/G_ema.pth")
    Path("here").mkdir()
    result = run("blend", "photos.zip", release, "--out", "here", "--half", "--json")
    assert result.status == 0, result.err
    facts = json.loads(result.out)
    assert facts["family"] == "cips3d"
    assert Path(facts["path"]).name == "photos-finetune_photo2cartoon.json"
    assert facts["bytes"] < FIRST.stat().st_size * 0.7
    drawn(run, facts["path"], "a.png")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((FIRST,), "TARGET"),
        ((FIRST, SECOND), "--out"),
        ((FIRST, "nowhere.pth", "--out", "x"), "nowhere.pth"),
        ((FIRST, SECOND, "--out", "x", "--gamma", "2"), "--gamma must be 0 to 1"),
        ((FIRST, SECOND, "--out", "x", "--gamma", "nan"), "--gamma"),
        ((FIRST, SECOND, "--out", "x", "--layers", "2"), "no layer '2'"),
        ((FIRST, EG3D, "--out", "x"), "one family"),
        ((FIRST, SECOND, "--out", "nowhere/x"), "nowhere"),
    ],
)
def test_mistakes_are_one_sentence(
    run: Run, tmp_path: Path, words: tuple[object, ...], said: str
) -> None:
    result = run("blend", *words)
    assert result.status == 2 and result.out == ""
    assert said in result.err and len(result.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_unasked(run: Run, tmp_path: Path) -> None:
    assert run("blend", FIRST, SECOND, "--out", "x").status == 0
    before = Path("x.safetensors").read_bytes()
    again = run("blend", FIRST, SECOND, "--gamma", 1, "--out", "x")
    assert again.status == 2 and "exists already" in again.err
    onto = run("blend", "x.json", SECOND, "--out", "x", "--overwrite")
    assert onto.status == 2 and "another place" in onto.err
    assert Path("x.safetensors").read_bytes() == before
    assert run("blend", FIRST, SECOND, "--gamma", 1, "--out", "x", "--overwrite").status == 0
    assert Path("x.safetensors").read_bytes() != before


def test_a_picture_of_two_models_is_drawn_again_from_itself(run: Run, tmp_path: Path) -> None:
    second = tmp_path / "second.pth"
    shutil.copy(SECOND, second)
    painter = Painter(open_model(FIRST, "cpu"))
    swap = LayerSwap(ModelRef(str(second), model_sha256(second)), ("512", "1024"), 0.5)
    pose = painter.generator.capabilities.default_pose
    first = ModelRef(str(FIRST), model_sha256(FIRST))
    recipe = Recipe(model=first, seed=2, pose=pose, neural_resolution=16, size=32, swap=swap)
    save_picture(painter.picture(recipe), tmp_path / "both.png", recipe)
    assert run("render", "--from", "both.png", "--out", "again.png").status == 0
    with Image.open("both.png") as one, Image.open("again.png") as other:
        assert ImageChops.difference(one, other).getbbox() is None
    # Named anew, a model is alone.
    assert run("render", "--from", "both.png", "--model", FIRST, "--out", "alone.png").status == 0
    with Image.open("both.png") as one, Image.open("alone.png") as other:
        assert ImageChops.difference(one, other).getbbox() is not None
    second.unlink()
    refused = run("render", "--from", "both.png", "--out", "c.png")
    assert refused.status == 2 and "no longer at" in refused.err and not Path("c.png").exists()
