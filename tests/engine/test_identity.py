"""Blends, mixes and morphs as records."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from engine.errors import UserError
from engine.identity import Blend, StyleSource, catmull_rom, give_rows, morph, morph_at, within_rows
from engine.recipe import Recipe


def test_a_linear_morph_by_hand() -> None:
    assert morph_at((7, 8, 9), 1.25, "linear") == Blend((8, 9), (0.75, 0.25))
    assert morph_at((7, 8, 9), 2.0, "linear") == Blend((9,), (1.0,))
    assert morph_at((7, 8, 9), 2.5, "linear", loop=True) == Blend((9, 7), (0.5, 0.5))
    assert morph_at((7, 8), 0.5, "spherical").space == "z"


def test_a_spline_passes_through_its_keys_and_reproduces_a_straight_line() -> None:
    values = {1: 10.0, 2: 20.0, 3: 30.0, 4: 40.0}
    for position in (0.0, 1.0, 1.3, 1.9, 2.0, 3.0):
        blend = morph_at((1, 2, 3, 4), position, "spline")
        assert sum(blend.weights) == pytest.approx(1.0)
        reached = sum(values[s] * w for s, w in zip(blend.seeds, blend.weights, strict=True))
        if 1.0 <= position <= 2.0 or position in (0.0, 3.0):
            assert reached == pytest.approx(10 + 10 * position)
    assert catmull_rom(0.5) == pytest.approx((-0.0625, 0.5625, 0.5625, -0.0625))


def test_frames_of_a_morph() -> None:
    frames = morph((1, 2, 3), 5)
    assert [f.seeds for f in frames] == [(1,), (1, 2), (2,), (2, 3), (3,)]
    loop = morph((1, 2), 4, loop=True)
    assert loop[0] == Blend((1,), (1.0,)) and loop[2] == Blend((2,), (1.0,))
    assert loop[1] == Blend((1, 2), (0.5, 0.5)) and loop[3] == Blend((2, 1), (0.5, 0.5))
    assert len(morph((1, 2), 1)) == 1
    assert all(morph((1, 2), count)[-1] == Blend((2,), (1.0,)) for count in range(2, 200))


def test_rows_are_given_and_given_back() -> None:
    two = (StyleSource(5, ()), StyleSource(9, (), 0.5))
    painted = give_rows(give_rows(two, 0, (2, 0)), 1, [2])
    assert painted == (StyleSource(5, (0,)), StyleSource(9, (2,), 0.5))
    # Rows that two claim, as a command line may write them, end with one.
    assert give_rows((StyleSource(5, (1, 2)), StyleSource(9, (2,))), 0, (2,))[1].rows == ()
    assert give_rows(painted, None, range(3)) == two


def test_rows_that_a_model_lacks_are_dropped_but_no_source() -> None:
    mixed = (StyleSource(5, (0, 7, 8)), StyleSource(9, (12,), 0.5))
    assert within_rows(mixed, 8) == (StyleSource(5, (0, 7)), StyleSource(9, (), 0.5))
    assert within_rows(mixed, 13) == mixed


def test_a_blend_starts_from_another_face() -> None:
    assert Blend((1, 2), (0.3, 0.7), "z").starting(9) == Blend((9, 2), (0.3, 0.7), "z")


def test_blends_and_mixes_travel_in_recipes() -> None:
    recipe = replace(
        Recipe(), blend=Blend((3, 8), (0.25, 0.75), "z"), mixes=(StyleSource(5, (0, 4), 0.5),)
    )
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert not {"blend", "mixes"} & set(Recipe().to_json())


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("blend", {"seeds": [1], "weights": [], "space": "w"}),
        ("blend", {"seeds": [1, 2], "weights": [0.5, -0.5], "space": "z"}),
        ("blend", {"seeds": [1, 2], "weights": [0, 0], "space": "z"}),
        ("blend", {"seeds": [1], "weights": [float("nan")], "space": "w"}),
        ("blend", {"seeds": [2**32], "weights": [1], "space": "w"}),
        ("blend", {"seeds": [1], "weights": [1], "space": "x"}),
        ("blend", [1]),
        ("mixes", [{"seed": 1, "rows": [3, 2], "weight": 1}]),
        ("mixes", [{"seed": 1, "rows": [-1], "weight": 1}]),
        ("mixes", [{"seed": 1, "rows": [1], "weight": 9}]),
        ("mixes", [{"seed": 1}]),
        ("mixes", [{"seed": 1, "rows": [1], "weight": 1}] * 65),
    ],
)
def test_damaged_ones_are_refused(entry: str, value: object) -> None:
    with pytest.raises(UserError):
        Recipe.from_json(Recipe().to_json() | {entry: value})
