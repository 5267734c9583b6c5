"""Every mistake is one sentence on the error stream, exit status 2, and no file left."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest
from PIL import Image

from app.cli import inspect as command
from tests.cli.conftest import Result, Run


def one_sentence(result: Result) -> str:
    """The sentence, after checking that it is alone."""
    assert result.status == 2, result
    assert result.out == ""
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("maquette: ") and "Traceback" not in result.err
    return lines[0]


BAD_VALUES = {
    "render --seed -1": "4294967295",
    "render --seed 4294967296": "4294967295",
    "render --seed 5-2": "upwards",
    "render --seed 0-4294967295": "10000",
    "render --seed x": "'x'",
    "render --size 0": "16 to 8192",
    "render --size 100000": "16 to 8192",
    "render --size 1.5": "--size",
    "render --psi nan": "--psi",
    "render --psi 3": "-1 to 2",
    "render --cutoff -1": "cutoff",
    "render --yaw inf": "--yaw",
    "render --pitch 90": "-89 to 89",
    "render --radius 0": "radius",
    "render --radius nan": "--radius",
    "render --fov 0": "1 to 120",
    "render --samples 0": "above 0",
    "render --samples nan": "--samples",
    "render --neural-resolution 1": "16 to 8192",
    "render --view x-ray": "x-ray",
    "render --out picture.xyz": "picture format",
    "render --out a.png --seed 1-2": "folder",
    "render --transparent --out a.jpg": "transparent",
    "render --nonsense": "--nonsense",
    "render --psi": "--psi",
    "render --from nowhere.png": "nowhere.png",
    "video --out v.avi": "mp4",
    "video --seed 1-2": "One seed",
    "video --fps 0": "frame rate",
    "video --fps nan": "--fps",
    "video --seconds -1": "0 seconds",
    "video --frames 0": "1 to 10000",
    "video --frames 100000": "1 to 10000",
    "video --size 0": "16 to 8192",
    "video --trajectory spiral": "spiral",
    "mesh --out m.fbx": "mesh format",
    "mesh --resolution 0": "16 to 1024",
    "mesh --resolution 100000": "16 to 1024",
    "mesh --level nan": "finite",
    "inspect": "FILE",
    "inspect nowhere.pkl": "nowhere.pkl",
    "convert nowhere.pkl": "nowhere.pkl",
    "verify": "folder",
    "verify nowhere": "nowhere",
    "nowhere.pkl": "nowhere.pkl",
}


@pytest.mark.parametrize("line", BAD_VALUES)
def test_a_bad_value_is_named_before_anything_is_opened(
    run: Run, tmp_path: Path, line: str
) -> None:
    assert BAD_VALUES[line] in one_sentence(run(*line.split()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["render", "video", "mesh"])
def test_a_bad_device(run: Run, tmp_path: Path, checkpoint: Path, command: str) -> None:
    sentence = one_sentence(run(command, "--model", checkpoint, "--device", "abacus"))
    assert "abacus" in sentence and list(tmp_path.iterdir()) == []


def foreign(folder: Path) -> Path:
    path = folder / "words.pkl"
    path.write_bytes(pickle.dumps({"words": ["not", "a", "model"]}))
    return path


def truncated(folder: Path, checkpoint: Path) -> Path:
    path = folder / "cut.pkl"
    path.write_bytes(checkpoint.read_bytes()[:100_000])
    return path


class Hostile:
    """Unpickling this with Python's own reader would make a file."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("kind", ["missing", "empty", "picture", "foreign", "truncated", "hostile"])
@pytest.mark.parametrize("command", ["render", "video", "mesh", "inspect", "convert"])
def test_a_bad_checkpoint(run: Run, tmp_path: Path, golden: Path, command: str, kind: str) -> None:
    folder = golden.parent
    victim = folder / "victim"
    path = folder / f"{kind}.pkl"
    if kind == "empty":
        path.touch()
    elif kind == "picture":
        Image.new("RGB", (8, 8)).save(path, "PNG")
    elif kind == "foreign":
        path = foreign(folder)
    elif kind == "truncated":
        path = truncated(folder, golden)
    elif kind == "hostile":
        path.write_bytes(pickle.dumps(Hostile(str(victim))))
    words = (path,) if command in ("inspect", "convert") else ("--model", path)
    if command == "render":
        words = (*words, "--seed", "1-3", "--out", "faces")
    result = run(command, *words)
    if command == "inspect" and kind in ("foreign", "hostile") and result.status == 0:
        # It can be read safely, and inspect says that it is no generator.
        assert "none:" in result.out and result.err == ""
    else:
        assert str(path) in one_sentence(result)
    assert not victim.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    [
        "render --out nowhere/a.png",
        "video --out nowhere/v.mp4",
        "mesh --out nowhere/m.glb",
        "render --out blocked/a.png",
        "render --out blocked/sub",
        "video --frames 2 --out blocked/frames",
    ],
)
def test_a_folder_that_cannot_be_written(
    run: Run, tmp_path: Path, checkpoint: Path, line: str
) -> None:
    # A file in the place of a folder: permissions would not stop the superuser.
    (tmp_path / "blocked").write_text("a file")
    words = line.split()
    assert words[-1].split("/")[0] in one_sentence(run(*words, "--model", checkpoint))
    assert [p.name for p in tmp_path.iterdir()] == ["blocked"]


def test_convert_where_it_cannot_write(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    assert "nowhere" in one_sentence(run("convert", checkpoint, "--out", "nowhere/m"))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(command, "run", full)
    assert "disk is full" in one_sentence(run("inspect", "x"))


def test_a_picture_without_a_recipe(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save("plain.png")
    assert "no Maquette recipe" in one_sentence(run("render", "--from", "plain.png"))
    assert [p.name for p in tmp_path.iterdir()] == ["plain.png"]


def test_the_source_picture_is_not_overwritten(run: Run, checkpoint: Path) -> None:
    assert run("render", "--model", checkpoint, "--seed", 7).status == 0
    before = Path("seed0007.png").read_bytes()
    assert "--out" in one_sentence(run("render", "--from", "seed0007.png", "--yaw", 9))
    assert Path("seed0007.png").read_bytes() == before


def test_no_display_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    sentence = one_sentence(run())
    assert "display" in sentence and "command line" in sentence


def test_a_dead_display_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    assert ":987" in one_sentence(run())
