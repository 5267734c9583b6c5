"""What somebody does who has never seen the window: turn a head, mix two people, make a morph
video of five seconds, save. With the bundled generator, and nothing remembered."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from app.project import read_project
from tests.app.gui.driver import App
from tests.app.gui.screens import screen

pytestmark = [pytest.mark.gui, pytest.mark.slow]


def test_turn_mix_morph_and_save(tmp_path: Path) -> None:
    with screen() as display:
        home = {"HOME": str(tmp_path)}
        with App(tmp_path, display, "", command=("-m", "app"), variables=home) as app:
            first_steps(app, tmp_path)


def first_steps(app: App, folder: Path) -> None:
    state = app.settled()
    # What it takes is said and seen without scrolling.
    assert "Drag the head to turn it" in state["texts"]["status_model"]
    height = state["window"][1]
    for widget in ("blend_start", "fold_style_mixing", "tab_video", "project"):
        _, y, _, tall = state["widgets"][widget]
        assert tall > 0 and y + tall < height - 30, widget

    app.drag(120, 0)
    state = app.settled(lambda s: abs(s["recipe"]["pose"]["yaw"]) > 10)
    assert "Drag" not in state["texts"]["status_model"]

    app.click("blend_start")
    app.settled(lambda s: len(s["recipe"].get("blend", {}).get("seeds", ())) == 2)

    app.click("tab_video")
    app.fill("video_morph", "3, 8", enter=False)
    app.fill("video_seconds", "5", enter=False)
    app.fill("video_fps", "10", enter=False)
    app.fill("video_size", "32", enter=False)
    app.fill("video_path", str(folder / "morph.mp4"))
    app.wait("the video", lambda s: any(job[2] == "finished" for job in s["jobs"]), 240)
    with av.open(str(folder / "morph.mp4")) as video:
        stream = video.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(5.0, abs=0.05)

    app.key("Escape")
    app.drop_down("project")
    app.settled()
    # The lines of a menu have no size of their own: Save is the fourth.
    x, y, _, tall = app.state["widgets"]["project"]
    app.point(x + 30, y + tall + 105)
    app.xdotool("click", 1)
    app.wait("a path", lambda s: s["project"]["prompt"] == "save")
    app.fill("prompt_path", str(folder / "anna.maquette"))
    app.wait("it saved", lambda s: not s["project"]["dirty"])
    assert read_project(folder / "anna.maquette").document.recipe.blend is not None
