"""The window with all models: searching a folder, opening from it, the authors' pages."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.app.gui.driver import App

pytestmark = pytest.mark.gui

RELEASE = Path(__file__).parents[2] / "data" / "goldens" / "pigan" / "CelebA"


@pytest.fixture
def models(app: App) -> Iterator[App]:
    """The application with that window open."""
    app.click("models")
    app.wait("the window", lambda s: s["widgets"].get("models_search", [0] * 4)[2] > 1)
    show(app, "models_tab_here")
    yield app
    app.key("Escape")
    app.point(*app.middle())


@pytest.fixture(scope="module")
def folder(workplace: Path) -> Path:
    """A folder with one whole release of small size and three other files."""
    where = workplace / "my models"
    shutil.copytree(RELEASE, where / "CelebA")
    (where / "ffhq512-128.pkl").write_bytes(b"x" * 2000)
    (where / "mine.pth").write_bytes(b"x" * 10)
    return where


def show(app: App, tab: str) -> None:
    """Bring a tab to the front, and give it the frames to be drawn in."""
    app.click(tab)
    app.settled()


def searched(app: App, folder: Path) -> dict[str, str]:
    """Type the folder, search it, and wait for the result; the texts of the window."""
    app.fill("models_folder", str(folder))
    state = app.wait("the result", lambda s: f"in {folder}." in s["texts"].get("models_status", ""))
    texts: dict[str, str] = state["texts"]
    return texts


def test_the_tip_of_a_tab_does_not_lie_over_what_the_tab_holds(models: App) -> None:
    """The toolkit takes the mouse over the last thing in an open tab for one over the tab."""
    left, top, _width, _height = models.settled()["widgets"]["models_status"]
    models.point(left + 200, top - 95)  # the window's title
    models.settled()
    bare = np.asarray(models.screenshot(), dtype=float)
    models.point(left + 200, top + 250)  # below the last model, still in the list
    time.sleep(1.0)  # a tip comes after 0.4 s
    models.settled()
    assert np.abs(np.asarray(models.screenshot(), dtype=float) - bare).max() < 10


def test_a_chosen_folder_is_searched_named_and_remembered(
    models: App, folder: Path, workplace: Path
) -> None:
    (workplace / "answer").write_text(f"{folder}\n")
    models.click("models_choose")
    state = models.wait(
        "the result", lambda s: "known models" in s["texts"].get("models_status", "")
    )
    texts = state["texts"]
    assert texts["models_status"] == f"2 known models and 1 other file in {folder}."
    assert texts["models_folder"] == str(folder)
    assert texts["models_found_0_title"] == "Named like pi-GAN (faces, 256 px)"
    assert texts["models_found_1_title"] == "Named like EG3D (faces, 512 px)"
    assert texts["models_found_2_title"] == "Not in the catalogue"
    assert "models_found_3_title" not in texts  # ema.pth belongs to generator.pth
    # Before what ships and what was opened before, of which there may be much.
    places = models.settled()["widgets"]
    assert places["models_found_2_title"][1] < places["models_bundled_title"][1]
    settings = workplace / "config" / "settings.json"
    models.wait(
        "the folder in the settings",
        lambda _s: json.loads(settings.read_text())["models_folder"] == str(folder),
    )


def test_one_click_opens_what_was_found(models: App, folder: Path, workplace: Path) -> None:
    searched(models, folder)
    models.click("models_found_0")
    path = str(folder / "CelebA" / "generator.pth")
    state = models.wait("the model", lambda s: s["model_path"] == path)
    assert state["model"] == "generator"
    models.wait("the picture", lambda s: s["frame"]["recipe"]["model"]["path"] == path)
    # The window has closed: the picture under it can be turned.
    models.drag(60, 0)
    models.wait("the turn", lambda s: s["recipe"]["pose"]["yaw"] != 0)
    models.key("ctrl+z", "ctrl+z")
    models.settled(lambda s: s["model"] == "Study head")


def test_a_shipped_model_leaves_the_short_list_with_all_that_names_it(models: App) -> None:
    """A name of what is gone ended the window when its scale was changed."""
    head = models.settled()["model"]
    models.click("models_bundled_cips3d")
    models.settled(lambda s: "recent_bundled_cips3d" in s["widgets"])
    models.key("ctrl+z")
    models.settled(lambda s: s["model"] == head and "recent_bundled_cips3d" not in s["widgets"])
    assert models.asked("stale") == ""
    models.key("ctrl+plus")
    models.settled(lambda s: s["ui_scale"] > 1)
    models.key("ctrl+minus")
    models.settled(lambda s: s["ui_scale"] == 1)


def test_a_folder_that_is_none_is_told(models: App, workplace: Path) -> None:
    models.fill("models_folder", str(workplace / "nowhere"))
    state = models.wait("the notice", lambda s: s["notices"])
    assert state["notices"][0][0] == "error" and "no folder" in state["notices"][0][1]
    assert "no folder" in state["texts"]["models_status"]


def test_a_long_search_can_be_stopped(models: App, folder: Path, workplace: Path) -> None:
    """Files of a released size are hashed whole: these hold nothing, but much of it."""
    searched(models, folder)
    heavy = workplace / "heavy"
    heavy.mkdir()
    for number in range(150):
        with (heavy / f"{number}.pt").open("wb") as file:
            file.truncate(63_736_197)
    models.fill("models_folder", str(heavy))
    models.wait("the search", lambda s: s["texts"]["models_status"].startswith("Searching"))
    models.click("models_search")
    state = models.wait(
        "the end", lambda s: not s["texts"]["models_status"].startswith("Searching"), 5
    )
    assert str(folder) in state["texts"]["models_status"]
    shutil.rmtree(heavy)


def test_pages_are_opened_and_copied_only_on_a_click(
    models: App, folder: Path, workplace: Path
) -> None:
    opened = workplace / "opened"
    browser = workplace / "bin" / "xdg-open"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{opened}"\n')
    browser.chmod(0o755)
    searched(models, folder)
    show(models, "models_tab_released")
    models.wait("the list", lambda s: s["widgets"].get("models_page_eg3d", [0] * 4)[2] > 1)
    assert not opened.exists()
    models.click("models_page_eg3d")
    page = "https://catalog.ngc.nvidia.com/orgs/nvidia/teams/research/models/eg3d"
    models.wait("the browser", lambda _s: opened.exists() and opened.read_text().strip() == page)
    # What lies in the folder that was searched can be opened from here, too.
    assert "models_released_eg3d-ffhq-128" in models.state["widgets"]
    assert "models_released_eg3d-ffhq-64" not in models.state["widgets"]
    models.click("models_copy_eg3d")
    show(models, "models_tab_here")
    models.click("models_folder")
    models.wait("the keyboard", lambda s: "models_folder" in s["active"])
    models.with_ctrl("a")
    models.with_ctrl("v")
    models.wait("the address", lambda s: s["texts"]["models_folder"] == page)
    assert opened.read_text().count("\n") == 1
