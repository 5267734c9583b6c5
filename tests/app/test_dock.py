"""The layout as a value: sections move, sizes are kept in range, any file gives a layout."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dock import (
    COLUMNS,
    FAR,
    FLOAT_LEAST,
    LEAST_HEIGHT,
    MOST_HEIGHT,
    MOST_WIDTH,
    Column,
    Dock,
    Floating,
    fit_float,
    read_dock,
    slot,
)
from app.geometry import GRIP, LEAST_WIDTH, PICTURE_WIDTH, Extents, Rect, arrange, widest

LEFT, RIGHT = ("a", "b", "c"), ("x", "y")
KEYS = (*LEFT, *RIGHT)
FIRST = Dock().completed(LEFT, RIGHT)
BOX = Rect(100, 200, 400, 300)


def test_nothing_remembered_is_the_default() -> None:
    assert (FIRST.left, FIRST.right, FIRST.floating) == (LEFT, RIGHT, ())


def test_a_section_lands_in_front_of_what_stands_there() -> None:
    assert FIRST.docked("c", "left", 0).left == ("c", "a", "b")
    assert FIRST.docked("a", "left", 2).left == ("b", "a", "c")
    assert FIRST.docked("a", "left", 3).left == ("b", "c", "a")
    # Before or behind itself is where it is.
    assert FIRST.docked("b", "left", 1) == FIRST.docked("b", "left", 2) == FIRST
    moved = FIRST.docked("b", "right", 1)
    assert (moved.left, moved.right) == (("a", "c"), ("x", "b", "y"))
    assert FIRST.docked("b", "right", 99).right == ("x", "y", "b")
    assert FIRST.docked("b", "right", -5).right == ("b", "x", "y")


def test_a_section_steps_past_those_that_are_not_seen() -> None:
    assert FIRST.shifted("a", 1).left == ("b", "a", "c")
    assert FIRST.shifted("c", -1).left == ("a", "c", "b")
    assert FIRST.shifted("a", -1) == FIRST.shifted("c", 1) == FIRST
    assert FIRST.shifted("a", 1, skip="b").left == ("b", "c", "a")
    assert FIRST.shifted("c", -1, skip="b").left == ("c", "a", "b")
    across = FIRST.across("x")
    assert (across.left, across.right) == (("a", "b", "c", "x"), ("y",))


def test_a_floating_section_goes_back_where_it_was() -> None:
    floats = FIRST.floated("b", BOX)
    assert floats.left == ("a", "c") and floats.place_of("b") is None
    assert floats.floating == (Floating("b", 100, 200, 400, 300, "left", 1),)
    assert floats.returned("b") == FIRST and FIRST.returned("b") == FIRST
    # Moving a floating window does not change where it goes back to, and brings it to the top.
    both = floats.floated("x", BOX).floated("b", Rect(1, 2, 400, 300))
    assert [one.key for one in both.floating] == ["x", "b"]
    assert both.returned("b").left == LEFT
    assert floats.shifted("b", 1) == floats == floats.across("b")


def test_another_versions_sections() -> None:
    # "old" is gone, "new" stands below b, where it stands by default, wherever b is.
    remembered = replace(FIRST, left=("a", "old", "c"), right=("x", "b"))
    dock = replace(remembered, floating=(Floating("gone", 0, 0, 300, 300),))
    whole = dock.completed(("a", "b", "new", "c"), ("first", "x", "y"))
    assert whole.left == ("a", "new", "c")
    assert whole.right == ("first", "x", "y", "b")
    assert whole.floating == ()


def test_sizes_stay_in_range() -> None:
    assert FIRST.widened("left", 400.4).left_width == 400
    assert FIRST.widened("right", 10).right_width == LEAST_WIDTH
    assert FIRST.widened("right", 9e9).right_width == MOST_WIDTH
    assert FIRST.heightened(1).timeline_height == LEAST_HEIGHT
    assert FIRST.heightened(1e5).timeline_height == MOST_HEIGHT


def test_the_upper_half_of_a_section_is_before_it() -> None:
    spans = [(0, 10), (10, 110)]
    assert [slot(spans, y) for y in (-3, 4, 6, 59, 61, 500)] == [0, 0, 1, 1, 2, 2]
    assert slot([], 7) == 0


def test_a_floating_window_stays_inside() -> None:
    area = Rect(0, 50, 1000, 600)
    assert fit_float(Rect(900, 700, 300, 200), area, (100, 50)) == Rect(700, 450, 300, 200)
    assert fit_float(Rect(-50, 0, 300, 200), area, (100, 50)) == Rect(0, 50, 300, 200)
    assert fit_float(Rect(10, 60, 3000, 2000), area, (100, 50)) == Rect(0, 50, 1000, 600)
    assert fit_float(Rect(10, 60, 5, 5), area, (100, 50)) == Rect(10, 60, 100, 50)
    # There is no room for it at all.
    assert fit_float(Rect(10, 60, 300, 200), Rect(0, 0, 90, 40), (100, 50)) == Rect(0, 0, 100, 50)


# Files --------------------------------------------------------------------------------------


def test_what_is_unusable_is_left_out() -> None:
    dock = read_dock(
        {
            "left": ["a", 7, "a", None, "x" * 101, ["b"], "b"],
            "right": "not a list",
            "floating": [
                {"key": "c", "x": 1, "y": 2, "width": 5, "height": 1e9, "column": "up"},
                {"key": "a", "x": 1, "y": 2, "width": 400, "height": 300},
                {"key": "d", "x": float("nan"), "y": 2, "width": 400, "height": 300},
                {"key": "e", "x": FAR + 1, "y": 2, "width": 400, "height": 300},
                {"key": "f", "x": True, "y": 2, "width": 400, "height": 300},
                {"key": "g"}, None, 3,
            ],
            "left_width": "wide", "right_width": 10**400, "timeline_height": -4, "hidden": 1,
            "colour": "red",
        }
    )  # fmt: skip
    assert dock.left == ("a", "b") and dock.right == ()
    assert dock.floating == (Floating("c", 1, 2, FLOAT_LEAST[0], 4000),)
    assert (dock.left_width, dock.right_width) == (Dock().left_width, Dock().right_width)
    assert dock.timeline_height == LEAST_HEIGHT and dock.hidden is False


@pytest.mark.parametrize("value", [None, [], "left", 3])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        read_dock(value)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([*KEYS, "z", ""]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["key", "x", "y", "width", "height", "column", "place"]),
            inner,
            max_size=7,
        )
    ),
    max_leaves=20,
)
_names = st.sampled_from([*asdict(Dock()), "else"])


def is_whole(dock: Dock) -> None:
    """Every section once, sizes that can be shown."""
    assert sorted(dock.keys) == sorted(KEYS)
    assert min(dock.left_width, dock.right_width) >= LEAST_WIDTH
    assert max(dock.left_width, dock.right_width) <= MOST_WIDTH
    assert LEAST_HEIGHT <= dock.timeline_height <= MOST_HEIGHT
    for one in dock.floating:
        assert max(abs(one.x), abs(one.y)) <= FAR and one.place >= 0 and one.column in COLUMNS
        assert one.width >= FLOAT_LEAST[0] and one.height >= FLOAT_LEAST[1]


@given(st.dictionaries(_names, _json))
def test_any_file_gives_a_whole_layout(data: dict[str, Any]) -> None:
    dock = read_dock(data)
    is_whole(dock.completed(LEFT, RIGHT))
    # What was read is read again as the same.
    assert read_dock(json.loads(json.dumps(asdict(dock)))) == dock


_moves = st.lists(
    st.tuples(
        st.sampled_from(KEYS), st.integers(0, 4), st.sampled_from(COLUMNS), st.integers(-2, 7)
    ),
    max_size=12,
)


@given(_moves)
def test_moving_never_loses_a_section(moves: list[tuple[str, int, Column, int]]) -> None:
    dock = FIRST
    for key, kind, column, place in moves:
        before = dock
        if kind == 0:
            dock = dock.docked(key, column, place)
            others = [k for k in before.keys if k != key]
            assert [k for k in dock.left if k != key] == [k for k in before.left if k in others]
        elif kind == 1:
            dock = dock.floated(key, BOX)
            # Putting it down and taking it up again changes nothing else.
            if before.floating_of(key) is None:
                assert dock.returned(key) == before
        elif kind == 2:
            dock = dock.returned(key)
        elif kind == 3:
            dock = dock.shifted(key, 1 if place > 0 else -1)
        else:
            dock = dock.across(key)
        is_whole(dock)
        assert dock.completed(LEFT, RIGHT) == dock
        assert read_dock(json.loads(json.dumps(asdict(dock)))) == dock


# The window ---------------------------------------------------------------------------------

_side = st.none() | st.floats(LEAST_WIDTH, MOST_WIDTH)


@given(
    st.integers(960, 4000), st.integers(620, 2200), st.sampled_from([0.75, 1.0, 1.5, 2.0]),
    st.booleans(), _side, _side, st.floats(LEAST_HEIGHT, MOST_HEIGHT), st.booleans(),
)  # fmt: skip
def test_the_parts_cover_the_window(
    width: int, height: int, scale: float, timeline: bool, left: float | None,
    right: float | None, strip: float, hidden: bool,
) -> None:  # fmt: skip
    extents = Extents(left, right, strip, hidden)
    lay = arrange(width, height, scale, timeline, extents)
    across = (lay.left, lay.grip_left, lay.viewport, lay.grip_right, lay.right)
    assert sum(part.width for part in across) == width
    assert all(a.right == b.x for a, b in pairwise(across))
    down = (lay.toolbar, lay.viewport, lay.grip_timeline, lay.timeline, lay.status)
    assert all(a.bottom == b.y for a, b in pairwise(down))
    assert lay.status.bottom == height
    assert lay.viewport.width >= min(PICTURE_WIDTH * scale, 0.3 * width) - 1
    assert lay.viewport.height >= (height - lay.toolbar.height - lay.status.height) / 2 - 1
    if hidden:
        assert lay.viewport.width == width
    elif left is not None and left <= widest(width, scale, extents, right):
        assert lay.left.width == int(left * scale)


def test_an_empty_column_is_a_thin_zone() -> None:
    lay = arrange(1280, 720, 1.0, False, Extents(None, 316))
    assert (lay.left.width, lay.grip_left.width, lay.viewport.x) == (14, 0, 14)
    assert lay.viewport.width == 1280 - 14 - 316 - GRIP


def test_a_narrow_window_takes_from_the_column_that_has_more_than_it_needs() -> None:
    lay = arrange(960, 620, 1.0, False, Extents(LEAST_WIDTH, 700))
    assert lay.left.width == LEAST_WIDTH and lay.viewport.width == PICTURE_WIDTH
    assert lay.right.width == 960 - PICTURE_WIDTH - 2 * GRIP - LEAST_WIDTH
