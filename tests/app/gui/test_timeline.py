"""The timeline in the real window: keys, scrubbing, playing, filming, undo, with a real mouse."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.export.picture import read_recipe
from engine.timeline import load_timeline
from tests.app.gui.driver import App, State
from tests.app.gui.test_window import difference

pytestmark = pytest.mark.gui


@pytest.fixture
def line(app: App) -> Iterator[App]:
    """The timeline open and empty, seed 5 seen from the front, the playhead at the start."""
    if not app.state["timeline"]["open"]:
        app.key("t")
    app.wait("the timeline", lambda s: s["timeline"]["open"])
    if app.state["timeline"]["keys"]:
        app.click("timeline_clear")
    if app.state["timeline"]["loop"]:
        app.click("timeline_loop")
    app.retype("timeline_length", "5")
    app.fill("seed", "5")
    app.wait(
        "an empty timeline", lambda s: not s["timeline"]["keys"] and s["timeline"]["duration"] == 5
    )
    at_time(app, 0.0)
    app.point(*app.middle())
    app.settled(lambda s: s["recipe"]["seed"] == 5 and s["timeline"]["time"] == 0)
    yield app
    app.point(*app.middle())
    app.key("Escape")
    if app.state["timeline"]["playing"]:
        app.key("space")
    app.key("t")
    app.wait("it put away", lambda s: not s["timeline"]["open"])


def keys(state: State) -> list[list[Any]]:
    return state["timeline"]["keys"]  # type: ignore[no-any-return]


def ruler(app: App, seconds: float) -> tuple[float, float]:
    """The point of the ruler at a time."""
    x, y, width, height = app.state["widgets"]["timeline_ruler"]
    return x + width * seconds / app.state["timeline"]["duration"], y + height / 2


def at_time(app: App, seconds: float) -> State:
    """Click on the ruler."""
    app.point(*ruler(app, seconds))
    app.xdotool("click", 1)
    return app.wait(
        f"the playhead at {seconds}", lambda s: abs(s["timeline"]["time"] - seconds) < 0.03
    )


def two_keys(app: App) -> State:
    """Seed 5 from the front at 0 s, seed 9 turned away at 4 s."""
    app.click("timeline_add")
    app.wait("a key", lambda s: len(keys(s)) == 1)
    at_time(app, 4.0)
    app.fill("seed", "9")
    app.drag(90, 0)
    app.click("timeline_add")
    app.point(*app.middle())
    return app.settled(lambda s: len(keys(s)) == 2, "two keys")


def test_it_takes_room_only_while_it_is_shown(line: App) -> None:
    shown = line.state
    strip = shown["widgets"]["timeline_ruler"]
    assert shown["picture"][1] + shown["picture"][3] < strip[1]
    line.key("t")
    # Now the columns are what limits it.
    hidden = line.wait("a larger picture", lambda s: s["picture"][3] > shown["picture"][3] + 30)
    assert not hidden["timeline"]["open"] and "timeline_ruler" not in hidden["widgets"]
    line.click("timeline")
    line.wait("the timeline", lambda s: s["picture"] == shown["picture"])


def test_two_keys_are_added_scrubbed_and_undone(line: App) -> None:
    front = line.picture()
    state = two_keys(line)
    (first, second), steps = keys(state), state["steps"]
    assert first[0] == 0 and first[2] == 5 and second[2] == 9 and second[1] != first[1]
    assert abs(second[0] - 4) < 0.03
    turned = line.picture()
    # The picture follows the mouse before it is let go, and one drag is one step.
    line.point(*ruler(line, 4.0))
    line.press()
    for seconds in (3.0, 2.0, 1.0):
        line.point(*ruler(line, seconds))
    held = line.wait(
        "the picture of that moment",
        lambda s: (
            abs(s["timeline"]["time"] - 1) < 0.03
            and s["frame"]["recipe"]["pose"] == s["recipe"]["pose"]
        ),
    )
    line.point(*ruler(line, 2.0))
    line.release()
    line.point(*line.middle())
    half = line.settled(lambda s: abs(s["timeline"]["time"] - 2) < 0.03)
    assert held["recipe"]["fades"] and half["steps"] == steps + 1
    assert min(first[1], second[1]) < half["recipe"]["pose"]["yaw"] < max(first[1], second[1])
    between = line.picture()
    assert difference(between, front) > 1 and difference(between, turned) > 1
    line.key("ctrl+z")
    state = line.settled(lambda s: s["recipe"]["seed"] == 9 and "fades" not in s["recipe"])
    assert difference(line.picture(), turned) < 0.5
    line.key("ctrl+z")
    line.wait("one key", lambda s: len(keys(s)) == 1)
    line.key("ctrl+shift+z")
    line.wait("two keys", lambda s: keys(s) == [first, second])


def test_the_path_is_drawn_over_the_head(line: App) -> None:
    two_keys(line)
    line.key("t")
    line.wait("it put away", lambda s: not s["timeline"]["open"])

    def accents() -> int:
        # The accent's own clay colour, which neither the head nor its background has.
        return int((np.abs(line.picture() - (217, 146, 95)).max(axis=-1) < 25).sum())

    line.still()
    without = accents()
    line.key("t")
    line.wait("it back", lambda s: s["timeline"]["open"])
    line.still()
    assert accents() > without + 100


def test_keys_are_gone_to_dragged_eased_copied_and_deleted(line: App) -> None:
    front = line.picture()
    state = two_keys(line)
    second = keys(state)[1]
    line.click("timeline_key_0")
    line.point(*line.middle())
    state = line.settled(lambda s: s["timeline"]["selected"] == 0 and s["recipe"]["seed"] == 5)
    assert difference(line.picture(), front) < 0.5
    # The small lines of this list lie closer: the second place is that of the third.
    line.choose("timeline_easing", 1, "Ease out")
    line.wait("the easing", lambda s: keys(s)[0][3] == "ease-out")
    # Drag the second key from 4 s to 2 s: one step.
    steps = line.state["steps"]
    x, y = line.state["widgets"]["timeline_key_1"][:2]
    line.point(x + 7, y + 7)
    line.press()
    for seconds in (3.5, 3.0, 2.5, 2.0):
        line.point(ruler(line, seconds)[0], y + 7)
    line.release()
    state = line.wait("the key at 2 s", lambda s: abs(keys(s)[1][0] - 2) < 0.03)
    assert state["steps"] == steps + 1 and keys(state)[1][1:] == second[1:]
    at_time(line, 5.0)
    line.click("timeline_key_1")
    line.wait("it chosen", lambda s: s["timeline"]["selected"] == 1)
    line.click("timeline_duplicate")
    state = line.wait("a copy a second on", lambda s: len(keys(s)) == 3)
    assert abs(keys(state)[2][0] - 3) < 0.03 and state["timeline"]["selected"] == 2
    line.point(*line.middle())
    line.key("Delete")
    line.wait("the copy gone", lambda s: len(keys(s)) == 2 and s["timeline"]["selected"] is None)
    for _ in range(3):
        line.key("ctrl+z")
    line.wait("the key back at 4 s", lambda s: len(keys(s)) == 2)


def test_it_plays_in_real_time_and_stops_where_it_should(line: App) -> None:
    two_keys(line)
    at_time(line, 2.0)
    line.point(*line.middle())
    frames, steps = line.settled()["frame"]["count"], line.state["steps"]
    began = time.monotonic()
    line.key("space")
    line.wait("playing", lambda s: s["timeline"]["playing"])
    state = line.wait("the end", lambda s: not s["timeline"]["playing"], 12)
    spent = time.monotonic() - began
    # Three seconds were left; the window's own reports cost some.
    assert 2.5 < spent < 4.5 and abs(state["timeline"]["time"] - 5) < 0.05
    state = line.settled(lambda s: s["recipe"]["seed"] == 9)
    assert state["frame"]["count"] > frames + 5 and state["steps"] == steps + 1
    # In a loop it goes on, until it is stopped or the head is turned.
    line.click("timeline_loop")
    line.click("timeline_play")
    line.wait("playing", lambda s: s["timeline"]["playing"])
    line.wait("past the end", lambda s: 0.2 < s["timeline"]["time"] < 2, 12)
    assert line.state["timeline"]["playing"]
    line.drag(40, 0)
    state = line.wait("stopped", lambda s: not s["timeline"]["playing"])
    assert state["notices"] == []


def test_a_video_of_it_is_filmed_while_work_goes_on(line: App, workplace: Path) -> None:
    two_keys(line)
    line.retype("timeline_fps", "4")
    line.wait("the rate", lambda s: s["timeline"]["fps"] == 4)
    line.click("timeline_export")
    state = line.wait("an export", lambda s: s["exports"].get("video"))
    # The head can be turned meanwhile, and the video does not follow.
    line.drag(30, 0)
    state = line.wait("the video", lambda s: s["exports"]["video"]["state"] == "finished")
    import av

    with av.open(state["exports"]["video"]["path"]) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        assert len(frames) == 21 and container.streams.video[0].average_rate == 4
    # 4 s is the second key; from there on nothing moves.
    assert np.abs(frames[0].astype(int) - frames[16]).mean() > 2
    assert np.abs(frames[16].astype(int) - frames[20]).mean() < 0.5
    line.choose("video_format", 2, "PNG sequence")
    line.fill("video_path", str(workplace / "frames"), enter=False)
    line.click("timeline_export")
    line.wait(
        "the pictures",
        # Then its line has gone, which lies below the list that is dropped down.
        lambda s: (
            (workplace / "frames" / "frame_0021.png").exists()
            and s["exports"]["video"]["state"] == "finished"
        ),
    )
    line.still()
    middle = read_recipe(workplace / "frames" / "frame_0009.png")
    assert middle.fades and read_recipe(workplace / "frames" / "frame_0021.png").seed == 9
    line.choose("video_format", 0, "MP4 (H.264)")
    line.choose("video_trajectory", 0, "Orbit")
    line.click("tab_picture")
    line.retype("timeline_fps", "25")


def test_a_path_is_saved_and_loaded(line: App, workplace: Path) -> None:
    state = two_keys(line)
    kept, path = keys(state), workplace / "way.json"
    line.click("timeline_save")
    line.wait("the question", lambda s: s["project"]["prompt"] == "save timeline")
    line.fill("prompt_path", str(path))
    line.wait("it saved", lambda s: s["project"]["prompt"] is None and path.exists())
    assert len(load_timeline(path).keys) == 2
    line.click("timeline_clear")
    line.wait("none", lambda s: not keys(s))
    line.click("timeline_load")
    line.wait("the question", lambda s: s["project"]["prompt"] == "open timeline")
    line.fill("prompt_path", str(path))
    line.wait("them back", lambda s: keys(s) == kept and s["project"]["prompt"] is None)
    line.key("ctrl+z")
    line.wait("none", lambda s: not keys(s))


def test_what_cannot_be_done_is_switched_off(line: App) -> None:
    off = set(line.state["disabled"])
    assert {
        "timeline_play", "timeline_next", "timeline_previous", "timeline_duplicate",
        "timeline_delete", "timeline_easing", "timeline_clear", "timeline_save", "timeline_export",
    } <= off  # fmt: skip
    assert not {"timeline_add", "timeline_load", "timeline_length", "timeline_loop"} & off
    line.key("space")
    line.wait("why", lambda s: any("no keys yet" in text for _, text in s["notices"]))
    line.key("k")
    line.wait("a key", lambda s: len(keys(s)) == 1)
    # What is shown is kept already, and there is nothing yet to play.
    line.wait("that", lambda s: {"timeline_add", "timeline_play"} <= set(s["disabled"]))
    line.wait("the rest", lambda s: not {"timeline_delete", "timeline_save"} & set(s["disabled"]))
    # Space and T are letters while a box is typed in.
    line.fill("seed", "5 t", enter=False)
    assert line.state["timeline"]["open"]
    line.fill("seed", "5")
