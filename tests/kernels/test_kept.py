"""Compiled functions and the disk: nothing that is wrong with it keeps a function from running."""

from __future__ import annotations

import errno
import importlib.util
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numba.core import config
from numba.core.caching import CacheImpl

from engine.kernels.kept import place

SOURCE = """
from engine.kernels.kept import kept

@kept(nogil=True)
def twice(x):
    for s in range(len(x)):
        x[s] *= 2.0
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the module of the tests lies, and what was compiled of it."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "kept"))
    (tmp_path / "doubling.py").write_text(SOURCE)
    return tmp_path


def load(folder: Path) -> ModuleType:
    """The module, as a new process would import it."""
    spec = importlib.util.spec_from_file_location("doubling", folder / "doubling.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def doubles(module: ModuleType) -> bool:
    x = np.array([1.5, -2.0], np.float32)
    module.twice(x)
    return bool((x == [3.0, -4.0]).all())


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "kept").rglob("*") if path.is_file())


def hits(module: ModuleType) -> int:
    return sum(module.twice.stats.cache_hits.values())


def test_a_function_is_compiled_once(folder: Path) -> None:
    first = load(folder)
    assert doubles(first) and hits(first) == 0 and place(first.twice) is not None
    assert {path.suffix for path in files(folder)} == {".nbi", ".nbc"}
    second = load(folder)
    assert doubles(second) and hits(second) == 1


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"\x80\x04\x95"])
def test_a_damaged_file_is_written_anew(folder: Path, ending: str, rubbish: bytes) -> None:
    assert doubles(load(folder))
    (path,) = (path for path in files(folder) if path.suffix == ending)
    path.write_bytes(rubbish)
    assert doubles(load(folder))
    mended = load(folder)
    assert doubles(mended) and hits(mended) == 1


def test_nowhere_to_keep_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation and a home that are read-only."""
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    module = load(folder)
    assert doubles(module) and place(module.twice) is None


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, *_words: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_index", full)
    assert doubles(load(folder))
    assert not files(folder)


def test_every_compiled_function_is_kept_this_way() -> None:
    kernels = Path(__file__).resolve().parents[2] / "engine"
    raw = [path.name for path in kernels.rglob("*.py") if "cache=True" in path.read_text("utf-8")]
    assert raw == ["kept.py"], "only the sentence of kept.py names numba's own way"
