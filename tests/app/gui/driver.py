"""Drives the real window from outside: mouse and keys by xdotool, eyes by screenshots.

The window's own account of itself comes from the state hook (``app.state_hook``), what it
really shows from the X server's frame buffer.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageGrab

from tests.app.gui.x11 import ask_to_close

ROOT = Path(__file__).parents[3]
State = dict[str, Any]


class App:
    """The running application.

    Args:
        folder: for its settings, its state file and its log.
        display: where to show it.
        model: what to open.
        extra_path: folder to put in front of ``PATH``.
        command: what to run instead of the window on the analytic head.
        variables: more of the environment; an empty one is taken out of it.
        cwd: where it starts, and what typed paths are relative to.
    """

    def __init__(
        self,
        folder: Path,
        display: str,
        model: Path | str,
        extra_path: Path | None = None,
        command: tuple[str, ...] = ("-m", "tests.app.gui.launch"),
        variables: dict[str, str] | None = None,
        cwd: Path = ROOT,
    ):
        self.folder, self.display = folder, display
        self._id = ""
        # In memory where there is a place for that: a rename on a busy disk can stop the window for seconds.
        memory = Path("/dev/shm")
        self._desk = tempfile.TemporaryDirectory(
            prefix="maquette-state-", dir=memory if memory.is_dir() else None
        )
        #: Where its state lies, and where it is asked for more.
        self.desk = Path(self._desk.name)
        self._state_file = self.desk / "state.json"
        config = folder / "config"
        config.mkdir(exist_ok=True)
        settings = config / "settings.json"
        if not settings.exists():
            text = {
                "format": "maquette-settings/1",
                "window_size": [1280, 820],
                "window_position": [40, 40],
                "export_folder": str(folder),
            }
            settings.write_text(json.dumps(text))
        paths = [str(extra_path)] if extra_path else []
        self._environment = {
            **os.environ,
            "DISPLAY": display,
            "MAQUETTE_CONFIG_DIR": str(config),
            "MAQUETTE_TEST_STATE": str(self._state_file),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "PATH": os.pathsep.join([*paths, os.environ["PATH"]]),
            **(variables or {}),
        }
        self._environment = {name: value for name, value in self._environment.items() if value}
        self.log = folder / "window.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command, *([str(model)] if model else [])],
                cwd=cwd, env=self._environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    # Looking ----------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What the window says about itself."""
        data: State = json.loads(self._state_file.read_text())
        return data

    def wait(self, what: str, condition: Callable[[State], object], seconds: float = 45) -> State:
        """Wait until the state satisfies ``condition``; it is returned. A busy machine paints few frames."""
        end = time.monotonic() + seconds
        state: State = {}
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the window ended: {self.log.read_text()[-3000:]}")
            if self._state_file.exists():
                state = self.state
                if condition(state):
                    return state
            time.sleep(0.03)
        log = self.log.read_text()[-2000:]
        raise AssertionError(f"waited {seconds} s for: {what}\n{json.dumps(state)[:3000]}\n{log}")

    def settled(
        self,
        condition: Callable[[State], object] = lambda _state: True,
        what: str = "the full picture of the present document",
    ) -> State:
        """Wait until ``condition`` holds, nothing has changed for a while, and the picture on
        the screen is that of the present document."""
        last: list[Any] = [None, 0.0]

        def done(state: State) -> bool:
            frame = state["frame"]
            if state != last[0]:
                last[:] = [state, time.monotonic()]
            return bool(
                state["engine"] == "READY"
                and frame is not None
                and frame["full_quality"]
                and frame["recipe"] == state["recipe"]
                and condition(state)
                and time.monotonic() - last[1] > 0.3
            )

        return self.wait(what, done)

    def picture(self) -> NDArray[np.float64]:
        """``[H, W, 3]`` the pixels of the live picture on the screen, 0 to 255, without its
        right upper corner's gizmo (the upper fifth is left out)."""
        x, y, width, height = self.state["picture"]
        left, top = self._origin()
        box = (
            int(left + x) + 2,
            int(top + y + height / 5),
            int(left + x + width) - 2,
            int(top + y + height) - 2,
        )
        return np.asarray(self.screenshot().crop(box), dtype=np.float64)

    def screenshot(self):  # type: ignore[no-untyped-def]
        """The whole screen."""
        return ImageGrab.grab(xdisplay=self.display).convert("RGB")

    def asked(self, question: str) -> str:
        """What it answers to a question of :mod:`tests.app.gui.tips`."""
        answer = self.desk / question
        answer.unlink(missing_ok=True)
        (self.desk / f"ask-{question}").touch()
        self.point(*self.middle())
        self.wait(f"the answer to {question}", lambda _state: answer.exists())
        return answer.read_text()

    def notices(self) -> list[str]:
        """The sentences that are shown."""
        return [text for _, text in self.state["notices"]]

    # Acting -----------------------------------------------------------------------------

    def xdotool(self, *words: object) -> str:
        """Run xdotool on the window's screen."""
        done = subprocess.run(
            ["xdotool", *map(str, words)], env=self._environment, check=True,
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        return done.stdout

    def key(self, *keys: str) -> None:
        """Press and release keys, one after the other."""
        for key in keys:
            self.xdotool("key", key)
            time.sleep(0.12)

    def type(self, text: str) -> None:
        """Type a text into whatever has the keyboard."""
        self.xdotool("type", "--delay", 40, "--", text)

    def point(self, x: float, y: float) -> None:
        """Put the mouse on a point of the window."""
        left, top = self._origin()
        self.xdotool("mousemove", round(left + x), round(top + y))
        time.sleep(0.12)

    def click(self, widget: str) -> None:
        """Click the middle of a named widget."""
        x, y, width, height = self._place_of(widget)
        self.point(x + width / 2, y + height / 2)
        self.xdotool("click", 1)
        time.sleep(0.15)

    def click_right(self, widget: str) -> None:
        """Click the middle of a named widget with the right button."""
        x, y, width, height = self._place_of(widget)
        self.point(x + width / 2, y + height / 2)
        self.xdotool("click", 3)
        time.sleep(0.15)

    def click_at(self, widget: str, share: float) -> None:
        """Click a point of a named widget, so far along its width."""
        x, y, width, height = self._place_of(widget)
        # The very edge belongs to the widget's frame.
        self.point(x + 3 + (width - 6) * share, y + height / 2)
        self.xdotool("click", 1)
        time.sleep(0.15)

    def slide(self, widget: str, start: float, end: float, hold: float = 0.1) -> None:
        """Drag along a named widget from one share of its width to another, in small steps."""
        x, y, width, height = self._place_of(widget)
        self.point(x + width * start, y + height / 2)
        self.xdotool("mousedown", 1)
        time.sleep(hold)
        for step in range(1, 9):
            self.point(x + width * (start + (end - start) * step / 8), y + height / 2)
        time.sleep(hold)
        self.xdotool("mouseup", 1)
        time.sleep(0.15)

    def retype(self, widget: str, text: str) -> None:
        """Double-click a number that is dragged, type another, and press Enter."""
        x, y, width, height = self._place_of(widget)
        self.point(x + width / 2, y + height / 2)
        self.xdotool("click", "--repeat", 2, "--delay", 80, 1)
        self.wait(f"the keyboard in {widget}", lambda s: widget in s["active"])
        time.sleep(0.2)
        self.with_ctrl("a")
        self.type(text)
        time.sleep(0.2)
        self.key("Return")
        self.point(*self.middle())

    def fill(self, widget: str, text: str, enter: bool = True) -> None:
        """Replace the text in a box."""
        self.click(widget)
        self.write_over(widget, text, enter)

    def write_over(self, widget: str, text: str, enter: bool = True) -> None:
        """Replace the text in a box that has the keyboard, or is about to."""
        self.wait(f"the keyboard in {widget}", lambda s: widget in s["active"])
        self.with_ctrl("a")
        self.type(text)
        self.wait(f"{text!r} in {widget}", lambda s: s["texts"][widget] == text)
        if enter:
            self.key("Return")

    def with_ctrl(self, key: str) -> None:
        """Press a key of a text box together with Ctrl."""
        # Held for a moment, as by a hand: where frames are slow the box itself would miss it.
        self.xdotool("keydown", "ctrl", "sleep", 0.15, "key", key, "sleep", 0.15, "keyup", "ctrl")
        # The next letter must not be seen together with Ctrl.
        time.sleep(0.15)

    def choose(self, widget: str, index: int, text: str) -> None:
        """Choose the ``index``-th line, which reads ``text``, of a list that drops down."""
        x, y, width, height = self._place_of(widget)
        left, top = self._origin()
        below = (left + x, top + y + height + 4, left + x + width, top + y + height + 60)
        closed = self.screenshot().crop(below)
        self.click(widget)
        # Where frames are slow the list comes late, and a click before it would close it.
        self.wait(f"the list of {widget}", lambda _state: self.screenshot().crop(below) != closed)
        time.sleep(0.3)
        self.point(x + 40, y + height + 22 + 24 * index)
        time.sleep(0.3)
        self.xdotool("click", 1)
        self.wait(f"{text!r} in {widget}", lambda s: s["texts"][widget] == text)

    def middle(self) -> tuple[float, float]:
        """The middle of the picture in the window."""
        x, y, width, height = self.state["picture"]
        return x + width / 2, y + height / 2

    def drag(self, dx: int, dy: int, button: int = 1, steps: int = 8) -> None:
        """Drag from the middle of the picture in small steps."""
        x, y = self.middle()
        self.point(x, y)
        self.xdotool("mousedown", button)
        time.sleep(0.1)
        for step in range(1, steps + 1):
            left, top = self._origin()
            self.xdotool(
                "mousemove", round(left + x + dx * step / steps), round(top + y + dy * step / steps)
            )
            time.sleep(0.03)
        time.sleep(0.1)
        self.xdotool("mouseup", button)
        time.sleep(0.1)

    def wheel(self, notches: int) -> None:
        """Turn the wheel over the picture; positive comes closer."""
        self.point(*self.middle())
        for _ in range(abs(notches)):
            self.xdotool("click", 4 if notches > 0 else 5)
            time.sleep(0.05)

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self.xdotool("windowsize", "--sync", self._window(), width, height)

    def reset(self) -> State:
        """Back to a known state between tests: no notices, front view, picture mode, and the left
        column as it is at the start."""
        self._scroll_back()
        self.point(*self.middle())
        self.key("Escape", "Home", "p")
        return self.settled(
            lambda s: s["recipe"]["pose"] == s["home"] and s["recipe"]["view"] == "picture"
        )

    def _scroll_back(self) -> None:
        """Turn the wheel over the left column until the path of the model can be seen."""
        for _ in range(60):
            _, y, _, height = self.state["widgets"].get("model_path", (0, 60, 0, 0))
            if height == 0 or y >= 30:
                return
            self.point(8, 500)
            self.xdotool("click", 4)
        raise AssertionError("The left column cannot be scrolled back.")

    def close(self) -> int:
        """End the application as a person closing a terminal would; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def _place_of(self, widget: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of a named widget, once it is there."""
        state = self.wait(f"widget {widget}", lambda s: s["widgets"].get(widget, [0] * 4)[2] > 1)
        x, y, width, height = state["widgets"][widget]
        return x, y, width, height

    def kill(self) -> None:
        """End the window's process as the out-of-memory killer does."""
        self.process.kill()
        self.process.wait(10)

    def ask_to_close(self) -> None:
        """Click the cross that a window manager would draw."""
        ask_to_close(self.display, int(self._window()))

    def ended(self, seconds: float = 15) -> int:
        """Wait until the window has ended by itself; its exit status."""
        return self.process.wait(seconds)

    @property
    def title(self) -> str:
        """What stands in the window's title bar."""
        return self.xdotool("getwindowname", self._window()).strip()

    def _window(self) -> str:
        if not self._id:
            self._id = self.xdotool("search", "--onlyvisible", "--name", "Maquette").split()[0]
        return self._id

    def _origin(self) -> tuple[int, int]:
        """Where the window lies on the screen (there is no window manager)."""
        lines = self.xdotool("getwindowgeometry", "--shell", self._window()).splitlines()
        values = dict(line.split("=") for line in lines if "=" in line)
        return int(values["X"]), int(values["Y"])
