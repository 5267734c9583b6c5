"""The one table of keyboard shortcuts: what the keys do and what the help window lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto


class Action(Enum):
    """Everything that a key can do."""

    PROJECT_NEW = auto()
    PROJECT_OPEN = auto()
    PROJECT_SAVE = auto()
    PROJECT_SAVE_AS = auto()
    QUIT = auto()
    OPEN = auto()
    EXPORT = auto()
    UNDO = auto()
    REDO = auto()
    HISTORY = auto()
    HELP = auto()
    CLOSE_POPUP = auto()
    SEED_RANDOM = auto()
    SEED_PREVIOUS = auto()
    SEED_NEXT = auto()
    FRONT = auto()
    BACK = auto()
    SIDE = auto()
    OTHER_SIDE = auto()
    TOP = auto()
    BOTTOM = auto()
    RESET_CAMERA = auto()
    NUDGE_LEFT = auto()
    NUDGE_RIGHT = auto()
    NUDGE_UP = auto()
    NUDGE_DOWN = auto()
    ZOOM_IN = auto()
    ZOOM_OUT = auto()
    VIEW_PICTURE = auto()
    VIEW_RAW = auto()
    VIEW_DEPTH = auto()
    VIEW_NORMALS = auto()
    VIEW_OPACITY = auto()
    LARGER_UI = auto()
    SMALLER_UI = auto()


@dataclass(frozen=True)
class Chord:
    """A key with its modifiers. ``key`` is the toolkit's name, as in ``mvKey_<key>``."""

    key: str
    ctrl: bool = False
    shift: bool = False


@dataclass(frozen=True)
class Shortcut:
    """One line of the table.

    Attributes:
        action: what it does.
        chords: keys that do it, the one to show first.
        keys: the keys as people read them.
        text: what it does, for people.
        group: heading in the help window.
        repeats: holding the key does it again and again.
        everywhere: works while a text box is being typed in, too.
    """

    action: Action
    chords: tuple[Chord, ...]
    keys: str
    text: str
    group: str
    repeats: bool = False
    everywhere: bool = False


def _both(digit: str, ctrl: bool = False) -> tuple[Chord, ...]:
    return Chord(digit, ctrl), Chord(f"NumPad{digit}", ctrl)


CAMERA, IDENTITY, VIEW, GENERAL = "Camera", "Identity", "View", "General"
PROJECT = "Project"

SHORTCUTS: tuple[Shortcut, ...] = (
    Shortcut(Action.FRONT, _both("1"), "1", "Look from the front", CAMERA),
    Shortcut(Action.SIDE, _both("3"), "3", "Look from the side", CAMERA),
    Shortcut(Action.TOP, _both("7"), "7", "Look from the top", CAMERA),
    Shortcut(Action.BACK, _both("1", True), "Ctrl + 1", "Look from behind", CAMERA),
    Shortcut(Action.OTHER_SIDE, _both("3", True), "Ctrl + 3", "Look from the other side", CAMERA),
    Shortcut(Action.BOTTOM, _both("7", True), "Ctrl + 7", "Look from below", CAMERA),
    Shortcut(
        Action.RESET_CAMERA, (Chord("Home"), *_both("0")), "Home or 0", "Reset the camera", CAMERA
    ),
    Shortcut(Action.NUDGE_LEFT, (Chord("Left"),), "Left", "Turn the head left", CAMERA, True),
    Shortcut(Action.NUDGE_RIGHT, (Chord("Right"),), "Right", "Turn the head right", CAMERA, True),
    Shortcut(Action.NUDGE_UP, (Chord("Up"),), "Up", "Tilt the head up", CAMERA, True),
    Shortcut(Action.NUDGE_DOWN, (Chord("Down"),), "Down", "Tilt the head down", CAMERA, True),
    Shortcut(
        Action.ZOOM_IN, (Chord("Equal"), Chord("Equal", shift=True), Chord("Add")),
        "+", "Come closer", CAMERA, True,
    ),
    Shortcut(
        Action.ZOOM_OUT, (Chord("Minus"), Chord("Subtract")), "-", "Go farther", CAMERA, True
    ),
    Shortcut(Action.SEED_RANDOM, (Chord("R"),), "R", "Random identity", IDENTITY),
    Shortcut(Action.SEED_PREVIOUS, (Chord("Open_Brace"),), "[", "Previous seed", IDENTITY, True),
    Shortcut(Action.SEED_NEXT, (Chord("Close_Brace"),), "]", "Next seed", IDENTITY, True),
    Shortcut(Action.VIEW_PICTURE, (Chord("P"),), "P", "Picture", VIEW),
    Shortcut(Action.VIEW_RAW, (Chord("W"),), "W", "Raw volume rendering", VIEW),
    Shortcut(Action.VIEW_DEPTH, (Chord("D"),), "D", "Depth", VIEW),
    Shortcut(Action.VIEW_NORMALS, (Chord("N"),), "N", "Normals", VIEW),
    Shortcut(Action.VIEW_OPACITY, (Chord("O"),), "O", "Opacity", VIEW),
    Shortcut(Action.OPEN, (Chord("O", True),), "Ctrl + O", "Open a checkpoint", GENERAL),
    Shortcut(
        Action.EXPORT, (Chord("E", True),), "Ctrl + E", "Export what the panel shows", GENERAL
    ),
    Shortcut(Action.UNDO, (Chord("Z", True),), "Ctrl + Z", "Undo", GENERAL, True),
    Shortcut(
        Action.REDO, (Chord("Z", True, True), Chord("Y", True)),
        "Ctrl + Shift + Z", "Redo (also Ctrl + Y)", GENERAL, True,
    ),
    Shortcut(Action.HISTORY, (Chord("H", True),), "Ctrl + H", "History of all steps", GENERAL),
    Shortcut(
        Action.LARGER_UI, (Chord("Equal", True), Chord("Equal", True, True), Chord("Add", True)),
        "Ctrl + +", "Larger letters and controls", GENERAL,
    ),
    Shortcut(
        Action.SMALLER_UI, (Chord("Minus", True), Chord("Subtract", True)),
        "Ctrl + -", "Smaller letters and controls", GENERAL,
    ),
    Shortcut(
        Action.HELP, (Chord("F1"), Chord("Slash", shift=True)), "F1 or ?", "This list", GENERAL
    ),
    Shortcut(
        Action.CLOSE_POPUP, (Chord("Escape"),), "Esc", "Close lists and notices", GENERAL,
        everywhere=True,
    ),
    Shortcut(Action.PROJECT_NEW, (Chord("N", True),), "Ctrl + N", "New project", PROJECT),
    Shortcut(
        Action.PROJECT_OPEN, (Chord("O", True, True),), "Ctrl + Shift + O", "Open a project",
        PROJECT,
    ),
    Shortcut(
        Action.PROJECT_SAVE, (Chord("S", True),), "Ctrl + S", "Save the project", PROJECT,
        everywhere=True,
    ),
    Shortcut(
        Action.PROJECT_SAVE_AS, (Chord("S", True, True),), "Ctrl + Shift + S",
        "Save under another name", PROJECT, everywhere=True,
    ),
    Shortcut(Action.QUIT, (Chord("Q", True),), "Ctrl + Q", "Quit", PROJECT, everywhere=True),
)  # fmt: skip

#: What the mouse does in the picture, for the help window.
MOUSE: tuple[tuple[str, str], ...] = (
    ("Left drag", "Turn the head"),
    ("Right or middle drag", "Move the picture"),
    ("Wheel", "Come closer, go farther"),
    ("Double-click", "Reset the camera"),
    ("Click an axis", "Look along that axis"),
)


def find(chord: Chord, typing: bool, table: Iterable[Shortcut] = SHORTCUTS) -> Shortcut | None:
    """The shortcut of a chord.

    Args:
        chord: what was pressed.
        typing: a text box is being typed in; then only those marked ``everywhere`` count.
    """
    for shortcut in table:
        if chord in shortcut.chords and (shortcut.everywhere or not typing):
            return shortcut
    return None
