"""``maquette sheet``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engine.export.picture import read_recipe, save_picture
from engine.export.sheet_files import SHEET_KEY, read_sheet, sheet_note
from engine.export.sheet_options import SheetOptions
from tests.cli.conftest import Run

SMALL = ("--neural-resolution", 16, "--cell", 32)
#: Between two pictures of 32 pixels there are two of paper.
GAP = 2


def pixels(path: Path | str) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def cell(sheet: NDArray[np.uint8], line: int, column: int) -> NDArray[np.uint8]:
    """A picture of a bare sheet."""
    x, y = GAP + column * (32 + GAP), GAP + line * (32 + GAP)
    return sheet[y : y + 32, x : x + 32]


def test_a_matrix_holds_the_pictures_that_render_draws(run: Run, checkpoint: Path) -> None:
    model = ("--model", checkpoint, "--neural-resolution", 16, "--yaw", 15, "--psi", 0.6)
    words = ("--rows", "1-2", "--columns", "5", "--group", "fine", "--weight", 0.5)
    result = run("sheet", *model, *words, "--cell", 32, "--bare", "--out", "m.png")
    assert result.status == 0, result.err
    sheet = pixels("m.png")
    assert sheet.shape == (3 * 34 + 2, 2 * 34 + 2, 3)
    faces = {(0, 1): ("--seed", 5), (2, 0): ("--seed", 2),
             (2, 1): ("--seed", 2, "--mix", "5@fine*0.5")}  # fmt: skip
    for (line, column), who in faces.items():
        assert run("render", *model, "--size", 32, *who, "--out", "a.png").status == 0
        assert (cell(sheet, line, column) == pixels("a.png")).all()
    assert (cell(sheet, 0, 0) == (18, 20, 23)).all()
    kept = read_recipe("m.png")
    assert (kept.psi, kept.pose.yaw, kept.size) == (0.6, 15, 32)


def test_a_morph_and_views(run: Run, checkpoint: Path) -> None:
    model = ("--model", checkpoint, *SMALL, "--bare")
    words = ("--kind", "morph", "--seed", "3,8", "--steps", 3, "--mode", "spherical")
    assert run("sheet", *model, *words, "--out", "strip.png").status == 0
    strip = pixels("strip.png")
    assert strip.shape == (36, 3 * 34 + 2, 3)
    common = ("--model", checkpoint, "--neural-resolution", 16, "--size", 32)
    for column, who in enumerate(
        (("--blend", "3", "--blend-space", "z"), ("--blend", "3", "8", "--blend-space", "z"))
    ):
        assert run("render", *common, *who, "--out", "a.png").status == 0
        assert (cell(strip, 0, column) == pixels("a.png")).all()

    words = ("--kind", "views", "--seed", 4, "--angles", "-30,10", "20", "--per-line", 1)
    result = run("sheet", *model, *words, "--out", "views.png", "--json")
    facts = json.loads(result.out)
    assert (facts["lines"], facts["columns"], facts["cell"]) == (2, 1, 32)
    assert facts["pictures"][1]["recipe"]["pose"]["yaw"] == 20
    for line, angle in enumerate((("-30", "10"), ("20", "0"))):
        where = ("--seed", 4, "--yaw", angle[0], "--pitch", angle[1], "--out", "a.png")
        assert run("render", *common, *where).status == 0
        assert (cell(pixels("views.png"), line, 0) == pixels("a.png")).all()


def test_labels_leave_the_pictures_alone(run: Run, checkpoint: Path) -> None:
    words = ("sheet", "--model", checkpoint, *SMALL, "--kind", "views", "--angles", "0", "30")
    assert run(*words, "--out", "a.png").status == 0
    assert run(*words, "--bare", "--transparent", "--out", "b.png").status == 0
    labelled, bare = pixels("a.png"), pixels("b.png")
    assert labelled.shape[0] > bare.shape[0] and bare.shape[2] == 4
    assert (labelled[GAP : GAP + 32, GAP : GAP + 32] == cell(bare, 0, 0)[..., :3]).all()


@pytest.mark.parametrize(
    "words",
    [
        ("--rows", "1-2", "--columns", "5", "--group", "fine", "--weight", 0.5),
        ("--kind", "morph", "--seed", "3,8", "--steps", 3, "--mode", "spherical", "--bare"),
        ("--kind", "views", "--seed", 4, "--angles", "-30,10", "20", "--transparent"),
    ],
)
def test_a_sheet_is_drawn_again_from_itself(
    run: Run, checkpoint: Path, words: tuple[object, ...]
) -> None:
    assert run("sheet", "--model", checkpoint, *SMALL, *words, "--out", "a.png").status == 0
    assert run("sheet", "--from", "a.png", "--out", "b.png").status == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    # It is no single picture, and says so.
    result = run("render", "--from", "a.png", "--out", "c.png")
    assert result.status == 2 and "sheet --from" in result.err and not Path("c.png").exists()
    lines, facts = run("inspect", "a.png").out, json.loads(run("inspect", "a.png", "--json").out)
    assert "sheet of " in lines and facts["sheet"]["cell"] == 32
    with Image.open("a.png") as image:
        assert image.info["Title"].startswith("sheet of ")


def test_a_sheet_is_drawn_again_with_a_change(run: Run, checkpoint: Path) -> None:
    words = ("--rows", "1-2", "--columns", "5,6", "--group", "fine")
    assert run("sheet", "--model", checkpoint, *SMALL, *words, "--out", "a.png").status == 0
    result = run("sheet", "--from", "a.png", "--rows", "3", "--out", "b.png", "--json")
    facts = json.loads(result.out)
    assert (facts["lines"], facts["columns"], facts["cell"]) == (2, 3, 32)
    kept = read_sheet("b.png")
    assert kept is not None and (kept.rows, kept.columns, kept.layers) == ((3,), (5, 6), "fine")


def test_a_damaged_sheet_is_one_sentence(run: Run, checkpoint: Path) -> None:
    assert run("render", "--model", checkpoint, "--size", 16, "--out", "a.png").status == 0
    recipe = read_recipe("a.png")
    good = json.loads(sheet_note(SheetOptions()))
    for wrong in ("{", "3", json.dumps({**good, "rows": [-1]}), json.dumps({**good, "extra": 1}),
                  json.dumps({**good, "format": "maquette-sheet/9"}),
                  json.dumps({**good, "steps": 1e99, "kind": "morph"})):  # fmt: skip
        save_picture(pixels("a.png"), "b.png", recipe, notes={SHEET_KEY: wrong})
        result = run("sheet", "--from", "b.png", "--out", "c.png")
        assert result.status == 2 and len(result.err.strip().splitlines()) == 1, wrong


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kind", "poster"), "--kind"),
        (("--rows", "x"), "is not a seed"),
        (("--group", "hair"), "names no layers of this model"),
        (("--kind", "morph", "--seed", "3"), "2 to 64 faces"),
        (("--kind", "morph", "--steps", 1), "2 to 2500"),
        (("--kind", "views", "--angles", "left"), "is no angle"),
        (("--kind", "views", "--seed", "1-2"), "one face"),
        (("--cell", 4), "16 to 8192"),
        (("--weight", "nan"), "--weight"),
        (("--out", "x.jpg"), "must end in .png"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    run: Run, checkpoint: Path, tmp_path: Path, words: tuple[object, ...], said: str
) -> None:
    result = run("sheet", "--model", checkpoint, *words)
    assert result.status == 2 and said in result.err, result.err
    assert len(result.err.strip().splitlines()) == 1 and not list(tmp_path.iterdir())
