"""The real window, driven by real mouse and keyboard events."""

from __future__ import annotations

import itertools
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from engine.export.picture import read_recipe
from tests.app.gui.driver import App, State
from tests.app.gui.pictures_boxes import topmost

pytestmark = pytest.mark.gui


def pose(app: App) -> dict[str, float]:
    return app.state["recipe"]["pose"]


def direction(state: State) -> tuple[float, float]:
    at = state["recipe"]["pose"]
    return at["yaw"], at["pitch"]


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two pictures in grey levels."""
    assert a.shape == b.shape
    return float(np.abs(a - b).mean())


def test_dragging_turns_the_head(app: App) -> None:
    before = app.picture()
    side = app.state["picture"][3]
    app.drag(120, 40)
    state = app.settled()
    after = app.picture()
    turned = state["recipe"]["pose"]
    # Half a turn for a whole picture; a pixel more or less in the last step.
    assert turned["yaw"] == pytest.approx(-120 * 180 / side, abs=0.6)
    assert turned["pitch"] == pytest.approx(40 * 180 / side, abs=0.6)
    assert difference(before, after) > 5

    # The nose, the brightest thing in its place, went to the right with the mouse.
    middle = before.shape[1] // 2
    shift = _skin_center(after) - _skin_center(before)
    assert shift > 0.02 * middle
    app.key("ctrl+z")
    app.settled(lambda s: s["recipe"]["pose"] == s["home"])
    assert difference(before, app.picture()) < 0.5


def _skin_center(picture: np.ndarray) -> float:
    """Column of the centre of the face's skin (red above a threshold, on the front side)."""
    red = picture[..., 0] > 110
    return float(np.nonzero(red)[1].mean())


def test_a_drag_is_one_step_and_can_be_redone(app: App) -> None:
    steps = app.state["steps"]
    app.drag(-90, 0)
    turned = app.settled()
    assert turned["steps"] == steps + 1
    app.key("ctrl+z")
    app.settled(lambda s: s["steps"] == steps and s["recipe"]["pose"] == s["home"])
    app.key("ctrl+shift+z")
    app.settled(lambda s: s["recipe"] == turned["recipe"])


@pytest.mark.parametrize("button", [2, 3])
def test_the_other_buttons_move_the_picture(app: App, button: int) -> None:
    before = _mass(app.picture())
    app.drag(80, 0, button=button)
    state = app.settled()
    moved = state["recipe"]["pose"]
    assert moved["yaw"] == 0
    # Pulling the picture to the right moves the camera to its left, which is -X.
    width = 2 * moved["radius"] * math.tan(math.radians(moved["fov_y"] / 2))
    assert moved["look_at"][0] == pytest.approx(-80 / state["picture"][3] * width, rel=0.03)
    assert _mass(app.picture()) - before == pytest.approx(80, abs=6)


def _mass(picture: np.ndarray) -> float:
    """Column of the middle of the bright head."""
    columns = np.nonzero((picture[..., 0] > 110).any(axis=0))[0]
    return float(columns[0] + columns[-1]) / 2


def test_the_wheel_zooms_in_one_step(app: App) -> None:
    before, steps = app.picture(), app.state["steps"]
    app.wheel(3)
    state = app.settled(lambda s: abs(s["recipe"]["pose"]["radius"] - 2.4 * 0.9**3) < 1e-6)
    app.wait("the end of the gesture", lambda s: s["steps"] == steps + 1)
    assert _width(app.picture()) > 1.2 * _width(before)
    for _ in range(4):
        app.wheel(-10)
    low, high = 0.2 * 2.4, 8.0 * 2.4
    assert low <= pose(app)["radius"] <= high
    assert state["home"]["radius"] == 2.4


def _width(picture: np.ndarray) -> int:
    return int((picture[..., 0] > 110).any(axis=0).sum())


def test_keys_look_from_front_side_and_top(app: App) -> None:
    front = app.picture()
    app.key("3")
    app.settled(lambda s: direction(s) == (90, 0))
    assert difference(front, app.picture()) > 5
    app.key("7")
    app.settled(lambda s: direction(s) == (0, 89))
    app.key("1")
    app.settled(lambda s: direction(s) == (0, 0))
    assert difference(front, app.picture()) < 0.5
    app.key("Left", "Left", "Up")
    app.settled(lambda s: direction(s) == (10, -5))


def test_double_click_resets_the_camera(app: App) -> None:
    app.drag(60, 30)
    app.drag(40, 0, button=3)
    app.settled(lambda s: s["recipe"]["pose"] != s["home"])
    app.point(*app.middle())
    app.xdotool("click", "--repeat", 2, "--delay", 60, 1)
    app.wait("the home pose", lambda s: s["recipe"]["pose"] == s["home"])


def test_clicking_an_axis_of_the_gizmo(app: App) -> None:
    x, y, width, height = app.state["widgets"]["gizmo"]
    # The red end of +X lies to the right of the gizmo's middle.
    app.point(x + width / 2 + 44, y + height / 2)
    app.xdotool("click", 1)
    app.wait("the side view", lambda s: s["recipe"]["pose"]["yaw"] == 90)


def test_typing_a_seed_starts_no_shortcut(app: App) -> None:
    before = app.picture()
    app.fill("seed", "173", enter=False)
    typing = app.state
    # 1, 7 and 3 are the keys of the named views: nothing has turned.
    assert typing["recipe"]["pose"] == typing["home"]
    app.key("Return")
    state = app.settled(lambda s: s["recipe"]["seed"] == 173)
    assert state["recipe"]["pose"] == state["home"]
    assert difference(before, app.picture()) > 1
    app.fill("seed", "no number")
    app.wait("the notice", lambda s: any("whole number" in text for _, text in s["notices"]))
    assert app.state["recipe"]["seed"] == 173
    app.click("seed_next")
    app.wait("the next seed", lambda s: s["recipe"]["seed"] == 174)
    app.point(*app.middle())
    app.key("r")
    app.wait("a random seed", lambda s: s["recipe"]["seed"] not in (173, 174))


def test_view_modes_change_the_picture(app: App) -> None:
    pictures = [app.picture()]
    for mode in ("depth", "normals", "opacity", "raw"):
        app.click(f"view_{mode}")
        app.settled(lambda s, m=mode: s["recipe"]["view"] == m)
        pictures.append(app.picture())
    for one, two in itertools.pairwise(pictures):
        assert difference(one, two) > 2


def test_exporting_a_picture_writes_it(app: App, workplace: Path) -> None:
    app.drag(70, 20)
    app.settled()
    target = workplace / "portrait.png"
    app.click("tab_picture")
    app.fill("picture_size", "96", enter=False)
    exported(app, "picture", target)
    with Image.open(target) as picture:
        assert picture.size == (96, 96)
        written = np.asarray(picture.convert("RGB"), dtype=float)
    # It shows what the window shows (the lower four fifths of it, scaled).
    seen = Image.fromarray(app.picture().astype(np.uint8)).resize((96, 76))
    assert difference(np.asarray(seen, dtype=float)[4:-4], written[20:][4:-4]) < 6
    assert any(str(target) in text for text in app.notices())

    # The same name again: it asks first, and "Keep it" keeps it.
    stamp = target.stat().st_mtime_ns
    app.click("picture_start")
    app.click("confirm_no")
    time.sleep(0.3)
    assert target.stat().st_mtime_ns == stamp


def exported(app: App, kind: str, path: Path) -> None:
    """Type where to save and wait until it is saved."""
    app.fill(f"{kind}_path", str(path))
    app.wait(
        f"the {kind} {path.name}",
        lambda s: (
            (e := s["exports"].get(kind)) and e["state"] == "finished" and e["path"] == str(path)
        ),
        60,
    )


def test_exporting_a_transparent_picture(app: App, workplace: Path) -> None:
    app.click("tab_picture")
    app.fill("picture_size", "64", enter=False)
    app.click("picture_transparent")
    exported(app, "picture", workplace / "cut out.png")
    app.click("picture_transparent")
    with Image.open(workplace / "cut out.png") as picture:
        assert (picture.mode, picture.size) == ("RGBA", (64, 64))
        alpha = np.asarray(picture)[..., 3]
    assert alpha[32, 32] == 255 and alpha[0].max() == 0 == alpha[:, 0].max()


def test_the_ending_of_a_picture_is_its_format(app: App, workplace: Path) -> None:
    app.click("tab_picture")
    app.fill("picture_size", "64", enter=False)
    exported(app, "picture", workplace / "head.webp")
    with Image.open(workplace / "head.webp") as picture:
        assert (picture.format, picture.size) == ("WEBP", (64, 64))
    assert read_recipe(workplace / "head.webp").size == 64
    # A JPEG has no transparency: told at once, and nothing is drawn.
    app.click("picture_transparent")
    app.fill("picture_path", str(workplace / "head.jpg"))
    app.wait("the notice", lambda s: any("JPEG cannot be" in text for _, text in s["notices"]))
    app.click("picture_transparent")
    assert not (workplace / "head.jpg").exists()


def test_exporting_a_gif_and_a_sequence_of_pictures(app: App, workplace: Path) -> None:
    app.click("tab_video")
    app.fill("video_seconds", "1", enter=False)
    app.fill("video_fps", "5", enter=False)
    app.fill("video_size", "64", enter=False)
    app.choose("video_format", 1, "GIF")
    assert app.state["texts"]["video_path"].endswith(".gif")
    exported(app, "video", workplace / "turn.gif")
    with Image.open(workplace / "turn.gif") as gif:
        assert (gif.format, gif.size, gif.n_frames) == ("GIF", (64, 64), 5)  # type: ignore[attr-defined]
    app.choose("video_format", 2, "PNG sequence")
    assert Path(app.state["texts"]["video_path"]).suffix == ""
    exported(app, "video", workplace / "turn")
    pictures = [np.asarray(Image.open(p)) for p in sorted((workplace / "turn").iterdir())]
    assert [p.shape for p in pictures] == [(64, 64, 3)] * 5
    # A full turn in five steps: no two neighbours show the head from the same side.
    assert all(difference(a * 1.0, b * 1.0) > 2 for a, b in itertools.pairwise(pictures))
    app.choose("video_format", 0, "MP4 (H.264)")


def test_exporting_a_mesh(app: App, workplace: Path) -> None:
    app.click("tab_mesh")
    app.fill("mesh_resolution", "24", enter=False)
    app.choose("mesh_format", 1, "PLY")
    exported(app, "mesh", workplace / "head.ply")
    mesh = trimesh.load(workplace / "head.ply")
    assert isinstance(mesh, trimesh.Trimesh) and mesh.is_watertight
    # A ball of 0.32 with a nose that reaches to 0.4 in front.
    assert mesh.bounds[0] == pytest.approx([-0.32] * 3, abs=0.02)
    assert mesh.bounds[1] == pytest.approx([0.32, 0.32, 0.4], abs=0.02)
    # Another ending than the format's: told, and nothing is written.
    app.fill("mesh_path", str(workplace / "head.stl"))
    app.wait("the notice", lambda s: any("must end in .ply" in text for _, text in s["notices"]))
    assert not (workplace / "head.stl").exists()


def test_an_export_that_cannot_be_written_is_told(app: App, workplace: Path) -> None:
    app.click("tab_picture")
    app.fill("picture_path", str(workplace / "portrait.txt"))
    app.wait("the notice", lambda s: any("must end in .png" in text for _, text in s["notices"]))
    app.key("Escape")
    app.fill("picture_path", "/proc/portrait.png")
    app.wait(
        "the failure",
        lambda s: s["exports"].get("picture", {}).get("state") == "failed",
        30,
    )
    assert any("/proc/portrait.png could not be written" in text for text in app.notices())


def test_a_bad_export_size_is_told(app: App, workplace: Path) -> None:
    app.click("tab_picture")
    app.fill("picture_size", "100000", enter=False)
    app.fill("picture_path", str(workplace / "never.png"))
    app.wait("the notice", lambda s: any("8192" in text for _, text in s["notices"]))
    assert not (workplace / "never.png").exists()
    app.fill("picture_size", "96", enter=False)


def test_a_long_export_shows_progress_and_can_be_cancelled(app: App, workplace: Path) -> None:
    target = workplace / "turn.mp4"
    app.click("tab_video")
    app.fill("video_seconds", "300", enter=False)
    app.fill("video_size", "64", enter=False)
    app.fill("video_path", str(target))
    app.wait("progress", lambda s: s["exports"].get("video", {}).get("done", 0) > 0)
    # The window stays alive meanwhile.
    app.point(*app.middle())
    app.key("3")
    app.wait("the side view", lambda s: direction(s) == (90, 0))
    app.click("video_cancel")
    app.wait("the end", lambda s: s["exports"]["video"]["state"] == "cancelled", 30)
    assert not target.exists() and not list(workplace.glob(".maquette-*"))


def test_a_bad_checkpoint_keeps_the_model(app: App, workplace: Path) -> None:
    bad = workplace / "broken.pkl"
    bad.write_bytes(b"this is no checkpoint" * 50)
    before, pixels = app.state, app.picture()
    app.fill("model_path", str(bad))
    app.wait("the error", lambda s: any(n[0] == "error" for n in s["notices"]), 30)
    state = app.settled()
    assert state["model"] == before["model"] == "Study head"
    assert state["recipe"] == before["recipe"]
    app.key("Escape")
    app.wait("no notices", lambda s: not s["notices"])
    app.still()
    assert difference(pixels, app.picture()) < 0.5
    app.fill("model_path", str(workplace / "nothing here.pkl"))
    app.wait("the error", lambda s: any("no file" in n[1] for n in s["notices"]))


def test_the_system_dialog_opens_a_checkpoint(app: App, workplace: Path) -> None:
    other = workplace / "Other head.head"
    other.touch()
    (workplace / "answer").write_text(f"{other}\n")
    app.key("ctrl+o")
    app.wait("the other model", lambda s: s["model"] == "Other head", 30)
    app.settled()
    # Undo goes back to the model that was open before.
    app.key("ctrl+z")
    app.wait("the first model", lambda s: s["model"] == "Study head", 30)


def test_the_window_can_be_resized(app: App) -> None:
    before = app.state["picture"]
    app.resize(1000, 700)
    state = app.wait("the new size", lambda s: s["window"] == [1000, 700])
    state = app.wait("a smaller picture", lambda s: s["picture"][2] < before[2])
    x, y, width, height = state["picture"]
    assert width == height
    assert x > 0 and y > 0 and x + width < 1000 and y + height < 700
    app.settled()
    assert app.picture().std() > 10
    app.resize(1280, 820)
    app.wait("the old size", lambda s: s["picture"] == before)


def test_help_and_interface_size(app: App) -> None:
    app.key("F1")
    app.wait("the list of shortcuts", lambda s: s["help_open"])
    app.key("Escape")
    app.wait("no list", lambda s: not s["help_open"])
    app.key("question")
    app.wait("the list of shortcuts", lambda s: s["help_open"])

    def whole(s: State) -> bool:
        _, top, _, bottom = topmost(s, *app.middle())
        return bool(bottom - top > 600 and bottom <= s["window"][1])

    app.wait("its foot inside the window", whole)
    app.key("Escape")
    app.key("ctrl+plus")
    app.wait("larger letters", lambda s: s["ui_scale"] == 1.1)
    app.key("ctrl+minus")
    app.wait("the old letters", lambda s: s["ui_scale"] == 1.0)
    assert app.settled()["model"] == "Study head"


def test_a_killed_engine_comes_back_with_the_same_picture(app: App) -> None:
    app.drag(100, 30)
    before = app.settled()
    pixels = app.picture()
    os.kill(before["engine_pid"], signal.SIGKILL)
    app.wait("a notice", lambda s: any(n[0] == "warning" for n in s["notices"]), 10)
    state = app.wait(
        "a new engine",
        lambda s: s["engine"] == "READY" and s["engine_pid"] not in (None, before["engine_pid"]),
        60,
    )
    assert any("back" in text for _, text in state["notices"])
    app.settled(
        lambda s: s["recipe"] == before["recipe"] and s["frame"]["count"] > before["frame"]["count"]
    )
    app.key("Escape")
    app.wait("no notices", lambda s: not s["notices"])
    app.still()
    assert difference(pixels, app.picture()) < 0.5
