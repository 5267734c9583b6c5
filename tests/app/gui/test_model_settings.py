"""Settings of a model, and what a model cannot do, in the real window."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.export.picture import read_recipe
from tests.app.gui.driver import ROOT, App
from tests.app.gui.test_window import difference, exported
from tests.app.gui.tuned_head import ABSENT, SETTINGS

pytestmark = pytest.mark.gui

SECTION = [f"setting_{s.name}" for s in SETTINGS if s.name != "offset"]


@pytest.fixture(scope="module")
def opened(running: App, workplace: Path) -> Iterator[App]:
    """The window with the head that has settings; the usual one comes back at the end."""
    running.reset()
    for name in ("Tuned head", "Second tuned"):
        (workplace / f"{name}.tuned").touch()
    running.fill("model_path", str(workplace / "Tuned head.tuned"))
    running.wait("the model", lambda s: s["model"] == "Tuned head")
    yield running
    running.reset()
    running.fill("model_path", str(workplace / "Study head.head"))
    running.wait("the usual model", lambda s: s["model"] == "Study head")


@pytest.fixture
def tuned(opened: App) -> App:
    """The head with settings, all of them at their defaults."""
    opened.reset()
    if "settings_reset" not in opened.state["disabled"]:
        opened.click("settings_reset")
    opened.point(*opened.middle())
    opened.settled(lambda s: chosen(s) == {})
    return opened


def chosen(state: dict[str, object]) -> dict[str, object]:
    """The settings of the document that are not their defaults."""
    return state["recipe"].get("settings", {})  # type: ignore[attr-defined,no-any-return]


def test_a_slider_changes_the_picture_and_undo_brings_it_back(tuned: App) -> None:
    before, steps = tuned.picture(), tuned.state["steps"]
    tuned.click_at("setting_glow", 0.5)
    tuned.point(*tuned.middle())
    state = tuned.settled(lambda s: "glow" in chosen(s))
    # The slider's grab is a few pixels wide, so that its middle is near the middle.
    assert chosen(state)["glow"] == pytest.approx(0.5, abs=0.02)
    after = tuned.picture()
    # Where nothing was clipped, half of 255 was added.
    dark = (before < 100).all(axis=-1)
    assert (after - before)[dark].mean() == pytest.approx(127.5, abs=6)
    assert state["steps"] == steps + 1 and state["texts"]["undo_tip"].startswith("Undo: Glow")
    tuned.key("ctrl+z")
    tuned.settled(lambda s: chosen(s) == {})
    assert difference(before, tuned.picture()) < 0.5
    tuned.key("ctrl+shift+z")
    tuned.settled(lambda s: "glow" in chosen(s))
    assert difference(after, tuned.picture()) < 0.5


def test_a_drag_of_a_slider_is_one_step_and_the_picture_follows(tuned: App) -> None:
    steps, frames = tuned.state["steps"], tuned.state["frame"]["count"]
    tuned.slide("setting_samples_per_ray", 0.5, 1.2, hold=0.4)
    # The mouse went beyond the end: the value stops there.
    state = tuned.settled(lambda s: chosen(s).get("samples_per_ray") == 48)
    assert state["steps"] == steps + 1
    # It did not wait for the button: several pictures came on the way.
    assert state["frame"]["count"] >= frames + 3


def test_a_number_is_typed_and_kept_in_its_range(tuned: App) -> None:
    tuned.retype("setting_samples_per_ray_number", "12")
    tuned.settled(lambda s: chosen(s) == {"samples_per_ray": 12})
    tuned.retype("setting_samples_per_ray_number", "4000")
    tuned.settled(lambda s: chosen(s) == {"samples_per_ray": 48})
    tuned.retype("setting_samples_per_ray_number", "-5")
    state = tuned.settled(lambda s: chosen(s) == {"samples_per_ray": 0})
    assert not state["notices"]
    assert tuned.picture().max() < 3  # no samples, no light


def test_a_list_and_a_check_box(tuned: App) -> None:
    before = tuned.picture()
    tuned.choose("setting_tint", 1, "red")
    tuned.settled(lambda s: chosen(s) == {"tint": "red"})
    red = tuned.picture()
    assert difference(before[..., 0], red[..., 0]) < 0.5
    assert red[..., 2].mean() == pytest.approx(0.2 * before[..., 2].mean(), rel=0.05)
    tuned.click("setting_mirror")
    tuned.point(*tuned.middle())
    tuned.settled(lambda s: chosen(s) == {"tint": "red", "mirror": True})
    assert difference(red[:, ::-1], tuned.picture()) < 2 < difference(red, tuned.picture())
    tuned.click("settings_reset")
    tuned.point(*tuned.middle())
    state = tuned.settled(lambda s: chosen(s) == {})
    assert difference(before, tuned.picture()) < 0.5
    assert "settings_reset" in state["disabled"] and state["texts"]["setting_tint"] == "none"


def test_an_exported_picture_holds_the_settings(tuned: App, workplace: Path) -> None:
    tuned.choose("setting_tint", 2, "blue")
    tuned.settled(lambda s: chosen(s) == {"tint": "blue"})
    # A window of this height shows the whole right side.
    tuned.resize(1280, 940)
    tuned.click("tab_picture")
    tuned.fill("picture_size", "64", enter=False)
    exported(tuned, "picture", workplace / "blue.png")
    tuned.resize(1280, 820)
    assert dict(read_recipe(workplace / "blue.png").settings) == {"tint": "blue"}
    with Image.open(workplace / "blue.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=float)
    assert pixels[..., 2].mean() > 3 * pixels[..., 0].mean()


def test_what_the_model_cannot_do_is_off_and_says_why(tuned: App) -> None:
    state = tuned.state
    off = {"view_raw", "view_normals", "view_opacity", "cutoff", "picture_transparent"}
    assert off <= set(state["disabled"])
    assert not {"view_picture", "view_depth"} & set(state["disabled"])
    tips = state["texts"]
    assert tips["view_raw_tip"] == ABSENT["raw"]
    assert tips["view_normals_tip"] == ABSENT["normals"]
    assert tips["view_opacity_tip"] == tips["picture_transparent_tip"] == ABSENT["opacity"]
    assert tips["cutoff_tip"] == ABSENT["cutoff"]
    # The tooltip of a control that is off really shows, and neither mouse nor key works it.
    x, y, width, height = state["widgets"]["view_raw"]
    bare = np.asarray(tuned.screenshot(), dtype=float)
    tuned.point(x + width / 2, y + height / 2)

    def changed() -> int:
        hovered = np.asarray(tuned.screenshot(), dtype=float)
        return int((np.abs(hovered - bare).max(axis=-1) > 10).sum())

    tuned.wait("the tooltip", lambda _state: changed() > 2000)
    tuned.click("view_raw")
    tuned.click_at("cutoff", 0.2)
    tuned.point(*tuned.middle())
    tuned.key("n")
    told = tuned.wait("the reason", lambda s: s["notices"])
    assert told["notices"][0] == ["info", ABSENT["normals"]]
    assert told["recipe"]["view"] == "picture" and told["recipe"]["cutoff"] is None


def test_another_model_has_other_settings(tuned: App, workplace: Path) -> None:
    assert all(name in tuned.state["widgets"] for name in SECTION)
    tuned.click_at("setting_glow", 1.0)
    tuned.point(*tuned.middle())
    tuned.settled(lambda s: "glow" in chosen(s))
    tuned.fill("model_path", str(workplace / "Study head.head"))
    state = tuned.settled(lambda s: s["model"] == "Study head")
    assert not [name for name in state["widgets"] if name.startswith("setting_")]
    assert chosen(state) == {}
    assert not {"cutoff", "view_raw", "picture_transparent"} & set(state["disabled"])
    # Typing still works: the widgets that went are forgotten by what watches the keyboard.
    tuned.key("3")
    tuned.settled(lambda s: s["recipe"]["pose"]["yaw"] == 90)
    # A model with the same settings takes the values over, and undo brings back the first one.
    tuned.key("ctrl+z", "ctrl+z")
    state = tuned.settled(lambda s: s["model"] == "Tuned head")
    assert "glow" in chosen(state)
    tuned.fill("model_path", str(workplace / "Second tuned.tuned"))
    again = tuned.settled(lambda s: s["model"] == "Second tuned")
    assert chosen(again) == chosen(state)


def test_a_larger_interface_keeps_the_settings(tuned: App) -> None:
    tuned.click("setting_mirror")
    tuned.settled(lambda s: chosen(s) == {"mirror": True})
    tuned.point(*tuned.middle())
    tuned.key("ctrl+plus")
    tuned.settled(lambda s: s["ui_scale"] == 1.1 and "setting_mirror" in s["widgets"])
    tuned.key("ctrl+minus")
    state = tuned.settled(lambda s: s["ui_scale"] == 1.0 and "setting_mirror" in s["widgets"])
    assert chosen(state) == {"mirror": True}
    tuned.click("setting_mirror")
    tuned.settled(lambda s: chosen(s) == {})


def test_the_folder_of_a_release_opens_from_the_dialog(tuned: App, workplace: Path) -> None:
    before = tuned.state["model"]
    folder = workplace / "a release"
    folder.mkdir()
    (workplace / "answer").write_text(f"{folder}\n")
    tuned.click("model_folder")
    state = tuned.wait("the reader's answer", lambda s: s["notices"], 30)
    severity, text = state["notices"][0]
    assert severity == "error" and str(folder) in text
    shutil.copy(ROOT / "tests/data/goldens/cips3d/checkpoint.pth", folder / "G_ema.pth")
    tuned.click("model_folder")
    state = tuned.wait("the release", lambda s: s["model"] == "a release", 60)
    tuned.wait("its settings", lambda s: "setting_samples_per_pass" in s["widgets"])
    assert not set(SECTION) & set(tuned.state["widgets"])
    tuned.point(*tuned.middle())
    tuned.key("ctrl+z")
    tuned.wait("the model before", lambda s: s["model"] == before, 60)
    assert set(SECTION) <= set(tuned.state["widgets"])
