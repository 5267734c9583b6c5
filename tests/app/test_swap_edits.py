"""Edits of the layers that a second model lends."""

from __future__ import annotations

import json

import pytest

from app import swap_edits as swaps
from app.document import Document, set_model
from engine.camera import OrbitPose
from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.layer_swap import LayerSwap
from engine.recipe import ModelRef

LAYERS = ("4", "8", "16", "32", "64", "128", "256", "512", "1024")
CARTOONS, BRONZE = ModelRef("/c.pth", "c" * 64, "cartoons"), ModelRef("/b.pth", "b" * 64, "bronze")


def lent() -> Document:
    return swaps.lend(Document(), CARTOONS, LAYERS, LAYERS)


def swap(document: Document) -> LayerSwap:
    assert document.recipe.swap is not None
    return document.recipe.swap


def test_at_first_the_late_layers_at_half() -> None:
    assert swap(lent()) == LayerSwap(CARTOONS, LAYERS[3:], 0.5)


def test_another_second_model_takes_the_place_of_the_first_with_the_same_layers() -> None:
    document = swaps.set_share(swaps.set_layers(lent(), ["1024", "8", "64"], LAYERS), 0.75)
    other = swaps.lend(document, BRONZE, LAYERS, LAYERS[:8])
    assert swap(other) == LayerSwap(BRONZE, ("8", "64"), 0.75)


def test_layers_stay_in_the_networks_order_whatever_the_order_of_clicks() -> None:
    document = swaps.set_layers(lent(), [], LAYERS)
    for name in ("512", "4", "64", "512", "512"):
        document = swaps.toggle_layer(document, name, LAYERS)
    assert swap(document).layers == ("4", "64", "512")


def test_the_share_stays_within_its_range_and_is_removed_with_the_model() -> None:
    assert swap(swaps.set_share(lent(), 1.2)).gamma == 1.0
    assert swap(swaps.set_share(lent(), -1.0)).gamma == 0.0
    assert swaps.clear(lent()) == Document()
    with pytest.raises(UserError, match="choose one first"):
        swaps.set_share(Document(), 0.5)


@pytest.mark.parametrize(
    ("layers", "early", "late"),
    [(LAYERS, LAYERS[:3], LAYERS[3:]), (("32", "64"), ("32",), ("64",)), (("4",), ("4",), ())],
)
def test_sets_of_layers(
    layers: tuple[str, ...], early: tuple[str, ...], late: tuple[str, ...]
) -> None:
    named = {choice.title: choice.layers for choice in swaps.choices(layers)}
    assert named == {"All": layers, "Early": early, "Late": late, "None": ()}


def test_a_project_keeps_it_and_another_model_does_not() -> None:
    data = json.loads(json.dumps(lent().to_json({})))
    assert Document.from_json(data, {}) == lent()
    facts = Capabilities(
        "eg3d", 8, 14, 8, 256, 64, 48, OrbitPose(radius=2.0), ((-1, -1, -1), (1, 1, 1)), 10.0
    )
    assert set_model(lent(), ModelRef("/other.pkl"), facts).recipe.swap is None
