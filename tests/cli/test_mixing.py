"""Mixes, blends and morphs from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.export.picture import read_recipe
from engine.identity import Blend, StyleSource
from tests.cli.conftest import Run


def pixels(path: str | Path) -> np.ndarray:  # type: ignore[type-arg]
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def test_a_mix_is_drawn_kept_and_drawn_again(run: Run, checkpoint: Path) -> None:
    model = ("--model", checkpoint)
    assert run("render", *model, "--seed", 1, "--out", "one.png").status == 0
    words = ("--seed", 1, "--mix", "2@0-1,3*0.5", "4@fine")
    result = run("render", *model, *words, "--out", "mix.png")
    assert result.status == 0, result.err
    mixes = read_recipe("mix.png").mixes
    assert mixes[0] == StyleSource(2, (0, 1, 3), 0.5)
    assert mixes[1].seed == 4 and mixes[1].rows and mixes[1].weight == 1.0
    assert np.abs(pixels("mix.png") - pixels("one.png")).mean() > 1.0
    assert run("render", "--from", "mix.png", "--out", "again.png").status == 0
    assert (pixels("again.png") == pixels("mix.png")).all()


def test_everything_from_another_face_is_that_face(run: Run, checkpoint: Path) -> None:
    model = ("--model", checkpoint)
    assert run("render", *model, "--seed", 2, "--out", "two.png").status == 0
    assert run("render", *model, "--seed", 1, "--mix", "2@all", "--out", "all.png").status == 0
    assert np.abs(pixels("all.png") - pixels("two.png")).max() <= 1


def test_a_blend_lies_between(run: Run, checkpoint: Path) -> None:
    model = ("--model", checkpoint)
    words = ("--blend", "3", "8", "--blend-space", "z")
    result = run("render", *model, *words, "--out", "between.png")
    assert result.status == 0, result.err
    assert read_recipe("between.png").blend == Blend((3, 8), (0.5, 0.5), "z")
    assert run("render", *model, "--blend", "3=1", "8=0", "--out", "end.png").status == 0
    assert run("render", *model, "--seed", 3, "--out", "three.png").status == 0
    assert np.abs(pixels("end.png") - pixels("three.png")).max() <= 1


def test_a_morph_starts_and_ends_at_its_faces(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    model = ("--model", checkpoint)
    words = ["--trajectory", "still", "--morph", "3", "8", "--frames", "3", "--out", "morph"]
    result = run("video", *model, *words)
    assert result.status == 0, result.err
    frames = [pixels(p) for p in sorted((tmp_path / "morph").iterdir())]
    assert len(frames) == 3
    for frame, seed in ((frames[0], 3), (frames[2], 8)):
        assert run("render", *model, "--seed", seed, "--out", "face.png").status == 0
        assert np.abs(frame - pixels("face.png")).max() <= 1
    assert np.abs(frames[1] - frames[0]).mean() > 1 < np.abs(frames[1] - frames[2]).mean()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mix", "2@99"), "names no layers"),
        (("--mix", "2@hair"), "the groups all, coarse"),
        (("--mix", "2"), "is not something to mix"),
        (("--mix", "2@0*x"), "is not a weight"),
        (("--mix", "2@3-1"), "names no layers"),
        (("--blend", "x"), "is not something to blend"),
        (("--blend", "3=0", "4=0", "--blend-space", "z"), "above zero"),
        (("--blend-space", "z"), "name the faces with --blend"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    run: Run, checkpoint: Path, words: tuple[str, ...], said: str
) -> None:
    result = run("render", "--model", checkpoint, *words, "--out", "x.png")
    assert result.status == 2 and said in result.err and not Path("x.png").exists()
    assert len(result.err.strip().splitlines()) == 1
