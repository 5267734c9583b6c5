"""Drives the real window from outside: mouse and keys by the X server's extension for that, eyes by screenshots.
xdotool uses the same one, and does what is rare: it starts a process for each act, in which time the window paints.

However slow its frames are: after each thing that is done here the window is given the frames to see
it (:meth:`Watched.seen`). The toolkit does not take a click on a tab that the mouse was not over in the
frame before.
"""

from __future__ import annotations

import time
from functools import cached_property

from tests.app.gui.keys import Keyboard
from tests.app.gui.watched import ROOT, State, Watched
from tests.app.gui.x11 import ask_to_close
from tests.benchmarks.pointer import Pointer

__all__ = ["ROOT", "App", "State"]


class App(Watched):
    """The running application, with a hand on its mouse and keyboard."""

    @cached_property
    def _mouse(self) -> Pointer:
        return Pointer(self.display)

    @cached_property
    def _keys(self) -> Keyboard:
        return Keyboard(self.display)

    def xdotool(self, *words: object) -> None:
        """Do something with xdotool, and let the window see it."""
        self.tool(*words)
        self.seen()

    def key(self, *keys: str) -> None:
        """Press and release keys, one after the other."""
        for key in keys:
            self._keys.strike(key)
            self.seen()

    def type(self, text: str) -> None:
        """Type a text into whatever has the keyboard."""
        # The toolkit takes a letter a frame, so that those that come at once need no more frames than others.
        if text.isascii():
            self._keys.type(text)
            self.seen()
        else:  # by way of keys that bear the letters meanwhile, which the window has to find out
            self.xdotool("type", "--delay", 40, "--", text)

    def point(self, x: float, y: float) -> None:
        """Put the mouse on a point of the window."""
        left, top = self._origin()
        self._mouse.move(left + x, top + y)
        self._mouse.arrive()
        # One that takes the movement in, and one that knows what the mouse was over: a click on a tab
        # that comes between them is lost.
        self.seen(frames=2)

    def press(self, button: int = 1) -> None:
        """Press a button of the mouse where it is."""
        self._press(True, button)

    def release(self, button: int = 1) -> None:
        """Let go of it."""
        self._press(False, button)

    def _press(self, down: bool, button: int) -> None:
        self._mouse.button(down, button)
        self._mouse.arrive()
        self.seen()

    def click(self, widget: str, button: int = 1) -> None:
        """Click the middle of a named widget."""
        x, y, width, height = self._place_of(widget)
        self.click_on(x + width / 2, y + height / 2, button)

    def click_right(self, widget: str) -> None:
        """Click the middle of a named widget with the right button."""
        self.click(widget, 3)

    def click_at(self, widget: str, share: float) -> None:
        """Click a point of a named widget, so far along its width."""
        x, y, width, height = self._place_of(widget)
        # The very edge belongs to the widget's frame.
        self.click_on(x + 3 + (width - 6) * share, y + height / 2)

    def click_on(self, x: float, y: float, button: int = 1) -> None:
        """Click a point of the window."""
        self.point(x, y)
        self.press(button)
        self.release(button)

    def slide(self, widget: str, start: float, end: float, hold: float = 0.1) -> None:
        """Drag along a named widget from one share of its width to another, in small steps."""
        x, y, width, height = self._place_of(widget)
        self.point(x + width * start, y + height / 2)
        self.press()
        time.sleep(hold)
        for step in range(1, 9):
            self.point(x + width * (start + (end - start) * step / 8), y + height / 2)
        time.sleep(hold)
        self.release()

    def retype(self, widget: str, text: str) -> None:
        """Double-click a number that is dragged, type another, and press Enter."""
        x, y, width, height = self._place_of(widget)
        self.point(x + width / 2, y + height / 2)
        for _ in range(10):
            # Where frames are slow the toolkit takes the two clicks for single ones.
            self.xdotool("click", "--repeat", 2, "--delay", 80, 1)
            if widget in self.wait("what came of it", lambda _state: True)["active"]:
                break
        self.wait(f"the keyboard in {widget}", lambda s: widget in s["active"])
        self.with_ctrl("a")
        self.type(text)
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
        # Held as by a hand: the box must see the key and Ctrl in one frame, and the next letter alone.
        self._keys.hold("ctrl", True)
        self.seen()
        self.key(key)
        self._keys.hold("ctrl", False)
        self.seen()

    def choose(self, widget: str, index: int, text: str) -> None:
        """Choose the ``index``-th line, which reads ``text``, of a list that drops down."""
        x, y, _, height = self._place_of(widget)
        self.drop_down(widget)
        self.click_on(x + 40, y + height + 22 + 24 * index)
        self.wait(f"{text!r} in {widget}", lambda s: s["texts"][widget] == text)

    def drop_down(self, widget: str) -> None:
        """Click a widget below which a list or a menu drops down, and wait until it is there."""
        x, y, width, height = self._place_of(widget)
        left, top = self._origin()
        below = (left + x, top + y + height + 4, left + x + width, top + y + height + 60)
        closed = self.screenshot().crop(below)
        self.click(widget)
        # Where frames are slow it comes late, and a click before it would close it.
        self.wait(f"the list of {widget}", lambda _state: self.screenshot().crop(below) != closed)

    def middle(self) -> tuple[float, float]:
        """The middle of the picture in the window."""
        x, y, width, height = self.state["picture"]
        return x + width / 2, y + height / 2

    def drag(self, dx: int, dy: int, button: int = 1, steps: int = 8) -> None:
        """Drag from the middle of the picture in small steps."""
        x, y = self.middle()
        self.point(x, y)
        self.press(button)
        for step in range(1, steps + 1):
            self.point(x + dx * step / steps, y + dy * step / steps)
        self.release(button)

    def wheel(self, notches: int) -> None:
        """Turn the wheel over the picture; positive comes closer."""
        self.point(*self.middle())
        for _ in range(abs(notches)):
            self.turn(notches > 0)

    def turn(self, up: bool) -> None:
        """Turn the wheel by a notch where the mouse is."""
        button = 4 if up else 5
        self._mouse.button(True, button)
        self._press(False, button)

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self.xdotool("windowsize", "--sync", self._window(), width, height)

    def asked(self, question: str) -> str:
        """What it answers to a question of :mod:`tests.app.gui.tips`."""
        answer = self.desk / question
        answer.unlink(missing_ok=True)
        (self.desk / f"ask-{question}").touch()
        self.point(*self.middle())
        self.wait(f"the answer to {question}", lambda _state: answer.exists())
        return answer.read_text()

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
            self.turn(up=True)
        raise AssertionError("The left column cannot be scrolled back.")

    def close(self) -> int:
        """See :meth:`Watched.close`."""
        for name in {"_mouse", "_keys"} & vars(self).keys():
            vars(self).pop(name).close()
        return super().close()

    def ask_to_close(self) -> None:
        """Click the cross that a window manager would draw."""
        ask_to_close(self.display, int(self._window()))

    def _place_of(self, widget: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of a named widget, once it is there."""
        state = self.wait(f"widget {widget}", lambda s: s["widgets"].get(widget, [0] * 4)[2] > 1)
        x, y, width, height = state["widgets"][widget]
        return x, y, width, height
