"""Models that ship: what stands for them, and where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import assets
from engine.errors import UserError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose assets are given file by file."""
    monkeypatch.setattr(assets, "data_dir", lambda name: tmp_path)
    return tmp_path


def put(folder: Path, name: str) -> Path:
    path = folder / name / "heads.json"
    path.parent.mkdir()
    path.touch()
    return path


def test_the_one_that_opens_by_itself_comes_first(folder: Path) -> None:
    second = put(folder, "generator_cips3d")
    first = put(folder, "generator")
    assert [one.key for one in assets.shipped_generators()] == ["bundled", "bundled:cips3d"]
    assert assets.model_place("bundled") == assets.bundled_generator() == first
    assert assets.model_place("bundled:cips3d") == second


def test_what_was_not_installed_is_not_offered(folder: Path) -> None:
    put(folder, "generator")
    assert [one.key for one in assets.shipped_generators()] == ["bundled"]
    assert assets.shipped_generator("bundled:cips3d") is None
    # It is a path like any other then.
    assert assets.model_place("bundled:cips3d") == Path("bundled:cips3d")


def test_a_path_is_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "generator")
    monkeypatch.setenv("HOME", "/somewhere")
    assert assets.model_place("a/b.pkl") == Path("a/b.pkl")
    assert assets.model_place("~/b.pkl") == Path("/somewhere/b.pkl")


def test_an_incomplete_installation_is_told(folder: Path) -> None:
    with pytest.raises(UserError, match="install Maquette again"):
        assets.model_place("bundled")
