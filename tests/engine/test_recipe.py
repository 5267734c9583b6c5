"""Recipes: round trips, ranges, and every damaged form refused in one sentence."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest

from engine.camera import OrbitPose
from engine.capabilities import Capabilities, ModelSetting
from engine.errors import UserError
from engine.layer_swap import LayerSwap
from engine.recipe import ModelRef, Recipe

FULL = Recipe(
    model=ModelRef("a/b.pkl", "ab" * 32, "faces"),
    seed=2**32 - 1,
    psi=-0.5,
    cutoff=7,
    pose=OrbitPose(1, 2, 3, 4, 5, (6, 7, 8), (9, 10, 11)),
    view="depth",
    size=333,
    neural_resolution=96,
    samples=2.5,
    transparent=True,
)


@pytest.mark.parametrize("recipe", [Recipe(), FULL])
def test_round_trip_through_json_text(recipe):
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"psi": math.nan}, "psi"),
        ({"psi": 2.5}, "psi"),
        ({"cutoff": -1}, "cutoff"),
        ({"size": 0}, "size"),
        ({"size": 100_000}, "size"),
        ({"neural_resolution": 1}, "neural resolution"),
        ({"samples": 0.0}, "sample"),
        ({"view": "x-ray"}, "view"),
        ({"pose": OrbitPose(fov_y=0)}, "angle of view"),
    ],
)
def test_values_out_of_range_are_named(change, says):
    with pytest.raises(UserError) as caught:
        replace(FULL, **change).checked()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        None,
        [],
        {},
        {"format": "maquette-recipe/2"},
        {"format": "maquette-recipe/1"},
        {**FULL.to_json(), "seed": "many"},
        {**FULL.to_json(), "pose": 3},
        {**FULL.to_json(), "model": []},
        {**FULL.to_json(), "surprise": 1},
    ],
)
def test_damaged_recipes_are_refused(damage):
    with pytest.raises(UserError):
        Recipe.from_json(damage)


def test_capabilities_round_trip_through_json_text():
    capabilities = Capabilities(
        family="eg3d",
        z_dim=64,
        num_ws=10,
        w_dim=128,
        resolution=256,
        neural_resolution=64,
        samples_per_ray=48,
        default_pose=OrbitPose(),
        bounds=((-1.0, -2.0, -3.0), (1.0, 2.0, 3.0)),
        mesh_level=10.0,
        layer_groups={"coarse": (0, 4)},
    )
    assert Capabilities.from_json(json.loads(json.dumps(capabilities.to_json()))) == capabilities


def test_the_window_side_needs_no_torch():
    code = (
        "import sys, engine.recipe, engine.camera, engine.capabilities, engine.assets;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SAMPLES = ModelSetting("samples", "Samples", "integer", 24, "Samples a ray.", 4, 256)
NOISE = ModelSetting("noise", "Noise", "choice", "stored", "Noise.", choices=("stored", "none"))
BACK = ModelSetting("back", "Back", "flag", False, "Background.")


def test_settings_travel_and_are_left_out_when_there_are_none() -> None:
    recipe = Recipe().with_settings({"samples": 64, "back": True})
    assert recipe.settings == (("back", True), ("samples", 64))
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert "settings" not in Recipe().to_json()
    with pytest.raises(UserError, match="damaged"):
        Recipe.from_json(recipe.to_json() | {"settings": {"samples": [1]}})


@pytest.mark.parametrize(
    ("setting", "given", "value"),
    [(SAMPLES, "64", 64), (SAMPLES, 4.0, 4), (NOISE, "none", "none"), (BACK, "on", True)],
)
def test_settings_understand_what_is_typed(
    setting: ModelSetting, given: object, value: object
) -> None:
    got = setting.checked(given)
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("setting", "given"),
    [(SAMPLES, 3), (SAMPLES, "many"), (SAMPLES, 4.5), (SAMPLES, True), (NOISE, "x"), (BACK, "2"),
     (SAMPLES, float("nan"))],
)  # fmt: skip
def test_settings_refuse_what_they_cannot_be(setting: ModelSetting, given: object) -> None:
    with pytest.raises(UserError, match=setting.name):
        setting.checked(given)


SWAP = LayerSwap(ModelRef("c/d.pth", "cd" * 32, "cartoons"), ("512", "1024"), 0.25)


def test_layers_of_a_second_model_come_back_and_are_left_out_where_there_are_none():
    recipe = replace(FULL, swap=SWAP)
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert "swap" not in FULL.to_json()
    assert SWAP.changes
    assert not replace(SWAP, gamma=0.0).changes and not replace(SWAP, layers=()).changes


@pytest.mark.parametrize(
    "damage",
    [
        3,
        {},
        {**SWAP.to_json(), "gamma": 1.5},
        {**SWAP.to_json(), "gamma": math.nan},
        {**SWAP.to_json(), "gamma": "half"},
        {**SWAP.to_json(), "layers": "512"},
        {**SWAP.to_json(), "layers": ["x"] * 300},
        {**SWAP.to_json(), "layers": ["x" * 100]},
        {**SWAP.to_json(), "model": {"path": "a", "owner": "b"}},
    ],
)
def test_damaged_layer_swaps_are_refused(damage):
    with pytest.raises(UserError):
        Recipe.from_json({**FULL.to_json(), "swap": damage})
