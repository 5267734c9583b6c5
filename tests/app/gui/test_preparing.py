"""Photographs become a set to train on, in the window, with a real mouse."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from engine.training.data.photos.faces import average_face
from tests.app.gui.driver import App, State
from tests.training.data.photo_sets import fake_python

pytestmark = pytest.mark.gui

GOLDEN = Path(__file__).parents[2] / "data" / "goldens" / "eg3d_ffhq" / "checkpoint.pkl"
#: Eyes and corners of the mouth in the portrait, left before right, pixels.
PORTRAIT = np.array([(204.6, 100.9), (246.5, 103.0), (201.8, 139.2), (245.0, 141.0)])
#: The portrait is cut here, and this much smaller, so that finding is quick.
CUT, SMALLER = (90, 0, 390, 300), 0.8
FACE = (PORTRAIT - CUT[:2]) * SMALLER


def portrait() -> Image.Image:
    """Somebody who looks at us, 240 pixels."""
    whole = Image.fromarray(data.astronaut()).crop(CUT)
    return whole.resize((240, 240), Image.Resampling.LANCZOS)


def write_photos(folder: Path) -> None:
    """Two portraits, a wall, and something that is no picture."""
    folder.mkdir()
    portrait().save(folder / "ann.png")
    portrait().transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "bea.png")
    Image.new("RGB", (120, 90), (120, 130, 140)).save(folder / "wall.png")
    (folder / "worn.png").write_bytes(b"no picture")


@pytest.fixture
def opened(display: str, tmp_path: Path) -> Iterator[App]:
    """The window on the tiny model, with the window for photographs open."""
    write_photos(tmp_path / "in")
    # A Python that MediaPipe fits is at hand whichever one runs the tests.
    fitting = tmp_path / "bin" / "python3.11"
    fitting.parent.mkdir()
    fitting.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    fitting.chmod(0o755)
    app = App(
        tmp_path, display, GOLDEN, command=("-m", "app", "--device", "cpu"), cwd=tmp_path,
        # Whatever happens, nothing is fetched.
        variables={
            "XDG_DATA_HOME": str(tmp_path / "data"), "MAQUETTE_PHOTOS_PYTHON": "", "PIP_NO_INDEX": "1",
            "PATH": f"{fitting.parent}{os.pathsep}{os.environ['PATH']}",
        },
    )  # fmt: skip
    with app:
        app.click("train")
        app.wait("the window for training", lambda s: s["train"] is not None)
        app.click("train_prepare")
        app.wait("the window", lambda s: s["prepare"] is not None)
        yield app


def kinds(state: State) -> dict[str, str]:
    found: dict[str, str] = state["prepare"]["kinds"]
    return found


def look(app: App) -> None:
    """Everything was looked at by the rough finder, and the first that waits is on the screen."""
    app.fill("prepare_photos", "in")
    app.fill("prepare_out", "out")
    app.click("prepare_find")
    app.wait("everything", lambda s: s["prepare"]["looked"] and s["prepare"]["shown"])


def drag_point(app: App, index: int, x: float, y: float) -> None:
    """Drag a point to a place in the portrait, pixels of the photograph."""
    left, top, width, _ = app.state["widgets"]["prepare_canvas"]
    from_x, from_y = app.state["prepare"]["places"][index]
    app.point(left + from_x, top + from_y)
    app.press()
    held = app.state["prepare"]["points"][index]
    for share in (0.5, 1.0, 1.0):
        to = (x * width / 240, y * width / 240)
        app.point(left + from_x + share * (to[0] - from_x), top + from_y + share * (to[1] - from_y))

    def there(state: State) -> bool:
        now = state["prepare"]["points"][index]
        return bool(np.hypot(now[0] - x, now[1] - y) < 1.5)

    app.wait(f"point {index} from {held} at {x}, {y}", there)
    app.release()


def test_guesses_are_corrected_and_the_set_is_trained_on(opened: App, tmp_path: Path) -> None:
    app = opened
    # The model's own side stands there, and nothing is installed by itself.
    state = app.wait("the finder", lambda s: s["prepare"]["finder"] is not None)
    assert state["prepare"]["finder"] is False and state["prepare"]["resolution"] == 64
    assert "rough finder" in state["texts"]["prepare_at_hand"]
    assert state["widgets"]["prepare_install"][2] > 1
    assert not (tmp_path / "data").exists()
    app.click("prepare_install")
    app.wait("it to begin", lambda s: s["prepare"]["state"] == "installing")
    app.click("prepare_cancel")
    app.wait("its end", lambda s: s["prepare"]["state"] == "idle")
    assert not list((tmp_path / "data" / "maquette").iterdir()) and not app.notices()
    app.click("prepare_find")
    app.wait(
        "what is missing", lambda _s: any("Choose the photographs" in n for n in app.notices())
    )
    look(app)
    state = app.state
    assert kinds(state) == {
        "ann.png": "guessed", "bea.png": "guessed", "wall.png": "no face", "worn.png": "skipped",
    }  # fmt: skip
    assert state["prepare"]["chosen"] == "ann.png" and not (tmp_path / "out").exists()
    guess = np.array(state["prepare"]["points"])
    assert np.hypot(*(guess - FACE).T).max() < 15
    app.click("prepare_make")
    app.wait("the reason", lambda _s: any("No face is certain" in n for n in app.notices()))
    window = app.state["widgets"]["prepare_canvas"]
    for index, (x, y) in enumerate(FACE):
        drag_point(app, index, x, y)
    assert app.state["widgets"]["prepare_canvas"] == window
    app.slide("prepare_yaw_slider", 0.5, 0.6)
    state = app.wait("a yaw", lambda s: 10 < s["prepare"]["angles"][0] < 30)
    yaw = state["prepare"]["angles"][0]
    app.click("prepare_right")
    app.wait(
        "it", lambda s: kinds(s)["ann.png"] == "by hand" and s["prepare"]["chosen"] == "bea.png"
    )
    draft = tmp_path / "out-maquette-points.json"
    app.wait("it in a file", lambda _s: draft.is_file())
    app.click("prepare_none")
    app.wait("it", lambda s: kinds(s)["bea.png"] == "refused")
    # Where nobody was found one can point, too.
    app.click("prepare_photo_2")
    app.wait("the wall", lambda s: s["prepare"]["chosen"] == "wall.png" and s["prepare"]["shown"])
    app.click("prepare_make")
    app.wait("the set", lambda s: s["prepare"]["made"] == 1)
    made = json.loads((tmp_path / "out" / "maquette-prepared.json").read_text())
    (picture,) = made["pictures"]
    assert picture["photo"] == "ann.png" and abs(picture["angles"]["yaw"] - yaw) < 1e-3
    assert np.abs(np.array([*picture["eyes"], *picture["mouth"]]) - FACE).max() < 1.6
    assert "guessed" in made["finder"] and made["resolution"] == 64
    points = json.loads((tmp_path / "out" / "maquette-points.json").read_text())["faces"]
    assert points["bea.png"] == [] and points["ann.png"][0]["certain"] and not draft.exists()
    app.click("prepare_train")
    folder = str(tmp_path / "out")
    app.wait("the form", lambda s: s["prepare"] is None and s["texts"]["train_data"] == folder)
    assert app.state["train"]["data"] == folder
    app.click("train_look")
    app.wait("both were looked at", lambda s: s["train"]["groups"])


def test_faces_that_are_certain_need_nobody_and_a_dead_process_is_told(
    display: str, tmp_path: Path
) -> None:
    write_photos(tmp_path / "in")
    Image.new("RGB", (420, 420), "white").save(tmp_path / "in" / "pair.png")
    # Stands for MediaPipe: it sees the same face wherever it looks, and two of them on white.
    points = np.concatenate([average_face(), np.zeros((10, 3))])
    python = fake_python(tmp_path, np.array([1, -1, -1]) * 200 * points + 200)
    app = App(
        tmp_path, display, GOLDEN, command=("-m", "app", "--device", "cpu"), cwd=tmp_path,
        variables={"MAQUETTE_PHOTOS_PYTHON": str(python)},
    )  # fmt: skip
    with app:
        app.click("train")
        app.click("train_prepare")
        state = app.wait("the finder", lambda s: (s["prepare"] or {}).get("finder"))
        assert state["texts"]["prepare_at_hand"] == "MediaPipe is at hand."
        app.fill("prepare_photos", "in")
        app.fill("prepare_out", "out")
        app.click("prepare_find")
        state = app.wait("everything", lambda s: s["prepare"]["looked"])
        assert kinds(state)["ann.png"] == kinds(state)["bea.png"] == "found"
        assert state["prepare"]["chosen"] == ""
        os.kill(state["prepare"]["pid"], signal.SIGKILL)
        app.wait("the news", lambda _s: any("killed by signal 9" in n for n in app.notices()))
        assert kinds(app.state) == {} and app.state["prepare"]["state"] == "idle"
        app.click("prepare_find")
        app.wait("everything", lambda s: s["prepare"]["looked"])
        app.click("prepare_photo_2")
        app.wait("the largest", lambda s: s["prepare"]["faces"] == ["left", "found"])
        app.choose("prepare_faces", 1, "All of them")
        app.wait("both", lambda s: s["prepare"]["faces"] == ["found", "found"])
        assert app.state["texts"]["prepare_which"] == "Face 1 of 2: found"
        app.click("prepare_face_next")
        app.wait("the second", lambda s: s["prepare"]["at"] == 1)
        app.click("prepare_none")
        app.wait("one of them", lambda s: s["prepare"]["faces"] == ["by hand", "left"])
        app.click("prepare_make")
        made = app.wait("the set", lambda s: s["prepare"]["made"] > 0)["prepare"]["made"]
        assert made == len(list((tmp_path / "out").rglob("*.png")))
        report = json.loads((tmp_path / "out" / "maquette-prepared.json").read_text())
        photos = [one["photo"] for one in report["pictures"]]
        assert photos.count("pair.png") == 1 and "ann.png" in photos
