"""The state behind the window, with a client that only notes what it is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import document as edits
from app import mixing_edits as mixing
from app.engine_state import EngineState
from app.jobs import ExportPicture
from app.messages import (
    EngineDied,
    EngineRestored,
    FrameReady,
    JobCancelled,
    JobFailed,
    JobFinished,
    JobProgress,
    ModelFailed,
    ModelLoaded,
)
from app.settings import Settings
from app.studio import Studio
from engine.camera import OrbitPose
from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.identity import StyleSource
from engine.layer_swap import LayerSwap
from engine.recipe import ModelRef, Recipe

CAPABILITIES = Capabilities(
    "eg3d", 8, 14, 8, 256, 64, 48, OrbitPose(radius=2.0), ((-1, -1, -1), (1, 1, 1)), 10.0
)


class NotingClient:
    """Stands in for the engine client."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.asked: list[tuple[Recipe, bool]] = []
        self.opened: list[str] = []
        self.cancelled: list[int] = []
        self.started = 0
        self.opening: str | None = None
        self.busy = False
        self.pid: int | None = 1
        self.model: ModelLoaded | None = None

    def poll(self) -> list[Any]:
        events, self.events = self.events, []
        return events

    def request(self, recipe: Recipe, *, moving: bool) -> int:
        self.asked.append((recipe, moving))
        return len(self.asked)

    def open_model(self, path: str) -> None:
        self.opened.append(path)

    def start_job(self, _job: object) -> int:
        self.started += 1
        return 4 + self.started

    def cancel_job(self, job: int) -> None:
        self.cancelled.append(job)

    def send(self, studio: Studio, *events: Any) -> None:
        for event in events:
            if isinstance(event, ModelLoaded):
                self.model = event
        self.events += events
        studio.poll()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def client() -> NotingClient:
    return NotingClient()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def studio(client: NotingClient, clock: Clock) -> Studio:
    return Studio(client, Settings(), clock)  # type: ignore[arg-type]


def loaded(path: str = "bundled") -> ModelLoaded:
    return ModelLoaded(ModelRef(path, "ab", Path(path).stem), CAPABILITIES, "cpu", 1.0)


def test_a_model_brings_its_framing_and_its_first_picture(
    studio: Studio, client: NotingClient
) -> None:
    studio.edit("Seed", lambda d: edits.set_seed(d, 3))
    assert client.asked == []  # nothing can be drawn yet
    client.send(studio, loaded())
    assert studio.document.pose == CAPABILITIES.default_pose
    assert client.asked == [(studio.document.recipe, False)]
    assert studio.document.recipe.seed == 3
    assert studio.engine is EngineState.READY


def test_a_file_that_has_lost_layers_is_drawn_without_them(
    studio: Studio, client: NotingClient
) -> None:
    client.send(studio, loaded("/m/a.pkl"))
    studio.edit("Add face", lambda d: mixing.add_source(d, 5, (2, 9, 13)))
    steps = len(studio.history.past)
    smaller = replace(loaded("/m/a.pkl"), capabilities=replace(CAPABILITIES, num_ws=10))
    client.send(studio, smaller)
    assert studio.document.recipe.mixes == (StyleSource(5, (2, 9)),)
    assert client.asked[-1] == (studio.document.recipe, False)
    assert len(studio.history.past) == steps


def test_a_drag_is_one_step_drawn_while_moving(studio: Studio, client: NotingClient) -> None:
    client.send(studio, loaded())
    for _ in range(3):
        studio.edit("Orbit", lambda d: edits.orbit(d, 5, 0), gesture="Orbit")
    assert [moving for _, moving in client.asked[1:]] == [True] * 3
    studio.end_gesture()
    assert client.asked[-1] == (studio.document.recipe, False)
    assert len(studio.history.past) == 1 and studio.document.pose.yaw == 15
    studio.undo()
    assert studio.document.pose.yaw == 0 and client.asked[-1][0].pose.yaw == 0


def test_the_wheel_ends_by_itself(studio: Studio, client: NotingClient, clock: Clock) -> None:
    client.send(studio, loaded())
    studio.edit("Zoom", lambda d: edits.zoom(d, 0.9), "Zoom", lasting=0.3)
    clock.now = 0.2
    studio.poll()
    assert client.asked[-1][1] is True
    clock.now = 0.5
    studio.poll()
    assert client.asked[-1][1] is False and studio.history.gesture is None


def test_a_model_that_fails_changes_nothing(studio: Studio, client: NotingClient) -> None:
    client.send(studio, loaded())
    before = studio.document
    client.send(studio, ModelFailed("x.pkl", "x.pkl is damaged."))
    assert studio.document == before and studio.capabilities is CAPABILITIES
    assert [(n.severity, n.text) for n in studio.notices.notices] == [
        ("error", "x.pkl is damaged.")
    ]
    with pytest.raises(UserError, match="no file"):
        studio.open_model("/nowhere/model.pkl")
    with pytest.raises(UserError, match="Type the path"):
        studio.open_model("  ")
    assert client.opened == []


def test_the_first_model_failing_opens_the_bundled_one(
    studio: Studio, client: NotingClient
) -> None:
    client.send(studio, ModelFailed("x.pkl", "x.pkl is damaged."))
    assert client.opened == ["bundled"]
    client.send(studio, ModelFailed("bundled", "It is missing."))
    assert client.opened == ["bundled"]
    told = [notice.text for notice in studio.notices.notices]
    assert told == ["x.pkl is damaged.", "It is missing."]
    assert studio.engine is EngineState.EMPTY


def test_undo_returns_to_the_model_before(studio: Studio, client: NotingClient) -> None:
    client.send(studio, loaded("bundled"), loaded("/m/other.pkl"))
    assert studio.settings.recent == ("/m/other.pkl",)
    assert studio.history.undo_name == "Open model"
    drawn = len(client.asked)
    studio.undo()
    # Nothing is drawn with the wrong model meanwhile.
    assert client.opened == ["bundled"] and len(client.asked) == drawn
    client.send(studio, loaded("bundled"))
    assert studio.history.can_redo and client.asked[-1][0].model.path == "bundled"
    studio.redo()
    client.send(studio, ModelFailed("/m/other.pkl", "It has gone."))
    assert studio.document.model.path == "bundled"


def test_a_dead_engine_dims_the_picture_until_it_is_back(
    studio: Studio, client: NotingClient
) -> None:
    client.send(studio, loaded())
    document = studio.document
    image = np.zeros((4, 4, 4), np.float32)
    client.send(studio, FrameReady(image, document.recipe, (2, 4), 5.0, True, 1))
    client.send(studio, EngineDied("The engine stopped. Starting it again..."))
    assert studio.is_stale and studio.engine is EngineState.RESTARTING
    assert studio.frame is not None and studio.frame.image is image
    client.send(studio, loaded(), EngineRestored())
    assert not studio.is_stale and studio.document == document
    assert [n.severity for n in studio.notices.notices] == ["good"]
    client.send(studio, EngineDied("Again and again.", restarting=False))
    assert studio.engine is EngineState.DEAD


def test_an_engine_that_is_back_without_its_model_is_not_told_to_be_starting(
    studio: Studio, client: NotingClient
) -> None:
    client.send(studio, loaded())
    client.send(studio, EngineDied("The engine stopped. Starting it again..."))
    client.model = None
    client.send(studio, ModelFailed("bundled", "There is no file."))
    assert not studio.is_stale and studio.engine is EngineState.EMPTY
    assert [n.text for n in studio.notices.notices] == ["There is no file."]


@pytest.mark.parametrize("path", ["/m/a.pkl", "bundled"])
def test_a_model_that_was_away_takes_nothing_from_the_document(
    studio: Studio, client: NotingClient, path: str
) -> None:
    client.send(studio, loaded("/m/a.pkl"))
    lent = LayerSwap(ModelRef("/m/b.pkl", "cd" * 32), ("4",), 0.5)
    studio.edit("Layers", lambda d: replace(d, recipe=replace(d.recipe, swap=lent)))
    before = studio.document
    image = np.zeros((4, 4, 4), np.float32)
    client.send(studio, FrameReady(image, before.recipe, (2, 4), 5.0, True, 1))
    client.send(studio, EngineDied("The engine stopped. Starting it again..."))
    client.model = None
    client.send(studio, ModelFailed("/m/a.pkl", "There is no file."))
    client.send(studio, loaded(path))
    if path == "bundled":  # another one is a step that can be undone
        assert studio.document.recipe.swap is None and studio.history.undo_name == "Open model"
        studio.undo()
    assert studio.document == before and studio.history.undo_name == "Layers"


def test_exports_report_and_refuse(studio: Studio, client: NotingClient, tmp_path: Path) -> None:
    job = ExportPicture(Recipe(), str(tmp_path / "a.png"))
    with pytest.raises(UserError, match="Open a model first"):
        studio.start_export(job)
    client.send(studio, loaded())
    studio.start_export(job)
    assert studio.settings.export_folder == str(tmp_path)
    with pytest.raises(UserError, match="already"):
        studio.start_export(job)
    client.send(studio, JobProgress(5, job.title, 3, 10, 7.0))
    assert (studio.exports["picture"].done, studio.exports["picture"].seconds_left) == (3, 7.0)
    studio.cancel_export("picture")
    assert client.cancelled == [5] and studio.exports["picture"].state == "cancelling"
    client.send(studio, JobCancelled(5, job.title))
    assert studio.exports["picture"].is_over
    studio.start_export(job)
    client.send(studio, JobFinished(6, job.title, job.path))
    assert f"Saved to {job.path}" in [n.text for n in studio.notices.notices]
    studio.start_export(job)
    client.send(studio, JobFailed(7, job.title, "The disk is full."))
    assert studio.exports["picture"].message == "The disk is full."


def test_an_edit_that_cannot_be_changes_nothing(studio: Studio, client: NotingClient) -> None:
    client.send(studio, loaded())
    before, asked = studio.history, len(client.asked)
    with pytest.raises(UserError):
        studio.edit("Radius", lambda d: edits.set_pose(d, replace(d.pose, radius=-1.0)))
    assert studio.history == before and len(client.asked) == asked
