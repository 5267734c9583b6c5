"""A hook for the tests of the real window.

With ``MAQUETTE_TEST_STATE=/path/to/file.json`` in the environment the window writes what it
shows as JSON to that file: the document, the engine's process id and state, the last frame, exports,
notices, where every named widget lies, and which are switched off. Nothing else depends on it, and without the
variable it does nothing.

Describing everything takes as long as drawing it. So it is done when it is asked for: where ``file.ask`` lies when the
window starts, whoever waits writes into it which frame the description has to know (:data:`ASK`). A window that
rests draws for those who ask. Without that file everything is described a dozen times a second.

Before and after every frame ``file.pulse`` says how many have been begun and how many finished, and after
which one the state was taken: three integers of eight bytes (:data:`PULSE`). So a test can wait until the
window has seen where the mouse is before it presses a button: the toolkit does not take a click on a tab
that the mouse was not over in the frame before.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app.geometry import Rect
from app.kit import Kit
from app.studio import Studio

VARIABLE = "MAQUETTE_TEST_STATE"
#: Seconds between two descriptions that nobody asks for.
PERIOD = 0.08
#: Frames that were begun, that were finished, and the number of the one whose state was looked at last.
PULSE = struct.Struct("<QQQ")
#: The frame that the next description has to know, and 1 if the window shall draw until it has come; with 0 it waits
#: for something to happen.
ASK = struct.Struct("<QQ")


class StateHook:
    """Writes the window's state for a test to read."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        self._last: dict[str, Any] = {}
        self._due = 0.0
        self._begun = self._finished = self._described = 0
        self._pulse = self._ask = -1
        if self._path is not None:
            binary = getattr(os, "O_BINARY", 0)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | binary
            self._pulse = os.open(self._path.with_suffix(".pulse"), flags, 0o644)
            if (ask := self._path.with_suffix(".ask")).exists():
                self._ask = os.open(ask, os.O_RDONLY | binary)

    @classmethod
    def from_environment(cls) -> StateHook:
        """The hook that the environment asks for; it may do nothing."""
        return cls(os.environ.get(VARIABLE))

    def begin(self) -> None:
        """Say that a frame begins; the next thing is that it takes in what mouse and keyboard did."""
        if self._path is not None:
            self._begun += 1
            self._tell()

    @property
    def waits(self) -> bool:
        """Whether somebody waits for a description that the next frame brings, or comes nearer to."""
        asked, draws = self._asked()
        return self._described < asked and (bool(draws) or asked <= self._finished)

    def write(
        self,
        studio: Studio,
        kit: Kit,
        places: Callable[[], dict[str, Rect]],
        opened: Callable[[], dict[str, Any]],
    ) -> None:
        """Write the state if it is due and differs from the last one that was written; call after each frame.

        Args:
            studio, kit: what is described.
            places: of the drawn parts.
            opened: tells what the popups show.
        """
        if self._path is None:
            return
        self._finished = self._begun
        if self._is_due():
            self._describe(self._path, studio, kit, places, opened)
            self._described = self._finished
            self._due = time.monotonic() + PERIOD
        self._tell()

    def _is_due(self) -> bool:
        if self._ask < 0:
            return time.monotonic() >= self._due
        return self._described < self._asked()[0] <= self._finished

    def _asked(self) -> tuple[int, int]:
        """What :data:`ASK` holds; frame 0 while nothing has been asked."""
        if self._ask < 0:
            return 0, 0
        os.lseek(self._ask, 0, os.SEEK_SET)
        data = os.read(self._ask, ASK.size)
        return ASK.unpack(data) if len(data) == ASK.size else (0, 0)

    def _tell(self) -> None:
        os.lseek(self._pulse, 0, os.SEEK_SET)
        os.write(self._pulse, PULSE.pack(self._begun, self._finished, self._described))

    def _describe(
        self,
        path: Path,
        studio: Studio,
        kit: Kit,
        places: Callable[[], dict[str, Rect]],
        opened: Callable[[], dict[str, Any]],
    ) -> None:
        state = describe(studio)
        state.update(opened())
        state["ui_scale"] = kit.scale
        state["window"] = [dpg.get_viewport_client_width(), dpg.get_viewport_client_height()]
        state.update(_described(kit))
        drawn = {name: [r.x, r.y, r.width, r.height] for name, r in places().items()}
        state["picture"] = drawn["picture"]
        state["widgets"].update(drawn)
        state["windows"] = [
            [*dpg.get_item_pos(window), *dpg.get_item_rect_size(window)]
            for window in dpg.get_windows()
            if dpg.is_item_shown(window) and "rect_size" in dpg.get_item_state(window)
        ]
        if state == self._last:
            return
        self._last = state
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(state), encoding="utf-8")
        temporary.replace(path)


def _described(kit: Kit) -> dict[str, Any]:
    """The named widgets: where they lie, what they say, which have the mouse or the keyboard, and
    which are switched off."""
    found: dict[str, Any] = {"widgets": {}, "texts": {}, "active": [], "disabled": []}
    for name, item in kit.named.items():
        if not dpg.does_item_exist(item):
            continue
        state = dpg.get_item_state(item)
        if "rect_min" in state:
            found["widgets"][name] = [*state["rect_min"], *state["rect_size"]]
        if isinstance(value := dpg.get_value(item), str):
            found["texts"][name] = value
        if state.get("active", False):
            found["active"].append(name)
        if not dpg.is_item_enabled(item):
            found["disabled"].append(name)
    return found


def describe(studio: Studio) -> dict[str, Any]:
    """The studio as plain data."""
    frame = studio.frame
    return {
        "recipe": studio.document.recipe.to_json(),
        "home": studio.document.home.to_json(),
        "favourites": [[f.name, f.who.seed] for f in studio.document.favourites],
        "can_undo": studio.history.can_undo,
        "can_redo": studio.history.can_redo,
        "steps": len(studio.history.past),
        "model": studio.model.ref.name if studio.model else None,
        "model_path": studio.model.ref.path if studio.model else None,
        "opening": studio.opening,
        "engine": studio.engine.name,
        "engine_pid": studio.client.pid,
        "project": {
            "title": studio.desk.title,
            "path": str(studio.desk.path or ""),
            "dirty": studio.desk.is_dirty,
            "question": studio.desk.talk.question.text if studio.desk.talk.question else None,
            "prompt": studio.desk.talk.prompt.kind if studio.desk.talk.prompt else None,
        },
        "frame": None
        if frame is None
        else {
            "count": studio.frames,
            "full_quality": frame.full_quality,
            "resolution": list(frame.resolution),
            "recipe": frame.recipe.to_json(),
        },
        "notices": [[n.severity, n.text] for n in studio.notices.notices],
        "theme": studio.settings.theme,
        "folded": list(studio.settings.folded),
        "jobs": [[e.job, e.title, e.state, e.path] for e in studio.jobs.entries],
        "exports": {
            kind: {"state": e.state, "path": e.path, "message": e.message, "done": e.done}
            for kind, e in studio.exports.items()
        },
    }
