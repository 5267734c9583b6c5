"""What is typed between the key that opens a box and the frame in which the box takes letters.

The toolkit gives a box the keyboard two frames after it was asked to, and drops what is typed until then; where frames
are slow that is the beginning of every word that is typed fluently. Here those letters are remembered and stand in front
of what the box takes later. They cannot be put into the box itself: the toolkit keeps its own copy of a text that is
being typed, and one that stands there before is selected, so that the next letter would replace it. So
the box is indented, the letters are drawn in the gap, and once the box is left it gets the whole text.

Keys tell letters, digits and signs, but not which sign lies above another: of those with Shift only letters are kept.
"""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import theme

#: Frames after which a box that never took the keyboard is waited for no longer.
PATIENCE = 40
_SIGNS = {
    "Spacebar": " ", "Minus": "-", "Period": ".", "Comma": ",", "Slash": "/", "Backslash": "\\",
    "Open_Brace": "[", "Close_Brace": "]", "Decimal": ".", "Divide": "/", "Multiply": "*",
    "Subtract": "-", "Add": "+",
}  # fmt: skip
_LETTERS = {int(getattr(dpg, f"mvKey_{one}")): one.lower() for one in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_OTHERS = {
    **{int(getattr(dpg, f"mvKey_{name}")): sign for name, sign in _SIGNS.items()},
    **{
        int(getattr(dpg, f"mvKey_{pad}{digit}")): str(digit)
        for pad in ("", "NumPad") for digit in range(10)
    },
}  # fmt: skip
_KEYS = {int(dpg.mvKey_Back), *_LETTERS, *_OTHERS}
_ENTER = (int(dpg.mvKey_Return), int(dpg.mvKey_NumPadEnter))


class TypedAhead:
    """Gives boxes the keyboard, and keeps what is typed meanwhile.

    Args:
        scale: of the interface.
    """

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._box = 0
        self._changed: Callable[[], None] | None = None
        self._text, self._entered, self._away = "", False, 0
        #: What stood in the box before; it is selected, and nothing is typed in its place yet.
        self._old = ""
        #: What the box held before the last frame and after it.
        self._before, self._now = "", ""
        #: The frame at which the waiting began, and the one in which the box was first active.
        self._since: int | None = None
        self._first: int | None = None
        #: Keys whose letters have been taken, and that are down still.
        self._down: set[int] = set()
        #: The frame's letters reach the box: another one was typed in when this one was asked for.
        self._told = False
        self._overlay, self._theme, self._former = 0, 0, 0
        self._drawn: tuple[str, float, float] | None = None

    @property
    def waits(self) -> bool:
        """Whether letters belong to a box that does not take them yet."""
        return self._since is not None

    def expect(self, typing: bool = False) -> None:
        """What is typed from now on belongs to the box that :meth:`into` will name.

        Args:
            typing: some other box holds the keyboard now.
        """
        self._leave()
        self._since, self._told = dpg.get_frame_count(), typing
        self._down = {code for code in _KEYS if dpg.is_key_down(code)}

    def into(
        self,
        box: int,
        changed: Callable[[], None] | None = None,
        typing: bool = False,
        away: int = 0,
    ) -> None:
        """Give a box the keyboard.

        Args:
            box: the item.
            changed: called after each letter that is kept here. Enter is then none of the box's; otherwise
                it does what the box does with it.
            typing: some other box holds the keyboard now.
            away: a window that takes the keyboard from the box when Enter was pressed.
        """
        if not self.waits or self._box:
            self.expect(typing)
        self._box, self._changed, self._away = box, changed, away
        self._old = self._before = self._now = str(dpg.get_value(box))
        dpg.focus_item(box)
        self._show()
        self._enter()

    def value(self, box: int) -> str:
        """All that was typed into a box, what it did not get included."""
        text = str(dpg.get_value(box))
        if box != self._box or not self._text:
            return text
        return self._text + ("" if text == self._old else text)

    def key(self, code: int) -> bool:
        """Take a key that went down; whether it was for here."""
        if not self.waits:
            return self._erase(code)
        held = (f"mvKey_{side}{name}" for side in "LR" for name in ("Control", "Alt"))
        if any(dpg.is_key_down(getattr(dpg, name)) for name in held):
            return False
        if code == dpg.mvKey_Escape:
            self._leave()
            return False
        if self._entered:
            # What comes after Enter is for nobody: the box still has the keyboard.
            return True
        if code in _ENTER and self._changed is None:
            self._entered = True
            self._enter()
            return True
        if code not in _KEYS:
            return False
        if self._first is not None and self._told:
            return False
        # A key that is held is reported again and again, and so is that of the command; a letter counts once.
        if code not in self._down or dpg.get_frame_count() == self._since:
            self._take(code)
        self._down.add(code)
        return True

    def after_frame(self) -> None:
        """Follow the box; call once after each frame, before the callbacks."""
        if not self.waits and not self._text:
            return
        frame = dpg.get_frame_count()
        if self._box and not dpg.does_item_exist(self._box):
            self._forget()
            return
        self._down = {code for code in self._down if dpg.is_key_down(code)}
        active = bool(self._box) and dpg.is_item_active(self._box)
        if self._box:
            self._before, self._now = self._now, str(dpg.get_value(self._box))
        if self._since is not None:
            if active and self._first is None:
                # Letters of this very frame are the last that do not reach the box.
                self._first = frame
                if self._entered and self._away:
                    dpg.focus_item(self._away)
            elif self._first is not None or frame - self._since > PATIENCE:
                self._since = None
        if self.waits:
            self._draw()
        elif not self._text or not active:
            self._leave()
        else:
            self._draw()

    def delete(self) -> None:
        """Take the items away and forget what was typed."""
        self._forget()

    # Letters ------------------------------------------------------------------------------

    def _take(self, code: int) -> None:
        if code == dpg.mvKey_Back:
            self._text = self._text[:-1]
        elif code in _LETTERS:
            shift = dpg.is_key_down(dpg.mvKey_LShift) or dpg.is_key_down(dpg.mvKey_RShift)
            letter = _LETTERS[code]
            self._text += letter.upper() if shift else letter
        elif not (dpg.is_key_down(dpg.mvKey_LShift) or dpg.is_key_down(dpg.mvKey_RShift)):
            self._text += _OTHERS[code]
        self._show()

    def _erase(self, code: int) -> bool:
        """Backspace takes letters from here once the box has none."""
        if not self._text or code != dpg.mvKey_Back or self._before not in ("", self._old):
            return False
        self._text = self._text[:-1]
        self._show()
        return True

    def _enter(self) -> None:
        """Do what the box does when Enter is pressed; one without an answer to Enter acts when it is left."""
        if not self._entered or not self._box:
            return
        if self._first is not None and self._away:
            dpg.focus_item(self._away)
        callback = dpg.get_item_callback(self._box)
        if callback is None:
            return
        dpg.set_value(self._box, self.value(self._box))
        self._old, self._text = str(dpg.get_value(self._box)), ""
        self._restore()
        callback()

    def _show(self) -> None:
        if self._box and self._text and self._first is None:
            dpg.set_value(self._box, "")
            self._old = self._before = self._now = ""
        self._draw()
        if self._box and self._changed is not None:
            self._changed()

    def _leave(self) -> None:
        """The box gets the whole text, and nothing is waited for."""
        if self._box and self._text and dpg.does_item_exist(self._box):
            dpg.set_value(self._box, self.value(self._box))
        self._forget()

    def _forget(self) -> None:
        self._restore()
        self._box, self._changed, self._text, self._entered = 0, None, "", False
        self._away = 0
        self._old = self._before = self._now = ""
        self._since = self._first = None

    # Items ----------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Show the letters in front of what the box holds."""
        if not self._box or not (self._text or self._overlay):
            return
        x, y = dpg.get_item_rect_min(self._box)
        place = (self._text, float(x), float(y))
        if place == self._drawn:
            return
        self._drawn = place
        size = round(theme.LETTERS * self._scale)
        wide = float((dpg.get_text_size(self._text) or (0.0, 0.0))[0]) if self._text else 0.0
        if self._overlay:
            dpg.delete_item(self._overlay)
            dpg.delete_item(self._theme)
        else:
            self._former = int(dpg.get_item_theme(self._box) or 0)
        self._theme = theme.indented(self._scale, wide)
        dpg.bind_item_theme(self._box, self._theme)
        self._overlay = int(dpg.add_viewport_drawlist(front=True))
        high = dpg.get_item_rect_size(self._box)[1]
        at = (x + theme.INDENT * self._scale, y + (high - size) / 2)
        dpg.draw_text(at, self._text, size=size, color=theme.TEXT, parent=self._overlay)

    def _restore(self) -> None:
        if self._overlay:
            if dpg.does_item_exist(self._box):
                dpg.bind_item_theme(self._box, self._former)
            dpg.delete_item(self._overlay)
            dpg.delete_item(self._theme)
        self._overlay = self._theme = self._former = 0
        self._drawn = None
