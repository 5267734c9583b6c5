"""Sections that fold, in the real window: remembered, reset, and room for what is below."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from app.geometry import STATUS_HEIGHT
from tests.app.gui.driver import App, State

pytestmark = pytest.mark.gui
Start = Callable[[], App]

SECTIONS = ("model", "identity", "faces", "blend", "style_mixing", "camera", "export")


def top(state: State, widget: str) -> float:
    place: list[float] = state["widgets"][widget]
    return place[1]


def brightness(app: App) -> float:
    """Mean grey level of the upper part of the left column, letters and all."""
    left, top_edge = app._origin()
    box = (left + 4, top_edge + 56, left + 260, top_edge + 300)
    return float(np.asarray(app.screenshot().crop(box), dtype=float).mean())


def test_the_colours_switch_live_and_are_remembered(start: Start) -> None:
    app = start()
    app.point(*app.middle())
    before = app.settled()
    assert before["theme"] == "dark" and brightness(app) < 70
    # A box that is asked for, and gone before it can have the keyboard: nothing fails.
    app.xdotool("key", "ctrl+g", "ctrl+plus")
    app.settled(lambda s: s["ui_scale"] == 1.1)
    app.key("ctrl+minus")
    app.settled(lambda s: s["ui_scale"] == 1.0)
    app.fill("picture_path", "/somewhere/face.png", enter=False)
    app.click("settings")
    # Where it is once it has been drawn more than once.
    place = app.settled(lambda s: s["widgets"]["theme"][2] > 1)["widgets"]["theme"]
    app.choose("theme", 1, "Light")
    app.settled(lambda s: s["theme"] == "light")
    # The window of the settings is where it was, and works on.
    app.wait("the settings", lambda s: s["settings_open"] and s["widgets"]["theme"] == place)
    items, textures = app.asked("items"), app.asked("textures")
    app.choose("theme", 0, "Dark")
    app.settled(lambda s: s["theme"] == "dark" and s["settings_open"])
    app.choose("theme", 1, "Light")
    app.settled(lambda s: s["theme"] == "light" and s["settings_open"])
    app.choose("ui_scale", 3, "110%")
    app.settled(lambda s: s["ui_scale"] == 1.1 and s["settings_open"])
    app.choose("ui_scale", 2, "100%")
    app.settled(lambda s: s["ui_scale"] == 1.0 and s["settings_open"])
    # Nothing is left of what was there. (The fonts of both sizes were there before, and are kept.)
    assert app.asked("items") == items and app.asked("parts") == "1"
    # The toolkit would leak each that is made anew: a megabyte a change of colours.
    assert app.asked("textures") == textures
    app.click("settings_close")
    app.wait("the settings gone", lambda s: not s["settings_open"])
    app.point(*app.middle())
    state = app.wait("light panels", lambda _state: brightness(app) > 190)
    # What was typed stays, and so does the document.
    assert state["texts"]["picture_path"] == "/somewhere/face.png"
    assert state["recipe"] == before["recipe"]
    app.ask_to_close()
    assert app.ended() == 0

    again = start()
    again.point(*again.middle())
    again.settled(lambda s: s["theme"] == "light")
    assert brightness(again) > 190
    again.key("ctrl+p")
    again.wait("the keyboard", lambda s: "palette_query" in s["active"])
    again.type("dark and light")
    again.key("Return")
    again.settled(lambda s: s["theme"] == "dark")
    again.wait("dark panels", lambda _state: brightness(again) < 70)


def test_with_the_model_folded_style_mixing_is_seen_at_720_lines(start: Start) -> None:
    app = start()
    app.resize(1280, 720)
    state = app.settled(lambda s: s["window"] == [1280, 720])
    app.click("fold_model")
    app.settled(lambda s: s["folded"] == ["model"])
    state = app.wait("room", lambda s: top(s, "fold_identity") < top(state, "fold_identity") - 100)
    _, y, _, height = state["widgets"]["mix_add"]
    assert y + height <= 720 - STATUS_HEIGHT


def test_what_is_folded_is_remembered_and_can_be_reset(start: Start) -> None:
    app = start()
    before = app.settled()
    for name in SECTIONS:
        app.click(f"fold_{name}")
        # What stands below moves up a frame later.
        app.settled(lambda s, n=name: n in s["folded"])
    folded = app.settled()
    # Only headings are left: each stands close below the one above it.
    tops = [top(folded, f"fold_{name}") for name in SECTIONS[:5]]
    assert all(20 < b - a < 50 for a, b in itertools.pairwise(tops))
    app.click("fold_camera")
    app.settled(lambda s: "camera" not in s["folded"])
    app.ask_to_close()
    assert app.ended() == 0

    again = start()
    state = again.settled()
    assert set(state["folded"]) == set(SECTIONS) - {"camera"}
    assert [top(state, f"fold_{name}") for name in SECTIONS[:5]] == tops
    # What a command needs is unfolded for it.
    again.point(*again.middle())
    again.key("ctrl+p")
    again.wait("the keyboard", lambda s: "palette_query" in s["active"])
    again.type("prepare a mesh")
    again.key("Return")
    again.settled(lambda s: "export" not in s["folded"])
    again.key("ctrl+p")
    again.wait("the keyboard", lambda s: "palette_query" in s["active"])
    again.type("reset the layout")
    again.key("Return")
    state = again.settled(lambda s: s["folded"] == [] and s["palette"] is None)
    assert top(state, "fold_style_mixing") == top(before, "fold_style_mixing")
