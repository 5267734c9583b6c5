"""The engine process with a checkpoint of a real family, as its authors save it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from app.jobs import ExportMesh, ExportPicture
from app.messages import (
    EngineDied,
    EngineRestored,
    FrameReady,
    JobFinished,
    ModelFailed,
    ModelLoaded,
)
from engine.capabilities import VIEW_MODES, ViewMode
from engine.draw import Painter
from engine.generators.registry import open_model
from engine.recipe import ModelRef, Recipe
from engine.views import view_image
from tests.app.harness import Harness, running_engine

CHECKPOINT = Path(__file__).parents[1] / "data" / "goldens" / "eg3d_ffhq" / "checkpoint.pkl"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_engine(tmp_path_factory.mktemp("engine"), opener="") as harness:
        yield harness


@pytest.fixture(scope="module")
def loaded(engine: Harness) -> ModelLoaded:
    return engine.open(str(CHECKPOINT))


@pytest.fixture(scope="module")
def start(loaded: ModelLoaded) -> Recipe:
    pose = loaded.capabilities.default_pose
    return Recipe(model=ModelRef(str(CHECKPOINT)), seed=3, pose=pose)


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter(open_model(str(CHECKPOINT), "cpu"))


def draw(engine: Harness, recipe: Recipe) -> FrameReady:
    return engine.full_frame(engine.client.request(recipe, moving=False))


def test_the_window_learns_what_the_file_leaves_open(loaded: ModelLoaded) -> None:
    """The golden states all but the lens; the sentence says which one is taken instead."""
    (sentence,) = loaded.assumptions
    assert "focal" in sentence


def test_the_window_learns_what_the_family_can(loaded: ModelLoaded) -> None:
    can = loaded.capabilities
    assert (can.family, can.resolution, can.neural_resolution) == ("eg3d", 64, 16)
    assert (can.num_ws, can.default_pose.radius) == (14, 2.7)


@pytest.mark.parametrize("view", VIEW_MODES)
def test_the_live_picture_is_the_one_that_is_drawn_here(
    engine: Harness, start: Recipe, painter: Painter, view: ViewMode
) -> None:
    recipe = replace(start, view=view, pose=start.pose.turned(20, -5))
    frame = draw(engine, recipe)
    here = view_image(painter.frame(recipe), view).numpy()
    assert frame.image.shape == (*here.shape[:2], 4)
    assert np.abs(frame.image[..., :3] - here).max() < 1e-5


def test_a_drag_ends_in_the_full_picture(engine: Harness, start: Recipe) -> None:
    wanted = [replace(start, pose=start.pose.turned(4.0 * step, 0)) for step in range(1, 9)]
    for recipe in wanted:
        last = engine.client.request(recipe, moving=True)
        frame = engine.wait(FrameReady)
    if not (frame.full_quality and frame.generation == last):  # previews of a small model may be
        frame = engine.full_frame(last)
    assert frame.recipe == wanted[-1] and frame.resolution == (16, 64)
    # Another picture in between: the one that is there already is not drawn again.
    other = draw(engine, start).image
    assert np.array_equal(frame.image, draw(engine, wanted[-1]).image)
    assert np.abs(frame.image - other).mean() > 0.002


def test_exports_show_the_same_head(
    engine: Harness, start: Recipe, painter: Painter, tmp_path: Path
) -> None:
    engine.client.start_job(ExportPicture(replace(start, size=32), str(tmp_path / "a.png")))
    engine.client.start_job(ExportMesh(start, str(tmp_path / "a.glb"), {"resolution": 24}))
    assert engine.wait(JobFinished).path == str(tmp_path / "a.png")
    engine.wait(JobFinished)
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(np.asarray(picture), painter.picture(replace(start, size=32)).numpy())
    mesh = trimesh.load(tmp_path / "a.glb", force="mesh")
    assert isinstance(mesh, trimesh.Trimesh) and len(mesh.faces) > 100
    half = np.abs(np.array(painter.generator.capabilities.bounds)).max()
    assert np.abs(mesh.bounds).max() <= half + 1e-6


def test_a_damaged_copy_leaves_the_model_open(
    engine: Harness, start: Recipe, tmp_path: Path
) -> None:
    before = draw(engine, start)
    short = tmp_path / "short.pkl"
    short.write_bytes(CHECKPOINT.read_bytes()[:-100_000])
    engine.client.open_model(str(short))
    failed = engine.wait(ModelFailed)
    assert "damaged or incomplete" in failed.message
    assert np.array_equal(draw(engine, start).image, before.image)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_the_same_picture_comes_back_after_sigkill(engine: Harness, start: Recipe) -> None:
    before = draw(engine, start)
    assert engine.client.pid is not None
    os.kill(engine.client.pid, signal.SIGKILL)
    assert engine.wait(EngineDied).restarting
    engine.wait(EngineRestored)
    after = engine.full_frame(before.generation)
    assert np.array_equal(after.image, before.image)
