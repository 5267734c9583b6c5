"""Exports find out what is empty around a face for themselves: when, and what that leaves of their pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from engine.draw import Painter
from engine.errors import Cancelled
from engine.export.options import VideoOptions
from engine.export.picture import SURVEYED_KEY, read_note
from engine.export.sheet import SheetLayout, draw_sheet
from engine.export.sheet_options import SheetOptions, plan_sheet
from engine.export.video import export_video, frame_recipes
from engine.generators import cips3d
from engine.generators.base import CancelToken, Generator, Quality
from engine.generators.registry import open_model
from engine.identity import Blend
from engine.recipe import Recipe
from engine.rendering.occupancy import Occupancy
from tests.generators.tiny_epigraf import tiny_model as tiny_epigraf
from tests.generators.tiny_pigan import tiny_model as tiny_pigan
from tests.generators.tiny_stylenerf import tiny_model as tiny_stylenerf
from tests.generators.tiny_stylesdf import tiny_model as tiny_stylesdf

#: Pictures of one face that the tests' generator is drawn in before it is looked at.
PAYS = 3


class Counting:
    """How often a face was begun to be looked at."""

    def __init__(self) -> None:
        self.surveys = 0


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    # 20 cells are enough for its hair to be denser than the air around it, and are quickly made.
    patch = pytest.MonkeyPatch()
    patch.setattr(cips3d, "_SURVEY_CELLS", 20)
    yield open_model("bundled:cips3d", "cpu")
    patch.undo()


@pytest.fixture
def painter(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> Painter:
    monkeypatch.setattr(generator, "survey_pays_after", lambda _: float(PAYS), raising=False)
    generator.grids.clear()
    return Painter(generator)


@pytest.fixture
def looked(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting, survey = Counting(), painter.generator.survey

    def count(w: Tensor) -> Any:
        counting.surveys += 1
        return survey(w)

    monkeypatch.setattr(painter.generator, "survey", count)
    return counting


@pytest.fixture
def recipe(painter: Painter) -> Recipe:
    facts = painter.generator.capabilities
    return Recipe(seed=5, neural_resolution=24, size=24).with_defaults_of(facts)


def turned(recipe: Recipe, count: int) -> list[Recipe]:
    return [
        replace(recipe, pose=replace(recipe.pose, yaw=yaw))
        for yaw in np.linspace(-40.0, 40.0, count).tolist()
    ]


def test_a_turning_head_is_looked_at_once(
    painter: Painter, recipe: Recipe, looked: Counting
) -> None:
    views = turned(recipe, PAYS)
    alone = [painter.picture(view) for view in views]
    assert looked.surveys == 0
    drawn = list(painter.pictures(views))
    assert looked.surveys == 1 and all(one.surveyed for one in drawn)
    for one, before in zip(drawn, alone, strict=True):
        assert (one.pixels.int() - before.int()).abs().max() <= 1
    # Nothing is left behind.
    assert painter.generator.grids.find(painter.latent(recipe)) is None


def test_fewer_than_pay_for_it_are_drawn_as_alone(
    painter: Painter, recipe: Recipe, looked: Counting
) -> None:
    views = turned(recipe, PAYS - 1)
    for one, view in zip(painter.pictures(views), views, strict=True):
        assert torch.equal(one.pixels, painter.picture(view)) and not one.surveyed
    assert looked.surveys == 0


def test_a_face_that_changes_all_the_time_is_never_looked_at(
    painter: Painter, recipe: Recipe, looked: Counting
) -> None:
    options = VideoOptions(frames=2 * PAYS, morph=(1, 2))
    drawn = list(painter.pictures(frame_recipes(recipe, options, 24)))
    assert looked.surveys == 0 and not any(one.surveyed for one in drawn)


def test_each_face_that_stays_is_looked_at(
    painter: Painter, recipe: Recipe, looked: Counting
) -> None:
    other = recipe.of_seed(6)
    between = recipe.of_blend(Blend((5, 6), (0.5, 0.5)))
    views = [*turned(recipe, PAYS), between, *turned(other, PAYS), recipe]
    known = [one.surveyed for one in painter.pictures(views)]
    # The last one's grid is still there.
    assert looked.surveys == 2 and known == [True] * PAYS + [False] + [True] * PAYS + [True]


def test_what_the_window_has_looked_at_changes_no_pixel(painter: Painter, recipe: Recipe) -> None:
    """The same picture whether or not the very same model has a grid of the face."""
    before = painter.picture(recipe)
    # A grid that would show: everything is empty.
    nothing = Occupancy(np.zeros((4, 4, 4), np.uint8), 1.0)
    w = painter.latent(recipe)
    painter.generator.grids._known.get(w, lambda _: nothing)
    with torch.inference_mode():
        shown = painter.frame(recipe).rgb
        assert float(shown.std()) < 0.5 * float(before.float().std() / 255.0)
    assert torch.equal(painter.picture(recipe), before)
    turning = turned(recipe, PAYS)
    known = [one.pixels for one in painter.pictures(turning)]
    assert painter.generator.grids.find(w) is nothing
    painter.generator.grids.clear()
    for one, again in zip(painter.pictures(turning), known, strict=True):
        assert torch.equal(one.pixels, again)


def test_a_large_picture_pays_by_itself(
    painter: Painter, recipe: Recipe, looked: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painter.generator, "survey_pays_after", lambda _: 0.8)
    assert next(painter.pictures([recipe])).surveyed and looked.surveys == 1


def test_other_settings_are_looked_at_anew(
    painter: Painter, recipe: Recipe, looked: Counting
) -> None:
    others = replace(recipe, settings=(("samples_per_pass", 6),))
    views = [*turned(recipe, PAYS), *turned(others, PAYS)]
    drawn = list(painter.pictures(views))
    assert looked.surveys == 2 and all(one.surveyed for one in drawn)
    painter.latent(recipe)


def test_looking_can_be_stopped(painter: Painter, recipe: Recipe, looked: Counting) -> None:
    token = CancelToken(lambda: looked.surveys > 0)
    with pytest.raises(Cancelled):
        list(painter.pictures(turned(recipe, PAYS), token))
    assert looked.surveys == 1 and painter.generator.grids.find(painter.latent(recipe)) is None


def test_a_frame_of_a_sequence_is_drawn_again_to_the_bit(
    painter: Painter, recipe: Recipe, tmp_path: Path
) -> None:
    options = VideoOptions("yaw-sweep", frames=PAYS, size=24)
    folder = export_video(painter, recipe, options, tmp_path / "frames")
    frames = frame_recipes(recipe, options, 24)
    for file, frame in zip(sorted(folder.iterdir()), frames, strict=True):
        assert read_note(file, SURVEYED_KEY) is not None
        with Image.open(file) as image:
            again = painter.picture(frame, survey=True)
            assert np.array_equal(np.asarray(image), again.numpy())
    few = replace(options, frames=PAYS - 1)
    folder = export_video(painter, recipe, few, tmp_path / "few")
    assert [read_note(file, SURVEYED_KEY) for file in folder.iterdir()] == [None] * (PAYS - 1)


def test_a_sheet_of_views_is_surveyed(painter: Painter, recipe: Recipe, looked: Counting) -> None:
    angles = tuple((float(yaw), 0.0) for yaw in (-30, 0, 30))
    plan = plan_sheet(recipe, SheetOptions("views", angles=angles), painter.generator.capabilities)
    sheet = draw_sheet(painter, plan, labels=False)
    assert looked.surveys == 1
    layout = SheetLayout(plan, False)
    for cell in plan.cells:
        x, y = layout.place(cell.line, cell.column)
        alone = painter.picture(cell.recipe).numpy().astype(int)
        assert abs(sheet[y : y + 24, x : x + 24] - alone).max() <= 1


def test_when_looking_pays(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """After fewer of the larger pictures; from the 13th of the bundled heads on, and from the 3rd."""
    monkeypatch.setattr(cips3d, "_SURVEY_CELLS", 64)
    bundled = open_model("bundled", "cpu")
    assert 12 < bundled.survey_pays_after(Quality()) <= 13
    assert 2 < generator.survey_pays_after(Quality()) <= 3
    for model in (bundled, generator, tiny_pigan(), tiny_stylesdf()):
        once = model.survey_pays_after(Quality(32))
        assert math.isclose(model.survey_pays_after(Quality(64)), once / 4)
        assert math.isclose(model.survey_pays_after(Quality(32, 2.0)), once / 2)
    for model in (tiny_stylenerf(), tiny_epigraf()):
        assert math.isinf(model.survey_pays_after(Quality(8192)))
