"""``maquette verify``: tables, any number of folders, and status 1 where one case fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import GOLDEN, Run

Change = Callable[[dict[str, Any]], None]
MakeSet = Callable[..., Path]


@pytest.fixture
def golden_set(tmp_path_factory: pytest.TempPathFactory) -> MakeSet:
    """Makes a folder with the first two cases of the EG3D set, changed if asked for."""

    def make(name: str, change: Change = lambda facts: None) -> Path:
        folder = tmp_path_factory.mktemp("sets") / name
        folder.mkdir()
        for file in ("checkpoint.pkl", "golden.npz"):
            shutil.copy(GOLDEN / file, folder / file)
        facts = json.loads((GOLDEN / "golden.json").read_text())
        facts["cases"], facts["density"] = facts["cases"][:2], facts["density"][:1]
        change(facts)
        (folder / "golden.json").write_text(json.dumps(facts))
        return folder

    return make


def test_a_table_for_each_of_several_folders(run: Run, golden_set: MakeSet) -> None:
    first, second = golden_set("first"), golden_set("second")
    result = run("verify", first, second)
    assert result.status == 0, result.err
    assert {str(first), str(second)} <= set(result.out.splitlines())
    assert result.out.count("0 failed") == 2 and "FAIL" not in result.out
    head = next(line for line in result.out.splitlines() if "median" in line)
    assert head.split()[:5] == ["case", "output", "median", "p99", "max"]


def test_one_missed_tolerance_is_status_1(run: Run, golden_set: MakeSet) -> None:
    def strict(facts: dict[str, Any]) -> None:
        facts["tolerance"]["rgb"] = [0.0, 0.0, 0.0]

    result = run("verify", golden_set("good"), golden_set("strict", strict), golden_set("after"))
    assert result.status == 1 and result.err == ""
    assert "FAIL" in result.out and result.out.count(" compared, ") == 3


def test_another_picture_is_status_1(run: Run, golden_set: MakeSet) -> None:
    def swapped(facts: dict[str, Any]) -> None:
        one, two = (case["expect"] for case in facts["cases"])
        one["rgb"], two["rgb"] = two["rgb"], one["rgb"]

    result = run("verify", golden_set("swapped", swapped), "--json")
    assert result.status == 1
    (report,) = json.loads(result.out)
    failed = {row["output"] for row in report["rows"] if not row["passed"]}
    assert failed == {"rgb"} and report["passed"] is False
    assert {"case", "output", "median", "p99", "max", "tolerance", "passed"} <= set(
        report["rows"][0]
    )


@pytest.mark.parametrize("damage", ["golden.json", "golden.npz", "checkpoint.pkl"])
def test_a_damaged_set_is_one_sentence(run: Run, golden_set: MakeSet, damage: str) -> None:
    folder = golden_set("damaged")
    file = folder / damage
    file.write_bytes(file.read_bytes()[:1000])
    result = run("verify", folder)
    assert result.status == 2 and len(result.err.splitlines()) == 1
    assert damage in result.err


def test_files_among_the_folders_are_passed_over(
    run: Run, golden_set: MakeSet, tmp_path: Path
) -> None:
    """As a shell's * gives them; a file alone is a mistake."""
    readme = tmp_path / "README.md"
    readme.write_text("What the folders hold.")
    result = run("verify", golden_set("first"), readme)
    assert result.status == 0 and "README" not in result.out, result.err
    alone = run("verify", readme)
    assert alone.status == 2 and "is not a folder" in alone.err
