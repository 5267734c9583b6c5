"""Directions as files: what comes back, and what is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from engine.editing.directions import (
    Direction,
    direction_paths,
    read_direction,
    write_direction,
)
from engine.edits import Edit, Offset
from engine.errors import ExportError, UserError

NUMBERS = np.random.RandomState(0).randn(3, 4).astype(np.float32)
SMILE = Direction(
    "Smiling", Offset.of(NUMBERS), "text", "eg3d", "ab" * 32,
    (("text", "smiling"), ("power", 1.25)),
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_direction(tmp_path / "smile", SMILE)


@pytest.mark.parametrize("ending", ["", ".json", ".safetensors", ".JSON"])
def test_a_direction_comes_back_by_any_of_its_names(path: Path, ending: str) -> None:
    assert path.name == "smile.json" and path.with_suffix(".safetensors").is_file()
    assert read_direction(path.with_suffix(ending)) == SMILE
    assert len(list(path.parent.iterdir())) == 2


def test_names_with_dots_keep_them(tmp_path: Path) -> None:
    facts, numbers = direction_paths(tmp_path / "v1.5 smile")
    assert (facts.name, numbers.name) == ("v1.5 smile.json", "v1.5 smile.safetensors")


def test_an_edit_goes_along_it_and_becomes_one() -> None:
    edit = SMILE.edit(-2.0, (0, 2))
    assert edit == Edit("Smiling", SMILE.offset, -2.0, rows=(0, 2), model="ab" * 32)
    assert Direction.of_edit(edit, "eg3d").offset == SMILE.offset


def test_another_model_is_warned_of_or_refused() -> None:
    assert SMILE.warning("eg3d", "ab" * 32, 3, 4) == ""
    assert SMILE.warning("eg3d", "", 3, 4) == ""
    assert "another model of the same size" in SMILE.warning("eg3d", "cd" * 32, 3, 4)
    assert "another model (eg3d) of" in SMILE.warning("pigan", "cd" * 32, 3, 4)
    with pytest.raises(UserError, match="3 x 4 numbers"):
        SMILE.warning("eg3d", "ab" * 32, 5, 4)


def damage(path: Path, **changes: Any) -> None:
    plain = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in plain.items() if v is not None}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "maquette-direction/2"}, "newer"),
        ({"format": "x"}, "not a Maquette direction"),
        ({"format": None}, "not a Maquette direction"),
        ({"sha256": "cd" * 32}, "does not belong"),
        ({"name": ""}, "name"),
        ({"name": None}, "damaged"),
        ({"kind": "magic"}, "one of text"),
        ({"model": "../../etc"}, "hash"),
        ({"family": "a\nb"}, "family"),
        ({"details": []}, "damaged"),
        ({"details": {"a": [1]}}, "damaged"),
        ({"details": {"a": True}}, "damaged"),
        ({"details": {"a": "x" * 301}}, "too long"),
        ({"details": {"a": 10**400}}, "damaged"),
        ({"details": {str(n): 1 for n in range(41)}}, "at most 40"),
    ],
)
def test_odd_descriptions_are_refused(path: Path, changes: dict[str, Any], says: str) -> None:
    damage(path, **changes)
    with pytest.raises(UserError, match=says):
        read_direction(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 40,
        b"[" * 100_000,
        save({"other": NUMBERS}),
        save({"offset": NUMBERS, "more": NUMBERS}),
        save({"offset": NUMBERS.astype(np.float64)}),
        save({"offset": NUMBERS.astype(np.int32)}),
        save({"offset": NUMBERS[0]}),
        save({"offset": NUMBERS * np.float32("nan")}),
        save({"offset": np.zeros((0, 4), np.float32)}),
        (1 << 62).to_bytes(8, "little") + b"{}",
        save({"offset": NUMBERS})[:-4],
    ],
)
def test_odd_numbers_are_refused(path: Path, content: bytes) -> None:
    path.with_suffix(".safetensors").write_bytes(content)
    with pytest.raises(UserError):
        read_direction(path)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"[" * 60_000, b"\xff\xfe", b"3"])
def test_odd_texts_are_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UserError):
        read_direction(path)


def test_missing_and_huge_files_are_refused(path: Path) -> None:
    with pytest.raises(UserError, match="There is no direction"):
        read_direction(path.with_name("other"))
    path.with_suffix(".safetensors").write_bytes(bytes(2 << 20))
    with pytest.raises(UserError, match="far too large"):
        read_direction(path)
    path.with_suffix(".safetensors").unlink()
    with pytest.raises(UserError, match="in one folder"):
        read_direction(path)


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError):
        write_direction(tmp_path / "file" / "smile", SMILE)
