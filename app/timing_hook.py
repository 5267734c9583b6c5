"""A hook for measuring how the window feels: when requests leave and pictures come.

With ``MAQUETTE_TEST_TIMES=/path/to/file.jsonl`` in the environment the window appends one JSON
array a line to that file; without the variable nothing here is made or called. Times are
``time.monotonic()`` in seconds: on Linux one clock for all processes, so that whoever moves the
mouse can write down when, and :mod:`tests.benchmarks.feel_report` sets the two side by side.

- ``["asked", t, generation, x, y, moving]``: the window wants a picture; the mouse was seen there,
  in pixels of the window.
- ``["sent", t, generation]``: the request went into the pipe to the engine. Requests that a newer
  one overtook before are never sent.
- ``["shown", handed, drawn, generation, full, milliseconds, resolution]``: a picture was copied
  into the array behind the texture, and the frame with it was drawn; what the engine spent on it,
  and the side of its volume rendering.
- ``["loop", began, drawn, ended]``: one turn of the window's loop: when it began, when its frame was
  drawn, and when callbacks had run.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from app.client import EngineClient
from app.messages import FrameReady
from app.wire import Draw
from engine.recipe import Recipe

VARIABLE = "MAQUETTE_TEST_TIMES"
#: Seconds without a picture after which what was noted is written: not while something moves.
_REST = 0.3


class TimingHook:
    """Notes moments in memory and writes them to a file while the window rests."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._notes: list[tuple[Any, ...]] = []
        self._seen: FrameReady | None = None
        self._quiet_since = 0.0
        #: Where the window takes the mouse to be, in its pixels.
        self.mouse: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0)

    @classmethod
    def from_environment(cls) -> TimingHook | None:
        """The hook that the environment asks for, if it does."""
        path = os.environ.get(VARIABLE)
        return None if not path else cls(Path(path).open("w", encoding="utf-8"))

    def note(self, kind: str, *values: object) -> None:
        """Note a record of the kinds above."""
        self._notes.append((kind, *values))

    def drawn(
        self, began: float, handed: float, drawn: float, ended: float, frame: FrameReady | None
    ) -> None:
        """One turn of the loop is over; ``frame`` is what it showed.

        Args:
            began, handed, drawn, ended: start of the turn, before and after the toolkit drew its
                frame, after the callbacks.
            frame: the newest picture.
        """
        if frame is not None and frame is not self._seen:
            self._seen = frame
            self.note(
                "shown", handed, drawn, frame.generation, frame.full_quality,
                round(frame.milliseconds, 2), frame.resolution[0],
            )  # fmt: skip
            self._quiet_since = ended
        self.note("loop", began, drawn, ended)
        if ended - self._quiet_since > _REST:
            self.write()

    def write(self) -> None:
        """Write down what was noted."""
        self._file.writelines(json.dumps(note) + "\n" for note in self._notes)
        self._file.flush()
        self._notes.clear()


class TimedClient(EngineClient):
    """The client, noting when requests are made and when they leave."""

    def __init__(self, hook: TimingHook, device: str, **options: Any) -> None:
        super().__init__(device, **options)
        self._hook = hook

    def request(self, recipe: Recipe, *, moving: bool) -> int:
        """See :meth:`EngineClient.request`."""
        before, now = self._generation, time.monotonic()
        generation = super().request(recipe, moving=moving)
        if generation != before:
            self._hook.note("asked", now, generation, *self._hook.mouse(), moving)
        return generation

    def _send(self, message: object) -> None:
        super()._send(message)
        if isinstance(message, Draw):
            self._hook.note("sent", time.monotonic(), message.generation)


def timed(device: str, **options: Any) -> tuple[EngineClient, TimingHook | None]:
    """A client for the window, and the hook that watches it if the environment asks for one.

    Args:
        device, options: see :class:`~app.client.EngineClient`.
    """
    hook = TimingHook.from_environment()
    if hook is None:
        return EngineClient(device, **options), None
    return TimedClient(hook, device, **options), hook
