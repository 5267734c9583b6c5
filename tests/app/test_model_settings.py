"""Settings of a model in the engine process and in exports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from app.export_queue import ExportQueue
from app.jobs import ExportMesh, ExportPicture, ExportVideo, Job
from app.messages import FrameReady, JobFailed, JobFinished, RenderFailed
from app.panels.model import CHECKPOINT_ENDINGS, FAMILY_TITLES
from app.panels.model_settings import digits_for
from app.wire import ProcessOptions
from engine.capabilities import SettingValue
from engine.export.picture import read_recipe
from engine.generators.registry import families
from engine.recipe import ModelRef, Recipe
from tests.app.fake import SETTINGS
from tests.app.harness import OPENER, Harness, recipe, running_engine, until


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_engine(tmp_path_factory.mktemp("engine")) as harness:
        yield harness


def tuned(yaw: float = 0.0, **values: SettingValue) -> Recipe:
    return recipe(1, yaw).with_settings(values)


def drawn(engine: Harness, wanted: Recipe) -> FrameReady:
    return engine.full_frame(engine.client.request(wanted, moving=False))


def test_a_setting_changes_the_picture_and_back(engine: Harness) -> None:
    loaded = engine.open("fake?settings=1")
    assert loaded.capabilities.settings == SETTINGS
    for blue in (0.25, 0.75, 1.0, 0.25):
        frame = drawn(engine, tuned(blue=blue))
        assert dict(frame.recipe.settings) == {"blue": blue}
        assert np.allclose(frame.image[..., :3], [0.01, 0.5, blue])
    assert np.allclose(drawn(engine, tuned()).image[..., 2], 0.25)


def test_while_a_slider_moves_every_value_is_a_picture_of_its_own(engine: Harness) -> None:
    engine.open("fake?settings=1")
    drawn(engine, tuned())
    for blue in (0.5, 0.6, 0.7):
        generation = engine.client.request(tuned(blue=blue), moving=True)
        frame = engine.wait(FrameReady, lambda f, g=generation: f.generation == g)
        assert np.allclose(frame.image[..., 2], blue)


def test_settings_that_the_model_lacks_are_told(engine: Harness) -> None:
    engine.open("fake?settings=1")
    engine.client.request(tuned(green=1.0), moving=False)
    message = engine.wait(RenderFailed).message
    assert message == "This model has no setting 'green'; it has blue, slow."
    engine.client.request(tuned(blue=7.0), moving=False)
    message = engine.wait(RenderFailed).message
    assert message == "The setting blue is a number from 0 to 1, not 7.0."
    assert np.allclose(drawn(engine, tuned(blue=0.5)).image[..., 2], 0.5)


def test_previews_are_measured_anew_after_a_setting_has_changed(engine: Harness) -> None:
    # 20 ms for a full picture, or 2 s with the slow setting; a second may be spent.
    engine.open("fake?settings=1&chunk=0.005")
    engine.client.set_target_fps(1.0)

    def first_preview(**values: SettingValue) -> FrameReady:
        drawn(engine, tuned(**values))
        generation = engine.client.request(tuned(5.0, **values), moving=True)
        return engine.wait(FrameReady, lambda f: f.generation == generation)

    assert first_preview().full_quality
    for yaw in range(10, 14):  # previews are timed, and full frames say nothing from then on
        engine.client.request(tuned(yaw), moving=True)
        engine.wait(FrameReady)
    slow = first_preview(slow=100)
    assert not slow.full_quality and slow.resolution[0] < 64
    assert first_preview().full_quality
    engine.client.set_target_fps(None)


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExportQueue]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path_factory.mktemp("exports")))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("MAQUETTE_FAKE_LOG", "")
        made = ExportQueue(ProcessOptions("cpu", OPENER))
        yield made
        made.close()


def outcome(queue: ExportQueue, job: Job) -> JobFinished | JobFailed:
    number = queue.add(job)
    ends: list[JobFinished | JobFailed] = []

    def over() -> bool:
        ends.extend(e for e in queue.poll() if isinstance(e, (JobFinished, JobFailed)))
        return any(e.job == number for e in ends)

    until(over, f"the end of {job.title}")
    return ends[-1]


def on_model(**values: SettingValue) -> Recipe:
    return replace(tuned(**values), model=ModelRef("fake?settings=1"), size=32)


def test_exports_follow_settings_one_after_the_other(queue: ExportQueue, tmp_path: Path) -> None:
    """One process with one model draws all of these: nothing of the one before may stay."""
    for index, blue in enumerate((1.0, None, 0.6)):
        values: dict[str, SettingValue] = {} if blue is None else {"blue": blue}
        path = tmp_path / f"{index}.png"
        wanted = on_model(**values)
        assert isinstance(outcome(queue, ExportPicture(wanted, str(path))), JobFinished)
        with Image.open(path) as picture:
            level = np.asarray(picture)[..., 2]
        wanted_level = 255 * (0.25 if blue is None else blue)
        assert np.abs(level - wanted_level).max() < 1
        assert dict(read_recipe(path).settings) == values
    options = {"format": "png", "seconds": 0.2, "fps": 10.0, "size": 32}
    video = ExportVideo(on_model(blue=0.75), str(tmp_path / "turn"), options)
    assert isinstance(outcome(queue, video), JobFinished)
    frames = sorted((tmp_path / "turn").iterdir())
    assert len(frames) == 2
    assert all(dict(read_recipe(path).settings) == {"blue": 0.75} for path in frames)
    for blue in (0.4, 0.2):
        mesh = ExportMesh(on_model(blue=blue), str(tmp_path / f"{blue}.ply"), {"resolution": 32})
        assert isinstance(outcome(queue, mesh), JobFinished)
        bounds = trimesh.load(tmp_path / f"{blue}.ply").bounds
        assert bounds[1] == pytest.approx([blue] * 3, abs=0.5 / 32)


def test_an_export_with_a_wrong_setting_is_one_sentence(queue: ExportQueue, tmp_path: Path) -> None:
    event = outcome(queue, ExportPicture(on_model(green=1.0), str(tmp_path / "a.png")))
    assert isinstance(event, JobFailed) and "no setting 'green'" in event.message
    assert list(tmp_path.iterdir()) == []


def test_every_family_has_a_title_and_its_files_can_be_chosen() -> None:
    assert set(families()) <= set(FAMILY_TITLES)
    assert set(CHECKPOINT_ENDINGS) >= {
        ".pkl", ".pth", ".pt", ".zip", ".tar", ".json", ".safetensors",
    }  # fmt: skip


def test_decimal_places_follow_the_range() -> None:
    spans = (1000.0, 100.0, 10.0, 1.0, 0.1, 1e-9, float("inf"), 0.0)
    assert [digits_for(span) for span in spans] == [2, 2, 2, 3, 4, 6, 3, 3]
