"""Training from the window, with a real mouse: a tiny model on a handful of pictures."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.app.gui.driver import App
from tests.training.gan.pictures import write_pictures

pytestmark = pytest.mark.gui

GOLDEN = Path(__file__).parents[2] / "data" / "goldens" / "eg3d_ffhq" / "checkpoint.pkl"
WINDOW = ("-m", "app", "--device", "cpu")


@pytest.fixture
def opened(display: str, tmp_path: Path) -> Iterator[App]:
    """The window on the tiny model, with the window for training open."""
    with to_train(display, tmp_path) as app:
        yield app


@pytest.fixture
def as_started(display: str, tmp_path: Path) -> Iterator[App]:
    """The same, begun as its user begins it: what trains is the window's own child."""
    with to_train(display, tmp_path, command=WINDOW) as app:
        yield app


@contextmanager
def to_train(display: str, folder: Path, **how: Any) -> Iterator[App]:
    write_pictures(folder / "discs", 12)
    # Paths are typed as they are seen from here: where frames are slow a long one takes long.
    with App(folder, display, GOLDEN, cwd=folder, **how) as app:
        app.click("train")
        app.wait("the window", lambda s: s["train"] is not None)
        yield app


def fill(app: App) -> None:
    """The form, with the model that is open."""
    app.fill("train_data", "discs")
    app.click("train_open_model")
    app.click("train_look")
    app.wait("both were looked at", lambda s: s["train"]["groups"])
    app.fill("train_folder", "run")


def test_pictures_are_looked_through_and_dropped(opened: App, tmp_path: Path) -> None:
    app = opened
    fill(app)
    app.click("train_pictures")
    app.wait("all pictures", lambda s: (s["train_pictures"] or {}).get("drawn") == 12)
    names = app.state["train_pictures"]["names"]
    app.click("pictures_2")
    app.click("pictures_5")
    dropped = [names[2], names[5]]
    app.wait("two dropped", lambda s: s["train_pictures"]["dropped"] == dropped)
    kept = tmp_path / "discs" / "maquette-choices.json"
    app.wait("them in a file", lambda _s: kept.is_file() and names[5] in kept.read_text())
    app.click("pictures_2")
    app.wait("one again", lambda s: s["train_pictures"]["dropped"] == dropped[1:])


def trained(app: App, steps: int) -> None:
    app.wait(f"{steps} steps", lambda s: s["train"]["step"] >= steps, 90)


def goes_back_and_forth(app: App) -> None:
    """To the start; what there is meanwhile is kept, gone to, and deleted when that is asked for."""
    assert app.state["train"]["snapshots"] == [0] and app.state["train"]["aside"] == []
    app.choose("train_back", 0, "0")
    (one,) = app.wait("what was set aside", lambda s: s["train"]["aside"])["train"]["aside"]
    assert app.state["train"]["snapshots"] == [0] and one[0] > 2 and one[1] == 0
    trained(app, 1)
    app.choose("train_back", 1, f"{one[0]}, set aside")
    app.wait("it again", lambda s: s["train"]["snapshots"] == [0, one[0]])
    (other,) = app.state["train"]["aside"]
    assert other[1] == 1
    app.click("train_pause")
    app.wait("a pause", lambda s: s["train"]["state"] == "paused")
    app.click("train_aside")
    question = app.wait("a question", lambda s: s["project"]["question"])["project"]["question"]
    assert f"a snapshot: {other[0]}, set aside" in question
    app.click("train_aside_keep")
    app.wait("no question", lambda s: s["project"]["question"] is None)
    assert app.state["train"]["aside"] == [other]
    app.click("train_aside")
    app.wait("a question", lambda s: s["project"]["question"])
    app.click("train_aside_delete")
    app.wait("it gone", lambda s: s["train"]["aside"] == [])
    assert app.state["train"]["snapshots"] == [0, one[0]]
    app.click("train_pause")
    app.wait("training again", lambda s: s["train"]["state"] == "training")


def test_a_model_is_trained_watched_turned_stopped_and_opened(opened: App, tmp_path: Path) -> None:
    app, run = opened, tmp_path / "run"
    fill(app)
    assert app.state["train"]["groups"] == ["mapping", "geometry", "upsampler"]
    app.click("train_start")
    app.wait("a run", lambda s: s["train"]["state"] == "training")
    trained(app, 2)
    # While it is trained it can be looked at, and is renewed.
    app.click("train_watch")
    first = app.wait("it to look at", lambda s: s["train"]["live"] >= 0)["train"]["live"]
    app.wait("it open", lambda s: s["model_path"] == str(run / "live.json"))
    app.wait("it anew", lambda s: s["train"]["live"] > first)
    app.wait("all samples", lambda s: s["train"]["samples"] == 8)
    steps = app.state["steps"]
    place = app.state["widgets"]["train_samples"][:2]
    app.slide("train_samples", 0.4, 0.6, hold=0.5)
    # To the right turns noses to the right, as on the picture: the camera's yaw falls.
    app.wait("turned samples", lambda s: s["train"]["yaw"] < -10)
    assert app.state["widgets"]["train_samples"][:2] == place
    assert app.state["recipe"]["pose"]["yaw"] == app.state["home"]["yaw"]
    # However often it was renewed: no step of the history but its opening.
    assert app.state["steps"] == steps
    app.click("train_pause")
    app.wait("a pause", lambda s: s["train"]["state"] == "paused")
    app.click("train_pause")
    app.wait("training again", lambda s: s["train"]["state"] == "training")
    goes_back_and_forth(app)
    app.click("train_stop")
    app.wait("the end", lambda s: s["train"]["state"] == "over")
    assert app.state["train"]["model"] == str(run / "model.json")
    app.click("train_result")
    app.wait("it open", lambda s: s["model_path"] == str(run / "model.json"))
    # And on.
    step = app.state["train"]["step"]
    app.click("train_resume")
    app.wait("it to go on", lambda s: s["train"]["state"] == "training")
    trained(app, step + 1)
    app.click("train_stop")
    app.wait("the end", lambda s: s["train"]["state"] == "over")


def test_what_is_wrong_is_one_sentence_and_a_dead_run_goes_on(
    as_started: App, tmp_path: Path
) -> None:
    app, run = as_started, tmp_path / "run"
    app.click("train_start")
    app.wait("what is missing", lambda _s: any("Choose the pictures" in n for n in app.notices()))
    app.fill("train_data", "nothing")
    app.click("train_look")
    app.wait("the reason", lambda _s: any("nothing" in n for n in app.notices()))
    fill(app)
    app.click("train_start")
    app.wait("a run", lambda s: s["train"]["state"] == "training")
    trained(app, 1)
    children = Path(f"/proc/{app.process.pid}/task/{app.process.pid}/children").read_text()
    training = [
        int(pid)
        for pid in children.split()
        if int(pid) not in (app.state["engine_pid"],)
        and "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    ]
    assert len(training) == 1
    os.kill(training[0], signal.SIGKILL)
    app.wait("the news", lambda _s: any("killed by signal 9" in n for n in app.notices()))
    assert app.state["train"]["state"] == "over"
    app.click("train_resume")
    app.wait("it to go on", lambda s: s["train"]["state"] == "training")
    trained(app, 2)
    # Leaving asks, and keeps it.
    app.ask_to_close()
    app.wait("the question", lambda s: s["project"]["question"] is not None)
    app.click("train_end")
    assert app.ended(60) == 0
    assert (run / "model.json").is_file()
