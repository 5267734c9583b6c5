"""One round of a kill: what the hand does, what the document must come to, and how a round went."""

from __future__ import annotations

import copy
import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from tests.app.gui.driver import App, State
from tests.faults.hands import Hands

Recipe = dict[str, Any]
#: Ways of the mouse in a drag, pixels to the right.
SWEEP = 120
ACTIVITIES = ("orbit", "edit", "picture", "mesh", "video")
ENDINGS = {"picture": ".png", "mesh": ".ply", "video": ".mp4"}


@dataclass
class Round:
    """One kill.

    Attributes:
        activity: what was going on.
        victim: ``"engine"`` or ``"exporter"``.
        after: seconds into the activity.
        gap: the longest time between two painted frames, seconds.
        starved: the part of it that the window was ready to run but others had the processor, seconds.
        back: seconds from the kill until the full picture of the present document was shown again.
        wrong: sentences on what did not hold.
    """

    activity: str
    victim: str
    after: float
    gap: float = 0.0
    starved: float = 0.0
    back: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Doings:
    """What is done while the engine is killed.

    Args:
        app, hands: the window and its mouse.
        folder: where exports go.
        chance: chooses.
    """

    def __init__(self, app: App, hands: Hands, folder: Path, chance: random.Random) -> None:
        self._app, self._hands, self._folder, self._chance = app, hands, folder, chance
        self.turned = 0.0
        self._sign = 1

    def prepare(self) -> None:
        """Small exports, one of each kind on the disk already, and how far a sweep turns the head."""
        app = self._app
        sizes = {
            "picture": {"picture_size": "128"},
            "mesh": {"mesh_resolution": "48"},
            "video": {"video_seconds": "1", "video_fps": "6", "video_size": "64"},
        }
        for number, (kind, boxes) in enumerate(sizes.items(), 1):
            self._show(kind)
            for box, text in boxes.items():
                app.fill(box, text, enter=False)
            if kind == "mesh":
                app.choose("mesh_format", 1, "PLY")
            app.fill(f"{kind}_path", str(self.target(kind)))
            self.exported(number)
            app.point(*app.middle())
            app.key("Escape")
        before = self.rest()["recipe"]["pose"]["yaw"]
        self.sweep(1)
        self.turned = self.rest()["recipe"]["pose"]["yaw"] - before

    def target(self, kind: str) -> Path:
        """Where an export of a kind goes."""
        return self._folder / f"head{ENDINGS[kind]}"

    def _show(self, kind: str) -> None:
        """The tab of a kind of export. The window tells the places of what is hidden, too, so that it
        is given time to change; where frames are slow a quick click may be missed, and a second one
        on the open tab does no harm."""
        self._hands.look()
        x, y, width, height = self._app.state["widgets"][f"tab_{kind}"]
        for _ in range(2):
            self._hands.click(x + width / 2, y + height / 2, hold=0.4)
            time.sleep(1.0)

    def rest(self, pid: int | None = None) -> State:
        """The state once the full picture of the present document is shown, by another engine
        than ``pid``."""
        return self._app.wait(
            "the full picture of the present document",
            lambda s: (
                s["engine"] == "READY"
                and s["engine_pid"] not in (None, pid)
                and s["frame"]
                and s["frame"]["full_quality"]
                and s["frame"]["recipe"] == s["recipe"]
            ),
            180,
        )

    def exported(self, count: int) -> str:
        """Wait until as many exports are there and the newest is over; its state."""
        over = ("finished", "failed", "cancelled")
        self._app.wait(
            "the end of the export",
            lambda _state: self._newest()[0] >= count and self._newest()[1] in over,
            60,
        )
        return self._newest()[1]

    def sweep(self, sign: int) -> None:
        """Drag the head to one side, in about three seconds."""
        self._hands.look()
        x, y = self._app.middle()
        start = (x - sign * SWEEP / 2, y)
        self._hands.drag(start, (start[0] + sign * SWEEP, y), steps=40, seconds=1.5, hold=0.5)

    def begin(self, activity: str, before: Recipe) -> tuple[Callable[[], None], Recipe, float]:
        """What to do, the recipe that it must lead to, and about how many seconds it takes."""
        expected = copy.deepcopy(before)
        if activity == "orbit":
            sign, self._sign = self._sign, -self._sign
            expected["pose"]["yaw"] += sign * self.turned
            return (lambda: self.sweep(sign)), expected, 3.0
        if activity == "edit":
            count = self._chance.randint(2, 5)
            expected["seed"] += count
            return (lambda: self._step(count)), expected, 0.5 * count
        return (lambda: self._export(activity)), expected, 10.0

    def _step(self, count: int) -> None:
        self._app.point(*self._app.middle())
        for _ in range(count):
            self._hands.key("bracketright")
            time.sleep(0.4)

    def _export(self, kind: str) -> None:
        """The same file again: it is asked for, and replaced."""
        app, before = self._app, self._newest()[0]
        self._show(kind)
        app.fill(f"{kind}_path", str(self.target(kind)))
        app.wait("the question", lambda s: s["project"]["question"])
        # Where it is asked in the moment of a death, a click may come before its button: like a person,
        # click again while the question stands.
        while app.state["project"]["question"]:
            time.sleep(0.5)
            app.click("confirm_yes")
            app.point(*app.middle())
            time.sleep(1.0)
        app.wait("the job", lambda _state: self._newest()[0] > before)

    def _newest(self) -> tuple[int, str]:
        """Number and state of the newest job."""
        jobs = [(int(job[0]), str(job[2])) for job in self._app.state["jobs"]]
        return max(jobs, default=(0, ""))


def whole(path: Path) -> str:
    """What is wrong with an exported file; empty if it is whole."""
    if not path.exists():
        return f"{path.name} is gone"
    data = path.read_bytes()
    if path.suffix == ".png":
        try:
            with Image.open(path) as picture:
                picture.load()
        except OSError as error:
            return f"{path.name} is damaged: {error}"
        if data[-8:-4] != b"IEND":
            return f"{path.name} is cut"
    elif path.suffix == ".ply":
        head, _, body = data.partition(b"end_header\n")
        numbers = [
            int(line.split()[2]) for line in head.splitlines() if line.startswith(b"element")
        ]
        if len(numbers) < 2 or len(body) < numbers[0] * 12 + numbers[1] * 13:
            return f"{path.name} is cut"
    elif not data.startswith(b"\0\0\0") or not _boxes_fit(data):
        return f"{path.name} is cut"
    return ""


def _boxes_fit(data: bytes) -> bool:
    """Whether the boxes of an MP4 fill it to the last byte, and its index is there."""
    at, names = 0, []
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size == 1:
            size = struct.unpack_from(">Q", data, at + 8)[0]
        if size < 8:
            return False
        names.append(name)
        at += size
    return at == len(data) and b"moov" in names
