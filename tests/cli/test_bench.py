"""``maquette bench``: what it measures and how it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli.bench import ratios
from engine import benchmark
from engine.benchmark import Measurement, from_json
from engine.errors import GpuLost
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
    # One picture has no spread; one thread cannot work longer than the picture took.
    assert row["spread_seconds"] == 0.0
    assert 0.0 < row["processor_seconds"] < 1.2 * row["picture_seconds"] + 0.1
    facts = json.loads((tmp_path / "table.json").read_text())
    assert facts["machine"] and len(facts["date"]) == 10 and "load" in facts


def test_runs_are_compared(run: Run, tmp_path: Path) -> None:
    def measured(model: str, seconds: float, fps: float, threads: int = 2) -> Measurement:
        return Measurement(
            "stylesdf", model, "cpu", threads, picture_seconds=seconds, orbit_fps=fps
        )

    old = measured("a", 3.0, 2.0), measured("gone", 1.0, 1.0), measured("c", 1.0, 1.0)
    new = measured("a", 1.5, 3.0), measured("new", 1.0, 1.0), measured("c", 4.0, 1.0, threads=1)
    text = ratios(new, from_json(json.loads(json.dumps(
        {"measurements": [row.to_json() for row in old]}))))  # fmt: skip
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert lines[2:] == [
        ["stylesdf/a", "2.00 x", "", "1.50 x", "2"],
        ["stylesdf/c", "0.25 x", "", "1.00 x", "2, 1"],
    ]


def test_measurements_of_an_earlier_release_can_be_read() -> None:
    row = {"family": "eg3d", "model": "m", "device": "cpu", "threads": 2, "picture_seconds": 1.0,
           "and": "more"}  # fmt: skip
    assert from_json({"measurements": [row]})[0].picture_seconds == 1.0


def test_files_that_hold_no_measurements(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text("not json")
    (tmp_path / "c.json").write_text('{"measurements": [{"family": 1, "picture_seconds": "x"}]}')
    told = {"a.json": "holds no measurements", "b.json": "are not JSON",
            "c.json": "holds no measurements", "d.json": "cannot be read"}  # fmt: skip
    for name, said in told.items():
        result = run("bench", "--list", "--compare", name)
        assert result.status == 2 and said in result.err
        assert len(result.err.strip().splitlines()) == 1


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


@pytest.mark.parametrize("error", [GpuLost("the GPU stopped working"), RuntimeError("no")])
def test_what_one_model_fails_by_is_in_its_row(error: BaseException) -> None:
    """The next one has a process of its own, and the GPU with it."""

    def work(plan: benchmark.Plan, stem: str) -> None:
        raise error

    told = benchmark._told(work, benchmark.Plan("eg3d", "512"), "stem")
    assert told == f"{type(error).__name__}: {error}"
