"""The real window, looked at from outside by screenshots and by its own account of itself.

The window's own account of itself comes from the state hook (``app.state_hook``), what it
really shows from the X server's frame buffer. However slow its frames are: after each thing that is
done here the window is given the frames to see it, and what is waited for is what it said of itself
after that. It says so when it is asked, since that takes as long as drawing.
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
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageGrab

from app.state_hook import ASK, PULSE
from tests import forks

ROOT = Path(__file__).parents[3]
LAUNCHER = "tests.app.gui.launch"
#: Frames after the one that has seen what was done until the window's account of itself shows what came of it.
SHOWN = 2
#: Seconds between two looks at what is waited for, and between two of the window's accounts of itself.
LOOK, ACCOUNT = 0.02, 0.08
#: Seconds without any change after which the window counts as settled.
QUIET = 0.3
State = dict[str, Any]


class Watched:
    """The running application, which is looked at.

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
        command: tuple[str, ...] = ("-m", LAUNCHER),
        variables: dict[str, str] | None = None,
        cwd: Path = ROOT,
    ):
        self.folder, self.display = folder, display
        self._id = ""
        self._place: tuple[int, int] | None = None
        # In memory where there is a place for that: a rename on a busy disk can stop the window for seconds.
        memory = Path("/dev/shm")
        self._desk = tempfile.TemporaryDirectory(
            prefix="maquette-state-", dir=memory if memory.is_dir() else None
        )
        #: Where its state lies, and where it is asked for more.
        self.desk = Path(self._desk.name)
        self._state_file = self.desk / "state.json"
        self._pulse_file = self._state_file.with_suffix(".pulse").open("w+b", buffering=0)
        #: That it is there tells the window to wait until it is asked.
        self._ask_file = self._state_file.with_suffix(".ask").open("w+b", buffering=0)
        #: The window's last account of itself, and after which frame it was given.
        self._known: tuple[int, State] = (0, {})
        #: The frame whose account of itself is the first that knows what was done last.
        self._acted = 0
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
        # A window of the tests' own finds torch loaded in what it starts.
        lines = [forks.lend()] if LAUNCHER in command else []
        if lines:
            self._environment[forks.LENT] = str(lines[0])
        self.log = folder / "window.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command, *([str(model)] if model else [])],
                cwd=cwd, env=self._environment, pass_fds=lines, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    # Looking ----------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What the window says about itself after what was done last and the last frame that it has drawn. Of a
        window that has ended: what it said last."""
        return self._told(self._now())

    def wait(self, what: str, condition: Callable[[State], object], seconds: float = 120) -> State:
        """Wait until the state satisfies ``condition``; it is returned. A busy machine paints few frames."""
        end, again = time.monotonic() + seconds, float("inf")
        wanted, answered, state = self._now(), False, State()
        self._ask(wanted)
        while (now := time.monotonic()) < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the window ended: {self.log.read_text()[-3000:]}")
            if (described := self._pulse()[2]) >= wanted:
                answered, state = True, self._account()
                wanted, again = described + 1, now + ACCOUNT
            began = time.process_time()
            if answered and condition(state):
                return state
            spent = time.process_time() - began
            if now >= again:
                # Once something happens: a window that rests is left to rest.
                self._ask(wanted, draws=False)
                again = float("inf")
            # A look at the screen is dear, and takes from the window what it needs to paint.
            time.sleep(max(LOOK, 4 * spent))
        log = self.log.read_text()[-2000:]
        raise AssertionError(f"waited {seconds} s for: {what}\n{json.dumps(state)[:3000]}\n{log}")

    def settled(
        self,
        condition: Callable[[State], object] = lambda _state: True,
        what: str = "the full picture of the present document",
    ) -> State:
        """Wait until ``condition`` holds, nothing has changed for a while, and the picture on
        the screen is that of the present document."""

        def done(state: State) -> bool:
            frame = state["frame"]
            return bool(
                state["engine"] == "READY"
                and frame is not None
                and frame["full_quality"]
                and frame["recipe"] == state["recipe"]
                and condition(state)
            )

        end = time.monotonic() + 120
        while time.monotonic() < end:
            state = self.wait(what, done)
            time.sleep(QUIET)
            if self._told(max(self._known[0] + SHOWN, self._now())) == state:
                return state
        raise AssertionError(f"it never came to rest: {what}\n{json.dumps(state)[:3000]}")

    def still(self) -> State:
        """Wait until frames that follow one another tell the same: what has just come into sight, or has scrolled,
        lies where it will a frame or two later."""
        end = time.monotonic() + 120
        state = self.state
        while time.monotonic() < end:
            latest = self._told(max(self._known[0] + SHOWN, self._now()))
            if latest == state:
                return state
            state = latest
        raise AssertionError(f"it never came to rest\n{json.dumps(state)[:3000]}")

    def seen(self, frames: int = 1) -> None:
        """Wait until the window has drawn so many frames that have seen what was done, or has ended."""
        # A frame that is being drawn may have asked for its input before: the next one takes it in.
        wanted = self._pulse()[0] + frames
        self._acted = wanted + SHOWN
        self._until(lambda: self._pulse()[1] >= wanted)

    def _now(self) -> int:
        """The frame that knows of all that has been done and drawn."""
        return max(self._acted, self._pulse()[1], 1)

    def _ask(self, frame: int, draws: bool = True) -> None:
        """Ask the window for an account of itself that knows this frame; it draws until then, unless it is left to
        itself."""
        os.pwrite(self._ask_file.fileno(), ASK.pack(frame, draws), 0)

    def _told(self, frame: int) -> State:
        """The window's account of itself that knows a frame."""
        self._ask(frame)
        self._until(lambda: self._pulse()[2] >= frame)
        return self._account()

    def _account(self) -> State:
        """The account that it gave last."""
        described = self._pulse()[2]
        if described != self._known[0]:
            self._known = described, json.loads(self._state_file.read_text())
        return self._known[1]

    def _until(self, drawn: Callable[[], bool]) -> None:
        """Wait for the window to draw something, or to end."""
        end = time.monotonic() + 120
        while not drawn() and self.process.poll() is None:
            if time.monotonic() > end:
                raise AssertionError(f"the window draws nothing: {self.log.read_text()[-3000:]}")
            time.sleep(0.004)

    def _pulse(self) -> tuple[int, int, int]:
        """How many frames have been begun and finished, and after which one the state was taken."""
        data = os.pread(self._pulse_file.fileno(), PULSE.size, 0)
        return PULSE.unpack(data) if len(data) == PULSE.size else (0, 0, 0)

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

    def screenshot(self) -> Image.Image:
        """The whole screen."""
        return ImageGrab.grab(xdisplay=self.display).convert("RGB")

    def notices(self) -> list[str]:
        """The sentences that are shown."""
        return [text for _, text in self.state["notices"]]

    # The process ------------------------------------------------------------------------

    def tool(self, *words: object) -> str:
        """Run xdotool on the window's screen; what it prints."""
        done = subprocess.run(
            ["xdotool", *map(str, words)], env=self._environment, check=True,
            capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        return done.stdout

    def __enter__(self) -> Self:
        """Wait for the first picture."""
        try:
            self.wait("the first picture", lambda s: s["frame"] and s["engine"] == "READY")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_what: object) -> None:
        """End it; what fell inside it is an error, too."""
        self.close()
        if kind is None:
            self.check_log()

    def check_log(self) -> None:
        """Nothing fell inside the window."""
        log = self.log.read_text()
        assert "Traceback" not in log, log[-3000:]

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

    def kill(self) -> None:
        """End the window's process as the out-of-memory killer does."""
        self.process.kill()
        self.process.wait(10)

    def ended(self, seconds: float = 15) -> int:
        """Wait until the window has ended by itself; its exit status."""
        return self.process.wait(seconds)

    @property
    def title(self) -> str:
        """What stands in the window's title bar."""
        return self.tool("getwindowname", self._window()).strip()

    def _window(self) -> str:
        if not self._id:
            self._id = self.tool("search", "--onlyvisible", "--name", "Maquette").split()[0]
        return self._id

    def _origin(self) -> tuple[int, int]:
        """Where the window lies on the screen: there is no window manager that would move it."""
        if self._place is None:
            lines = self.tool("getwindowgeometry", "--shell", self._window()).splitlines()
            values = dict(line.split("=") for line in lines if "=" in line)
            self._place = int(values["X"]), int(values["Y"])
        return self._place
