"""Stacks of edits: what they hold, what lies between two, and what a file of them may hold."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.camera import OrbitPose
from engine.capabilities import Capabilities
from engine.edits import (
    MAX_EDITS,
    MAX_STACK,
    Edit,
    Offset,
    edits_between,
    edits_for,
    lifted,
    lowered,
)
from engine.errors import UserError
from engine.faces import Face, Fade, Identity, between
from engine.keyframe import Keyframe
from engine.recipe import Recipe
from engine.timeline import Timeline

ONE = Offset.of(np.array([[1.0, -2.0]]))
FULL = Offset.of(np.arange(6.0).reshape(3, 2))
STRENGTHS = st.floats(-20, 20, allow_nan=False, width=32)
EDITS = st.builds(
    Edit,
    st.sampled_from(("Smiling", "Ünter 2")),
    st.sampled_from((ONE, FULL)),
    STRENGTHS,
    st.booleans(),
    st.sampled_from((None, (0, 2), ())),
    st.sampled_from(("", "ab" * 32)),
)
STACKS = st.lists(EDITS, max_size=4).map(tuple)


def facts(num_ws: int = 3, w_dim: int = 2) -> Capabilities:
    return Capabilities(
        "eg3d", 4, num_ws, w_dim, 64, 32, 8, OrbitPose(), ((-1, -1, -1), (1, 1, 1)), 10.0
    )


def effects(edits: tuple[Edit, ...]) -> dict[Any, float]:
    total: Counter[Any] = Counter()
    for edit in edits:
        total[edit.offset, edit.rows] += edit.effect  # type: ignore[assignment]
    return dict(total)


def test_equal_rows_are_kept_once() -> None:
    assert Offset.of(np.tile(ONE.numbers, (5, 1))) == ONE and ONE.shape == (1, 2)
    assert ONE.sha256 != Offset.of(np.array([[1.0], [-2.0]])).sha256


@given(STACKS)
def test_a_recipe_comes_back_with_its_edits(edits: tuple[Edit, ...]) -> None:
    recipe = Recipe(seed=3, edits=edits)
    plain = recipe.to_json()
    assert ("edits" in plain) == bool(edits)
    assert Recipe.from_json(json.loads(json.dumps(plain, allow_nan=False))) == recipe
    assert recipe.identity.edits == edits
    assert Recipe().with_identity(recipe.identity).edits == edits
    assert recipe.of_seed(9).edits == edits


@given(STACKS, STACKS, st.floats(0, 1))
def test_between_two_stacks_every_strength_goes_straight(
    a: tuple[Edit, ...], b: tuple[Edit, ...], share: float
) -> None:
    got = effects(edits_between([(a, 1 - share), (b, share)]))
    ends = effects(a), effects(b)
    for key in {*ends[0], *ends[1]}:
        expected = (1 - share) * ends[0].get(key, 0.0) + share * ends[1].get(key, 0.0)
        assert got.get(key, 0.0) == pytest.approx(expected, abs=1e-4)


@given(STACKS)
def test_between_a_stack_and_itself_it_is_itself(edits: tuple[Edit, ...]) -> None:
    made = edits_between([(edits, 0.5), (edits, 0.5)])
    assert made == edits


def test_what_one_end_lacks_fades_in() -> None:
    smile, old = Edit("Smiling", ONE, 4.0), Edit("Old", FULL, -2.0, rows=(1,))
    a, b = (
        Identity(Face(1), edits=(smile,)),
        Identity(Face(2), edits=(old, replace(smile, muted=True))),
    )
    middle = between([(a, 0.75), (b, 0.25)])
    assert middle.edits == (replace(smile, strength=3.0), replace(old, strength=-0.5))
    assert middle.shares == {Face(1): 0.75, Face(2): 0.25}


def test_overshoot_stays_in_range() -> None:
    strong = Edit("Strong", ONE, 20.0)
    assert edits_between([((strong,), 1.5), ((), -0.5)])[0].strength == 20.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"strength": math.nan}, "strength"),
        ({"strength": 20.5}, "strength"),
        ({"rows": (2, 1)}, "layers"),
        ({"rows": (-1,)}, "layers"),
        ({"model": "a" * 65}, "hash"),
    ],
)
def test_values_out_of_range_are_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        replace(Edit("Smiling", ONE), **change)


@pytest.mark.parametrize(
    ("shape", "data", "says"),
    [
        ((0, 2), b"", "rows and columns"),
        ((1 << 9, 1 << 9), b"", "rows and columns"),
        ((1, 2), b"abcd", "as many numbers"),
        ((1, 1), np.float32("nan").tobytes(), "finite"),
    ],
)
def test_offsets_that_are_none(shape: tuple[int, int], data: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says):
        Offset(shape, data)


@pytest.mark.parametrize(
    "damage",
    [
        {"direction": None},
        {"direction": {**ONE.to_json(), "sha256": "ab" * 32}},
        {"direction": {**ONE.to_json(), "data": "!!"}},
        {"direction": {**ONE.to_json(), "data": "A" * (7 << 17)}},
        {"direction": {**ONE.to_json(), "shape": [2, 1]}},
        {"strength": "much"},
        {"rows": [0.5, "x"]},
    ],
)
def test_damaged_edits_are_refused(damage: dict[str, Any]) -> None:
    plain = Recipe(edits=(Edit("Smiling", ONE),)).to_json()
    plain["edits"][0] |= damage
    with pytest.raises(UserError):
        Recipe.from_json(plain)


def test_stacks_have_an_end() -> None:
    many = tuple(Edit(f"Edit {n}", ONE) for n in range(MAX_EDITS + 1))
    for make in (lambda: Recipe(edits=many).checked(), lambda: Identity(Face(), (), many)):
        with pytest.raises(UserError, match="At most 64 edits"):
            make()
    with pytest.raises(UserError, match="16 edits at most"):
        Keyframe.of(Recipe(edits=many[: MAX_STACK + 1]), 0.0)
    # Four keys without a common edit still lie below the end.
    assert 4 * MAX_STACK <= MAX_EDITS


def test_another_model_keeps_what_fits() -> None:
    edits = (Edit("One", ONE, rows=(0, 2)), Edit("Full", FULL), Edit("One", ONE))
    assert edits_for(edits, facts(3)) == edits
    assert edits_for(edits, facts(2)) == (replace(edits[0], rows=(0,)), edits[2])
    assert edits_for(edits, facts(3, 4)) == ()
    assert "3 x 2 numbers" in FULL.why_not(4, 2)


@given(STACKS, STACKS)
def test_a_timeline_holds_every_direction_once(a: tuple[Edit, ...], b: tuple[Edit, ...]) -> None:
    keys = tuple(
        Keyframe.of(Recipe(seed=n, edits=edits), float(n)) for n, edits in enumerate((a, b, a))
    )
    line = Timeline(keys)
    plain = json.loads(json.dumps(line.to_json()))
    assert Timeline.from_json(plain) == line
    used = {edit.offset for edit in (*a, *b)}
    assert len(plain.get("directions", ())) == len(used) == len(line.offsets)
    assert effects(line.at(Recipe(), 1.0).edits) == effects(b)


def test_a_timeline_with_an_edit_of_no_direction_is_refused() -> None:
    plain = Timeline((Keyframe.of(Recipe(edits=(Edit("A", ONE),)), 0.0),)).to_json()
    for wrong in (1, -1, "0", None):
        plain["keys"][0]["edits"][0]["direction"] = wrong
        with pytest.raises(UserError, match="damaged"):
            Timeline.from_json(plain)


def test_numbers_in_bulk_are_lifted_out_once() -> None:
    recipe = Recipe(edits=(Edit("A", ONE), Edit("B", FULL), Edit("C", ONE)))
    arrays: dict[str, Any] = {}
    plain = lifted({"two": [recipe.to_json(), recipe.to_json()]}, arrays)
    assert set(arrays) == {f"direction-{o.sha256}" for o in (ONE, FULL)}
    assert "data" not in json.dumps(plain)
    back = lowered(json.loads(json.dumps(plain)), arrays)
    assert [Recipe.from_json(item) for item in back["two"]] == [recipe, recipe]
    swapped = {name: arrays[other] for name, other in zip(arrays, reversed(arrays), strict=True)}
    with pytest.raises(UserError):
        Recipe.from_json(lowered(plain, swapped)["two"][0])
    with pytest.raises(KeyError):
        lowered(plain, {})


def test_a_fade_between_edited_faces_keeps_the_stack() -> None:
    edits = (Edit("A", ONE, 2.0),)
    faded = between([(Identity(Face(1), (Fade(Face(2), 0.5),), edits), 1.0)])
    assert faded.edits == edits and faded.shares == {Face(1): 0.5, Face(2): 0.5}
