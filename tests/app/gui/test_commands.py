"""The palette, the keys and the tooltips in the real window."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.commands import COMMANDS
from tests.app.gui.driver import App

pytestmark = pytest.mark.gui


def ask_palette(app: App, query: str) -> list[str]:
    """Open the palette and type; the names that it lists."""
    app.key("ctrl+p")
    app.wait("the palette", lambda s: s["palette"] is not None)
    app.wait("the keyboard in it", lambda s: "palette_query" in s["active"])
    app.type(query)
    app.wait("what was typed", lambda s: s["texts"]["palette_query"] == query)
    listed: list[str] = app.still()["palette"]["listed"]
    return listed


def test_a_command_is_found_chosen_and_done(app: App) -> None:
    assert ask_palette(app, "from the side")[0] == "look_left"
    app.key("Return")
    state = app.settled(lambda s: s["recipe"]["pose"]["yaw"] == 90)
    assert state["palette"] is None


def test_what_is_typed_right_after_the_key_is_in_the_box(app: App) -> None:
    before = app.state["recipe"]
    app.xdotool("key", "ctrl+p", "type", "--delay", 12, "--", "depth")
    app.wait("the command", lambda s: s["palette"] and s["palette"]["listed"][:1] == ["view_depth"])
    # Its first letters can be taken back, too.
    app.xdotool("key", "--repeat", 5, "--delay", 60, "BackSpace")
    app.wait("all commands", lambda s: len(s["palette"]["listed"]) == len(COMMANDS) - 1)
    app.key("Escape")
    app.wait("no palette", lambda s: s["palette"] is None and not s["active"])
    app.xdotool("key", "--delay", 12, "ctrl+g", "1", "3", "7", "Return")
    state = app.settled(lambda s: s["recipe"]["seed"] != before["seed"])
    assert state["recipe"] == {**before, "seed": 137}


def test_the_arrows_choose_and_escape_closes(app: App) -> None:
    listed = ask_palette(app, "look from")
    assert listed[:3] == ["look_front", "look_left", "look_top"]
    app.key("Down", "Down", "Down", "Up")
    app.wait("the third", lambda s: s["palette"]["chosen"] == 2)
    # The arrows chose; they did not turn the head, and letters were text.
    assert app.state["recipe"]["pose"] == app.state["home"]
    assert app.state["recipe"]["view"] == "picture"
    app.key("Return")
    app.settled(lambda s: s["recipe"]["pose"]["pitch"] == 89)
    ask_palette(app, "depth")
    app.key("Escape")
    app.wait("no palette", lambda s: s["palette"] is None)
    assert app.settled()["recipe"]["view"] == "picture"


def test_the_palette_without_a_query_lists_everything_and_takes_the_mouse(app: App) -> None:
    assert len(ask_palette(app, "")) == len(COMMANDS) - 1
    app.key("Escape")
    listed = ask_palette(app, "normals")
    assert listed[0] == "view_normals"
    app.click("palette_0")
    app.settled(lambda s: s["recipe"]["view"] == "normals" and s["palette"] is None)


def test_a_click_beside_the_palette_closes_it(app: App) -> None:
    ask_palette(app, "")
    x, y = app.middle()
    app.point(x, y + 260)
    app.xdotool("click", 1)
    app.wait("no palette", lambda s: s["palette"] is None)


def test_what_cannot_be_done_now_stays_with_its_reason(app: App) -> None:
    assert ask_palette(app, "start the engine")[0] == "engine_restart"
    app.key("Return")
    app.wait("the reason", lambda s: ["info", "The engine is running."] in s["notices"])
    assert app.state["palette"] is not None
    app.key("Escape")


def test_keys_are_letters_while_somebody_types(app: App) -> None:
    app.fill("model_path", "drnp7", enter=False)
    state = app.settled()
    assert state["recipe"]["view"] == "picture" and state["recipe"]["pose"] == state["home"]
    assert state["texts"]["model_path"] == "drnp7"
    app.fill("model_path", "x", enter=False)
    app.key("BackSpace")
    app.point(*app.middle())
    app.xdotool("click", 3)
    app.settled()


def test_every_control_has_a_tooltip(app: App, workplace: Path) -> None:
    # What appears only at times has its own, too: a job that is over, and a mistake.
    app.click("tab_picture")
    app.fill("picture_path", str(workplace / "tipped.png"))
    app.wait("the picture", lambda s: any(job[2] == "finished" for job in s["jobs"]))
    app.key("Escape", "ctrl+j")
    app.wait("the jobs", lambda s: s["jobs_open"])
    app.fill("picture_path", "wrong.txt")
    app.wait("a notice", lambda s: s["notices"])
    assert without_tip(app) == []
    app.key("Escape")


def test_every_answer_has_a_tooltip(app: App, workplace: Path) -> None:
    # A question of the exports, one of the projects, and a path that is wanted.
    path = workplace / "there.png"
    path.write_bytes(b"")
    app.click("tab_picture")
    app.fill("picture_path", str(path))
    app.wait("a question", lambda s: "confirm_yes" in s["widgets"])
    assert without_tip(app) == []
    app.key("Escape", "r", "ctrl+n")
    app.wait("a question", lambda s: "unsaved_save" in s["widgets"])
    assert without_tip(app) == []
    app.key("Escape", "ctrl+shift+s")
    app.wait("a path", lambda s: "prompt_ok" in s["widgets"])
    assert without_tip(app) == []
    app.key("Escape")
    assert path.read_bytes() == b""


def without_tip(app: App) -> list[str]:
    """Controls of the window as it is now that have no tooltip."""
    return app.asked("tips").splitlines()
