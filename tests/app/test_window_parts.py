"""What the window is made of, without a window: geometry, gizmo, pace, callbacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import dearpygui.dearpygui as dpg
import numpy as np
import pytest

from app import interaction
from app.dialogs import Question, command_for
from app.display import require_display, screen_dots, screen_size
from app.document import Document, look_from
from app.exports import time_left
from app.geometry import (
    MIN_HEIGHT,
    MIN_WIDTH,
    Rect,
    arrange,
    first_scale,
    first_size,
    fit_picture,
    fitting_scale,
    next_scale,
)
from app.gizmo import REACH, end_at, project
from app.live_texture import bucket_for, place_image
from app.meter import Pace, RateMeter
from app.notices import MOST, NoticeBoard
from app.panels.export import free_name
from app.panels.identity import cutoff_words, read_seed
from app.panels.model import short_name
from app.runner import CallbackRunner
from app.settings import Settings, load_settings, save_settings
from app.window import Window
from engine.errors import Cancelled, UserError


def test_the_picture_is_the_largest_centred_square() -> None:
    assert fit_picture(800, 600, margin=20) == Rect(120, 20, 560, 560)
    assert fit_picture(300, 600, margin=0) == Rect(0, 150, 300, 300)
    wide = fit_picture(800, 600, aspect=2.0)
    assert (wide.width, wide.height, wide.x, wide.y) == (800, 400, 0, 100)
    assert fit_picture(10, 10, margin=20).width == 32


def test_a_rectangle_holds_what_lies_wholly_inside() -> None:
    outer = Rect(10, 20, 100, 50)
    assert outer.holds(outer) and outer.holds(Rect(11, 21, 98, 48))
    for beyond in (
        Rect(9, 21, 50, 20),
        Rect(11, 19, 50, 20),
        Rect(11, 21, 100, 20),
        Rect(11, 21, 9, 50),
    ):
        assert not outer.holds(beyond)


def test_the_layout_covers_the_window_without_overlap() -> None:
    layout = arrange(1280, 820)
    assert layout.left.right == layout.grip_left.x
    assert layout.grip_left.right == layout.viewport.x
    assert layout.viewport.right == layout.grip_right.x
    assert layout.grip_right.right == layout.right.x
    assert layout.right.right == 1280
    assert layout.toolbar.bottom == layout.viewport.y
    assert layout.viewport.bottom == layout.status.y
    assert layout.status.bottom == 820
    # A large scale on a small window leaves three tenths of it to the picture.
    assert 300 <= arrange(1000, 700, 3.0).viewport.width <= 303


def test_what_is_under_the_mouse_goes_where_the_mouse_goes() -> None:
    document = Document()
    nose = np.array([0.0, 0.0, 0.3])

    def nose_at(changed: Document) -> tuple[float, float]:
        x, y, z = (changed.pose.camera().world_to_camera() @ [*nose, 1.0])[:3]
        return x / z, y / z

    right = nose_at(interaction.drag_orbit(document, 50, 0, 500))
    down = nose_at(interaction.drag_orbit(document, 0, 50, 500))
    assert right[0] > 0 and right[1] == pytest.approx(0)
    assert down[1] > 0 and down[0] == pytest.approx(0)
    assert interaction.drag_orbit(document, 500, 0, 500).pose.yaw == -180
    # Pulling by a tenth of the picture moves the middle by a tenth of the picture.
    moved = interaction.drag_pan(document, 50, 0, 500)
    x, _, z = (moved.pose.camera().world_to_camera() @ [0, 0, 0, 1.0])[:3]
    assert x / z * moved.pose.camera().focal == pytest.approx(0.1)
    assert interaction.wheel_zoom(document, 2).pose.radius == pytest.approx(2.7 * 0.81)
    assert nose_at(interaction.nudge(document, 1, 0))[0] > 0
    assert nose_at(interaction.nudge(document, 0, 1))[1] < 0


def test_the_gizmo_shows_the_axes_as_the_camera_sees_them() -> None:
    front = Document().pose
    rotation = front.camera().cam2world[:3, :3]
    assert project(rotation, (1, 0, 0)) == pytest.approx((1, 0, 0))
    assert project(rotation, (0, 1, 0)) == pytest.approx((0, -1, 0))
    assert project(rotation, (0, 0, 1)) == pytest.approx((0, 0, -1))
    side = look_from(Document(), "left").pose.camera().cam2world[:3, :3]
    # From the person's left the nose points to the left of the picture.
    assert project(side, (0, 0, 1)) == pytest.approx((-1, 0, 0), abs=1e-9)

    hit = end_at(front, REACH, 0)
    assert hit is not None and hit.direction == "left"
    top = end_at(front, 0, -REACH)
    assert top is not None and top.direction == "top"
    # Nothing lies between the ends, and the end that points at the viewer is left out.
    assert end_at(front, REACH / 2, 0) is None
    back = end_at(front, 0, 0)
    assert back is not None and back.direction == "back"


def test_a_small_window_limits_the_scale() -> None:
    assert fitting_scale(1.5, 1440, 900) == 1.5
    assert fitting_scale(1.3, 1280, 820) == 1.3
    assert fitting_scale(1.5, 1439, 900) == 1.25
    assert fitting_scale(3.0, 4000, 1000) == 2.0
    assert fitting_scale(2.0, 960, 620) == 1.0
    assert fitting_scale(1.0, 300, 200) == 0.75
    assert fitting_scale(0.5, 300, 200) == 0.5


def test_the_first_scale_follows_the_screen() -> None:
    sizes = (1366, 768), (1920, 1080), (2560, 1440), (2560, 1600), (3840, 2160), (5120, 2880)
    assert [first_scale(size) for size in sizes] == [1.0, 1.0, 1.0, 1.25, 1.5, 2.0]
    assert first_scale(None) == 1.0
    # What the desktop has been set up for counts more; 96 is what it says by itself.
    assert [first_scale((3840, 2160), dots) for dots in (96, 120, 150, 192, 500)] == [
        1.5, 1.25, 1.5, 2.0, 3.0,
    ]  # fmt: skip
    assert first_size((1280, 820), (3840, 2160), 1.5) == (1920, 1230)
    assert first_size((1280, 820), (1366, 768), 1.0) == (1280, 730)
    assert first_size((1280, 820), None, 2.0) == (2560, 1640)


def test_models_of_the_same_file_name_are_told_apart() -> None:
    recent = ("/a/one/model.pkl", "/a/two/model.pkl", "/a/heads/model.json", "/a/face.pkl")
    names = [short_name(path, recent) for path in recent]
    assert names == ["one/model.pkl", "two/model.pkl", "heads", "face.pkl"]


def test_textures_take_any_size_without_bleeding() -> None:
    assert [bucket_for(s, s) for s in (48, 64, 65, 512, 1000)] == [66, 66, 130, 514, 1026]
    image = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    target = np.full((8, 8, 4), -1, np.float32)
    assert place_image(image, target) == ((0.125, 0.125), (0.5, 0.375))
    # The picture and, around it, its own edge: half a pixel beyond it shows nothing foreign.
    assert (target[:4, :5] == np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")).all()
    assert (target[4:] == -1).all() and (target[:, 5:] == -1).all()


def test_rates_and_pace() -> None:
    meter = RateMeter()
    for k in range(11):
        meter.add(k * 0.05)
    assert meter.rate(0.5) == pytest.approx(20)
    assert meter.rate(3.0) == 0
    pace = Pace(busy=50, calm=10, idle=2, brisk=0.2, linger=0.5)
    assert pace.sleep(10.0, 10.001) == pytest.approx(0.499)
    pace.touch(10.0)
    assert pace.sleep(10.0, 10.001) == pytest.approx(0.019)
    # An event ends the sleep, but not before 120 frames a second.
    assert pace.least(10.0, 10.001) == pytest.approx(1 / 120 - 0.001)
    assert pace.least(10.0, 10.015) == 0
    # A frame that took longer than it may leaves the engine a third of the time.
    assert pace.sleep(10.0, 10.1) == pytest.approx(0.05)


def test_a_rest_is_drawn_less_often_in_two_steps() -> None:
    pace = Pace(busy=50, calm=10, idle=2, brisk=0.2, linger=0.5)
    pace.touch(10.0)
    assert [pace.rate(at) for at in (10.0, 10.19, 10.21, 10.49, 10.51)] == [50, 50, 10, 10, 2]
    # What moves by itself keeps the middle one, and does not slow down what is done meanwhile.
    pace.stir(20.0)
    assert [pace.rate(at) for at in (20.0, 20.4, 20.6)] == [10, 10, 2]
    pace.touch(20.1)
    pace.stir(20.2)
    assert [pace.rate(at) for at in (20.2, 20.4, 20.69, 20.71)] == [50, 10, 10, 2]


def test_callbacks_never_end_the_loop() -> None:
    shown: list[str] = []
    seen: list[object] = []

    def fails(error: Exception) -> object:
        def callback() -> None:
            raise error

        return callback

    class Panel:
        def two(self, sender: int, value: str) -> None:
            seen.append((sender, value))

    runner = CallbackRunner(shown.append)
    count = runner.run(
        [
            (None, 1, 2, 3),
            (fails(UserError("Too large.")), 1, None, None),
            (fails(Cancelled()), 1, None, None),
            (fails(ZeroDivisionError("oh")), 1, None, None),
            (Panel().two, 7, "x", None),
            (lambda *all_three: seen.append(all_three), 1, 2, 3),
        ]
    )
    assert count == 5
    assert shown[0] == "Too large."
    assert "ZeroDivisionError" in shown[1] and len(shown) == 2
    assert seen == [(7, "x"), (1, 2, 3)]
    assert runner.run(None) == 0


def test_what_was_said_last_can_be_had_when_it_has_gone() -> None:
    board = NoticeBoard()
    assert board.last == ""
    board.post("first", "info", 0.0)
    board.post("second", "error", 1.0)
    # That something was copied is not worth copying.
    board.post("Copied: second", "info", 2.0, "copied", echo=True)
    board.clear()
    assert board.last == "second"


def test_notices_expire_replace_and_repeat() -> None:
    board = NoticeBoard()
    first = board.post("Lost.", "warning", 0.0, key="engine")
    board.post("Back.", "good", 1.0, key="engine")
    assert [n.text for n in board.notices] == ["Back."]
    assert first not in board.notices
    again = board.post("Back.", "good", 2.0)
    assert again.count == 2 and len(board.notices) == 1
    assert not board.expire(7.9)
    assert board.expire(8.0) and board.notices == ()
    for k in range(MOST + 2):
        board.post(f"Fault {k}.", "error", 0.0)
    assert [n.text for n in board.notices] == [f"Fault {k}." for k in range(2, MOST + 2)]
    assert not board.expire(1e9)
    board.close(board.notices[0].number)
    assert len(board.notices) == MOST - 1


def test_dialogs_are_tried_in_order() -> None:
    question = Question("Open", start=Path("/nowhere/a.pkl"), patterns=(("Models", "*.pkl"),))
    zenity = command_for(question, lambda name: f"/bin/{name}")
    assert zenity[:2] == ["/bin/zenity", "--file-selection"]
    assert "--filename=/nowhere/a.pkl" in zenity and "--file-filter=Models | *.pkl" in zenity
    save = Question("Save", save=True, start=Path("/nowhere/a.glb"))
    kdialog = command_for(save, lambda name: "/bin/kdialog" if name == "kdialog" else None)
    assert kdialog == ["/bin/kdialog", "--title", "Save", "--getsavefilename", "/nowhere/a.glb"]


def test_without_a_display_one_sentence_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"DISPLAY is empty.*maquette render.*xvfb-run"):
        require_display({})
    with pytest.raises(UserError, match=r"Wayland"):
        require_display({"WAYLAND_DISPLAY": "wayland-0"})
    with pytest.raises(UserError, match=r":4999 does not answer"):
        require_display({"DISPLAY": ":4999"})


def test_the_command_without_a_display_exits_with_one_sentence() -> None:
    environment = {k: v for k, v in os.environ.items() if "DISPLAY" not in k}
    done = subprocess.run(
        [sys.executable, "-m", "app"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and "display" in done.stderr


def test_the_window_process_never_loads_torch() -> None:
    code = "import sys, app.window; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_small_helpers() -> None:
    assert read_seed(" 42 ") == 42
    for wrong in ("", "-1", "4294967296", "1.5"):
        with pytest.raises(UserError, match="whole number"):
            read_seed(wrong)
    taken = {Path("/a/head.png"), Path("/a/head-2.png")}
    free = free_name(Path("/a"), "head", ".png", lambda p: p in taken)
    assert free == Path("/a/head-3.png")
    assert time_left(None) == ""
    assert time_left(0.2) == "1 s left"
    assert time_left(125) == "2 min 5 s left"
    assert time_left(7300) == "2 h 1 min left"
    assert (next_scale(1.0, 1), next_scale(1.0, -1), next_scale(3.0, 1)) == (1.1, 0.9, 3.0)


def test_a_window_of_one_pixel_leaves_settings_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setattr(dpg, "get_viewport_pos", lambda: [3.0, 4.0])
    for side in ("width", "height"):
        monkeypatch.setattr(dpg, f"get_viewport_{side}", lambda: 1)
    studio = SimpleNamespace(settings=Settings(), change_settings=save_settings)
    Window._remember_size(SimpleNamespace(_studio=studio))  # type: ignore[arg-type]
    loaded = load_settings()
    assert loaded.notice is None
    assert loaded.settings.window_size == (MIN_WIDTH, MIN_HEIGHT)
    assert loaded.settings.window_position == (3, 4)


def test_without_a_screen_its_size_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", ":987"):
        monkeypatch.setenv("DISPLAY", name)
        assert screen_size() is None and screen_dots() is None


def test_the_cutoff_says_how_many_layers_as_far_as_that_is_known() -> None:
    assert cutoff_words(None, 14) == cutoff_words(14, 14) == "all 14 layers"
    assert cutoff_words(3, 14) == "first 3 of 14 layers"
    assert cutoff_words(None, None) == "all layers"  # no model is open
    assert cutoff_words(3, None) == "first 3 layers"
