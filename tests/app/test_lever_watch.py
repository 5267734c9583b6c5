"""When levers are tried, and what comes of it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.adaptive import AdaptiveQuality, ladder
from app.engine_pictures import preview_quality
from app.lever_watch import REST, LeverWatch
from app.wire import Draw
from engine.draw import Painter
from engine.generators.base import CancelToken
from engine.recipe import Recipe
from tests.app.harness import running_engine, until
from tests.generators.tiny_cips3d import tiny_model

BUDGET = 0.01


def start() -> tuple[LeverWatch, Painter, Recipe]:
    return LeverWatch(), Painter(tiny_model(inr_blocks=6, img_resolution=40)), Recipe()


def try_all(watch: LeverWatch) -> int:
    steps = 0
    while watch.due:
        watch.attempt(CancelToken())
        steps += 1
    return steps


def test_a_slow_model_is_tried_step_by_step() -> None:
    watch, painter, recipe = start()
    assert not watch.due
    watch.drawn(painter, recipe, 1.0, BUDGET)
    controller = AdaptiveQuality(40)
    watch.apply(controller, recipe, 40)
    assert controller.rungs == ladder(40), "nothing is known yet"
    assert try_all(watch) > 5
    rungs = watch.ladder(recipe, 40)
    assert rungs is not None and rungs[-1].resolution == 40 and len(rungs) > 1
    watch.apply(controller, recipe, 40)
    assert controller.rungs == rungs
    assert preview_quality(recipe, controller).blocks == controller.quality.blocks
    watch.drawn(painter, recipe, 1.0, BUDGET)
    assert not watch.due, "tried once"


def test_what_is_quick_or_no_picture_is_not_tried() -> None:
    watch, painter, recipe = start()
    watch.drawn(painter, recipe, 0.5 * BUDGET, BUDGET)
    watch.drawn(painter, replace(recipe, view="depth"), 1.0, BUDGET)
    assert not watch.due


def test_other_settings_are_tried_anew_and_have_no_ladder_until_then() -> None:
    watch, painter, recipe = start()
    watch.drawn(painter, recipe, 1.0, BUDGET)
    try_all(watch)
    assert watch.ladder(recipe, 40) is not None
    assert watch.ladder(replace(recipe, samples=2.0), 40) is None
    assert watch.ladder(replace(recipe, view="depth"), 40) is None
    watch.drawn(painter, replace(recipe, samples=2.0), 1.0, BUDGET)
    assert watch.due and watch.ladder(recipe, 40) is None


def test_it_gives_way_and_goes_on() -> None:
    watch, painter, recipe = start()
    watch.drawn(painter, recipe, 1.0, BUDGET)
    token = CancelToken()
    token.cancel()
    for _ in range(30):
        watch.attempt(token)
    assert watch.due, "nothing was tried"
    assert try_all(watch) > 5
    assert watch.ladder(recipe, 40) is not None


def test_a_failure_leaves_previews_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, painter, recipe = start()
    watch.drawn(painter, recipe, 1.0, BUDGET)
    watch.attempt(CancelToken())

    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(painter, "frame", fail)
    watch.attempt(CancelToken())
    assert not watch.due and watch.ladder(recipe, 40) is None


class Mailbox:
    """The newest request, and how long was waited for another."""

    def __init__(self, request: Draw, rested: float) -> None:
        self.request, self.opening = request, None
        self.received = time.monotonic() - rested
        self.waits: list[float] = []

    def wait(self, seconds: float, _known: Draw) -> None:
        self.waits.append(seconds)


def test_hands_that_pause_for_a_moment_are_waited_for() -> None:
    watch, painter, recipe = start()
    watch.drawn(painter, recipe, 1.0, BUDGET)
    request = Draw(1, recipe, moving=False)
    mailbox = Mailbox(request, rested=REST - 1.0)
    watch.idle(mailbox, request)  # type: ignore[arg-type]
    assert len(mailbox.waits) == 1 and 0.5 < mailbox.waits[0] <= 1.0
    steps, mailbox = 0, Mailbox(request, rested=REST + 0.1)
    while watch.due:
        watch.idle(mailbox, request)  # type: ignore[arg-type]
        steps += 1
    assert steps > 5 and not mailbox.waits and watch.ladder(recipe, 40) is not None


def test_what_is_wanted_meanwhile_comes_first() -> None:
    watch, painter, recipe = start()
    watch.drawn(painter, recipe, 1.0, BUDGET)
    request = Draw(1, recipe, moving=False)
    mailbox = Mailbox(Draw(2, recipe, moving=True), rested=REST + 0.1)
    for _ in range(20):
        watch.idle(mailbox, request)  # type: ignore[arg-type]
    assert watch.due and watch.ladder(recipe, 40) is None


def test_the_engine_tries_once_nothing_is_wanted(tmp_path: Path) -> None:
    with running_engine(tmp_path) as engine:
        engine.open("fake?chunk=0.03")  # 0.12 s a full picture, twice the budget
        engine.draw(1)

        def begun() -> int:
            return sum(line.startswith("begin") for line in engine.log())

        assert begun() == 1
        until(lambda: begun() > 5, "the trials")
