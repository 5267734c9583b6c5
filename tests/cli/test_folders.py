"""Models that are released as a folder (CIPS-3D's), from every command that opens one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.checkpoints import file_sha256
from engine.export.picture import read_recipe
from tests.cli.conftest import GOLDEN, Run


@pytest.fixture
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as its authors pack it: the model to draw with among others."""
    folder = tmp_path_factory.mktemp("releases") / "train_ffhq.r64"
    folder.mkdir()
    shutil.copy(GOLDEN.parent / "cips3d" / "checkpoint.pth", folder / "G_ema.pth")
    (folder / "discriminator.pth").write_bytes(b"not a model")
    return folder


def test_a_folder_is_drawn_and_found_again(run: Run, release: Path) -> None:
    words = ["--size", 32, "--neural-resolution", 16, "--set", "samples_per_pass=4"]
    result = run("render", "--model", release, *words, "--out", "a.png")
    assert result.status == 0, result.err
    recipe = read_recipe("a.png")
    assert (recipe.model.path, recipe.model.name) == (str(release), "train_ffhq.r64")
    assert recipe.model.sha256 == file_sha256(release / "G_ema.pth")
    assert dict(recipe.settings) == {"samples_per_pass": 4}
    assert run("render", "--from", "a.png", "--out", "b.png").status == 0
    assert Path("b.png").read_bytes() == Path("a.png").read_bytes()
    data = (release / "G_ema.pth").read_bytes()
    (release / "G_ema.pth").write_bytes(data + b"\0")
    changed = run("render", "--from", "a.png", "--out", "c.png")
    assert changed.status == 2 and "changed" in changed.err


def test_a_folder_is_inspected_and_converted(run: Run, release: Path) -> None:
    facts = json.loads(run("inspect", release, "--json").out)
    assert facts["sha256"] == file_sha256(release / "G_ema.pth")
    assert facts["bytes"] == (release / "G_ema.pth").stat().st_size
    assert facts["capabilities"]["settings"][0]["name"] == "samples_per_pass"
    assert run("convert", release).status == 0
    assert release.with_name("train_ffhq.r64.safetensors").is_file()
