"""From the toolkit's key codes to the commands of the table."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from app.chords import Chord
from app.commands import COMMANDS, Command, command, find

#: Dear PyGui's own constant for the key beside the minus is out of date: the code that is sent is
#: the one after the semicolon's, which follows the slash's.
_EQUAL = int(dpg.mvKey_Slash) + 2
_NAMED = {int(getattr(dpg, name)) for name in dir(dpg) if name.startswith("mvKey_")} | {_EQUAL}


class Keyboard:
    """Knows which modifiers are down and which command a key means."""

    def __init__(self) -> None:
        self._codes = _key_codes()
        #: The last frame in which a modifier was down.
        self._modifiers: dict[str, int] = {}

    def command(self, code: int, typing: bool) -> Command | None:
        """What a key that went down, or is held, is to do; ``None`` if nothing.

        Args:
            code: the toolkit's code.
            typing: a text box is being typed in.
        """
        name = self._codes.get(code)
        if name is None:
            return None
        command = find(Chord(name, self._held("Control"), self._held("Shift")), typing)
        if command is None or not (command.repeats or dpg.is_key_pressed(code)):
            return None
        return command

    def see_modifiers(self) -> None:
        """Note which modifiers are down; call once after each frame."""
        for modifier in ("Control", "Shift"):
            codes = (getattr(dpg, f"mvKey_{side}{modifier}") for side in "LR")
            if any(dpg.is_key_down(code) for code in codes):
                self._modifiers[modifier] = int(dpg.get_frame_count())

    def _held(self, modifier: str) -> bool:
        """Whether a modifier is down, or was in the frame before.

        Where frames are slow, one frame may see a key go down and its modifier go up.
        """
        return int(dpg.get_frame_count()) - self._modifiers.get(modifier, -2) <= 1


def is_down(name: str) -> bool:
    """Whether the key of a command without modifiers is down now."""
    chords = command(name).chords
    return any(dpg.is_key_down(getattr(dpg, f"mvKey_{chord.key}")) for chord in chords)


def is_key(code: int) -> bool:
    """Whether a code that the toolkit calls a key is one of the keyboard that it has a name for. It
    reports a button of the mouse that is held as a key, too, again and again."""
    return code in _NAMED


def _key_codes() -> dict[int, str]:
    """The toolkit's code of every key in the table -> its name there."""
    names = {chord.key for command in COMMANDS for chord in command.chords}
    codes = {int(getattr(dpg, f"mvKey_{name}")): name for name in names - {"Equal"}}
    codes[_EQUAL] = "Equal"
    return codes
