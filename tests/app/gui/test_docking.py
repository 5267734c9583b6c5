"""Sections and grips dragged with a real mouse: moved, floated, docked, remembered, reset."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.dock import LEAST_HEIGHT
from app.geometry import (
    EMPTY_WIDTH,
    LEAST_WIDTH,
    LEFT_WIDTH,
    RIGHT_WIDTH,
    STATUS_HEIGHT,
    TIMELINE_HEIGHT,
)
from tests.app.gui.driver import App, State

pytestmark = pytest.mark.gui
Start = Callable[[], App]
Point = tuple[float, float]


def columns(app: App) -> tuple[list[str], list[str]]:
    """The sections of both columns, from top to bottom."""
    dock = app.state["dock"]
    return dock["left"], dock["right"]


def without(keys: list[str], *gone: str) -> list[str]:
    return [key for key in keys if key not in gone]


def before(keys: list[str], key: str, other: str) -> list[str]:
    """The column with one section in front of another."""
    rest = without(keys, key)
    place = rest.index(other)
    return [*rest[:place], key, *rest[place:]]


def box(state: State, widget: str) -> tuple[float, float, float, float]:
    x, y, width, height = state["widgets"][widget]
    return x, y, width, height


def middle(app: App, widget: str) -> Point:
    x, y, width, height = box(app.state, widget)
    return x + width / 2, y + height / 2


def take(app: App, start: Point, *way: Point) -> None:
    """Press at a point and move, without letting go."""
    app.point(*start)
    app.press()
    x, y = start
    for to_x, to_y in way:
        for step in range(1, 6):
            app.point(x + (to_x - x) * step / 5, y + (to_y - y) * step / 5)
        x, y = to_x, to_y
    app.still()


def drop(app: App) -> None:
    app.release()
    app.still()


def drag(app: App, start: Point, *way: Point) -> None:
    take(app, start, *way)
    drop(app)


def docked(app: App, left: list[str], right: list[str], floating: tuple[str, ...] = ()) -> State:
    return app.settled(
        lambda s: (
            s["dock"]["left"] == left
            and s["dock"]["right"] == right
            and set(s["dock"]["floating"]) == set(floating)
        )
    )


def perform(app: App, command: str) -> None:
    """By the palette."""
    app.point(*app.middle())
    app.key("ctrl+p")
    app.wait("the keyboard", lambda s: "palette_query" in s["active"])
    app.type(command)
    app.key("Return")


def choose(app: App, section: str, item: str) -> None:
    """A line of the menu of a section, by the right button."""
    app.point(*middle(app, f"fold_{section}"))
    app.xdotool("click", 3)
    click_line(app, item)


def click_line(app: App, item: str) -> None:
    """A line of the menu that has been opened."""
    lines = ("up", "down", "across", "float", "line", "fold", "alone")
    x, y = app.still()["dock"]["menu"]
    app.click_on(x + 30, y + 22 + 24 * lines.index(item) - (16 if item in lines[5:] else 0))
    app.still()


def test_a_section_is_dragged_within_its_column_and_to_the_other(start: Start) -> None:
    app = start()
    first_left, first_right = columns(app)
    app.fill("picture_path", "/somewhere/face.png", enter=False)
    app.click("tab_video")
    # Before the section above it.
    x, y, _, _ = box(app.state, "fold_identity")
    drag(app, middle(app, "fold_faces"), (x + 40, y + 4))
    state = docked(app, before(first_left, "faces", "identity"), first_right)
    assert box(state, "fold_faces")[1] < box(state, "fold_identity")[1]
    # A drag is not a click.
    assert state["folded"] == []
    # Into the other column, below its last section; what was typed and chosen goes along.
    x, y, _, _ = box(state, "fold_model")
    drag(app, middle(app, "fold_export"), (x + 30, y - 2))
    state = docked(
        app, ["export", *before(first_left, "faces", "identity")], without(first_right, "export")
    )
    assert box(state, "fold_export")[0] < LEFT_WIDTH
    assert state["texts"]["picture_path"] == "/somewhere/face.png"
    state = app.settled(lambda s: s["widgets"]["video_path"][2] > 1)
    assert box(state, "video_path")[0] < LEFT_WIDTH
    # Its controls still work: the tooltip's owner folds, the tabs change.
    app.click("tab_picture")
    app.settled(lambda s: s["widgets"]["picture_path"][0] < LEFT_WIDTH)
    app.click("fold_export")
    app.settled(lambda s: s["folded"] == ["export"])


def test_escape_cancels_a_drag(start: Start) -> None:
    app = start()
    first_left, first_right = columns(app)
    take(app, middle(app, "fold_identity"), app.middle())
    app.key("Escape")
    drop(app)
    docked(app, first_left, first_right)
    # So it does when the mouse is back on the heading, which is not clicked by that.
    there = middle(app, "fold_identity")
    take(app, there, app.middle(), there)
    app.key("Escape")
    drop(app)
    assert docked(app, first_left, first_right)["folded"] == []
    # Dropped on the bar on top it goes nowhere.
    drag(app, middle(app, "fold_identity"), (700, 20))
    docked(app, first_left, first_right)


def test_a_section_floats_is_moved_resized_folded_and_docked(start: Start) -> None:
    app = start()
    first_left, first_right = columns(app)
    pose = app.state["recipe"]["pose"]
    drag(app, middle(app, "fold_camera"), (800, 300))
    rest = without(first_right, "camera")
    state = docked(app, first_left, rest, ("camera",))
    x, y, width, height = state["dock"]["floating"]["camera"]
    assert 500 < x < 800 and 250 < y < 320 and width == RIGHT_WIDTH
    # The head was not turned, and what is in the window works.
    assert state["recipe"]["pose"] == pose
    app.click("look_left")
    app.settled(lambda s: s["recipe"]["pose"]["yaw"] == 90)

    # Moved by its heading.
    hx, hy = middle(app, "fold_camera")
    drag(app, (hx, hy), (hx - 150, hy + 40))
    state = docked(app, first_left, rest, ("camera",))
    moved = state["dock"]["floating"]["camera"]
    assert moved == pytest.approx([x - 150, y + 40, width, height], abs=2)

    # Resized by its corner.
    corner = moved[0] + moved[2] - 4, moved[1] + moved[3] - 4
    drag(app, corner, (corner[0] + 60, corner[1] + 50))
    state = app.settled(lambda s: s["dock"]["floating"]["camera"][2] > width + 40)
    wide = state["dock"]["floating"]["camera"]
    assert wide[2:] == pytest.approx([width + 60, height + 50], abs=8)

    # It stays inside when the window shrinks, and goes back when there is room again.
    app.resize(1000, 640)
    app.settled(lambda s: sum(s["dock"]["floating"]["camera"][1::2]) == 640 - STATUS_HEIGHT)
    app.resize(1280, 820)
    app.settled(lambda s: s["dock"]["floating"]["camera"] == wide)

    # Folded it is a heading; unfolded it is as large as before.
    app.click("fold_camera")
    state = app.settled(lambda s: s["folded"] == ["camera"])
    assert state["dock"]["floating"]["camera"][3] < 60
    app.click("fold_camera")
    app.settled(lambda s: s["dock"]["floating"]["camera"] == wide)

    # Dragged over a column it is docked; the cross does the same.
    drag(app, middle(app, "fold_camera"), (60, 70))
    docked(app, ["camera", *first_left], rest)
    choose(app, "camera", "float")
    docked(app, first_left, rest, ("camera",))
    app.click("dock_camera")
    docked(app, ["camera", *first_left], rest)


def test_the_menu_does_the_same_without_dragging(start: Start) -> None:
    app = start()
    first_left, first_right = columns(app)
    choose(app, "blend", "up")
    docked(app, before(first_left, "blend", "faces"), first_right)
    choose(app, "blend", "down")
    docked(app, first_left, first_right)
    # Past the settings, which this model has not.
    place = first_right.index("model_settings")
    above, below = first_right[place - 1], first_right[place + 1]
    choose(app, below, "up")
    docked(app, first_left, before(first_right, below, above))
    app.click("menu_blend")
    click_line(app, "across")
    state = app.settled(lambda s: s["dock"]["right"][-1] == "blend")
    assert "blend" not in state["dock"]["left"]
    choose(app, "identity", "alone")
    app.settled(lambda s: set(s["folded"]) == {*first_left, *first_right} - {"identity"})


def test_grips_change_widths_and_a_double_click_brings_them_back(start: Start) -> None:
    app = start()
    x, y, _, _ = box(app.state, "grip_left")
    drag(app, (x + 2, y + 200), (x + 82, y + 200))
    state = app.settled(lambda s: s["dock"]["widths"][0] == LEFT_WIDTH + 80)
    assert box(state, "grip_left")[0] == LEFT_WIDTH + 80
    assert box(state, "model_path")[2] > 80
    x, y, _, _ = box(state, "grip_right")
    drag(app, (x + 2, y + 200), (x - 58, y + 200))
    app.settled(lambda s: s["dock"]["widths"] == [LEFT_WIDTH + 80, RIGHT_WIDTH + 60])
    # Not so narrow that controls are cut, nor so wide that the picture is gone.
    x, y, _, _ = box(app.state, "grip_left")
    drag(app, (x + 2, y + 200), (20, y + 200))
    app.settled(lambda s: s["dock"]["widths"][0] == LEAST_WIDTH)
    x, y, _, _ = box(app.state, "grip_left")
    drag(app, (x + 2, y + 200), (1270, y + 200))
    state = app.settled(lambda s: s["dock"]["widths"][0] > 600)
    gap = box(state, "grip_right")[0] - sum(box(state, "grip_left")[0:3:2])
    assert 278 <= gap <= 284
    for grip in ("grip_left", "grip_right"):
        x, y, w, h = box(app.state, grip)
        app.point(x + w / 2, y + h / 2)
        app.xdotool("click", "--repeat", 2, "--delay", 90, 1)
        app.still()
    app.settled(lambda s: s["dock"]["widths"] == [LEFT_WIDTH, RIGHT_WIDTH])

    app.key("t")
    state = app.settled(lambda s: s["timeline"]["open"])
    x, y, w, _ = box(state, "grip_timeline")
    drag(app, (x + w / 3, y + 2), (x + w / 3, y - 78))
    state = app.settled(lambda s: s["dock"]["timeline"] == TIMELINE_HEIGHT + 80)
    x, y, w, h = box(state, "grip_timeline")
    assert y + h == 820 - STATUS_HEIGHT - TIMELINE_HEIGHT - 80
    drag(app, (x + w / 3, y + 2), (x + w / 3, 810))
    app.settled(lambda s: s["dock"]["timeline"] == LEAST_HEIGHT)


def test_an_empty_column_makes_room_and_takes_sections_back(start: Start) -> None:
    app = start()
    picture = app.state["picture"]
    for key in without(columns(app)[1], "model_settings"):
        choose(app, key, "across")
        app.settled(lambda s, k=key: s["dock"]["left"][-1] == k)
    # The settings of a model that has none do not count.
    state = app.settled(lambda s: s["picture"][2] >= picture[2])
    middle_of = state["picture"][0] + state["picture"][2] / 2
    assert middle_of == pytest.approx((LEFT_WIDTH + 5 + 1280 - EMPTY_WIDTH) / 2, abs=2)
    drag(app, middle(app, "fold_identity"), (1250, 300))
    app.settled(lambda s: "identity" in s["dock"]["right"])
    assert box(app.state, "fold_identity")[0] > 900


def test_columns_are_hidden_and_shown(start: Start) -> None:
    app = start()
    picture = app.state["picture"]
    choose(app, "blend", "float")
    app.settled(lambda s: "blend" in s["dock"]["floating"])
    # While somebody types the letter is a letter.
    app.fill("model_path", "h", enter=False)
    assert not app.state["dock"]["hidden"]
    app.drag(1, 1)
    app.key("h")
    state = app.settled(lambda s: s["dock"]["hidden"])
    assert state["picture"][2] >= picture[2]
    assert any("hidden" in text for text in app.notices())
    x, _, w, _ = state["picture"]
    assert x + w / 2 == 640
    # A command that needs a section shows them.
    perform(app, "prepare a mesh")
    app.settled(lambda s: not s["dock"]["hidden"])
    app.key("h")
    app.settled(lambda s: s["dock"]["hidden"])
    app.key("h")
    state = app.settled(lambda s: not s["dock"]["hidden"])
    assert state["picture"] == picture and app.notices() == []


def test_the_layout_is_remembered_survives_scale_and_colours_and_is_reset(start: Start) -> None:
    app = start()
    first_left, first_right = columns(app)
    drag(app, middle(app, "fold_identity"), (800, 300))
    choose(app, "faces", "across")
    x, y, _, _ = box(app.state, "grip_left")
    drag(app, (x + 2, y + 300), (x + 42, y + 300))
    left, right = without(first_left, "identity", "faces"), [*first_right, "faces"]
    state = docked(app, left, right, ("identity",))
    place = state["dock"]["floating"]["identity"]
    assert state["dock"]["widths"][0] == LEFT_WIDTH + 40
    perform(app, "dark and light")
    app.settled(lambda s: s["theme"] == "light" and s["palette"] is None)
    app.resize(1500, 950)
    app.key("ctrl+plus", "ctrl+plus")
    state = app.settled(lambda s: s["ui_scale"] == 1.25)
    assert state["dock"]["floating"]["identity"] == pytest.approx([1.25 * v for v in place], abs=2)
    assert box(state, "grip_left")[0] == round(1.25 * (LEFT_WIDTH + 40))
    app.key("ctrl+minus", "ctrl+minus")
    app.settled(lambda s: s["ui_scale"] == 1.0)
    app.resize(1280, 820)
    state = docked(app, left, right, ("identity",))
    assert state["dock"]["floating"]["identity"] == place
    app.ask_to_close()
    assert app.ended() == 0

    again = start()
    state = docked(again, left, right, ("identity",))
    assert state["dock"]["floating"]["identity"] == place
    assert state["dock"]["widths"] == [LEFT_WIDTH + 40, RIGHT_WIDTH]
    again.click("seed_random")
    again.settled(lambda s: s["recipe"]["seed"] != 0)
    perform(again, "reset the layout")
    state = docked(again, first_left, first_right)
    assert state["dock"]["widths"] == [LEFT_WIDTH, RIGHT_WIDTH]
