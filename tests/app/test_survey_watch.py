"""When the engine looks for what is empty around a face."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from app.survey_watch import SurveyWatch
from app.wire import Draw, ProcessOptions
from app.worker import Engine
from engine.draw import Painter
from engine.generators import cips3d
from engine.recipe import Recipe
from tests.generators.tiny_cips3d import tiny_model


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    monkeypatch.setattr(cips3d, "_SURVEY_CELLS", 20)
    monkeypatch.setattr("engine.rendering.occupancy.LEAST_EMPTY", -1.0)
    return Painter(tiny_model())


def known(painter: Painter, recipe: Recipe) -> bool:
    with torch.inference_mode():
        return painter.generator.grids.find(painter.latent(recipe)) is not None


def test_slice_by_slice_until_all_is_known(painter: Painter) -> None:
    watch, request = SurveyWatch(), Draw(1, Recipe(seed=1), moving=False)
    slices = 0
    while watch.due(request):
        assert not known(painter, request.recipe)
        watch.step(painter, request)
        slices += 1
    assert slices > 3 and known(painter, request.recipe)


def test_a_face_that_is_known_costs_one_look(painter: Painter) -> None:
    watch, request = SurveyWatch(), Draw(1, Recipe(seed=1), moving=False)
    while watch.due(request):
        watch.step(painter, request)
    turned = Draw(2, replace(request.recipe, size=64), moving=False)
    assert watch.due(turned)
    watch.step(painter, turned)
    assert not watch.due(turned)


def test_the_reference_follows_where_it_is_on_the_screen(painter: Painter) -> None:
    one, other = Recipe(seed=1), Recipe(seed=2)
    for seen in (False, True):
        watch, request = SurveyWatch(), Draw(1, one, moving=False, reference=other, seen=seen)
        while watch.due(request):
            watch.step(painter, request)
        assert known(painter, one) and known(painter, other) == seen


def test_what_fails_is_not_tried_again(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    watch, request = SurveyWatch(), Draw(1, Recipe(seed=1), moving=False)
    monkeypatch.setattr(painter, "explore", fail)
    watch.step(painter, request)
    assert not watch.due(request) and watch.due(replace(request, generation=2))


class Mailbox:
    """Counts how often the engine rests."""

    opening = None

    def __init__(self, request: Draw) -> None:
        self.request, self.waits = request, 0

    def wait(self, _seconds: float | None, _known: Draw | None) -> None:
        self.waits += 1


def test_the_engine_looks_while_it_is_idle_and_then_rests(painter: Painter) -> None:
    request = Draw(1, Recipe(seed=1), moving=False)
    mailbox = Mailbox(request)
    engine = Engine(mailbox, ProcessOptions(device="cpu"))  # type: ignore[arg-type]
    turns = 0
    while not mailbox.waits:
        assert turns < 20
        engine._idle(painter, request)
        turns += 1
    assert turns > 3 and known(painter, request.recipe)
