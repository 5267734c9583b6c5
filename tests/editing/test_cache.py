"""The cache of what was found: whole and finite, or missing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from engine.editing import cache as module
from engine.editing.cache import Cache


def test_arrays_come_back_and_follow_their_facts(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "new")
    key = cache.key(what="pca", model="ab")
    assert key != cache.key(what="pca", model="cd") and key == cache.key(model="ab", what="pca")
    assert cache.read(key, ("a",)) is None
    cache.write(key, {"a": np.arange(3.0), "b": np.ones((2, 2), np.float32)})
    found = cache.read(key, ("a", "b"))
    assert found is not None and np.array_equal(found["a"], np.arange(3.0))
    assert cache.read(key, ("a", "c")) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 1000])
def test_damaged_entries_count_as_missing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k.npz").write_bytes(content)
    assert Cache(tmp_path).read("k", ("a",)) is None


def test_numbers_that_are_none_count_as_missing(tmp_path: Path) -> None:
    for name, array in (("k", np.array([np.nan])), ("n", np.array(["a"]))):
        np.savez(tmp_path / f"{name}.npz", a=array)
        assert Cache(tmp_path).read(name, ("a",)) is None


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    nowhere = Cache()
    nowhere.write("k", {"a": np.ones(1)})
    assert nowhere.read("k", ("a",)) is None
    (tmp_path / "file").write_text("")
    blocked = Cache(tmp_path / "file")
    blocked.write("k", {"a": np.ones(1)})
    assert blocked.read("k", ("a",)) is None


def test_the_oldest_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    for number, name in enumerate("abc"):
        cache.write(name, {"a": np.zeros(1000)})
        os.utime(tmp_path / f"{name}.npz", (number + 1, number + 1))
    monkeypatch.setattr(module, "MAX_ALL", 20_000)
    cache.write("d", {"a": np.zeros(1000)})
    assert {p.stem for p in tmp_path.iterdir()} == {"c", "d"}
