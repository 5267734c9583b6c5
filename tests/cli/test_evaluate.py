"""``maquette evaluate``: scores of a model on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from app.cli.measuring import following, spoken
from engine.metrics.effort import Stage
from tests.cli.conftest import Run
from tests.cli.test_bad_input import one_sentence
from tests.text.conftest import TINY, tiny_weights
from tests.training.data.sets import write_folder


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    path = tmp_path / "own"
    path.mkdir()
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY}))
    save_file(tiny_weights(), path / "open_clip_model.safetensors")
    return path


def test_scores_are_printed_and_saved(
    run: Run, checkpoint: Path, encoder: Path, tmp_path: Path
) -> None:
    data = write_folder(tmp_path / "set", 6, width=64)
    words = (
        "evaluate", checkpoint, "--data", data, "--samples", 5, "--identities", 1, "--features",
        encoder, "--device", "cpu", "--scores", "distances", "depth", "views",
    )  # fmt: skip
    result = run(*words, "--out", tmp_path / "scores.md")
    assert result.status == 0, result.err
    assert result.err.startswith(
        "maquette: Measuring FID and KID of 5 samples, depths of 1 person and views of 1 person: 9 "
        "pictures of face on cpu, "
    )
    assert "FID" in result.out and "5 samples against 5 pictures" in result.out
    assert "the image tower of own" in result.out
    table = (tmp_path / "scores.md").read_text()
    assert table.startswith("# Scores of face") and "| depth consistency |" in table
    plain = run(*words, "--json", "--out", tmp_path / "scores.json")
    facts = json.loads(plain.out)
    assert plain.err == ""
    assert facts == json.loads((tmp_path / "scores.json").read_text())
    assert facts["model"]["family"] == "eg3d" and len(facts["model"]["sha256"]) == 64
    assert facts["distances"]["features"]["name"] == "the image tower of own"
    assert facts["distances"]["poses"] == "the data's cameras"
    assert "speed" not in facts


def test_without_data_everything_else_is_measured(run: Run, checkpoint: Path) -> None:
    result = run("evaluate", checkpoint, "--identities", 1, "--device", "cpu", "--json")
    assert result.status == 0, result.err
    facts = json.loads(result.out)
    assert {"depth", "views", "speed"} <= set(facts) and "distances" not in facts


def test_mistakes_are_one_sentence(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    for words, said in (
        (("--scores", "distances"), "name them with --data"),
        (("--scores", "fit"), "no score 'fit'"),
        (("--samples", 2), "at least 4 samples"),
        (("--seed", -1), "must not be below 0"),
        (("--out", tmp_path / "scores.txt"), "must end in .json or .md"),
        (("--data", tmp_path / "gone"), "is no folder and no zip archive"),
        (("--psi", "nan"), "psi"),
        (("--psi", 99), "--psi must be -1 to 2, not 99"),
        (("--data", write_folder(tmp_path / "one", 1)), "has 1 picture; FID"),
    ):
        assert said in one_sentence(run("evaluate", checkpoint, "--device", "cpu", *words))
    assert "There is no model" in one_sentence(run("evaluate", tmp_path / "gone.pkl"))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "a few seconds"), (31, "about 30 seconds"), (100, "about 2 minutes"),
     (2400, "about 40 minutes"), (9000, "about 2 hours")],
)  # fmt: skip
def test_times_are_told_as_people_tell_them(seconds: float, said: str) -> None:
    assert spoken(seconds) == said


def test_without_a_terminal_a_line_comes_now_and_then(capfd: pytest.CaptureFixture[str]) -> None:
    now = iter([0.0, 1.0, 20.0, 21.0, 40.0])
    with following((Stage("depths", 8, 2),), clock=lambda: next(now)) as told:
        for done in (0, 2, 3, 4):
            told("depths", done, 8)
    assert capfd.readouterr().err.splitlines() == [
        "maquette: depths, 2 of 8, about 60 seconds left.",
        "maquette: depths, 4 of 8, about 40 seconds left.",
    ]
    with following((Stage("depths", 8, 2),), quiet=True, clock=lambda: 99.0) as told:
        told("depths", 1, 8)
    assert capfd.readouterr().err == ""
