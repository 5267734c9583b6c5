"""Which section of the window stands where: a value, and pure functions from one to the next.

Lengths are in pixels at a UI scale of 1, so that a remembered layout is the same one at every
scale. What was remembered by another version, or by no version at all, is brought into shape:
unknown sections are left out, and those that are missing stand at their default place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from app.geometry import LEAST_WIDTH, LEFT_WIDTH, RIGHT_WIDTH, TIMELINE_HEIGHT, Rect

Column = Literal["left", "right"]
COLUMNS: tuple[Column, Column] = ("left", "right")
#: Limits of what can be chosen.
MOST_WIDTH = 720
LEAST_HEIGHT, MOST_HEIGHT = TIMELINE_HEIGHT, 480
#: Of a floating window.
FLOAT_LEAST = (LEAST_WIDTH, 96)
FLOAT_MOST = (2000, 4000)
#: More sections than there will ever be, and longer names.
MOST_SECTIONS, LONGEST_NAME = 100, 100
#: Farther away no screen lies.
FAR = 32768


@dataclass(frozen=True)
class Floating:
    """A section in a window of its own.

    Attributes:
        key: of the section.
        x, y: upper left corner in the window.
        width, height: when it is not folded.
        column, place: where it stood before, to go back to.
    """

    key: str
    x: float
    y: float
    width: float
    height: float
    column: Column = "left"
    place: int = 0


@dataclass(frozen=True)
class Dock:
    """The layout. A section that is named nowhere stands at its default place.

    Attributes:
        left, right: keys of the sections of the columns, from top to bottom.
        floating: sections in windows of their own, the lowest first.
        left_width, right_width: of the columns.
        timeline_height: of the timeline.
        hidden: columns and floating windows are out of sight.
    """

    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    floating: tuple[Floating, ...] = ()
    left_width: float = LEFT_WIDTH
    right_width: float = RIGHT_WIDTH
    timeline_height: float = TIMELINE_HEIGHT
    hidden: bool = False

    # Looking ----------------------------------------------------------------------------

    def column(self, column: Column) -> tuple[str, ...]:
        """The keys of a column."""
        return self.left if column == "left" else self.right

    @property
    def keys(self) -> tuple[str, ...]:
        """Every section that is named."""
        return (*self.left, *self.right, *(one.key for one in self.floating))

    def floating_of(self, key: str) -> Floating | None:
        """The floating window of a section, if it has one."""
        return next((one for one in self.floating if one.key == key), None)

    def place_of(self, key: str) -> tuple[Column, int] | None:
        """Column and place of a section, if it stands in one."""
        for column in COLUMNS:
            if key in self.column(column):
                return column, self.column(column).index(key)
        return None

    # Moving sections ----------------------------------------------------------------------

    def docked(self, key: str, column: Column, place: int) -> Dock:
        """With a section in front of what stands at ``place`` of a column now."""
        keys = self.column(column)
        place = min(max(place, 0), len(keys))
        before = sum(1 for other in keys[:place] if other != key)
        bare = self._without(key)
        rest = bare.column(column)
        return bare._with(column, (*rest[:before], key, *rest[before:]))

    def floated(self, key: str, box: Rect) -> Dock:
        """With a section in a window of its own, above all others."""
        was, there = self.floating_of(key), self.place_of(key)
        column, place = there or ((was.column, was.place) if was else ("left", 0))
        window = Floating(key, box.x, box.y, box.width, box.height, column, place)
        bare = self._without(key)
        return replace(bare, floating=(*bare.floating, window))

    def returned(self, key: str) -> Dock:
        """With a floating section back where it stood before."""
        window = self.floating_of(key)
        return self if window is None else self.docked(key, window.column, window.place)

    def shifted(self, key: str, by: int, skip: Iterable[str] = ()) -> Dock:
        """With a section so many places farther down its column (negative: up), past those
        that are not to be seen."""
        there = self.place_of(key)
        if there is None:
            return self
        column, place = there
        keys, unseen = self.column(column), set(skip)
        seen = [at for at, other in enumerate(keys) if other == key or other not in unseen]
        wanted = seen.index(place) + by
        if not 0 <= wanted < len(seen):
            return self
        return self.docked(key, column, seen[wanted] + (1 if by > 0 else 0))

    def across(self, key: str) -> Dock:
        """With a section at the end of the other column."""
        there = self.place_of(key)
        if there is None:
            return self
        other: Column = "right" if there[0] == "left" else "left"
        return self.docked(key, other, len(self.column(other)))

    def _without(self, key: str) -> Dock:
        left, right = (tuple(k for k in keys if k != key) for keys in (self.left, self.right))
        floating = tuple(one for one in self.floating if one.key != key)
        return replace(self, left=left, right=right, floating=floating)

    def _with(self, column: Column, keys: tuple[str, ...]) -> Dock:
        return replace(self, left=keys) if column == "left" else replace(self, right=keys)

    # Sizes ------------------------------------------------------------------------------

    def widened(self, column: Column, width: float) -> Dock:
        """With another width of a column, within the limits."""
        width = float(round(min(max(width, LEAST_WIDTH), MOST_WIDTH)))
        if column == "left":
            return replace(self, left_width=width)
        return replace(self, right_width=width)

    def heightened(self, height: float) -> Dock:
        """With another height of the timeline, within the limits."""
        height = float(round(min(max(height, LEAST_HEIGHT), MOST_HEIGHT)))
        return replace(self, timeline_height=height)

    # Other versions ---------------------------------------------------------------------

    def completed(self, left: Sequence[str], right: Sequence[str]) -> Dock:
        """With every section that there is, once.

        Args:
            left, right: keys of the sections where they stand by default.
        """
        known = {*left, *right}
        dock = self
        for key in self.keys:
            if key not in known:
                dock = dock._without(key)
        for column, keys in zip(COLUMNS, (left, right), strict=True):
            for index, key in enumerate(keys):
                if key not in dock.keys:
                    dock = dock.docked(key, column, _after(keys[:index], dock.column(column)))
        return dock


def _after(earlier: Sequence[str], keys: Sequence[str]) -> int:
    """The place below the nearest of the sections that come earlier by default."""
    places = (keys.index(key) + 1 for key in reversed(earlier) if key in keys)
    return next(places, 0)


# Where a dragged section lands ------------------------------------------------------------


def slot(spans: Sequence[tuple[float, float]], y: float) -> int:
    """In front of which of the sections, from top to bottom, a section dropped at ``y`` lands.

    Args:
        spans: their upper and lower edges.
        y: of the mouse, in the same pixels.

    Returns:
        0 to ``len(spans)``.
    """
    return sum(1 for top, bottom in spans if y > (top + bottom) / 2)


def fit_float(box: Rect, area: Rect, least: tuple[float, float]) -> Rect:
    """A floating window moved, and if need be made smaller, so that it lies inside ``area``; all
    in the same pixels. It is not made smaller than ``least``, then its upper left stays inside."""
    width = min(max(box.width, least[0]), max(area.width, least[0]))
    height = min(max(box.height, least[1]), max(area.height, least[1]))
    x = max(min(box.x, area.right - width), area.x)
    y = max(min(box.y, area.bottom - height), area.y)
    return Rect(x, y, width, height)


# The file ---------------------------------------------------------------------------------


def read_dock(value: Any) -> Dock:
    """A layout from JSON of anybody's making. What is unusable in it is left out.

    Raises:
        TypeError: it is no object at all.
    """
    if not isinstance(value, dict):
        raise TypeError
    taken: set[str] = set()
    left, right = (_keys(value.get(column), taken) for column in COLUMNS)
    dock = Dock(left, right, _floats(value.get("floating"), taken))
    for column in COLUMNS:
        if (width := _number(value.get(f"{column}_width"))) is not None:
            dock = dock.widened(column, width)
    if (height := _number(value.get("timeline_height"))) is not None:
        dock = dock.heightened(height)
    return replace(dock, hidden=value.get("hidden") is True)


def _keys(value: Any, taken: set[str]) -> tuple[str, ...]:
    """The names in a list that are not taken yet; they are from now on."""
    keys: list[str] = []
    for key in value[:MOST_SECTIONS] if isinstance(value, list | tuple) else ():
        if isinstance(key, str) and len(key) <= LONGEST_NAME and key not in taken:
            taken.add(key)
            keys.append(key)
    return tuple(keys)


def _floats(value: Any, taken: set[str]) -> tuple[Floating, ...]:
    found: list[Floating] = []
    for one in value[:MOST_SECTIONS] if isinstance(value, list | tuple) else ():
        if not isinstance(one, dict):
            continue
        box = [_number(one.get(name)) for name in ("x", "y", "width", "height")]
        x, y, width, height = (0.0 if side is None else side for side in box)
        if None in box or not (abs(x) <= FAR and abs(y) <= FAR):
            continue
        column: Column = "right" if one.get("column") == "right" else "left"
        place = _number(one.get("place")) or 0.0
        for key in _keys([one.get("key")], taken):
            width = min(max(width, FLOAT_LEAST[0]), FLOAT_MOST[0])
            height = min(max(height, FLOAT_LEAST[1]), FLOAT_MOST[1])
            least = int(min(max(place, 0), MOST_SECTIONS))
            found.append(Floating(key, x, y, width, height, column, least))
    return tuple(found)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
