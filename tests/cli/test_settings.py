"""Settings of a model on the command line, and what a model says that it cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image

from engine.export.picture import read_recipe
from engine.generators import registry
from tests.cli.conftest import Run
from tests.cli.test_bad_input import one_sentence
from tests.cli.toned import ABSENT, write_toned


@pytest.fixture(autouse=True)
def family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "FAMILY_MODULES", ("tests.cli.toned",))


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toned(tmp_path_factory.mktemp("model") / "ball")


@pytest.fixture
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toned(tmp_path_factory.mktemp("bare") / "plain", bare=True)


def shown(path: Path | str) -> list[int]:
    """Grey levels of the picture's quarters: gain, radius, invert, grain."""
    with Image.open(path) as image:
        pixels: NDArray[np.uint8] = np.asarray(image)
    return [int(pixels[y, x, 0]) for y, x in ((8, 8), (8, 24), (24, 8), (24, 24))]


#: 255 / 4 for a gain of 0.5, 255 * 2 / 4 for a radius of 2, no inversion, the fine grain.
DEFAULT = [64, 128, 0, 64]


def test_defaults_hold_and_are_not_written_down(run: Run, model: Path) -> None:
    assert run("render", "--model", model, "--out", "a.png").status == 0
    assert shown("a.png") == DEFAULT
    assert read_recipe("a.png").settings == ()
    assert run("render", "--model", model, "--set", "gain=0.5", "--out", "b.png").status == 0
    assert read_recipe("b.png").settings == ()


def test_every_kind_of_setting_arrives(run: Run, model: Path) -> None:
    words = ["--set", "gain=1.5", "--set", "radius=4", "--set", "invert=yes", "--set", "grain=a=b"]
    result = run("render", "--model", model, *words, "--out", "a.png", "--json")
    assert result.status == 0, result.err
    assert shown("a.png") == [191, 255, 255, 191]
    kept = {"gain": 1.5, "grain": "a=b", "invert": True, "radius": 4}
    assert json.loads(result.out)[0]["recipe"]["settings"] == kept
    assert dict(read_recipe("a.png").settings) == kept


def test_from_restores_settings_and_changes_only_what_is_given(run: Run, model: Path) -> None:
    run("render", "--model", model, "--set", "gain=1", "--set", "invert=on", "--out", "a.png")
    assert run("render", "--from", "a.png", "--out", "b.png").status == 0
    assert read_recipe("b.png") == read_recipe("a.png")
    assert shown("b.png") == shown("a.png") == [128, 128, 255, 64]
    words = ["--set", "invert=off", "--set", "radius=1", "--set", "radius=3"]
    assert run("render", "--from", "a.png", *words, "--out", "c.png").status == 0
    assert shown("c.png") == [128, 191, 0, 64]
    assert dict(read_recipe("c.png").settings) == {"gain": 1.0, "radius": 3}


def test_another_model_takes_what_it_has(run: Run, model: Path, bare: Path) -> None:
    run("render", "--model", model, "--set", "gain=1", "--out", "a.png")
    assert run("render", "--from", "a.png", "--model", bare, "--out", "b.png").status == 0
    assert read_recipe("b.png").settings == ()
    run("render", "--model", bare, "--cutoff", 1, "--neural-resolution", 16, "--out", "c.png")
    assert run("render", "--from", "c.png", "--model", model, "--out", "d.png").status == 0
    recipe = read_recipe("d.png")
    assert recipe.cutoff is None and recipe.neural_resolution is None


def test_a_video_and_a_mesh_follow_settings(run: Run, model: Path) -> None:
    words = ["--frames", 2, "--size", 32, "--set", "gain=1.5", "--out", "frames"]
    assert run("video", "--model", model, *words).status == 0
    for path in sorted(Path("frames").iterdir()):
        assert shown(path)[0] == 191 and dict(read_recipe(path).settings) == {"gain": 1.5}
    result = run(
        "mesh", "--model", model, "--set", "radius=4", "--resolution", 48, "--out", "m.ply",
        "--json",
    )  # fmt: skip
    assert result.status == 0, result.err
    assert json.loads(result.out)["settings"] == {"radius": 4}
    # A ball with a radius of 0.4, to half a cell of the grid.
    assert trimesh.load("m.ply").bounds[1] == pytest.approx([0.4] * 3, abs=0.5 / 48)


@pytest.mark.parametrize("command", ["render", "video", "mesh"])
@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("noise=1", "no setting 'noise'; it has gain, radius, invert, grain"),
        ("radius=9", "radius is a whole number from 1 to 4, not '9'"),
        ("radius=2.5", "radius is a whole number from 1 to 4, not '2.5'"),
        ("gain=-1", "gain is a number, 0 or more, not '-1'"),
        ("gain=inf", "gain is a number, 0 or more, not 'inf'"),
        ("invert=maybe", "invert is on or off, not 'maybe'"),
        ("grain=", "grain is one of fine, coarse, a=b, not ''"),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    run: Run, model: Path, tmp_path: Path, command: str, word: str, says: str
) -> None:
    assert says in one_sentence(run(command, "--model", model, "--set", word))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["gain", "=1", ""])
def test_a_word_that_is_no_setting(run: Run, tmp_path: Path, word: str) -> None:
    sentence = one_sentence(run("render", "--set", word))
    assert "NAME=VALUE" in sentence and repr(word) in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_settings_says_so(run: Run, bare: Path) -> None:
    assert "it has none" in one_sentence(run("render", "--model", bare, "--set", "gain=1"))


@pytest.mark.parametrize(
    ("words", "control"),
    [
        ("--cutoff 1", "cutoff"),
        ("--neural-resolution 16", "neural_resolution"),
        ("--view raw", "raw"),
        ("--transparent", "opacity"),
    ],
)
def test_what_a_model_cannot_do_is_told_with_the_reason(
    run: Run, model: Path, tmp_path: Path, words: str, control: str
) -> None:
    sentence = one_sentence(run("render", "--model", model, *words.split(), "--out", "a.png"))
    assert ABSENT[control] in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_mesh_can_be_cut_from_any_view(run: Run, model: Path, bare: Path) -> None:
    run("render", "--model", bare, "--view", "opacity", "--transparent", "--out", "a.png")
    words = ["--from", "a.png", "--model", model, "--resolution", 16, "--out", "m.ply"]
    assert run("mesh", *words).status == 0


def test_inspect_lists_settings_and_reasons(run: Run, model: Path) -> None:
    lines = run("inspect", model).out.splitlines()
    assert "  gain = 0.5  (a number, 0 or more)" in lines
    assert "  invert = off  (on or off)" in lines
    assert "      Radius: Tenths of a unit." in lines
    assert "  raw: It has no upsampler." in lines
    assert "layers       all 0-0" in lines
    assert "views        picture, depth" in lines


def test_inspect_in_json_has_every_fact_and_no_infinity(run: Run, model: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    can = json.loads(run("inspect", model, "--json").out, parse_constant=refuse)["capabilities"]
    assert can["absent"] == ABSENT and can["layer_groups"] == {"all": [0, 1]}
    assert can["view_modes"] == ["picture", "depth"] and can["z_dim"] == 2
    gain, radius, invert, grain = can["settings"]
    assert (gain["low"], gain["high"], gain["default"]) == (0.0, None, 0.5)
    assert (radius["low"], radius["high"], radius["kind"]) == (1, 4, "integer")
    assert (invert["title"], invert["help"]) == ("Invert", "Turn dark into bright.")
    assert grain["choices"] == ["fine", "coarse", "a=b"]


def test_inspect_of_a_model_that_cannot_be_built(run: Run, tmp_path: Path) -> None:
    damaged = write_toned(tmp_path / "damaged", tones=4)
    facts = json.loads(run("inspect", damaged, "--json").out)
    assert facts["capabilities"] is None and "no colour" in facts["note"]
    assert facts["tensors"][0]["shape"] == [4]
    assert any("no colour" in line for line in run("inspect", damaged).out.splitlines())


def test_a_folder_is_handed_to_the_reader(run: Run, model: Path) -> None:
    """Which folders hold a model is the reader's business; all others are one sentence."""
    empty = model.parent / "empty"
    empty.mkdir()
    for command in ("inspect", "convert"):
        assert str(empty) in one_sentence(run(command, empty))
    assert str(empty) in one_sentence(run("render", "--model", empty))
