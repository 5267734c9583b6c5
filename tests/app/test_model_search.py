"""A model is found by its path and its hash, wherever it went."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.model_search import Search, find_model
from engine.assets import bundled_generator
from engine.recipe import ModelRef


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "face.pkl"
    path.write_bytes(b"tensors")
    return path


def test_at_its_place(model: Path) -> None:
    ref = ModelRef(str(model), sha(b"tensors"))
    assert find_model(ref, (), ()) == Search("found", str(model))
    assert find_model(ModelRef(str(model)), (), ()) == Search("found", str(model))


def test_moved(model: Path, tmp_path: Path) -> None:
    ref = ModelRef(str(model), sha(b"tensors"))
    new = tmp_path / "models"
    new.mkdir()
    (new / "a.pkl").write_bytes(b"others")
    (new / "notes.txt").write_bytes(b"tensors")
    moved = model.rename(new / "renamed.pkl")
    assert find_model(ref, (), ()) == Search("missing")
    assert find_model(ref, (), [tmp_path / "gone", new]) == Search("found", str(moved), True)
    assert find_model(ref, [str(new / "a.pkl"), str(moved)], ()) == Search(
        "found", str(moved), True
    )


def test_changed(model: Path, tmp_path: Path) -> None:
    ref = ModelRef(str(model), sha(b"the tensors of then"))
    assert find_model(ref, [str(model)], [tmp_path]) == Search("changed", str(model))
    # The file of then lies elsewhere: that is the one.
    kept = tmp_path / "backup.pkl"
    kept.write_bytes(b"the tensors of then")
    assert find_model(ref, (), [tmp_path]) == Search("found", str(kept), True)


def test_a_converted_model_is_known_by_its_tensors(tmp_path: Path) -> None:
    (tmp_path / "face.json").write_text("{}")
    (tmp_path / "face.safetensors").write_bytes(b"tensors")
    ref = ModelRef(str(tmp_path / "face.json"), sha(b"tensors"))
    assert find_model(ref, (), ()) == Search("found", ref.path)
    gone = ModelRef("/nowhere/face.json", ref.sha256)
    # It is opened by its JSON.
    assert find_model(gone, (), [tmp_path]) == Search("found", ref.path, True)


def test_the_folder_of_a_release(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "ema.pth").write_bytes(b"tensors")
    (tmp_path / "r" / "options.txt").write_bytes(b"x")
    ref = ModelRef(str(tmp_path / "r"), sha(b"tensors"))
    assert find_model(ref, (), ()) == Search("found", ref.path)
    changed = ModelRef(ref.path, sha(b"others"))
    assert find_model(changed, (), ()) == Search("changed", ref.path)


def test_the_bundled_one() -> None:
    tensors = bundled_generator().with_suffix(".safetensors").read_bytes()
    assert find_model(ModelRef("bundled", sha(tensors)), (), ()) == Search("found", "bundled")
    assert find_model(ModelRef("bundled", sha(b"older")), (), ()) == Search("changed", "bundled")
    copied = ModelRef("/nowhere/heads.json", sha(tensors))
    assert find_model(copied, (), ()) == Search("found", "bundled", True)


@pytest.mark.parametrize(
    "path", ["", "relative.pkl", "a\0b", "/dev/zero", "~nobody/x", "/", "\udc00"]
)
def test_paths_that_are_none(path: str, tmp_path: Path) -> None:
    """A hostile project names what it likes: nothing is read for ever, nothing raises."""
    found = find_model(ModelRef(path, sha(b"x")), (path,), [Path("/proc/self/fd")])
    assert found.outcome in ("missing", "changed")
    pipe = tmp_path / "pipe.pkl"
    os.mkfifo(pipe)
    assert find_model(ModelRef(str(pipe), sha(b"x")), (), [tmp_path]) == Search("missing")


def test_the_search_needs_no_torch() -> None:
    code = "import sys, app.model_search, app.desk; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, timeout=60).returncode == 0
