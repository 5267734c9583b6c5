"""The latent pad without a window."""

from __future__ import annotations

import math

import pytest
import torch

from app import document as edits
from app.document import Document
from app.gallery import Gallery
from app.latent_pad import GESTURE, LatentPad, pad_blend, seed_at
from engine.draw import Painter
from engine.identity import Blend
from engine.recipe import Recipe
from tests.app.gui.head_generator import HeadGenerator
from tests.app.test_gallery import Fake


class Timed(Fake):
    """With a clock that stands still, and gestures."""

    now = 0.0

    def clock(self) -> float:
        return self.now

    def edit(self, name: str, change: object, gesture: str | None = None) -> None:
        self.history = self.history.edit(name, change(self.document), gesture)  # type: ignore[operator]
        self.touch()

    def end_gesture(self) -> None:
        self.history = self.history.end_gesture()


@pytest.fixture
def studio() -> Timed:
    return Timed()


@pytest.fixture
def pad(studio: Timed) -> LatentPad:
    return LatentPad(studio)  # type: ignore[arg-type]


def test_whole_numbers_are_the_seeds_themselves() -> None:
    for row in range(4):
        for column in range(4):
            blend = pad_blend(10, 4, column, row)
            assert blend == Blend((10 + 4 * row + column,), (1.0,))
    assert pad_blend(10, 4, -3, 99) == Blend((22,), (1.0,))
    assert seed_at(2**32 - 1, 2, 1, 0) == 0


def test_between_them_are_the_four_nearest_by_hand() -> None:
    # smoothstep(0.25) = 3/16 - 2/64 = 0.15625
    blend = pad_blend(0, 3, 0.25, 1.5)
    assert blend.seeds == (3, 4, 6, 7) and blend.space == "w"
    assert blend.weights == pytest.approx((0.421875, 0.078125, 0.421875, 0.078125))
    edge = pad_blend(0, 3, 0.5, 2.0)
    assert edge.seeds == (6, 7) and edge.weights == pytest.approx((0.5, 0.5))


def test_the_way_is_continuous_and_level_at_the_seeds() -> None:
    painter = Painter(HeadGenerator())

    def w(x: float, y: float) -> torch.Tensor:
        return painter.latent(Recipe(psi=1.0).of_blend(pad_blend(0, 3, x, y)))

    for y in (0.0, 0.4, 1.0, 1.7):
        step = 1e-4
        here = w(1.0, y)
        for side in (-step, step):
            # Level: the change is of second order.
            assert float((w(1.0 + side, y) - here).norm()) < 1e-5 * 10
    weights = [sum(pad_blend(0, 5, 0.37 * k, 0.21 * k).weights) for k in range(12)]
    assert weights == pytest.approx([1.0] * 12)


def test_a_drag_is_one_step_and_keeps_truncation_and_mix(pad: LatentPad, studio: Timed) -> None:
    studio.edit("psi", lambda d: edits.set_psi(d, 0.3))
    steps = len(studio.history.past)
    for x in (0.1, 0.5, 1.5):
        pad.go_to(100, x, 0.5)
    assert pad.is_shown(100) and not pad.is_shown(101)
    pad.let_go()
    assert len(studio.history.past) == steps + 1
    recipe = studio.document.recipe
    assert recipe.psi == 0.3 and recipe.blend == pad_blend(100, 4, 1.5, 0.5)
    assert recipe.seed == recipe.blend.seeds[0]
    studio.history = studio.history.undo()
    assert studio.document.recipe.blend is None and not pad.is_shown(100)


def test_it_moves_by_itself_at_its_speed_and_as_one_step(pad: LatentPad, studio: Timed) -> None:
    pad.go_to(0, 1.5, 1.5)
    pad.let_go()
    steps = len(studio.history.past)
    pad.set_speed(1.0)
    pad.play()
    places = [pad.place]
    for _ in range(200):
        studio.now += 0.05
        pad.tick(0)
        places.append(pad.place)
    # In the middle of a sine the speed is the one that was asked for.
    assert math.dist(*places[:2]) == pytest.approx(0.05 * math.hypot(1, 0.618), rel=0.01)
    assert all(0 <= value <= 3 for place in places for value in place)
    assert max(x for x, _ in places) > 2.9 and min(x for x, _ in places) < 0.1
    pad.pause()
    assert len(studio.history.past) == steps + 1 and not pad.is_moving
    here = pad.place
    studio.now += 1
    pad.tick(0)
    assert pad.place == here


def test_any_other_change_ends_the_animation(pad: LatentPad, studio: Timed) -> None:
    pad.play()
    studio.now += 0.1
    pad.tick(0)
    assert studio.history.gesture == GESTURE
    studio.edit("orbit", lambda d: edits.orbit(d, 30, 0))
    studio.now += 0.1
    pad.tick(0)
    assert not pad.is_moving and studio.document.pose.yaw == 30
    assert [step.name for step in studio.history.past] == ["Latent pad", "orbit"]


def test_a_smaller_pad_keeps_one_inside(pad: LatentPad) -> None:
    pad.go_to(0, 3.0, 2.5)
    pad.resize(2)
    assert pad.place == (1.0, 1.0)
    pad.resize(99)
    assert pad.size == 6


def test_the_gallery_asks_for_the_seeds_of_the_pad(studio: Timed) -> None:
    gallery = Gallery(studio)  # type: ignore[arg-type]
    gallery.go_to(40)
    gallery.choose_tab("pad")
    assert [cell.title for cell in gallery.cells()] == [str(seed) for seed in range(40, 56)]
    gallery.pad.play()
    gallery.choose_tab("seeds")
    assert not gallery.pad.is_moving
    assert studio.document == edits.set_model(Document(), studio.model.ref, studio.capabilities)
