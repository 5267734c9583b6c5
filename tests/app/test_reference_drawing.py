"""The engine process draws a picture and what it is compared with."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from app.messages import EngineRestored, FrameReady, RenderFailed
from engine.draw import Painter
from engine.generators.memo import LastFew
from engine.recipe import Recipe
from tests.app.fake import FakeGenerator
from tests.app.harness import Harness, recipe, running_engine, shows


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_engine(tmp_path_factory.mktemp("engine")) as harness:
        yield harness
        harness.client.compare(None)


def part(engine: Harness, name: str, full: bool = True) -> FrameReady:
    return engine.wait(FrameReady, lambda f: f.part == name and f.full_quality == full)


def compare(engine: Harness, beside: Recipe | None, seen: bool = True) -> None:
    engine.client.compare(beside, seen=seen)


def begun(engine: Harness) -> list[str]:
    return [line for line in engine.log() if line.startswith("begin")]


def test_both_pictures_come_and_another_reference_costs_one(engine: Harness) -> None:
    engine.open("fake")
    compare(engine, recipe(2))
    generation = engine.client.request(recipe(1), moving=False)
    assert shows(part(engine, "present"), 1) and shows(part(engine, "reference"), 2)
    assert len(begun(engine)) == 2 and not engine.client.busy
    compare(engine, recipe(3))
    assert engine.client.request(recipe(1), moving=False) == generation
    assert engine.client.busy
    assert shows(part(engine, "reference"), 3)
    assert [line.split()[1] for line in begun(engine)] == ["1", "2", "3"]
    assert not engine.client.busy
    # The same face again, without one: nothing is drawn.
    compare(engine, None)
    engine.client.request(recipe(1), moving=False)
    engine.draw(4)
    assert len(begun(engine)) == 4


def test_a_slider_of_the_present_face_leaves_the_reference_alone(engine: Harness) -> None:
    engine.open("fake")
    compare(engine, recipe(2))
    engine.client.request(recipe(1), moving=False)
    part(engine, "reference")
    for seed in (5, 6, 7):
        engine.client.request(recipe(seed), moving=True)
        engine.wait(FrameReady, lambda f, seed=seed: f.recipe.seed == seed)  # type: ignore[misc]
    engine.draw(8)
    assert sum(line.startswith("begin 2") for line in engine.log()) == 1


def test_while_the_camera_moves_both_follow_at_preview_quality(engine: Harness) -> None:
    engine.open("fake?chunk=0.05")  # 0.2 s each at full quality, three times over the budget
    compare(engine, recipe(2))
    engine.client.request(recipe(1), moving=False)
    part(engine, "reference")
    frames: list[FrameReady] = []
    end, yaw = time.monotonic() + 1.5, 0.0
    while time.monotonic() < end:
        yaw += 0.1
        compare(engine, recipe(2, yaw))
        engine.client.request(recipe(1, yaw), moving=True)
        engine.poll()
        frames += [event for event in engine.events if isinstance(event, FrameReady)]
        engine.events.clear()
        time.sleep(0.005)
    yaws = {
        name: [f.recipe.pose.yaw for f in frames if f.part == name]
        for name in ("present", "reference")
    }
    assert all(len(found) >= 6 and found == sorted(found) for found in yaws.values())
    assert abs(len(yaws["present"]) - len(yaws["reference"])) <= 2
    assert not any(frame.full_quality for frame in frames)
    for frame in frames:
        assert shows(frame, 1 if frame.part == "present" else 2, frame.recipe.pose.yaw)
    # At rest both become sharp by themselves.
    last = part(engine, "present"), part(engine, "reference")
    assert [frame.recipe.pose.yaw for frame in last] == [yaw, yaw]
    assert not engine.client.busy


def test_one_that_is_not_seen_waits_for_the_rest(engine: Harness) -> None:
    engine.open("fake?chunk=0.05")
    compare(engine, recipe(2), seen=False)
    engine.client.request(recipe(1), moving=False)
    part(engine, "reference")
    engine.log_path.write_text("")
    for yaw in (1.0, 2.0, 3.0):
        compare(engine, recipe(2, yaw), seen=False)
        engine.client.request(recipe(1, yaw), moving=True)
        time.sleep(0.05)
    assert shows(part(engine, "reference"), 2, 3.0)
    order = [line.split()[1] for line in begun(engine)]
    assert order[-1] == "2" and "2" not in order[:-1]


def test_a_reference_that_cannot_be_drawn_is_told_and_the_picture_stays(engine: Harness) -> None:
    engine.open("fake")
    compare(engine, recipe(666))
    engine.client.request(recipe(1), moving=False)
    assert shows(part(engine, "present"), 1)
    failed = engine.wait(RenderFailed)
    assert failed.part == "reference" and not engine.client.busy
    compare(engine, None)
    assert shows(engine.draw(2), 2)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_both_come_back_after_the_engine_died(engine: Harness) -> None:
    engine.open("fake")
    compare(engine, recipe(2, 20.0))
    engine.client.request(recipe(1, 20.0), moving=False)
    before = part(engine, "present"), part(engine, "reference")
    assert engine.client.pid is not None
    os.kill(engine.client.pid, signal.SIGKILL)
    engine.wait(EngineRestored)
    after = part(engine, "present"), part(engine, "reference")
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old.image, new.image) and old.recipe == new.recipe
    compare(engine, None)


def test_alternating_composes_nothing_anew() -> None:
    made: list[int] = []

    class Counting(FakeGenerator):
        def __init__(self) -> None:
            super().__init__({})
            self.kept: LastFew[int] = LastFew(2)

        def render(self, w, *rest):  # type: ignore[no-untyped-def]
            self.kept.get(w, lambda _w: made.append(1) or len(made))
            return super().render(w, *rest)

    painter = Painter(Counting())
    first, second = painter.latent(recipe(1)), painter.latent(recipe(2))
    for _ in range(3):
        # Not only equal: the same objects, so nothing was mapped, blended or mixed again.
        assert painter.latent(recipe(1, 5.0)) is first
        assert painter.latent(recipe(2, 5.0)) is second
        painter.frame(recipe(1))
        painter.frame(recipe(2))
    assert len(made) == 2 and not torch.equal(first, second)
