"""Keys with their modifiers, as people write them: ``Ctrl+Shift+Z``."""

from __future__ import annotations

from dataclasses import dataclass

#: What people read on a key -> the toolkit's name of it, where they differ.
_NAMES = {
    "[": "Open_Brace",
    "]": "Close_Brace",
    "Esc": "Escape",
    "Enter": "Return",
    "Space": "Spacebar",
    ",": "Comma",
    ".": "Period",
}
#: Keys that lie in several places, or below Shift on some keyboards.
_PLACES: dict[str, tuple[tuple[str, bool], ...]] = {
    "+": (("Equal", False), ("Equal", True), ("Add", False)),
    "-": (("Minus", False), ("Subtract", False)),
    "?": (("Slash", True),),
}


@dataclass(frozen=True)
class Chord:
    """A key with its modifiers. ``key`` is the toolkit's name, as in ``mvKey_<key>``."""

    key: str
    ctrl: bool = False
    shift: bool = False


def chords(keys: str) -> tuple[Chord, ...]:
    """Every chord that a text such as ``"Home, 0"`` stands for; digits count on the number pad,
    too. An empty text stands for none."""
    return tuple(chord for one in keys.split(", ") if one for chord in _chords_of(one))


def first_of(keys: str) -> str:
    """The chord to show first: ``"Ctrl+Y"`` of ``"Ctrl+Y, Ctrl+Shift+Z"``."""
    return keys.split(", ")[0]


def _chords_of(text: str) -> tuple[Chord, ...]:
    ctrl = text.startswith("Ctrl+")
    rest = text.removeprefix("Ctrl+")
    shift = rest.startswith("Shift+")
    key = rest.removeprefix("Shift+")
    if key in _PLACES:
        return tuple(Chord(name, ctrl, shift or below) for name, below in _PLACES[key])
    if key.isdigit():
        return Chord(key, ctrl, shift), Chord(f"NumPad{key}", ctrl, shift)
    return (Chord(_NAMES.get(key, key), ctrl, shift),)
