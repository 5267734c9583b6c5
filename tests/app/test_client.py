"""The engine process and its client: requests, previews, failures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from app.messages import FrameReady, ModelFailed, RenderFailed
from engine.recipe import ModelRef
from tests.app.harness import Harness, recipe, running_engine, shows


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_engine(tmp_path_factory.mktemp("engine")) as harness:
        yield harness


def test_a_picture_comes(engine: Harness) -> None:
    loaded = engine.open("fake")
    assert loaded.device == "cpu" and loaded.ref == ModelRef("fake", "", "fake")
    assert loaded.capabilities.resolution == 256 and loaded.seconds >= 0
    generation = engine.client.request(recipe(7, 90.0), moving=False)
    assert engine.client.busy
    frame = engine.full_frame(generation)
    assert not engine.client.busy
    assert frame.image.shape == (256, 256, 4) and frame.image.dtype == np.float32
    assert shows(frame, 7, 90.0)
    assert frame.recipe == recipe(7, 90.0)
    assert frame.resolution == (64, 256) and frame.milliseconds > 0


def test_a_frame_belongs_to_the_receiver(engine: Harness) -> None:
    engine.open("fake")
    first = engine.draw(1)
    for seed in range(2, 8):
        engine.draw(seed)
    assert shows(first, 1)


def test_a_transparent_picture_carries_its_opacity(engine: Harness) -> None:
    engine.open("fake")
    wanted = replace(recipe(3), transparent=True)
    image = engine.full_frame(engine.client.request(wanted, moving=False)).image
    assert (image[:, :120, 3] == 1).all() and (image[:, 136:, 3] == 0).all()
    assert np.allclose(image[..., :3], [0.03, 0.5, 0.25])


def test_every_view_comes_at_its_own_resolution(engine: Harness) -> None:
    engine.open("fake")
    for view in ("raw", "depth", "normals", "opacity"):
        wanted = replace(recipe(3), view=view)  # type: ignore[arg-type]
        frame = engine.full_frame(engine.client.request(wanted, moving=False))
        assert frame.image.shape == (64, 64, 4)
    assert (frame.image[:, :32, 0] == 1).all() and (frame.image[:, 32:, 0] == 0).all()


def test_a_large_picture_gets_a_larger_ring(engine: Harness) -> None:
    engine.open("fake?size=640")
    frame = engine.draw(5)
    assert frame.image.shape == (640, 640, 4) and shows(frame, 5)
    for seed in range(6):
        assert shows(engine.draw(seed), seed)


def test_the_newest_request_wins(engine: Harness) -> None:
    engine.open("fake?chunk=0.1")
    engine.client.request(recipe(1), moving=False)
    engine.wait_log("begin 1")
    for seed in (2, 3, 4):
        engine.client.request(recipe(seed), moving=False)
    generation = engine.client.request(recipe(5), moving=False)
    frame = engine.wait(FrameReady)
    assert frame.generation == generation and shows(frame, 5)
    log = engine.log()
    assert [line for line in log if line.startswith("end")] == ["end 5 0"]


def test_work_that_has_become_pointless_stops_between_chunks(engine: Harness) -> None:
    engine.open("fake?chunk=0.5")  # four chunks: 2 s for a whole frame
    engine.client.request(recipe(1), moving=False)
    engine.wait_log("begin 1")
    engine.client.request(recipe(2), moving=False)
    # Not "end 1", with which a frame that was drawn whole is told.
    engine.wait_log("cancelled 1")
    engine.client.open_model("fake")  # so does opening a model
    engine.wait_log("cancelled 2")


def test_previews_flow_while_requests_come_faster_than_frames(engine: Harness) -> None:
    engine.open("fake?chunk=0.05")  # 0.2 s at full quality, three times over the budget
    engine.draw(1)
    frames: list[FrameReady] = []
    generation, end, yaw = 0, time.monotonic() + 1.5, 0.0
    while time.monotonic() < end:
        yaw += 0.1
        generation = engine.client.request(recipe(1, yaw), moving=True)
        engine.poll()
        frames += [event for event in engine.events if isinstance(event, FrameReady)]
        engine.events.clear()
        time.sleep(0.005)
    assert len(frames) >= 10
    assert not any(frame.full_quality for frame in frames)
    assert all(32 <= frame.resolution[0] < 64 for frame in frames)
    # The camera is the requested one at any quality, and the displayed picture keeps its
    # side where the super-resolution runs.
    assert all(shows(frame, 1, frame.recipe.pose.yaw) for frame in frames)
    assert {frame.resolution[1] for frame in frames} == {256}
    assert [f.generation for f in frames] == sorted(f.generation for f in frames)
    last = engine.full_frame(generation)
    assert last.resolution == (64, 256) and shows(last, 1, yaw)


def test_full_quality_follows_a_rest_of_a_fifth_of_a_second(engine: Harness) -> None:
    engine.open("fake?chunk=0.05")
    engine.draw(1)
    asked = time.monotonic()
    generation = engine.client.request(recipe(1, 30.0), moving=True)
    preview = engine.wait(FrameReady)
    assert preview.generation == generation and not preview.full_quality
    assert engine.client.busy
    engine.full_frame(generation)
    # 0.2 s of rest, then 0.2 s of drawing.
    assert time.monotonic() - asked >= 0.4
    assert not engine.client.busy
    begins = [line for line in engine.log() if line.startswith("begin 1 30")]
    assert len(begins) == 2 and " 64 1 " in begins[1]


def test_letting_go_draws_full_quality_at_once(engine: Harness) -> None:
    engine.open("fake?chunk=0.05")
    engine.draw(1)
    engine.client.request(recipe(1, 10.0), moving=True)
    generation = engine.client.request(recipe(1, 10.0), moving=False)
    frame = engine.full_frame(generation)
    assert shows(frame, 1, 10.0)


def test_asking_for_the_same_while_moving_changes_nothing(engine: Harness) -> None:
    engine.open("fake?chunk=0.05")
    engine.draw(1)
    generation = engine.client.request(recipe(1, 5.0), moving=True)
    for _ in range(5):
        assert engine.client.request(recipe(1, 5.0), moving=True) == generation
        engine.poll()
    assert engine.full_frame(generation).full_quality


def test_slow_super_resolution_is_left_out_while_moving(engine: Harness) -> None:
    engine.open("fake?upsample=0.3")
    engine.client.set_target_fps(5.0)
    engine.draw(1)
    generation = engine.client.request(recipe(1, 5.0), moving=True)
    preview = engine.wait(FrameReady)
    assert not preview.full_quality and preview.resolution == (64, 64)
    assert shows(preview, 1, 5.0)
    assert engine.full_frame(generation).resolution == (64, 256)
    engine.client.set_target_fps(None)


def test_fast_models_need_no_previews(engine: Harness) -> None:
    engine.open("fake")
    engine.client.set_target_fps(1.0)  # fast enough by far, on a machine under load too
    for yaw in range(20):
        engine.client.request(recipe(1, float(yaw)), moving=True)
        frame = engine.wait(FrameReady)
        assert frame.full_quality and frame.resolution == (64, 256)
    engine.client.set_target_fps(None)


def test_a_model_that_cannot_be_opened_leaves_the_old_one(engine: Harness) -> None:
    engine.open("fake")
    before = engine.client.model
    engine.client.open_model("missing")
    assert engine.client.opening == "missing"
    failed = engine.wait(ModelFailed)
    assert failed == ModelFailed("missing", "There is no file named missing; choose another one.")
    assert engine.client.model is before and engine.client.opening is None
    assert shows(engine.draw(9), 9)


def test_a_fault_while_opening_is_one_sentence_and_a_traceback_in_the_log(
    engine: Harness,
) -> None:
    engine.open("fake")
    engine.client.open_model("broken")
    message = engine.wait(ModelFailed).message
    assert "ZeroDivisionError: a fault of the reader" in message and "\n" not in message
    log = engine.log_path.parent / "config" / "log" / "engine.log"
    assert str(log) in message
    assert "Traceback" in log.read_text() and "a fault of the reader" in log.read_text()
    assert shows(engine.draw(9), 9)


def test_the_newest_model_wins(engine: Harness) -> None:
    engine.open("fake")
    engine.client.open_model("fake?open=0.3")
    engine.client.open_model("fake?size=128")
    loaded = engine.open("fake?size=64")
    assert loaded.capabilities.resolution == 64
    assert engine.draw(2).image.shape == (64, 64, 4)


def test_a_fault_while_drawing_is_told_and_the_next_picture_comes(engine: Harness) -> None:
    engine.open("fake")
    generation = engine.client.request(recipe(666), moving=False)
    failed = engine.wait(RenderFailed)
    assert failed.generation == generation
    assert "ValueError: a fault of this identity" in failed.message
    assert not engine.client.busy
    assert shows(engine.draw(8), 8)


def test_a_recipe_out_of_range_is_told(engine: Harness) -> None:
    engine.open("fake")
    engine.client.request(replace(recipe(1), psi=float("nan")), moving=False)
    assert engine.wait(RenderFailed).message == "Truncation psi must be -1 to 2, not nan."


def test_a_window_that_does_not_look_is_not_flooded(engine: Harness) -> None:
    """Requests never block, however many, and the picture of the last one comes."""
    engine.open("fake?chunk=0.02")
    # Five thousand frames of 0.08 s would outlast the test.
    for index in range(5000):
        generation = engine.client.request(recipe(index % 60, index / 100), moving=True)
    assert shows(engine.full_frame(generation), 4999 % 60, 49.99)


def test_latency_from_request_to_frame(engine: Harness) -> None:
    """What the way through both processes costs beyond drawing: the median of 40."""
    engine.open("fake")
    overheads = []
    for index in range(40):
        began = time.perf_counter()
        frame = engine.draw(index % 60)
        overheads.append((time.perf_counter() - began) * 1000 - frame.milliseconds)
    print(f"median overhead {sorted(overheads)[20]:.2f} ms")
    assert sorted(overheads)[20] < 30.0
