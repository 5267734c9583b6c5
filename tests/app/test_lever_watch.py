"""When levers are tried, and what comes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.lever_watch import LeverWatch
from engine.draw import Painter
from engine.errors import Cancelled
from engine.generators.base import CancelToken
from engine.recipe import Recipe
from tests.generators.tiny_cips3d import tiny_model


def start() -> tuple[LeverWatch, Painter, Recipe]:
    painter = Painter(tiny_model(inr_blocks=6, img_resolution=40))
    return LeverWatch(0.01), painter, Recipe()


def test_a_slow_model_is_tried_step_by_step() -> None:
    watch, painter, recipe = start()
    assert not watch.due and not watch.step(CancelToken())
    watch.drawn(painter, recipe, 1.0)
    steps = 0
    while watch.due:
        assert watch.ladder(recipe, 40) is None
        finished = watch.step(CancelToken())
        steps += 1
        assert finished != watch.due
    assert steps > 5
    rungs = watch.ladder(recipe, 40)
    assert rungs is not None and rungs[-1].resolution == 40 and len(rungs) > 1
    watch.drawn(painter, recipe, 1.0)
    assert not watch.due, "tried once"


def test_what_is_quick_or_no_picture_is_not_tried() -> None:
    watch, painter, recipe = start()
    watch.drawn(painter, recipe, 0.005)
    watch.drawn(painter, replace(recipe, view="depth"), 1.0)
    assert not watch.due


def test_others_settings_are_tried_anew_and_have_no_ladder_until_then() -> None:
    watch, painter, recipe = start()
    watch.drawn(painter, recipe, 1.0)
    while watch.due:
        watch.step(CancelToken())
    assert watch.ladder(replace(recipe, samples=2.0), 40) is None
    assert watch.ladder(replace(recipe, view="depth"), 40) is None
    watch.drawn(painter, replace(recipe, samples=2.0), 1.0)
    assert watch.due and watch.ladder(recipe, 40) is None


def test_it_gives_way_and_goes_on() -> None:
    watch, painter, recipe = start()
    watch.drawn(painter, recipe, 1.0)
    token = CancelToken()
    token.cancel()
    for _ in range(3):
        with pytest.raises(Cancelled):
            watch.step(token)
    assert watch.due
    watch.step(CancelToken())
    watch.give_up()
    assert not watch.due
