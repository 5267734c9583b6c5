"""``maquette bench``: what it measures and how it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.generators.registry import families
from tests.cli.conftest import Run


def test_every_family_can_be_measured(run: Run) -> None:
    listed = run("bench", "--list").out.split()
    assert {word.split("/")[0] for word in listed} == set(families())
    assert len(listed) == len(set(listed)) >= 2 * len(families())


def test_one_model_is_measured_and_the_table_saved(run: Run, tmp_path: Path) -> None:
    words = ("stylenerf/ffhq-256", "--repeats", 1, "--threads", 1, "--device", "cpu")
    result = run("bench", *words, "--out", "table.json")
    assert result.status == 0, result.err
    assert "| stylenerf/ffhq-256 |" in result.out
    [row] = json.loads((tmp_path / "table.json").read_text())["measurements"]
    assert (row["resolution"], row["neural_resolution"], row["threads"]) == (256, 32, 1)
    assert {"map", "volume", "upsample"} <= set(row["stages"])
    assert 0 < sum(row["stages"].values()) <= row["picture_seconds"] * 1.05
    # 15 MB of tensors: opening must not hold them twice.
    assert 1e7 < row["tensor_bytes"] < 3e7 and 0.9 < row["open_peak"] < 1.8
    assert row["orbit_fps"] > 0 and row["draw_peak_bytes"] > 1e6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "nothing named 'nothing'"),
        (("--repeats", "0"), "--repeats must be"),
        (("--out", "table.txt"), "must end in .json or .md"),
        (("--device", "gpu"), "no device named 'gpu'"),
    ],
)
def test_mistakes_are_told_in_a_sentence(run: Run, words: tuple[str, ...], said: str) -> None:
    result = run("bench", *words)
    assert result.status == 2 and said in result.err
    assert len(result.err.strip().splitlines()) == 1
