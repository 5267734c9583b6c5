"""Hands on the real window: every button of the mouse over XTEST, keys through xdotool."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.commands import COMMANDS
from tests.app.gui.driver import App, State
from tests.benchmarks.pointer import Pointer

#: What people read on a key -> X's name of it, where they differ.
_KEYS = {
    "[": "bracketleft", "]": "bracketright", "Esc": "Escape", "Space": "space", "+": "plus", "-": "minus",
    ",": "comma", ".": "period", "?": "question",
}  # fmt: skip
#: Commands that end the window, and nothing else.
LEAVING = ("quit",)


def chord(keys: str) -> str:
    """``"Ctrl+Shift+Z"`` as xdotool reads it: ``"ctrl+shift+z"``."""
    modifiers, _, key = keys.rpartition("+")
    if not key:  # the key is a plus
        modifiers, key = keys[:-1].rstrip("+"), "+"
    name = _KEYS.get(key, key.lower() if len(key) == 1 else key)
    return "+".join([*(word.lower() for word in modifiers.split("+") if word), name])


#: Every chord of the table of commands but those that end the window.
CHORDS = tuple(
    chord(keys)
    for command in COMMANDS
    if command.name not in LEAVING and command.keys
    for keys in command.keys.split(", ")
)
#: What can be typed into the palette of commands.
TITLES = tuple(command.title for command in COMMANDS if command.name not in LEAVING)


class PatientApp(App):
    """A window on a machine that others use, too: nothing is waited for in vain a few seconds too early."""

    def wait(self, what: str, condition: Callable[[State], object], seconds: float = 15) -> State:
        """See :meth:`App.wait`."""
        return super().wait(what, condition, 10 * seconds)


class Hands:
    """Mouse and keyboard of a running window.

    Args:
        app: the window.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._pointer = Pointer(app.display)
        self.origin = (0.0, 0.0)

    def look(self) -> None:
        """See where the window lies on the screen now (there is no window manager)."""
        self.origin = self._app._origin()

    def move(self, x: float, y: float) -> None:
        """Put the mouse on a point of the window, pixels."""
        self._pointer.move(self.origin[0] + x, self.origin[1] + y)

    def button(self, down: bool, number: int = 1) -> None:
        """Press or release a button."""
        self._pointer.button(down, number)

    def click(self, x: float, y: float, number: int = 1, hold: float = 0.05) -> None:
        """Click a point of the window."""
        self.move(x, y)
        time.sleep(hold)
        self.button(True, number)
        time.sleep(hold)
        self.button(False, number)

    def drag(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        number: int = 1,
        steps: int = 12,
        seconds: float = 0.3,
        hold: float = 0.04,
    ) -> None:
        """Drag from a point to another one in so many steps and so long; the button is held for a
        moment before and after, until the window has surely seen where."""
        self.move(*start)
        time.sleep(hold)
        self.button(True, number)
        time.sleep(hold)
        for step in range(1, steps + 1):
            time.sleep(seconds / steps)
            share = step / steps
            self.move(
                start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
            )
        time.sleep(hold)
        self.button(False, number)

    def wheel(self, x: float, y: float, notches: int) -> None:
        """Turn the wheel over a point; positive is away from the hand."""
        self.move(x, y)
        for _ in range(abs(notches)):
            self.button(True, 4 if notches > 0 else 5)
            self.button(False, 4 if notches > 0 else 5)
            time.sleep(0.02)

    def key(self, keys: str) -> None:
        """Press and release a key, as xdotool names it."""
        self._app.tool("key", keys)

    def type(self, text: str) -> None:
        """Type a text into whatever has the keyboard."""
        self._app.tool("type", "--delay", 15, "--", text)

    def release(self) -> None:
        """Let go of everything."""
        for number in (1, 2, 3):
            self.button(False, number)

    def close(self) -> None:
        """Give back the connection."""
        self._pointer.close()
