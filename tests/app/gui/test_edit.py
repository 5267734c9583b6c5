"""Editing faces in the real window: the stack by mouse, texts, ways of the model, files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.editing.directions import Direction, write_direction
from engine.edits import Offset
from tests.app.gui.driver import App, State
from tests.app.gui.test_mixing import press, reveal

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def window(display: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A window of its own: the process that finds edits comes and goes with it."""
    folder = tmp_path_factory.mktemp("edit")
    model = folder / "Study head.head"
    model.touch()
    with App(folder, display, model) as app:
        app.resize(1280, 940)
        yield app


@pytest.fixture
def face(window: App) -> App:
    """Seed 5 without edits, nothing tried out."""
    window.point(*window.middle())
    window.key("Escape", "Escape", "Home")
    if window.state["edit"]["trial"]:
        press(window, "edit_discard")
    window.wait("nothing sought", lambda s: s["edit"]["seeking"] is None)
    while window.state["recipe"].get("edits"):
        count = len(edits(window.state))
        if window.state["edit"]["chosen"] != 0:
            press(window, "edit_0")
        press(window, "edit_0_remove")
        window.wait("one less", lambda s, n=count: len(edits(s)) < n)  # type: ignore[misc]
    window.point(*window.middle())
    window.settled()
    return window


def edits(state: State) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = state["recipe"].get("edits", [])
    return found


def direction(app: App, name: str, value: float) -> Path:
    """The files of a direction of the head's first colours."""
    return write_direction(
        app.folder / name, Direction(name, Offset.of(np.full((1, 6), value)), "other", "head")
    )


def load(app: App, name: str, value: float = 1.0) -> None:
    """Add an edit from files, by mouse and keyboard."""
    count = len(edits(app.state))
    direction(app, name, value)
    press(app, "edit_load")
    app.wait("the question", lambda s: s["project"]["prompt"] == "open direction")
    app.wait("its box", lambda s: "prompt_path" in s["active"])
    app.fill("prompt_path", f"{name}.json")  # in the folder of exports
    app.point(*app.middle())
    app.settled(lambda s: len(edits(s)) == count + 1)


def test_a_loaded_direction_is_a_slider_and_seen(face: App) -> None:
    app, before = face, face.picture()
    load(app, "darker", -2.0)
    assert [e["name"] for e in edits(app.state)] == ["darker"]
    assert np.abs(app.picture() - before).mean() > 2
    steps = app.state["steps"]
    reveal(app, "edit_0_strength")
    app.slide("edit_0_strength", 0.6, 0.95)
    app.settled(lambda s: edits(s)[0]["strength"] > 4)
    assert app.state["steps"] == steps + 1
    app.point(*app.middle())
    app.key("ctrl+z")
    app.settled(lambda s: edits(s)[0]["strength"] == 1.0)


def test_a_mistake_right_after_the_key_that_opens_a_box_is_told(face: App) -> None:
    """What was typed ahead of the box is done after a frame, not in a callback of the toolkit."""
    face.xdotool("key", "--delay", 1, "e", "Return")
    face.wait("the sentence", lambda s: any("Write what" in text for _, text in s["notices"]))


def test_a_double_click_centres_the_slider(face: App) -> None:
    app, before = face, face.picture()
    load(app, "darker", -2.0)
    x, y, width, height = reveal(app, "edit_0_strength")
    app.point(x + width * 0.8, y + height / 2)
    app.xdotool("click", "--repeat", 2, "--delay", 90, 1)
    app.wait("the middle", lambda s: edits(s)[0]["strength"] == 0.0)
    app.point(*app.middle())
    app.settled(lambda s: edits(s)[0]["strength"] == 0.0)
    assert np.abs(app.picture() - before).mean() < 0.5
    reveal(app, "edit_0_number")
    app.retype("edit_0_number", "-7.5")
    app.settled(lambda s: edits(s)[0]["strength"] == -7.5)


def test_edits_are_muted_locked_moved_and_removed(face: App) -> None:
    app, before = face, face.picture()
    load(app, "one", -2.0)
    load(app, "two", 0.5)
    app.wait("its tools", lambda s: s["edit"]["chosen"] == 1)
    press(app, "edit_1_up")
    app.settled(lambda s: [e["name"] for e in edits(s)] == ["two", "one"])
    assert app.state["edit"]["chosen"] == 0
    press(app, "edit_1_on")
    press(app, "edit_0_on")
    app.point(*app.middle())
    app.settled(lambda s: all(e.get("muted") for e in edits(s)))
    assert np.abs(app.picture() - before).mean() < 0.5
    press(app, "edit_0_on")
    reveal(app, "edit_0_lock")
    app.choose("edit_0_lock", 1, "Only the shape")
    app.point(*app.middle())
    app.settled(lambda s: edits(s)[0].get("rows") == [0, 1, 2, 3])
    press(app, "edit_0_remove")
    app.settled(lambda s: [e["name"] for e in edits(s)] == ["one"])


def test_an_edit_is_saved_for_others(face: App) -> None:
    app = face
    load(app, "shared", 0.7)
    press(app, "edit_0_save")
    app.wait("the question", lambda s: s["project"]["prompt"] == "save direction")
    app.fill("prompt_path", "given.json")
    app.wait("the file", lambda _s: any("given.json" in text for text in app.notices()))
    plain = json.loads((app.folder / "given.json").read_text())
    assert plain["name"] == "shared" and (app.folder / "given.safetensors").exists()


def test_an_edit_is_renamed_and_saved_under_its_name(face: App) -> None:
    app = face
    load(app, "before", 0.7)
    app.wait("its tools", lambda s: s["edit"]["chosen"] == 0)
    reveal(app, "edit_0_name")
    app.fill("edit_0_name", "Darker lips")
    app.wait("the name", lambda s: edits(s)[0]["name"] == "Darker lips")
    press(app, "edit_0_save")
    app.wait("the question", lambda s: s["project"]["prompt"] == "save direction")
    app.fill("prompt_path", "named.json")
    app.wait("the file", lambda _s: any("named.json" in text for text in app.notices()))
    plain = json.loads((app.folder / "named.json").read_text())
    assert plain["name"] == "Darker lips" and plain["details"] == {"strength": 1.0}
    app.key("ctrl+z")
    app.settled(lambda s: edits(s)[0]["name"] == "before")


def test_edits_stay_on_another_face(face: App) -> None:
    app = face
    load(app, "kept", 1.0)
    app.point(*app.middle())
    app.key("bracketright")
    state = app.settled(lambda s: len(edits(s)) == 1)
    assert state["recipe"]["seed"] != 5 and edits(state)[0]["name"] == "kept"


def test_just_enough_can_be_chosen(face: App) -> None:
    app = face
    press(app, "edit_direction")
    press(app, "edit_just_enough")
    app.wait("chosen", lambda s: s["edit"]["just_enough"])
    press(app, "edit_just_enough")
    app.wait("no longer", lambda s: not s["edit"]["just_enough"])


def test_an_optimised_face_is_watched_turned_and_kept(face: App) -> None:
    app, before = face, face.picture()
    app.key("e")
    app.wait("the keyboard in the text", lambda s: "edit_text" in s["active"])
    press(app, "edit_optimise")
    reveal(app, "edit_text")
    app.fill("edit_text", "a person with dark skin")
    app.wait("a step", lambda s: s["edit"]["trial"] and s["edit"]["trial"][0] >= 2, 90)
    steps = app.state["steps"]
    app.drag(50, 0)
    app.wait("it turns", lambda s: s["recipe"]["pose"]["yaw"] != s["home"]["yaw"])
    app.wait("more", lambda s: s["edit"]["trial"] and s["edit"]["trial"][0] >= 6, 90)
    assert edits(app.state) == [] and app.state["steps"] <= steps + 1
    press(app, "edit_keep")
    app.wait("one edit", lambda s: len(edits(s)) == 1)
    app.point(*app.middle())
    app.key("Home")
    app.settled(lambda s: s["edit"]["seeking"] is None and s["recipe"]["pose"] == s["home"])
    assert np.abs(app.picture() - before).mean() > 0.5
    app.key("ctrl+z", "ctrl+z")
    app.settled(lambda s: edits(s) == [])


def test_discarding_takes_it_back(face: App) -> None:
    app, before = face, face.picture()
    press(app, "edit_optimise")
    reveal(app, "edit_text")
    app.fill("edit_text", "a person with dark skin")
    app.wait("a step", lambda s: s["edit"]["trial"], 90)
    press(app, "edit_discard")
    app.wait("no trial", lambda s: s["edit"]["trial"] is None)
    app.wait("stopped", lambda s: s["edit"]["seeking"] is None)
    app.point(*app.middle())
    app.settled()
    assert np.abs(app.picture() - before).mean() < 0.5 and edits(app.state) == []


def test_ways_of_the_model_are_drawn_and_chosen(face: App) -> None:
    app = face
    press(app, "edit_ways")
    app.wait("the ways", lambda s: s["ways"] and len(s["ways"]["names"]) == 6, 90)
    app.wait("their pictures", lambda s: s["ways"]["drawn"] == 6)
    app.click("way_1_more")
    app.wait("an edit", lambda s: len(edits(s)) == 1)
    (edit,) = edits(app.state)
    assert edit["name"] == "Component 2" and edit["strength"] == 2.0
    app.click("ways_sefa")
    app.wait("the reason", lambda s: "cannot be looked into" in s["texts"]["ways_state"])
    app.key("Escape")
    app.wait("closed", lambda s: s["ways"] is None)


def test_an_empty_text_and_a_wrong_encoder_are_told_in_a_sentence(face: App) -> None:
    app = face
    reveal(app, "edit_text")
    app.fill("edit_text", "x")
    app.wait("sought or found", lambda s: s["edit"]["seeking"] or s["edit"]["trial"])
    press(app, "edit_stop")
    app.wait("stopped", lambda s: s["edit"]["seeking"] is None)
    app.click("settings")
    app.fill("text_encoder", "no.pt")
    app.wait("the sentence", lambda _s: any("no CLIP weights" in t for t in app.notices()))
    app.click("text_encoder")
    app.xdotool("key", "ctrl+a", "key", "BackSpace")
    app.click("text_encoder_try")
    app.wait("the bundled one", lambda _s: any("bundled" in t for t in app.notices()))
    app.key("Escape")
