"""Projects in the real window: saved and opened by keys, recovered after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.project import read_project
from tests.app.gui.driver import App, State
from tests.app.gui.test_window import difference

pytestmark = pytest.mark.gui
Start = Callable[..., App]


def project(state: State) -> State:
    found: State = state["project"]
    return found


@pytest.fixture
def start(display: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts windows, one after the other, that remember the same things."""
    monkeypatch.setenv("HOME", str(tmp_path))
    windows: list[App] = []
    model = tmp_path / "Study head.head"
    model.write_text("a head")

    def begin(opened: Path = model) -> App:
        # What an earlier window said about itself is no news.
        app = App(tmp_path, display, opened)
        windows.append(app)
        app.wait("the first picture", lambda s: s["frame"] and s["engine"] == "READY")
        app.point(*app.middle())
        return app

    yield begin
    for app in windows:
        app.close()
        app.check_log()


def titled(app: App, title: str) -> None:
    """Wait until that stands in the title bar: it follows within a frame."""
    end = time.monotonic() + 5
    while app.title != title:
        assert time.monotonic() < end, app.title
        time.sleep(0.05)


def work(app: App) -> np.ndarray:
    """Some edits; the picture that they lead to."""
    app.key("r")
    app.drag(90, 25)
    app.settled(lambda s: s["steps"] == 2)
    app.key("n")
    app.settled(lambda s: s["recipe"]["view"] == "normals")
    return app.picture()


def test_save_by_keys_and_open_again(start: Start, tmp_path: Path) -> None:
    app = start()
    titled(app, "Untitled - Maquette")
    picture = work(app)
    titled(app, "Untitled* - Maquette")
    app.key("ctrl+s")
    app.wait(
        "the prompt", lambda s: project(s)["prompt"] == "save" and "prompt_path" in s["active"]
    )
    # Keys are text now: no shortcut changes the head behind the box.
    recipe = app.state["recipe"]
    app.type("anna r3")
    app.key("Return")
    app.wait("the file", lambda s: project(s)["title"] == "anna r3")
    titled(app, "anna r3 - Maquette")
    assert app.state["recipe"] == recipe
    path = tmp_path / "anna r3.maquette"
    kept = read_project(path)
    assert kept.document.recipe.to_json() == recipe and kept.thumbnail is not None
    (tmp_path / "thumbnail.png").write_bytes(kept.thumbnail)
    with Image.open(tmp_path / "thumbnail.png") as small:
        # What the window showed: normals are coloured, and large enough to see.
        assert small.size == (96, 96) and np.asarray(small)[..., :3].std() > 20

    app.key("bracketright")
    app.wait("the mark", lambda s: project(s)["dirty"])
    app.key("ctrl+z")
    app.wait("no mark", lambda s: not project(s)["dirty"])
    app.key("ctrl+q")
    assert app.ended() == 0

    again = start(path)
    state = again.settled(lambda s: project(s)["title"] == "anna r3")
    assert state["recipe"] == recipe and state["model"] == "Study head" and not state["can_undo"]
    assert difference(picture, again.picture()) < 0.5


def test_leaving_asks_and_the_answers_hold(start: Start, tmp_path: Path) -> None:
    app = start()
    before = work(app)
    app.ask_to_close()
    app.wait("the question", lambda s: "not saved" in (project(s)["question"] or ""))
    # Everything else waits for the answer.
    recipe = app.state["recipe"]
    app.key("r", "3", "ctrl+z")
    assert app.still()["recipe"] == recipe
    app.click("unsaved_cancel")
    app.wait("no question", lambda s: project(s)["question"] is None)
    app.ask_to_close()
    app.wait("the question", lambda s: project(s)["question"])
    app.key("Escape")
    app.wait("no question", lambda s: project(s)["question"] is None)
    assert difference(before, app.settled() and app.picture()) < 0.5

    app.drop_down("project")
    app.settled()
    x, y, _, height = app.state["widgets"]["project"]
    app.click_on(x + 30, y + height + 26)  # the first line of the menu below
    app.wait("the question", lambda s: project(s)["question"])
    app.click("unsaved_save")
    app.wait("the prompt", lambda s: "prompt_path" in s["active"])
    app.type("kept")
    app.key("Return")
    app.settled(lambda s: project(s)["title"] == "Untitled" and s["recipe"]["seed"] == 0)
    assert read_project(tmp_path / "kept.maquette").document.recipe.to_json() == recipe

    app.point(*app.middle())
    app.key("r")
    app.wait("the mark", lambda s: project(s)["dirty"])
    app.ask_to_close()
    app.click("unsaved_discard")
    assert app.ended() == 0
    assert list((tmp_path / "config" / "state" / "recovery").iterdir()) == []


def test_a_killed_window_is_recovered(start: Start, tmp_path: Path) -> None:
    app = start()
    picture = work(app)
    recipe = app.settled()["recipe"]
    recovery = tmp_path / "config" / "state" / "recovery"
    for _ in range(100):
        if list(recovery.glob("*.maquette")):
            break
        time.sleep(0.05)
    app.kill()
    (left,) = recovery.glob("*.maquette")
    assert read_project(left).document.recipe.to_json() == recipe

    again = start()
    again.wait("the offer", lambda s: "recovered" in (project(s)["question"] or ""))
    again.click("recover_yes")
    state = again.settled(lambda s: s["recipe"] == recipe)
    assert project(state)["title"] == "Untitled*" and not state["can_undo"]
    assert difference(picture, again.picture()) < 0.5
    # Killed once more, it comes back once more: this window keeps it now.
    again.wait("its own file", lambda _s: list(recovery.glob("*.maquette")) != [left])
    again.kill()
    third = start()
    third.wait("the offer", lambda s: "recovered" in (project(s)["question"] or ""))
    third.click("recover_no")
    third.key("ctrl+q")
    assert third.ended() == 0
    assert list(recovery.iterdir()) == []


def test_bad_projects_are_told_in_place(start: Start, tmp_path: Path) -> None:
    app = start()
    app.key("r")
    before = app.settled()["recipe"]
    bad = tmp_path / "bad.maquette"
    bad.write_bytes(b"PK\x03\x04 nothing of ours")
    app.key("ctrl+shift+o")
    app.fill("prompt_path", str(bad))
    app.wait(
        "the sentence", lambda s: "bad.maquette cannot be opened" in s["texts"]["prompt_fault"]
    )
    app.fill("prompt_path", str(tmp_path / "none.maquette"))
    app.wait("the sentence", lambda s: "no project at" in s["texts"]["prompt_fault"])
    app.still()  # the sentence pushes the buttons down
    app.click("prompt_cancel")
    state = app.wait("no prompt", lambda s: project(s)["prompt"] is None)
    assert state["recipe"] == before and state["model"] == "Study head"
    # The same in the box for checkpoints, and on the command line of the window.
    app.fill("model_path", str(bad))
    app.wait("the notice", lambda s: any("cannot be opened" in n[1] for n in s["notices"]))
    assert app.settled()["recipe"] == before


def test_a_lost_model_is_asked_for(start: Start, tmp_path: Path) -> None:
    app = start()
    app.key("r")
    seed = app.settled()["recipe"]["seed"]
    app.key("ctrl+s")
    app.wait("the prompt", lambda s: "prompt_path" in s["active"])
    app.type("anna")
    app.key("Return")
    app.wait("the file", lambda s: project(s)["title"] == "anna")
    app.key("ctrl+q")
    app.ended()
    (tmp_path / "Study head.head").unlink()
    other = tmp_path / "Other head.head"
    other.write_text("another head")

    again = start(tmp_path / "anna.maquette")
    again.wait("the question", lambda s: "no longer" in (project(s)["question"] or ""))
    again.click("model_choose")
    again.fill("prompt_path", str(other))
    state = again.settled(lambda s: s["model"] == "Other head")
    assert state["recipe"]["seed"] == seed and project(state)["title"] == "anna*"


def test_the_history_goes_to_any_step(start: Start) -> None:
    app = start()
    seeds = [0]
    for count in range(1, 5):
        app.key("r")
        seeds.append(app.wait("a step", lambda s, n=count: s["steps"] == n)["recipe"]["seed"])
    app.key("ctrl+h")
    app.click("history_2")
    state = app.settled(lambda s: s["recipe"]["seed"] == seeds[2])
    assert state["steps"] == 2 and state["can_redo"]
    app.click("history_4")
    app.settled(lambda s: s["recipe"]["seed"] == seeds[4] and not s["can_redo"])
    app.click("history_0")
    app.settled(lambda s: s["recipe"]["seed"] == 0 and not s["can_undo"])
    # A new step in the middle drops those after it.
    app.click("history_3")
    app.wait("three steps", lambda s: s["steps"] == 3)
    app.point(app.middle()[0] + 150, app.middle()[1])
    app.key("r")
    app.wait("the fourth", lambda s: s["steps"] == 4 and not s["can_redo"])
    app.key("Escape")
