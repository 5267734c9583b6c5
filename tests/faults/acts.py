"""What somebody without a plan does in the window: seeded random input."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.app.gui.driver import App
from tests.faults.hands import CHORDS, TITLES, Hands

#: Named widgets that are never pressed on purpose: they end the window.
LEAVING = ("project_quit",)
#: Sizes of the window: what people have, the least, and nonsense.
SIZES = ((1280, 820), (1400, 900), (1024, 700), (900, 640), (640, 480), (200, 120), (1, 1))
_Act = Callable[[App, Hands, dict[str, Any]], Any]


class Acts:
    """Chooses and does one thing after the other.

    Args:
        seed: of the choice.
        work: folder with files that are opened and written.
        answer: file with what the system's file dialog answers next.
    """

    def __init__(self, seed: int, work: Path, answer: Path) -> None:
        self._random = random.Random(seed)
        self._work, self._answer = work, answer
        self._acts: tuple[tuple[float, str, _Act], ...] = (
            (24, "widget", self._widget),
            (14, "orbit", self._orbit),
            (12, "drag", self._drag),
            (10, "click", self._click),
            (12, "key", self._key),
            (8, "wheel", self._wheel),
            (6, "slider", self._slider),
            (5, "command", self._command),
            (4, "type", self._type),
            (2, "double", self._double),
            (1, "resize", self._resize),
            (3, "escape", self._escape),
        )

    def next(self, app: App, hands: Hands) -> tuple[str, Any]:
        """Do something; what it was."""
        if self._random.random() < 0.1:
            self._choose_answer()
        weights = [weight for weight, _name, _act in self._acts]
        _, name, act = self._random.choices(self._acts, weights)[0]
        state = app.state
        what = act(app, hands, state)
        time.sleep(self._random.choice((0.0, 0.02, 0.1, 0.3)))
        return name, what

    def _choose_answer(self) -> None:
        """What the file dialog says next time it is opened: nothing, something wrong, or a file."""
        files = [path for path in self._work.iterdir() if not path.name.startswith(".")]
        choices = ["", "bundled", str(self._work), str(self._work / "no-such.pkl")]
        choices += [str(self._work / f"saved-{self._random.randrange(3)}.maquette")]
        self._answer.write_text(self._random.choice([*choices, *map(str, files)]))

    def _spot(self, state: dict[str, Any]) -> tuple[float, float]:
        """Anywhere in the window."""
        width, height = state["window"]
        return self._random.uniform(0, max(width, 2)), self._random.uniform(0, max(height, 2))

    def _place(self, state: dict[str, Any]) -> tuple[str, list[float]] | None:
        """A named widget that can be seen."""
        width, height = state["window"]
        seen = [
            (name, box)
            for name, box in sorted(state["widgets"].items())
            if name not in LEAVING
            and box[2] > 1
            and box[3] > 1
            and 0 <= box[0] + box[2] / 2 < width
            and 0 <= box[1] + box[3] / 2 < height
        ]
        return self._random.choice(seen) if seen else None

    def _widget(self, _app: App, hands: Hands, state: dict[str, Any]) -> Any:
        place = self._place(state)
        if place is None:
            return None
        name, (x, y, width, height) = place
        hands.click(x + width * self._random.uniform(0.1, 0.9), y + height / 2)
        return name

    def _slider(self, _app: App, hands: Hands, state: dict[str, Any]) -> Any:
        place = self._place(state)
        if place is None:
            return None
        name, (x, y, width, height) = place
        ends = [x + width * self._random.uniform(-0.1, 1.1) for _ in range(2)]
        hands.drag((ends[0], y + height / 2), (ends[1], y + height / 2), seconds=0.4)
        return name

    def _orbit(self, _app: App, hands: Hands, state: dict[str, Any]) -> Any:
        x, y, width, height = state["picture"]
        points = [
            (x + width * self._random.random(), y + height * self._random.random())
            for _ in range(2)
        ]
        button = self._random.choices((1, 2, 3), (6, 1, 1))[0]
        seconds = self._random.uniform(0.1, 1.5)
        hands.drag(points[0], points[1], button, self._random.randint(3, 60), seconds)
        return [*map(_rounded, points), button]

    def _drag(self, _app: App, hands: Hands, state: dict[str, Any]) -> Any:
        points = self._spot(state), self._spot(state)
        button = self._random.choices((1, 2, 3), (6, 1, 1))[0]
        hands.drag(*points, button, seconds=self._random.uniform(0.05, 0.6))
        return [*map(_rounded, points), button]

    def _click(self, _app: App, hands: Hands, state: dict[str, Any]) -> Any:
        spot, button = self._spot(state), self._random.choices((1, 2, 3), (6, 1, 2))[0]
        hands.click(*spot, button)
        return [_rounded(spot), button]

    def _double(self, _app: App, hands: Hands, state: dict[str, Any]) -> Any:
        spot = self._spot(state)
        hands.click(*spot, hold=0.02)
        hands.click(*spot, hold=0.02)
        return _rounded(spot)

    def _wheel(self, _app: App, hands: Hands, state: dict[str, Any]) -> Any:
        spot, notches = self._spot(state), self._random.randint(-6, 6)
        hands.wheel(*spot, notches)
        return [_rounded(spot), notches]

    def _key(self, _app: App, hands: Hands, _state: dict[str, Any]) -> Any:
        chord = self._random.choice(CHORDS)
        hands.key(chord)
        return chord

    def _escape(self, _app: App, hands: Hands, _state: dict[str, Any]) -> Any:
        hands.release()
        hands.key("Escape")
        return None

    def _command(self, app: App, hands: Hands, _state: dict[str, Any]) -> Any:
        """Through the palette: opens every window there is, sooner or later."""
        title = self._random.choice(TITLES)
        hands.key("Escape")
        hands.key("ctrl+p")
        for _ in range(20):  # where frames are slow it comes late
            time.sleep(0.1)
            if app.state["palette"] is not None:
                break
        else:
            return None
        hands.type(title)
        time.sleep(0.4)
        listed = app.state["palette"]
        if listed is None or not listed["listed"] or "quit" in listed["listed"][:1]:
            hands.key("Escape")
            return None
        hands.key("Return")
        return title

    def _type(self, _app: App, hands: Hands, _state: dict[str, Any]) -> Any:
        kind = self._random.randrange(4)
        if kind == 0:
            text = str(self._random.randrange(1000))
        elif kind == 1:
            text = f"{self._random.uniform(-3, 3):.2f}"
        elif kind == 2:
            text = self._random.choice(
                ("red hair", "smiling", "an old man with glasses", "blue eyes")
            )
        else:
            text = "".join(self._random.choices(string.ascii_lowercase + string.digits, k=6))
        hands.type(text)
        if self._random.random() < 0.6:
            hands.key("Return")
        return text

    def _resize(self, app: App, hands: Hands, _state: dict[str, Any]) -> Any:
        size = self._random.choice(SIZES)
        hands.release()
        app.tool("windowsize", app._window(), *size)
        if size[0] < 640:
            # Nothing can be done in it; back after a moment.
            time.sleep(0.6)
            app.tool("windowsize", app._window(), *SIZES[0])
        return list(size)


def _rounded(point: tuple[float, float]) -> list[int]:
    return [round(point[0]), round(point[1])]
