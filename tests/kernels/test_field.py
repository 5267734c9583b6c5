"""The kernel of point networks against torch in float64, held to float32's own error."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from engine.kernels.field import (
    Evaluated,
    PointLayers,
    evaluate_reference,
    layers_problem,
    pack_layers,
    packed_once,
    try_evaluate,
)
from tests.kernels.fields import worst
from tests.kernels.places import at, everywhere


def make_field(
    width: int, layers: int, octaves: int = 0, view: int = 0, inputs: int = 3, seed: int = 0
) -> PointLayers:
    """Frequencies as folded ones are: a layer's arguments span several turns of the sine."""
    torch.manual_seed(seed)

    def layer(rows: int, columns: int, spread: float) -> tuple[Tensor, Tensor]:
        return torch.randn(rows, columns) * spread / math.sqrt(columns), torch.randn(rows)

    first = 2 * octaves * inputs if octaves else inputs
    spread = 1.4 if octaves else 3.0
    return PointLayers(
        (layer(width, first, 3.0), *(layer(width, width, spread) for _ in range(layers - 1))),
        layer(1, width, 2.0),
        2.0 ** torch.arange(octaves) if octaves else None,
        0.2,
        layer(view, width, 2.0) if view else None,
        torch.randn(view, 3) if view else None,
        layer(3, view, 2.0) if view else None,
    )


def converted(field: PointLayers, target: torch.device | torch.dtype) -> PointLayers:
    """Every tensor of a field moved or converted."""

    def move(value: object) -> object:
        if isinstance(value, Tensor):
            return value.to(target)
        return tuple(move(part) for part in value) if isinstance(value, tuple) else value

    return replace(field, **{f.name: move(getattr(field, f.name)) for f in fields(field)})


CASES = {
    "sines": (make_field(24, 3), 70, 1),
    "one layer": (make_field(8, 1), 5, 1),
    "view": (make_field(40, 2, view=16), 129, 9),
    "odd widths": (make_field(12, 2, view=10), 64, 64),
    "wide view": (make_field(16, 2, view=72), 20, 3),
    "encoded": (make_field(16, 3, octaves=3), 66, 1),
    # As wide as the released ones: where sums are cut off at every product, it shows.
    "wide": (make_field(256, 3), 40, 1),
    "four coordinates": (make_field(24, 2, octaves=5, inputs=4), 33, 1),
}


@everywhere
@pytest.mark.parametrize("name", CASES)
def test_a_field_equals_torch(place: str, name: str) -> None:
    field, count, per_direction = CASES[name]
    inputs = 4 if name == "four coordinates" else 3
    points = torch.randn(count, inputs)
    directions = None
    if field.turn is not None:
        directions = torch.nn.functional.normalize(torch.randn(-(-count // per_direction), 3))
    double = None if directions is None else directions.double()
    exact = evaluate_reference(
        converted(field, torch.float64), points.double(), double, per_direction
    )
    single = evaluate_reference(field, points, directions, per_direction)
    wanted = [n for n in Evaluated._fields if getattr(exact, n) is not None]
    with at(place) as device:
        moved = None if directions is None else directions.to(device)
        packed = pack_layers(converted(field, device))
        result = try_evaluate(packed, points.to(device), moved, per_direction, wanted)
    assert result is not None
    for part in wanted:
        mine, truth = getattr(result, part), getattr(exact, part)
        # Three products of split numbers lose about as much as float32 does by rounding.
        assert worst(mine, truth) < 3.0 * worst(getattr(single, part), truth) + 2e-6, part
        assert mine.shape == truth.shape


def test_only_what_is_wanted_is_written() -> None:
    field, count, _ = CASES["view"]
    with at("emulated"):
        result = try_evaluate(pack_layers(field), torch.randn(count, 3), wanted=["density"])
    assert result is not None
    assert result.density is not None
    assert result[1:] == (None, None, None)


def test_directions_are_shared_by_neighbours() -> None:
    """A point's colour changes with its own direction only."""
    field, _, _ = CASES["view"]
    points, directions = torch.randn(12, 3), torch.randn(3, 3)
    with at("emulated"):
        packed = pack_layers(field)
        before = try_evaluate(packed, points, directions, 4, ["colour"])
        directions[1] += 0.5
        after = try_evaluate(packed, points, directions, 4, ["colour"])
    assert before is not None and after is not None
    assert before.colour is not None and after.colour is not None
    changed = (before.colour != after.colour).any(dim=1)
    assert changed.tolist() == [False] * 4 + [True] * 4 + [False] * 4


def test_nothing_is_read_that_a_field_does_not_have() -> None:
    """On a card each would be a read from nowhere."""
    torch.manual_seed(0)
    turned, points, directions = CASES["view"][0], torch.randn(12, 3), torch.randn(12, 3)
    still = pack_layers(replace(turned, turn=None))
    with at("emulated"):
        plain, told = (try_evaluate(still, points, d, 1, ["colour"]) for d in (None, directions))
        assert plain is not None and told is not None
        assert plain.colour is not None and torch.equal(plain.colour, told.colour)
        without = pack_layers(replace(turned, density=None))
        assert try_evaluate(without, points, directions) is None
        assert try_evaluate(without, points, directions, 1, ["colour"]) is not None


def test_fields_that_do_not_fit_say_why() -> None:
    field = make_field(24, 2)
    assert layers_problem(field) is None
    wide = make_field(264, 1)
    assert layers_problem(wide) == "The kernel takes layers of up to 256 columns."
    uneven = replace(field, layers=(field.layers[0], make_field(16, 2).layers[1]))
    assert layers_problem(uneven) == "The kernel takes inner layers of one width."
    flat = make_field(24, 1, inputs=2)
    assert layers_problem(flat) == "The kernel takes points of three or four coordinates."
    with pytest.raises(ValueError, match="256 columns"):
        pack_layers(wide)
    with at("emulated"):
        packed = pack_layers(field)
        assert try_evaluate(packed, torch.zeros(4, 4)) is None
        assert try_evaluate(packed, torch.zeros(4, 3).double()) is None
        turned = pack_layers(CASES["view"][0])
        assert try_evaluate(turned, torch.zeros(4, 3), torch.zeros(3, 3), 2) is None
        assert try_evaluate(None, torch.zeros(4, 3)) is None


def test_weights_are_packed_once_and_again_when_they_change() -> None:
    field, made = make_field(8, 2), []

    def make() -> PointLayers:
        made.append(1)
        return field

    key = field.layers[0][0]
    first = packed_once(key, make)
    assert packed_once(key, make) is first
    assert first is not None
    key.mul_(2.0)
    again = packed_once(key, make)
    assert again is not None and len(made) == 2
    assert torch.equal(again.tensors["first"], 2.0 * first.tensors["first"])
