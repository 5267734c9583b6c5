"""Waiting for an engine process without guessing how long it takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from app.client import EngineClient
from app.messages import Event, FrameReady, ModelLoaded
from engine.camera import OrbitPose
from engine.recipe import Recipe
from tests.app.fake import color

OPENER = "tests.app.fake:open_model"
#: Nothing in these tests takes this long on a machine that works.
PATIENCE = 40.0
_E = TypeVar("_E")


def recipe(seed: int = 1, yaw: float = 0.0) -> Recipe:
    """What the tests draw."""
    return Recipe(seed=seed, pose=OrbitPose(yaw=yaw, radius=2.0))


def until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for a condition, looking every two milliseconds."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience:g} s in vain for {what}")
        time.sleep(0.002)


def process_runs(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


class Harness:
    """A client, with the fake generator unless told otherwise, and the log of what its engine did."""

    def __init__(self, log: Path, opener: str = OPENER) -> None:
        os.environ["MAQUETTE_FAKE_LOG"] = str(log)
        self.log_path = log
        self.client = EngineClient("cpu", opener=opener)
        self.events: list[Event] = []

    def poll(self) -> None:
        self.events.extend(self.client.poll())

    def wait(self, kind: type[_E], matches: Callable[[_E], bool] = lambda event: True) -> _E:
        """The next event of a kind; what came before it is forgotten."""
        found: list[_E] = []

        def look() -> bool:
            self.poll()
            while self.events and not found:
                event = self.events.pop(0)
                if isinstance(event, kind) and matches(event):
                    found.append(event)
            return bool(found)

        try:
            until(look, kind.__name__)
        except AssertionError as error:
            raise AssertionError(f"{error}; the engine's log ends {self.log()[-5:]}") from None
        return found[0]

    def open(self, path: str) -> ModelLoaded:
        """Open a model and begin a fresh log."""
        self.client.open_model(path)
        loaded = self.wait(ModelLoaded)
        self.log_path.write_text("")
        return loaded

    def full_frame(self, generation: int) -> FrameReady:
        """The full-quality picture of a request."""
        return self.wait(
            FrameReady, lambda event: event.full_quality and event.generation == generation
        )

    def draw(self, seed: int = 1, yaw: float = 0.0) -> FrameReady:
        """Request a picture at full quality and wait for it."""
        return self.full_frame(self.client.request(recipe(seed, yaw), moving=False))

    def log(self) -> list[str]:
        """What the engine did, one line an event."""
        return self.log_path.read_text().splitlines() if self.log_path.exists() else []

    def wait_log(self, line: str) -> None:
        """Wait until a line of the log begins so."""

        def seen() -> bool:
            self.poll()
            return any(entry.startswith(line) for entry in self.log())

        until(seen, f"{line!r} in the log")


@contextmanager
def running_engine(folder: Path, opener: str = OPENER) -> Iterator[Harness]:
    """An engine for the tests of a module (starting one costs seconds), with its settings and
    its log in ``folder``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAQUETTE_CONFIG_DIR", str(folder / "config"))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("MAQUETTE_FAKE_LOG", "")
        harness = Harness(folder / "log", opener)
        harness.client.start()
        yield harness
        harness.client.close()


def shows(frame: FrameReady, seed: int, yaw: float = 0.0) -> bool:
    """Whether a frame is, in every pixel, the picture of a seed from a yaw."""
    expected = np.array([*color(seed, yaw), 1.0], np.float32)
    return bool(np.abs(frame.image - expected).max() < 1e-5)
