"""What is typed before a box takes letters: in front of what it takes later."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import dearpygui.dearpygui as dpg
import pytest

from app import theme, typed_ahead
from app.typed_ahead import TypedAhead

BOX = 7


class Toolkit:
    """One box of the toolkit, as it behaves: active two frames after it was asked for, without a letter until
    the frame after that, with what stood there selected."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, value: str = "") -> None:
        self.frame, self.value, self.entered = 10, value, list[str]()
        self.down: set[int] = set()
        self.drawn: list[str] = []
        self.callback: Callable[[], None] | None = lambda: self.entered.append(self.value)
        self.asked: int | None = None
        self.selected = self.left = False
        replaced = {
            "get_frame_count": lambda: self.frame,
            "does_item_exist": lambda _item: True,
            "is_item_active": lambda _item: self.active,
            "get_value": lambda _item: self.value,
            "set_value": lambda _item, text: self._set(text),
            "focus_item": lambda item: self._ask() if item == BOX else self._lose(),
            # Its code of one key is out of date: that one is always down.
            "is_key_down": lambda code: code in self.down or code == dpg.mvKey_LWin,
            "get_item_callback": lambda _item: self.callback,
            "get_item_theme": lambda _item: None,
            "bind_item_theme": lambda _item, _theme: None,
            "get_item_rect_min": lambda _item: (0.0, 0.0),
            "get_item_rect_size": lambda _item: (100.0, 28.0),
            "get_text_size": lambda text: (8.0 * len(text), 16.0),
            "add_viewport_drawlist": lambda **_: 1,
            "draw_text": lambda _at, text, **_: self.drawn.append(text),
            "delete_item": lambda _item: None,
        }
        keys = {name: getattr(dpg, name) for name in dir(dpg) if name.startswith("mvKey_")}
        monkeypatch.setattr(typed_ahead, "dpg", SimpleNamespace(**keys, **replaced))
        monkeypatch.setattr(theme, "indented", lambda _scale, _by: 2)

    @property
    def active(self) -> bool:
        return not self.left and self.asked is not None and self.frame >= self.asked + 2

    def _ask(self) -> None:
        self.asked, self.selected = self.frame, True

    def _lose(self) -> None:
        self.left = True

    def _set(self, text: str) -> None:
        if not self.active:
            self.value = text

    def press(self, ahead: TypedAhead, letters: str = "", *codes: int) -> None:
        """A frame in which keys go down, and up again before the next."""
        self.frame += 1
        takes = self.active and self.asked is not None and self.frame > self.asked + 2
        for letter in letters if takes else "":
            self.value = letter if self.selected else self.value + letter
            self.selected = False
        if takes and dpg.mvKey_Back in codes:
            self.value = self.value[:-1]
        ahead.after_frame()
        codes = (*codes, *(getattr(dpg, f"mvKey_{one.upper()}") for one in letters))
        self.down |= set(codes)
        for code in codes:
            ahead.key(code)
        self.down -= set(codes)

    def leave(self, ahead: TypedAhead) -> None:
        """The box loses the keyboard."""
        self.frame, self.left = self.frame + 1, True
        ahead.after_frame()


def test_letters_before_the_box_is_active_stand_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    kit, ahead, told = Toolkit(monkeypatch), TypedAhead(1.0), list[str]()
    ahead.into(BOX, lambda: told.append(ahead.value(BOX)))
    for letter in "dept":
        kit.press(ahead, letter)
    kit.press(ahead, "h")
    # Two were too early; the toolkit has the others.
    assert (told[-1], kit.value, kit.drawn[-1]) == ("de", "pth", "de")
    assert not ahead.waits and ahead.value(BOX) == "depth"
    kit.leave(ahead)
    assert kit.value == "depth" and ahead.value(BOX) == "depth"


def test_a_quick_frame_loses_and_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kit, ahead = Toolkit(monkeypatch, "old"), TypedAhead(1.0)
    ahead.into(BOX)
    for _ in range(3):
        assert ahead.waits
        kit.press(ahead)
    assert not ahead.waits and kit.value == "old" and not kit.drawn
    kit.press(ahead, "n")
    assert ahead.value(BOX) == "n"


def test_what_stood_in_the_box_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    kit, ahead = Toolkit(monkeypatch, "12"), TypedAhead(1.0)
    ahead.expect()
    kit.press(ahead, "4")
    ahead.into(BOX)
    kit.press(ahead)
    kit.press(ahead)
    kit.press(ahead, "5")
    assert ahead.value(BOX) == "45"
    # And by a letter of the very frame in which the box becomes active.
    kit, ahead = Toolkit(monkeypatch, "12"), TypedAhead(1.0)
    ahead.into(BOX)
    kit.press(ahead)
    kit.press(ahead, "7")
    assert ahead.value(BOX) == "7"
    kit.leave(ahead)
    assert kit.value == "7"


def test_enter_before_the_box_is_there_does_what_it_does_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kit, ahead = Toolkit(monkeypatch, "1"), TypedAhead(1.0)
    ahead.expect()
    kit.press(ahead, "4")
    kit.press(ahead, "2")
    kit.press(ahead, "", int(dpg.mvKey_Return))
    ahead.into(BOX)
    assert kit.entered == ["42"]
    # Held or pressed again it does nothing more, and no letter is a shortcut meanwhile.
    kit.press(ahead, "r", int(dpg.mvKey_Return))
    assert kit.entered == ["42"] and ahead.waits
    for _ in range(3):
        kit.press(ahead)
    assert not ahead.waits and kit.value == "42"


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_enter_leaves_a_box_that_acts_when_it_is_left(
    monkeypatch: pytest.MonkeyPatch, frames: int
) -> None:
    kit, ahead = Toolkit(monkeypatch, "1"), TypedAhead(1.0)
    kit.callback = None
    ahead.expect()
    kit.press(ahead, "4")
    ahead.into(BOX, away=9)
    for _ in range(frames - 1):
        kit.press(ahead)
    kit.press(ahead, "", int(dpg.mvKey_Return))
    for _ in range(3):
        kit.press(ahead)
    assert kit.left and kit.value == "4" and not ahead.waits


def test_backspace_takes_letters_of_both_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    kit, ahead = Toolkit(monkeypatch), TypedAhead(1.0)
    ahead.into(BOX)
    kit.press(ahead, "a")
    kit.press(ahead, "b")
    kit.press(ahead, "c")
    assert ahead.value(BOX) == "abc"
    for left in ("ab", "a", ""):
        kit.press(ahead, "", int(dpg.mvKey_Back))
        assert ahead.value(BOX) == left


def test_a_key_that_is_held_counts_once_and_chords_are_no_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kit, ahead = Toolkit(monkeypatch), TypedAhead(1.0)
    kit.down = {int(dpg.mvKey_P)}
    ahead.into(BOX)
    kit.frame += 1
    ahead.after_frame()
    assert ahead.key(int(dpg.mvKey_P)) and ahead.value(BOX) == ""
    kit.down = {int(dpg.mvKey_LControl)}
    assert not ahead.key(int(dpg.mvKey_S))
    kit.down = {int(dpg.mvKey_LShift)}
    assert ahead.key(int(dpg.mvKey_S)) and ahead.value(BOX) == "S"


def test_a_box_that_never_comes_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    kit, ahead = Toolkit(monkeypatch), TypedAhead(1.0)
    ahead.expect()
    for _ in range(typed_ahead.PATIENCE + 1):
        kit.press(ahead)
    assert not ahead.waits
    assert not ahead.key(int(dpg.mvKey_R))


def test_escape_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kit, ahead = Toolkit(monkeypatch), TypedAhead(1.0)
    ahead.into(BOX)
    kit.press(ahead, "a")
    assert not ahead.key(int(dpg.mvKey_Escape)) and not ahead.waits
