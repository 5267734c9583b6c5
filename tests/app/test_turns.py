"""Which picture the engine draws next, with a reference beside the present one."""

from __future__ import annotations

from app.turns import Shot, Turns
from app.wire import Draw
from engine.recipe import Recipe
from tests.app.harness import recipe

SETTLE = 0.2


def draw(number: int, yaw: float, moving: bool, seen: bool = True, beside: int | None = 2) -> Draw:
    """A request for seed 1 with another seed beside it, from a yaw."""
    other: Recipe | None = None if beside is None else recipe(beside, yaw)
    return Draw(number, recipe(1, yaw), moving, other, seen)


def take(turns: Turns, request: Draw, resting: float = 0.0) -> Shot | None:
    """The next picture, drawn."""
    shot = turns.next(request, resting)
    if shot is not None:
        turns.drawn(shot, request, complete=shot.full)
    return shot


def all_of(turns: Turns, request: Draw, resting: float = 0.0) -> list[tuple[str, bool]]:
    """Everything that is due: which part, and whether at full quality."""
    found = []
    while (shot := take(turns, request, resting)) is not None:
        found.append((shot.part, shot.full))
    return found


def test_at_rest_both_come_at_full_quality_the_present_first() -> None:
    turns, request = Turns(SETTLE), draw(1, 0, moving=False)
    assert all_of(turns, request) == [("present", True), ("reference", True)]
    assert turns.rest(request, 0.0) is None


def test_without_a_reference_there_is_one_picture() -> None:
    turns = Turns(SETTLE)
    assert all_of(turns, draw(1, 0, False, beside=None)) == [("present", True)]
    moving = draw(2, 5, True, beside=None)
    assert all_of(turns, moving) == [("present", False)]
    assert turns.rest(moving, 0.05) == SETTLE - 0.05
    assert all_of(turns, moving, SETTLE) == [("present", True)]


def test_while_the_camera_moves_they_are_drawn_in_turn_whatever_comes() -> None:
    turns = Turns(SETTLE)
    all_of(turns, draw(1, 0, False))
    parts = []
    for number in range(2, 8):  # a newer request waits each time something was drawn
        request = draw(number, number, True)
        assert turns.shares(request)
        shot = take(turns, request)
        assert shot is not None and not shot.full and shot.recipe.pose.yaw == number
        parts.append(shot.part)
    assert parts == ["present", "reference"] * 3
    last = draw(7, 7, True)
    # The reference came last; the present picture of that view is still to come.
    assert all_of(turns, last) == [("present", False)] and turns.rest(last, 0.0) == SETTLE
    assert all_of(turns, last, SETTLE) == [("present", True), ("reference", True)]


def test_while_only_the_face_changes_no_time_goes_to_the_reference() -> None:
    turns = Turns(SETTLE)
    all_of(turns, draw(1, 0, False))
    for number in range(2, 6):
        request = Draw(number, recipe(10 + number), True, recipe(2), True)
        assert not turns.shares(request)
        assert all_of(turns, request) == [("present", False)]
    assert all_of(turns, request, SETTLE) == [("present", True)]


def test_one_that_is_not_seen_comes_at_rest() -> None:
    turns = Turns(SETTLE)
    all_of(turns, draw(1, 0, False, seen=False))
    moving = draw(2, 9, True, seen=False)
    assert not turns.shares(moving)
    assert all_of(turns, moving) == [("present", False)]
    assert turns.rest(moving, 0.0) == SETTLE
    assert all_of(turns, moving, SETTLE) == [("present", True), ("reference", True)]


def test_another_reference_leaves_the_present_picture_alone() -> None:
    turns = Turns(SETTLE)
    all_of(turns, draw(1, 0, False))
    assert all_of(turns, draw(1, 0, False, beside=3)) == [("reference", True)]
    assert all_of(turns, draw(1, 0, False, beside=None)) == []


def test_another_model_begins_anew() -> None:
    turns, request = Turns(SETTLE), draw(1, 0, False)
    all_of(turns, request)
    turns.forget()
    assert all_of(turns, request) == [("present", True), ("reference", True)]
