"""Sheets: what stands where, and that every picture is the one that is drawn alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.capabilities import Capabilities
from engine.draw import Painter
from engine.errors import Cancelled, ExportError, UserError
from engine.export.picture import read_recipe
from engine.export.sheet import SheetLayout, draw_sheet, export_sheet
from engine.export.sheet_options import (
    SheetOptions,
    check_sheet_name,
    plan_sheet,
    read_angles,
)
from engine.frame import Frame
from engine.generators.base import CancelToken
from engine.identity import Blend, StyleSource
from engine.recipe import Recipe
from tests.generators.tiny_eg3d import tiny_model

MATRIX = SheetOptions("matrix", rows=(1, 2), columns=(2, 5, 6), layers="coarse", weight=0.75)
MORPH = SheetOptions("morph", seeds=(3, 8, 4), steps=5, per_line=3)
VIEWS = SheetOptions("views", angles=((-30.0, 0.0), (0.0, 12.5)))


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter(tiny_model())


@pytest.fixture(scope="module")
def facts(painter: Painter) -> Capabilities:
    return painter.generator.capabilities


@pytest.fixture(scope="module")
def base(facts: Capabilities) -> Recipe:
    return Recipe(seed=9, psi=0.8, size=24, neural_resolution=16).with_defaults_of(facts)


def test_a_matrix_mixes_every_row_with_every_column(base: Recipe, facts: Capabilities) -> None:
    own = replace(base, mixes=(StyleSource(7, (0,)),), blend=Blend((9, 1), (0.5, 0.5)))
    plan = plan_sheet(own, MATRIX, facts)
    assert (plan.lines, plan.columns, plan.side) == (3, 4, 24) and plan.base == own
    found = {(c.line, c.column): (c.recipe.seed, c.recipe.mixes) for c in plan.cells}
    coarse = tuple(range(*facts.layer_groups["coarse"]))
    assert coarse and len(found) == 11 and (0, 0) not in found
    assert found[0, 1] == (2, ()) and found[0, 3] == (6, ()) and found[2, 0] == (2, ())
    assert found[1, 2] == (1, (StyleSource(5, coarse, 0.75),))
    assert all(c.recipe.blend is None and c.recipe.psi == 0.8 for c in plan.cells)
    assert plan.top == ("seed 2", "seed 5", "seed 6") and plan.left == ("seed 1", "seed 2")
    assert plan.corner == "coarse layers of the top row"
    look = plan_sheet(base, replace(MATRIX, layers=None), facts)
    assert look.cells[-1].recipe.mixes[0].rows == facts.look_rows


def test_a_morph_strip_meets_its_faces(base: Recipe, facts: Capabilities) -> None:
    mixed = replace(base, mixes=(StyleSource(7, (0,)),))
    plan = plan_sheet(mixed, MORPH, facts)
    assert [(c.line, c.column) for c in plan.cells] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert [c.title for c in plan.cells] == ["seed 3", "50%", "seed 8", "50%", "seed 4"]
    assert [c.recipe.blend for c in plan.cells] == [
        Blend((3,), (1.0,)), Blend((3, 8), (0.5, 0.5)), Blend((8,), (1.0,)),
        Blend((8, 4), (0.5, 0.5)), Blend((4,), (1.0,)),
    ]  # fmt: skip
    assert all(c.recipe.mixes == mixed.mixes for c in plan.cells)
    assert all(c.recipe.seed == c.recipe.blend.seeds[0] for c in plan.cells if c.recipe.blend)


def test_views_stand_at_exact_angles(base: Recipe, facts: Capabilities) -> None:
    blended = replace(base, blend=Blend((9, 1), (0.5, 0.5)))
    plan = plan_sheet(blended, VIEWS, facts)
    assert [(c.recipe.pose.yaw, c.recipe.pose.pitch) for c in plan.cells] == list(VIEWS.angles)
    assert {c.recipe.pose.radius for c in plan.cells} == {base.pose.radius}
    assert plan.cells[1].title == "yaw 0°, pitch 12.5°"
    assert replace(plan.cells[0].recipe, pose=base.pose) == blended


def test_lines_are_filled_evenly(base: Recipe, facts: Capabilities) -> None:
    def shape(count: int, per_line: int | None = None) -> tuple[int, int]:
        angles = tuple((float(n), 0.0) for n in range(count))
        options = SheetOptions("views", angles=angles, per_line=per_line)
        plan = plan_sheet(base, options, facts)
        return plan.lines, plan.columns

    assert [shape(n) for n in (1, 8, 9, 16, 17)] == [(1, 1), (1, 8), (3, 3), (4, 4), (4, 5)]
    assert shape(3, per_line=10) == (1, 3) and shape(5, per_line=2) == (3, 2)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("options", [MATRIX, MORPH, VIEWS], ids=lambda o: o.kind)
@pytest.mark.parametrize("transparent", [False, True])
def test_every_picture_is_the_one_drawn_alone(
    painter: Painter, base: Recipe, options: SheetOptions, labels: bool, transparent: bool
) -> None:
    facts = painter.generator.capabilities
    plan = plan_sheet(replace(base, transparent=transparent), options, facts)
    sheet, layout = draw_sheet(painter, plan, labels), SheetLayout(plan, labels)
    width, height = layout.size
    assert sheet.shape == (height, width, 4 if transparent else 3)
    bare = np.ones((height, width), bool)
    for cell in plan.cells:
        x, y = layout.place(cell.line, cell.column)
        assert bare[y : y + 24, x : x + 24].all()  # no two pictures overlap
        bare[y : y + 24, x : x + 24] = False
        alone = Painter(painter.generator).picture(cell.recipe).numpy()
        assert np.array_equal(sheet[y : y + 24, x : x + 24], alone)
    paper = np.array((0, 0, 0, 0) if transparent else (18, 20, 23), np.uint8)
    written = (sheet[bare] != paper).any()
    assert written == labels


def test_labels_say_what_stands_there(painter: Painter, base: Recipe, facts: Capabilities) -> None:
    """Other seeds are other ink, in strips of their own that are wide enough for it."""

    def strips(seed: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        plan = plan_sheet(base, replace(MATRIX, rows=(seed,), columns=(seed,)), facts)
        layout = SheetLayout(plan, True)
        sheet = draw_sheet(painter, plan).astype(int)
        return sheet[: layout.strip], sheet[:, : layout.strip]

    (top, left), (other_top, other_left) = strips(4294967295), strips(8)
    for one, two in ((top, other_top), (left, other_left)):
        assert one.shape == two.shape and np.abs(one - two).max() > 100
    # The longest seed leaves the edges of its strip bare.
    plan = plan_sheet(base, replace(MATRIX, rows=(8,), columns=(4294967295,)), facts)
    x, _ = SheetLayout(plan, True).place(0, 1)
    assert (top[:, x : x + 24] > 60).any()
    assert (top[:, x + 24 :] == (18, 20, 23)).all() and (top[:, :x] == (18, 20, 23)).all()


def test_a_face_that_stands_twice_is_drawn_once(base: Recipe, facts: Capabilities) -> None:
    class Counting(Painter):
        drawn = 0

        def frame(self, recipe: Recipe, *how: Any) -> Frame:
            self.drawn += 1
            return super().frame(recipe, *how)

    counting = Counting(tiny_model())
    plan = plan_sheet(base, replace(MATRIX, rows=(1, 2), columns=(1, 2)), facts)
    steps: list[tuple[int, int]] = []
    draw_sheet(counting, plan, progress=lambda done, total: steps.append((done, total)))
    assert counting.drawn == 6 and len(plan.cells) == 8
    assert steps == [(n, 8) for n in range(9)]


def test_a_sheet_is_a_picture_with_a_recipe(painter: Painter, base: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    plan = export_sheet(painter, replace(base, size=None), replace(VIEWS, cell=20), path)
    with Image.open(path) as picture:
        assert picture.size == SheetLayout(plan, True).size and picture.mode == "RGB"
    assert read_recipe(path) == replace(base, size=20) and list(tmp_path.iterdir()) == [path]


def test_cancelling_leaves_nothing(painter: Painter, base: Recipe, tmp_path: Path) -> None:
    stop: list[bool] = []
    with pytest.raises(Cancelled):
        export_sheet(
            painter, base, VIEWS, tmp_path / "a.png",
            lambda done, total: stop.append(True) if done else None, CancelToken(lambda: bool(stop)),
        )  # fmt: skip
    assert stop and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (SheetOptions("poster"), "Unknown sheet"),  # type: ignore[arg-type]
        (replace(MATRIX, rows=()), "at least one seed"),
        (replace(MATRIX, columns=(2**32,)), "4294967295"),
        (replace(MATRIX, weight=float("nan")), "weight"),
        (replace(MATRIX, layers="hair"), "names no layers of this model"),
        (replace(MATRIX, rows=tuple(range(50)), columns=tuple(range(50))), "at most 2500"),
        (replace(MATRIX, rows=tuple(range(40)), columns=tuple(range(40)), cell=512), "too large"),
        (replace(MORPH, seeds=(1,)), "2 to 64 faces"),
        (replace(MORPH, steps=1), "2 to 2500"),
        (replace(MORPH, mode="x"), "Unknown morph"),  # type: ignore[arg-type]
        (replace(MORPH, per_line=0), "1 to 2500"),
        (replace(VIEWS, angles=()), "at least one angle"),
        (replace(VIEWS, angles=((0.0, 90.0),)), "-89 to 89"),
        (replace(VIEWS, angles=((float("inf"), 0.0),)), "degrees"),
        (replace(VIEWS, cell=8), "16 to 8192"),
    ],
)
def test_what_cannot_be_is_told(
    base: Recipe, facts: Capabilities, options: SheetOptions, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        plan_sheet(base, options, facts)
    assert "\n" not in str(caught.value)


def test_angles_as_people_write_them() -> None:
    assert read_angles("-30,5; 0,-12.5") == ((-30.0, 5.0), (0.0, -12.5))
    assert read_angles("-30 0 30") == ((-30.0, 0.0), (0.0, 0.0), (30.0, 0.0))
    assert read_angles("  ") == ()
    for wrong in ("left", "1,2,3", "1,", ","):
        with pytest.raises(UserError, match="is no angle"):
            read_angles(wrong)


def test_a_sheet_is_a_png() -> None:
    with pytest.raises(ExportError, match=r"must end in \.png"):
        check_sheet_name("a.jpg")
