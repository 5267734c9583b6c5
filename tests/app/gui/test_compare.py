"""Comparing in the real window: the split and its divider, the before/after key, swapping, steps of
the history, projects and exports, with a real mouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from engine.export.picture import read_recipe
from tests.app.gui.driver import App, State
from tests.app.gui.test_window import difference

pytestmark = pytest.mark.gui
Pixels = NDArray[np.float64]


@pytest.fixture(scope="module")
def window(display: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("compare")
    models = [folder / name for name in ("Study head.head", "Other head.head")]
    for model in models:
        model.write_text(model.name)
    with App(folder, display, models[0]) as app:
        yield app


@pytest.fixture
def pair(window: App) -> App:
    """Seed 9 from the front beside the pinned seed 3, the divider in the middle."""
    app = window
    app.key("Escape")
    aside(app)
    if app.state["compare"]["pinned"] and app.state["compare"]["pinned"]["own_camera"]:
        app.click("compare_unpin")
    app.reset()
    app.fill("seed", "3")
    app.settled(lambda s: s["recipe"]["seed"] == 3)
    aside(app)
    app.key("c")
    app.wait("the split", lambda s: s["compare"]["mode"] == "split")
    app.fill("seed", "9")
    aside(app)
    center(app)
    both(app, lambda s: s["recipe"]["seed"] == 9)
    return app


def aside(app: App) -> None:
    """Put the mouse beside the head, not on the divider."""
    x, y, width, height = app.state["picture"]
    app.point(x + width * 0.75, y + height * 0.9)


def center(app: App) -> None:
    """A double-click brings the divider back into the middle, and leaves the camera."""
    x, y, width, height = app.state["compare"]["places"]["divider"]
    app.point(x + width / 2, y + height / 2)
    app.wait("that it is lit", lambda s: s["compare"]["hot"])
    app.still()
    app.xdotool("click", "--repeat", 2, "--delay", 120, 1)
    app.wait("the middle", lambda s: s["compare"]["share"] == 0.5)
    aside(app)


def both(app: App, condition=lambda _state: True) -> State:  # type: ignore[no-untyped-def]
    """Wait until both pictures are those of the present state, at full quality."""
    return app.settled(
        lambda s: (
            condition(s)
            and s["compare"]["full_quality"]
            and (
                s["compare"]["pinned"]["own_camera"]
                or s["compare"]["recipe"]["pose"] == s["recipe"]["pose"]
            )
            and s["compare"]["recipe"]["view"] == s["recipe"]["view"]
        ),
        "both pictures",
    )


def halves(app: App) -> tuple[Pixels, Pixels]:
    """What is left and right of the divider, without the divider and the labels."""
    picture = app.picture()[:-60]
    x = round(picture.shape[1] * app.state["compare"]["share"])
    return picture[:, : x - 20], picture[:, x + 20 :]


def drag_from(app: App, start: tuple[float, float], dx: float, dy: float = 0.0) -> None:
    """A drag in small steps from a point of the window."""
    x, y = start
    app.point(x, y)
    app.press()
    for step in range(1, 9):
        app.point(x + dx * step / 8, y + dy * step / 8)
    app.release()
    app.still()


def test_the_divider_is_dragged_and_the_head_is_not(pair: App) -> None:
    before = pair.state
    shown = pair.picture()[:-60]
    place = before["compare"]["places"]["divider"]
    assert min(place[2:]) >= 10
    width = before["picture"][2]
    # Not on the handle: near the line, far above it.
    x, y = place[0] + place[2] / 2, before["picture"][1] + before["picture"][3] * 0.3
    pair.point(x + 5, y)
    pair.wait("that it is lit", lambda s: s["compare"]["hot"])
    drag_from(pair, (x + 5, y), -0.3 * width)
    moved = pair.wait("the divider", lambda s: s["compare"]["share"] < 0.25)
    assert abs(moved["compare"]["share"] - 0.2) < 0.01
    assert moved["recipe"] == before["recipe"] and moved["steps"] == before["steps"]
    aside(pair)
    pair.wait("that it is not lit", lambda s: not s["compare"]["hot"])
    now = pair.picture()[:-60]
    columns = np.abs(now - shown).mean(axis=(0, 2))
    size = now.shape[1]
    # What changed lies between the two places of the divider.
    assert columns[: int(0.15 * size)].max() < 1 and columns[int(0.55 * size) :].max() < 1
    assert columns[int(0.25 * size) : int(0.45 * size)].mean() > 5


def test_the_two_sides_show_two_people(pair: App) -> None:
    left, right = halves(pair)
    pair.key("s")
    pair.wait("no split", lambda s: s["compare"]["mode"] == "present")
    pair.still()
    plain_left, plain_right = halves(pair)
    assert difference(left, plain_left) < 0.5 < 3 < difference(right, plain_right)
    pair.key("s")
    pair.wait("the split", lambda s: s["compare"]["mode"] == "split")
    pair.still()
    assert difference(halves(pair)[1], right) < 0.5


def test_turning_turns_both(pair: App) -> None:
    left, right = halves(pair)
    frames, steps = pair.state["compare"]["frames"], pair.state["steps"]
    x, y, width, height = pair.state["picture"]
    start = (x + width * 0.75, y + height * 0.7)
    pair.point(*start)
    pair.press()
    for step in range(1, 9):
        pair.point(start[0] + 10 * step, start[1])
    # Both follow before the mouse is let go.
    held = pair.wait(
        "both turned",
        lambda s: (
            s["compare"]["recipe"]["pose"]["yaw"]
            == s["frame"]["recipe"]["pose"]["yaw"]
            == s["recipe"]["pose"]["yaw"]
            != 0
        ),
    )
    assert held["compare"]["frames"] > frames + 1
    pair.release()
    state = both(pair)
    assert state["steps"] == steps + 1
    now_left, now_right = halves(pair)
    assert difference(left, now_left) > 2 and difference(right, now_right) > 2
    # With its own camera the reference stays; the present picture goes on.
    pair.key("Home")
    both(pair, lambda s: s["recipe"]["pose"]["yaw"] == 0)
    pair.click("compare_camera")
    both(pair, lambda s: s["compare"]["pinned"]["own_camera"])
    aside(pair)
    left, right = halves(pair)
    drag_from(pair, start, 80)
    both(pair, lambda s: s["recipe"]["pose"]["yaw"] != 0)
    now_left, now_right = halves(pair)
    assert difference(left, now_left) > 2 and difference(right, now_right) < 0.5


def test_the_key_shows_the_reference_while_it_is_held(pair: App) -> None:
    left, right = halves(pair)
    before = pair.state
    pair.xdotool("keydown", "b")
    pair.wait("the reference", lambda s: s["compare"]["mode"] == "reference")
    pair.still()
    held_left, held_right = halves(pair)
    assert difference(held_left, left) > 3 and difference(held_right, right) < 0.5
    assert pair.state["recipe"] == before["recipe"]
    pair.xdotool("keyup", "b")
    pair.wait("the split again", lambda s: s["compare"]["mode"] == "split")
    pair.still()
    assert difference(halves(pair)[0], left) < 0.5
    assert pair.state["steps"] == before["steps"]


def test_without_a_reference_the_key_shows_what_was_before(pair: App) -> None:
    pair.click("compare_unpin")
    aside(pair)
    pair.settled(lambda s: s["compare"]["pinned"] is None)
    nine = pair.picture()[:-60]
    pair.fill("seed", "5")
    aside(pair)
    pair.settled(lambda s: s["recipe"]["seed"] == 5)
    five = pair.picture()[:-60]
    pair.xdotool("keydown", "b")
    pair.wait(
        "the face before",
        lambda s: s["compare"]["mode"] == "reference" and s["compare"]["full_quality"],
    )
    pair.still()
    assert difference(pair.picture()[:-60], nine) < 0.5 < difference(nine, five)
    pair.xdotool("keyup", "b")
    pair.wait("the present face", lambda s: s["compare"]["mode"] == "present")
    pair.still()
    assert difference(pair.picture()[:-60], five) < 0.5


def test_swap_is_one_step_that_undo_takes_back(pair: App) -> None:
    left, right = halves(pair)
    steps = pair.state["steps"]
    pair.key("x")
    state = both(pair, lambda s: s["recipe"]["seed"] == 3)
    assert state["compare"]["pinned"]["recipe"]["seed"] == 9 and state["steps"] == steps + 1
    swapped_left, swapped_right = halves(pair)
    assert difference(swapped_left, left) > 3 and difference(swapped_right, right) > 3
    pair.key("ctrl+z")
    both(pair, lambda s: s["recipe"]["seed"] == 9)
    again_left, again_right = halves(pair)
    assert difference(again_left, left) < 0.5 and difference(again_right, right) < 0.5


def test_a_step_of_the_history_becomes_the_reference(pair: App) -> None:
    for seed in ("21", "22"):
        pair.fill("seed", seed)
    aside(pair)
    steps = both(pair, lambda s: s["recipe"]["seed"] == 22)["steps"]
    pair.key("ctrl+h")
    row = f"history_{steps - 1}"  # the step that chose seed 21
    pair.wait("the list", lambda s: s["widgets"].get(row, [0, 0])[1] > 60)
    # It scrolls to the present step.
    x, y, width, height = pair.still()["widgets"][row]
    pair.point(x + min(width / 2, 60), y + height / 2)
    pair.xdotool("click", 3)
    state = pair.wait("the reference", lambda s: s["compare"]["pinned"]["recipe"]["seed"] == 21)
    assert state["recipe"]["seed"] == 22 and state["steps"] == steps + 1
    assert state["compare"]["pinned"]["name"] == f"Step {steps - 1}, Seed 21"
    pair.key("Escape")
    both(pair)


def test_a_project_keeps_the_reference(pair: App, tmp_path: Path) -> None:
    left, right = halves(pair)
    pinned = pair.state["compare"]["pinned"]
    path = tmp_path / "pair.maquette"
    pair.key("ctrl+shift+s")
    pair.wait("the question", lambda s: s["project"]["prompt"] == "save")
    pair.wait("the box", lambda s: "prompt_path" in s["widgets"])
    pair.fill("prompt_path", str(path))
    pair.wait("the file", lambda s: s["project"]["path"] == str(path) and not s["project"]["dirty"])
    aside(pair)
    pair.click("compare_unpin")
    pair.fill("seed", "40")
    aside(pair)
    pair.settled(lambda s: s["recipe"]["seed"] == 40 and s["compare"]["pinned"] is None)
    pair.key("ctrl+s")
    pair.wait("it saved", lambda s: not s["project"]["dirty"])
    # Undone and saved again: the file has it once more.
    pair.key("ctrl+z", "ctrl+z", "ctrl+s")
    pair.wait("it saved", lambda s: not s["project"]["dirty"] and s["recipe"]["seed"] == 9)
    pair.key("ctrl+n")
    pair.settled(lambda s: s["compare"]["pinned"] is None and not s["project"]["path"])
    pair.key("ctrl+shift+o")
    pair.wait("the question", lambda s: s["project"]["prompt"] == "open")
    pair.fill("prompt_path", str(path))
    aside(pair)
    state = both(pair, lambda s: s["compare"]["pinned"] is not None)
    assert state["compare"]["pinned"] == pinned and state["compare"]["mode"] == "split"
    again_left, again_right = halves(pair)
    assert difference(again_left, left) < 0.5 and difference(again_right, right) < 0.5


def test_the_two_are_exported_as_one_picture(pair: App, tmp_path: Path) -> None:
    sizes = {}
    for index, layout in ((1, "Split"), (2, "Side by side")):
        path = tmp_path / f"{index}.png"
        pair.choose("picture_compare", index, layout)
        pair.fill("picture_path", str(path))
        pair.wait(
            "the export",
            lambda s, path=path: (  # type: ignore[misc]
                (export := s["exports"].get("picture"))
                and (export["state"], export["path"]) == ("finished", str(path))
            ),
            60,
        )
        with Image.open(path) as image:
            sizes[layout] = image.size
            pixels = np.asarray(image.convert("RGB"), float)
        assert read_recipe(path).seed == 9
        # In the middle of the left and of the right eye's row two people look out.
        half = pixels.shape[1] // 2
        left, right = pixels[:, : half - 4], pixels[:, half + 4 :]
        assert difference(left, right[:, : left.shape[1]]) > 3
    assert sizes == {"Split": (192, 192), "Side by side": (386, 192)}
    aside(pair)


def test_another_model_says_why_and_coming_back_shows_it(pair: App) -> None:
    other = pair.folder / "Other head.head"
    pair.fill("model_path", str(other))
    aside(pair)
    state = pair.settled(lambda s: s["model"] == "Other head")
    assert state["compare"]["mode"] == "present" and state["compare"]["pinned"] is not None
    assert any("another model (Study head)" in text for text in pair.notices())
    assert "another model" in state["texts"]["compare_state"]
    pair.key("ctrl+z")
    state = both(pair, lambda s: s["model"] == "Study head")
    assert state["compare"]["mode"] == "split"
    assert not any("another model" in text for text in pair.notices())
