"""Style mixing, blends and sheets in the real window: painted with a real mouse."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.app.gui.driver import App, State
from tests.app.gui.test_window import difference, exported

pytestmark = pytest.mark.gui

ROWS = 8


@pytest.fixture(scope="module")
def tall(running: App) -> Iterator[App]:
    """The window as high as the screen, so that little has to be scrolled."""
    running.resize(1280, 940)
    yield running
    running.resize(1280, 820)
    running.reset()


@pytest.fixture
def mix(tall: App) -> App:
    """Seed 5 alone, with nobody mixed in."""
    tall.reset()
    state = tall.state["recipe"]
    if "blend" in state:
        press(tall, "blend_clear")
    if "mixes" in state:
        press(tall, "mix_clear")
    reveal(tall, "seed")
    tall.fill("seed", "5")
    tall.point(*tall.middle())
    tall.settled(lambda s: s["recipe"]["seed"] == 5 and not {"blend", "mixes"} & set(s["recipe"]))
    return tall


def reveal(app: App, widget: str) -> list[float]:
    """Turn the wheel over the left column until a widget can be seen whole; its rectangle."""
    for _ in range(60):
        state = app.still()
        box = list(state["widgets"].get(widget, (0, 0, 0, 0)))
        low, high = 60, state["window"][1] - 40
        if box[3] and low <= box[1] and box[1] + box[3] <= high:
            return box
        app.point(8, 500)
        app.turn(up=bool(box[3] and box[1] < low))
    raise AssertionError(f"{widget} cannot be scrolled to: {box}")


def press(app: App, widget: str) -> None:
    reveal(app, widget)
    app.click(widget)


def mixes(state: State) -> list[dict[str, Any]]:
    return state["recipe"].get("mixes", [])  # type: ignore[no-any-return]


def rows(state: State) -> list[list[int]]:
    return [source["rows"] for source in mixes(state)]


def cell(app: App, row: int, column: int) -> tuple[float, float]:
    """The middle of a cell: the grid is as many equal rows and columns as there are."""
    x, y, width, height = reveal(app, "mix_cells")
    columns = 1 + len(mixes(app.state))
    return x + (column + 0.5) * width / columns, y + (row + 0.5) * height / ROWS


def stroke(app: App, *cells: tuple[int, int], pause: float = 0.0) -> None:
    """Press on the first cell, drag over the others, let go."""
    points = [cell(app, *at) for at in cells]
    app.point(*points[0])
    app.press()
    for point in points[1:]:
        app.point(*point)
        time.sleep(pause)
    app.release()
    app.still()


def two_faces(app: App) -> State:
    """B and C with known seeds and nothing painted yet."""
    for letter, seed in (("b", 17), ("c", 40)):
        count = len(mixes(app.state))
        press(app, "mix_add")
        app.wait("one more face", lambda s, n=count: len(mixes(s)) == n + 1)
        reveal(app, f"mix_{letter}_seed")
        app.fill(f"mix_{letter}_seed", str(seed))
        app.wait("its seed", lambda s, n=count, k=seed: mixes(s)[n]["seed"] == k)
    stroke(app, (0, 0), (ROWS - 1, 0))
    app.point(*app.middle())
    return app.settled(lambda s: rows(s) == [[], []], "two faces that give nothing")


def test_one_click_mixes_two_people(mix: App) -> None:
    before, steps = mix.picture(), mix.state["steps"]
    press(mix, "mix_add")
    mix.point(*mix.middle())
    state = mix.settled(lambda s: len(mixes(s)) == 1)
    # It gives its look at once: something is to be seen.
    assert rows(state) == [[4, 5, 6, 7]] and mixes(state)[0]["weight"] == 1.0
    assert difference(before, mix.picture()) > 0.5 and state["steps"] == steps + 1
    mix.key("ctrl+z")
    mix.settled(lambda s: not mixes(s))
    assert difference(before, mix.picture()) < 0.5


def test_a_stroke_paints_is_one_step_and_is_undone(mix: App) -> None:
    steps = two_faces(mix)["steps"]
    before, frames = mix.picture(), mix.state["frame"]["count"]
    # Far apart, as of a quick hand: the rows between are painted, too.
    stroke(mix, (0, 1), (3, 1), (5, 1), pause=0.3)
    mix.point(*mix.middle())
    state = mix.settled(lambda s: rows(s) == [[0, 1, 2, 3, 4, 5], []])
    assert state["steps"] == steps + 1 and state["texts"]["undo_tip"].startswith("Undo: Paint")
    # Row 0 holds the skin: it followed while the button was down.
    assert state["frame"]["count"] >= frames + 3
    after = mix.picture()
    assert difference(before, after) > 2
    mix.key("ctrl+z")
    mix.settled(lambda s: rows(s) == [[], []])
    assert difference(before, mix.picture()) < 0.5
    mix.key("ctrl+shift+z")
    mix.settled(lambda s: rows(s) == [[0, 1, 2, 3, 4, 5], []])
    assert difference(after, mix.picture()) < 0.5


def test_a_layer_belongs_to_one_face_and_can_be_given_back(mix: App) -> None:
    two_faces(mix)
    stroke(mix, (0, 1), (7, 1))
    mix.wait("all of B", lambda s: rows(s) == [list(range(8)), []])
    stroke(mix, (4, 2), (6, 2))
    mix.wait("three rows of C", lambda s: rows(s) == [[0, 1, 2, 3, 7], [4, 5, 6]])
    # Pressing what is painted erases, in that column only.
    stroke(mix, (5, 2), (7, 2))
    mix.wait("one row of C", lambda s: rows(s) == [[0, 1, 2, 3, 7], [4]])
    # A's own column takes back from everybody.
    stroke(mix, (3, 0), (7, 0))
    state = mix.wait("A again", lambda s: rows(s) == [[0, 1, 2], []])
    assert [source["seed"] for source in mixes(state)] == [17, 40]
    # Beyond the edges the nearest cell counts, and nothing else is touched.
    x, y = cell(mix, 7, 2)
    pose = mix.state["recipe"]["pose"]
    stroke(mix, (6, 2))
    mix.point(x, y)
    mix.press()
    mix.point(x + 500, y - 10)
    mix.release()
    state = mix.wait("rows 6 and 7", lambda s: rows(s) == [[0, 1, 2], [6, 7]])
    assert state["recipe"]["pose"] == pose


def test_a_groups_name_gives_the_group_to_the_chosen_face(mix: App) -> None:
    two_faces(mix)
    press(mix, "mix_c")
    press(mix, "mix_group_middle")
    mix.wait("the middle from C", lambda s: rows(s) == [[], [2, 3, 4, 5]])
    press(mix, "mix_b")
    press(mix, "mix_group_appearance")
    mix.wait("the look of B", lambda s: rows(s) == [[4, 5, 6, 7], [2, 3]])
    press(mix, "mix_group_appearance")
    mix.wait("back to A", lambda s: rows(s) == [[], [2, 3]])
    # The mouse over a cell names the layer and its groups.
    at = cell(mix, 6, 1)
    mix.point(*mix.middle())
    mix.settled()
    bare = np.asarray(mix.screenshot(), dtype=float)
    mix.point(*at)
    tip = mix.wait("the name", lambda s: "Layer 6" in s["texts"]["mix_grid_tip"])
    assert tip["texts"]["mix_grid_tip"] == (
        "Layer 6 (appearance, fine): press to take it from B, seed 17"
    )

    def shown(_state: State) -> bool:
        now = np.asarray(mix.screenshot(), dtype=float)
        return bool((np.abs(now - bare).max(axis=-1) > 10).sum() > 2000)

    mix.wait("the tooltip on the screen", shown)


def test_presets_share_the_layers_out(mix: App) -> None:
    two_faces(mix)
    press(mix, "mix_c")
    for index, wanted in ((0, [[], [4, 5, 6, 7]]), (1, [[], [0, 1, 2, 3]]), (2, [[], [0, 1]])):
        reveal(mix, "mix_preset")
        mix.choose("mix_preset", index, "Presets ...")
        mix.wait(f"preset {index}", lambda s, w=wanted: rows(s) == w)
    undo = "Undo: Coarse layers of C"
    mix.wait("the step's name", lambda s: s["texts"]["undo_tip"].startswith(undo))


def test_seed_weight_and_removal_of_a_face(mix: App) -> None:
    two_faces(mix)
    before = mix.picture()
    stroke(mix, (0, 1), (7, 1))
    mix.point(*mix.middle())
    mix.settled(lambda s: rows(s)[0] == list(range(8)))
    whole = mix.picture()
    steps = mix.state["steps"]
    reveal(mix, "mix_b_weight")
    mix.slide("mix_b_weight", 0.9, 0.45)
    mix.point(*mix.middle())
    state = mix.settled(lambda s: mixes(s)[0]["weight"] < 0.9)
    assert state["steps"] == steps + 1 and 0.3 < mixes(state)[0]["weight"] < 0.6
    half = mix.picture()
    assert difference(before, half) < difference(before, whole) > difference(half, whole)
    press(mix, "mix_b_next")
    mix.wait("the next seed", lambda s: mixes(s)[0]["seed"] == 18)
    press(mix, "mix_b_random")
    mix.wait("a random seed", lambda s: mixes(s)[0]["seed"] not in (17, 18))
    reveal(mix, "mix_b_seed")
    mix.fill("mix_b_seed", "nobody")
    told = mix.wait("the notice", lambda s: any("whole number" in text for _, text in s["notices"]))
    assert rows(told)[0] == list(range(8))
    mix.key("Escape")
    press(mix, "mix_b_remove")
    state = mix.wait("C alone", lambda s: len(mixes(s)) == 1)
    assert mixes(state)[0]["seed"] == 40
    press(mix, "mix_clear")
    mix.point(*mix.middle())
    mix.settled(lambda s: not mixes(s))
    assert difference(before, mix.picture()) < 0.5


def test_painting_meets_the_cells_at_a_larger_scale(mix: App) -> None:
    two_faces(mix)
    mix.key("ctrl+plus", "ctrl+plus")
    mix.wait("larger letters", lambda s: s["ui_scale"] == 1.25)
    stroke(mix, (2, 2), (4, 2))
    mix.wait("the rows", lambda s: rows(s) == [[], [2, 3, 4]])
    mix.point(*mix.middle())
    mix.key("ctrl+minus", "ctrl+minus")
    state = mix.wait("the old letters", lambda s: s["ui_scale"] == 1.0)
    assert rows(state) == [[], [2, 3, 4]] and state["texts"]["mix_c_seed"] == "40"


def test_a_blend_is_scrubbed_swapped_and_cleared(mix: App) -> None:
    alone = mix.picture()
    press(mix, "blend_start")
    mix.wait("a blend", lambda s: "blend" in s["recipe"])
    reveal(mix, "blend_seed")
    mix.fill("blend_seed", "23")
    mix.point(*mix.middle())
    state = mix.settled(lambda s: s["recipe"]["blend"]["seeds"] == [5, 23])
    assert state["recipe"]["blend"]["weights"] == [0.5, 0.5]
    half, steps, frames = mix.picture(), state["steps"], state["frame"]["count"]
    reveal(mix, "blend_amount")
    mix.slide("blend_amount", 0.5, 1.2, hold=0.4)
    mix.point(*mix.middle())
    state = mix.settled(lambda s: s["recipe"]["blend"]["weights"] == [0, 1])
    assert state["steps"] == steps + 1 and state["frame"]["count"] >= frames + 3
    whole = mix.picture()
    assert difference(alone, half) < difference(alone, whole) > difference(half, whole)
    press(mix, "blend_swap")
    mix.point(*mix.middle())
    mix.settled(lambda s: s["recipe"]["seed"] == 23 and s["recipe"]["blend"]["seeds"] == [23, 5])
    assert difference(alone, mix.picture()) < 0.5
    press(mix, "blend_spherical")
    mix.wait("the great circle", lambda s: s["recipe"]["blend"]["space"] == "z")
    # The keys change the first face and keep the other.
    mix.point(*mix.middle())
    mix.key("bracketright")
    mix.wait("the next seed", lambda s: s["recipe"]["blend"]["seeds"] == [24, 5])
    press(mix, "blend_clear")
    mix.wait("no blend", lambda s: "blend" not in s["recipe"] and s["recipe"]["seed"] == 24)


def test_a_sheet_is_exported(mix: App, workplace: Path) -> None:
    mix.click("tab_sheet")
    mix.choose("sheet_kind", 2, "Views")
    mix.fill("sheet_angles", "-30 30,10", enter=False)
    mix.fill("sheet_size", "64", enter=False)
    exported(mix, "sheet", workplace / "views.png")
    with Image.open(workplace / "views.png") as picture:
        sheet = np.asarray(picture, dtype=float)
    assert sheet.shape[1] == 2 * 66 + 2 and sheet.shape[0] > 68
    left, right = sheet[2:66, 2:66], sheet[2:66, 68:132]
    assert difference(left, right) > 3 and left.std() > 10 < right.std()

    mix.choose("sheet_kind", 0, "Mixing matrix")
    mix.fill("sheet_rows", "1, 2", enter=False)
    mix.fill("sheet_columns", "3", enter=False)
    mix.choose("sheet_layers", 3, "Coarse")
    exported(mix, "sheet", workplace / "matrix.png")
    with Image.open(workplace / "matrix.png") as picture:
        assert picture.size[1] > 3 * 66 > picture.size[0] > 2 * 66
    mix.fill("sheet_rows", ",", enter=False)
    mix.fill("sheet_path", str(workplace / "never.png"))
    mix.wait("the notice", lambda s: any("at least one seed" in text for _, text in s["notices"]))
    assert not (workplace / "never.png").exists()
    mix.fill("sheet_rows", "0, 1, 2, 3", enter=False)
    mix.click("tab_picture")
