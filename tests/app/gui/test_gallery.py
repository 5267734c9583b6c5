"""The gallery in the real window."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tests.app.gui.driver import App, State

pytestmark = pytest.mark.gui


@pytest.fixture
def gallery(app: App) -> App:
    """The gallery, open on the seeds from 0 on, all of them drawn."""
    app.key("g")
    app.wait("the gallery", lambda s: s["gallery"] is not None)
    app.still()
    app.click("gallery_seeds")
    app.wait("the seeds", lambda s: s["gallery"]["tab"] == "seeds")
    app.still()
    app.fill("gallery_seed", "0")
    drawn(app, lambda s: s["gallery"]["titles"][:2] == ["0", "1"])
    return app


def drawn(app: App, condition=lambda _state: True) -> State:  # type: ignore[no-untyped-def]
    """Wait until the page has all its pictures."""
    return app.wait(
        "all pictures",
        lambda s: s["gallery"] and condition(s) and s["gallery"]["waiting"] == 0
        and s["gallery"]["drawn"] == len(s["gallery"]["titles"]),
        30,
    )  # fmt: skip


def cell(app: App, index: int) -> np.ndarray:
    """The pixels of a picture on the screen."""
    left, top = app._origin()
    x, y, width, height = app.still()["widgets"][f"gallery_{index}"]
    box = (left + x + 2, top + y + 2, left + x + width - 2, top + y + height - 2)
    return np.asarray(app.screenshot().crop(tuple(map(int, box))), dtype=float)


def test_a_page_of_seeds_is_drawn_and_one_is_chosen(gallery: App) -> None:
    state = gallery.state
    assert state["gallery"]["titles"] == [str(seed) for seed in range(24)]
    pictures = [cell(gallery, index) for index in (0, 1, 7)]
    assert all(picture.std() > 10 for picture in pictures)
    assert np.abs(pictures[0] - pictures[1]).mean() > 1
    steps = state["steps"]
    gallery.click("gallery_7")
    state = gallery.settled(lambda s: s["recipe"]["seed"] == 7)
    assert state["steps"] == steps + 1 and state["gallery"] is not None
    assert state["texts"]["undo_tip"].startswith("Undo: Seed 7")
    gallery.click("gallery_next")
    state = drawn(gallery, lambda s: s["gallery"]["titles"][0] == "24")
    gallery.key("Escape")
    gallery.wait("it is closed", lambda s: s["gallery"] is None)
    gallery.key("ctrl+z")
    gallery.settled(lambda s: s["recipe"]["seed"] != 7)


def test_favourites_are_pinned_in_it_and_sorted(gallery: App) -> None:
    before = gallery.state["favourites"]
    gallery.click("gallery_9_pin")
    gallery.wait("one more", lambda s: s["favourites"] == [*before, ["Seed 9", 9]])
    x, y, width, height = gallery.state["widgets"]["gallery_3"]
    gallery.point(x + width / 2, y + height / 2)
    gallery.xdotool("click", 3)
    gallery.wait("two more", lambda s: s["favourites"][-1] == ["Seed 3", 3])
    gallery.click("gallery_favourites")
    count = len(before) + 2
    state = drawn(gallery, lambda s: len(s["gallery"]["titles"]) == count)
    assert state["gallery"]["titles"][-2:] == ["Seed 9", "Seed 3"]
    gallery.choose("gallery_sort", 1, "Recently added")
    gallery.wait("the newest", lambda s: s["gallery"]["titles"][:2] == ["Seed 3", "Seed 9"])
    gallery.click("gallery_0_pin")
    gallery.wait("no more", lambda s: len(s["favourites"]) == count - 1)
    gallery.key("ctrl+z", "ctrl+z", "ctrl+z")
    gallery.wait("all undone", lambda s: s["favourites"] == before)
    gallery.key("Escape")


def test_faces_like_the_present_one(gallery: App) -> None:
    gallery.click("gallery_5")
    gallery.settled(lambda s: s["recipe"]["seed"] == 5 and "blend" not in s["recipe"])
    gallery.click("gallery_variations")
    drawn(gallery, lambda s: s["gallery"]["tab"] == "variations")
    gallery.click("gallery_2")
    state = gallery.settled(lambda s: "blend" in s["recipe"])
    assert state["recipe"]["blend"]["seeds"][0] == 5
    # The page stays: another one can be tried.
    gallery.click("gallery_3")
    other = gallery.settled(lambda s: s["recipe"]["blend"] != state["recipe"]["blend"])
    assert len(other["recipe"]["blend"]["seeds"]) == 2
    gallery.key("Escape", "ctrl+z", "ctrl+z")
    gallery.settled(lambda s: "blend" not in s["recipe"])


def test_pictures_are_kept_on_disk_and_it_is_cancelled_by_closing(
    gallery: App, workplace: Path
) -> None:
    kept = list((workplace / "config" / "cache" / "thumbnails").rglob("*.png"))
    assert len(kept) >= 24
    gallery.fill("gallery_seed", "900000")
    gallery.key("Escape")
    gallery.wait("it is closed", lambda s: s["gallery"] is None)
    time.sleep(0.5)
    before = len(list((workplace / "config" / "cache" / "thumbnails").rglob("*.png")))
    time.sleep(1.0)
    after = len(list((workplace / "config" / "cache" / "thumbnails").rglob("*.png")))
    assert after == before


def test_the_gallery_outlives_a_change_of_scale(gallery: App) -> None:
    gallery.point(*gallery.middle())
    gallery.key("ctrl+plus")
    # It stays open, at its new size, and is drawn.
    drawn(gallery, lambda s: s["ui_scale"] == 1.1)
    gallery.key("ctrl+minus")
    drawn(gallery, lambda s: s["ui_scale"] == 1.0)
    gallery.click("gallery_3")
    gallery.settled(lambda s: s["recipe"]["seed"] == 3)
    gallery.key("Escape")


def test_the_pad_is_dragged_and_animated(gallery: App) -> None:
    gallery.click("gallery_pad")
    state = drawn(gallery, lambda s: s["gallery"]["tab"] == "pad")
    assert len(state["gallery"]["titles"]) == 16
    state = gallery.still()
    x, y, side, _ = state["widgets"]["pad"]
    steps, frames = state["steps"], state["frame"]["count"]
    window = state["widgets"]["gallery_pad"]
    gallery.point(x + side / 8, y + side / 8)
    gallery.press()
    gallery.still()
    for part in range(1, 6):
        gallery.point(x + side * (1 + part / 2.5) / 8, y + side * (1 + part / 5) / 8)
        time.sleep(0.1)
    gallery.release()
    # Two eighths are one seed to the right, one eighth is half a seed down; half a pixel is lost.
    state = gallery.settled(lambda s: "blend" in s["recipe"])
    assert state["steps"] == steps + 1 and state["frame"]["count"] >= frames + 3
    blend = state["recipe"]["blend"]
    weights = dict(zip(blend["seeds"], blend["weights"], strict=True))
    assert [weights[seed] for seed in (1, 5)] == pytest.approx([0.5, 0.5], abs=0.03)
    # The window was not dragged along.
    assert state["widgets"]["gallery_pad"] == window
    gallery.click("pad_play")
    before = state["gallery"]["pad"][:2]
    gallery.wait(
        "it to move", lambda s: s["gallery"]["pad"][3] and s["gallery"]["pad"][:2] != before
    )
    gallery.click("pad_play")
    still = gallery.settled(lambda s: not s["gallery"]["pad"][3])
    assert still["steps"] == steps + 2
    gallery.key("Escape", "ctrl+z", "ctrl+z")
    gallery.settled(lambda s: "blend" not in s["recipe"])


def test_the_columns_follow_the_width_of_the_window(gallery: App) -> None:
    def across(state: State) -> int:
        """How many pictures stand in the first line on the screen."""
        tops = [state["widgets"][f"gallery_{index}"][1] for index in range(24)]
        return sum(top == tops[0] for top in tops)

    def pull_edge(by: int) -> None:
        x, y, width, height = gallery.state["gallery"]["box"]
        at = (x + width - 1, y + height / 2)
        gallery.point(*at)
        gallery.press()
        for step in range(1, 9):
            gallery.point(at[0] + by * step / 8, at[1])
        gallery.release()

    assert across(gallery.state) == gallery.state["gallery"]["columns"] == 6
    pull_edge(-244)
    state = gallery.wait("four columns", lambda s: s["gallery"]["columns"] == across(s) == 4)
    lefts = [state["widgets"][f"gallery_{index}"][0] for index in range(8)]
    assert lefts[:4] == lefts[4:] == sorted(lefts[:4])
    gallery.click("gallery_5")
    gallery.settled(lambda s: s["recipe"]["seed"] == 5)
    pull_edge(366)
    gallery.wait("seven columns", lambda s: s["gallery"]["columns"] == across(s) == 7)
    pull_edge(-122)
    gallery.wait("six columns", lambda s: s["gallery"]["columns"] == across(s) == 6)
