"""What a model can do, and its own settings."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from engine.camera import OrbitPose
from engine.capabilities import Capabilities, ModelSetting
from engine.errors import UserError

RAYS = ModelSetting("samples_per_ray", "Samples a ray", "integer", 24, "Finer.", 4, 256)
GAIN = ModelSetting("gain", "Gain", "number", 1.0, "Louder.")
SHIFT = ModelSetting("shift", "Shift", "number", 0.5, "Sideways.", low=0.0)
NOISE = ModelSetting("noise", "Noise", "choice", "stored", "Grain.", choices=("stored", "none"))
FROZEN = ModelSetting("frozen", "Frozen", "flag", True, "Still.")

MODEL = Capabilities(
    family="stylesdf",
    z_dim=4,
    num_ws=4,
    w_dim=4,
    resolution=64,
    neural_resolution=16,
    samples_per_ray=24,
    default_pose=OrbitPose(),
    bounds=((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)),
    mesh_level=0.0,
    view_modes=("picture", "depth"),
    absent={"cutoff": "All layers are alike.", "raw": "There is no upsampler."},
    settings=(RAYS, GAIN, SHIFT, NOISE, FROZEN),
)


def test_what_a_setting_can_be_in_words() -> None:
    words = [setting.values for setting in MODEL.settings]
    assert words == [
        "a whole number from 4 to 256", "a number", "a number, 0 or more",
        "one of stored, none", "on or off",
    ]  # fmt: skip
    with pytest.raises(UserError, match="samples_per_ray is a whole number from 4 to 256, not 3"):
        RAYS.checked(3)
    seed = ModelSetting("seed", "Seed", "integer", 0, "Grain.", 0, 2**32 - 1)
    assert seed.values == "a whole number from 0 to 4294967295"


def test_bounds_that_are_none_travel_through_strict_json() -> None:
    text = json.dumps(MODEL.to_json(), allow_nan=False)
    again = Capabilities.from_json(json.loads(text))
    assert again == MODEL
    assert (again.settings[1].low, again.settings[1].high) == (-math.inf, math.inf)
    assert (again.settings[2].low, again.settings[2].high) == (0.0, math.inf)


def test_only_what_differs_from_the_defaults_is_kept() -> None:
    given = {"samples_per_ray": "24", "noise": "none", "frozen": "off"}
    assert MODEL.changed_settings(given) == {"noise": "none", "frozen": False}
    with pytest.raises(UserError, match="no setting 'grain'; it has samples_per_ray, gain, shift"):
        MODEL.changed_settings({"grain": 1})


def test_of_another_models_settings_what_fits_is_taken_over() -> None:
    foreign = {"samples_per_ray": 300, "noise": "none", "frozen": True, "layers": 3}
    assert MODEL.fitting_settings(foreign) == {"noise": "none"}
    assert MODEL.fitting_settings({}) == {}


def test_why_a_control_is_not_there() -> None:
    assert MODEL.why_not("picture") == MODEL.why_not("conditioning") == ""
    assert MODEL.why_not("cutoff") == "All layers are alike."
    assert MODEL.why_not("raw") == "There is no upsampler."
    assert MODEL.why_not("normals") == "This model has no such view."


def test_where_the_look_comes_from() -> None:
    groups = {"coarse": (0, 1), "fine": (1, 4)}
    assert MODEL.look_rows == (2, 3)
    assert replace(MODEL, layer_groups=groups).look_rows == (1, 2, 3)
    assert replace(MODEL, layer_groups=groups | {"appearance": (3, 4)}).look_rows == (3,)


def test_rows_as_people_write_them() -> None:
    grouped = replace(MODEL, num_ws=9, layer_groups={"coarse": (0, 3), "look": (2, 9)})
    assert grouped.rows("0-2,7") == (0, 1, 2, 7)
    assert grouped.rows(" 7, coarse ,1") == (0, 1, 2, 7)
    assert grouped.rows("all") == tuple(range(9))
    for wrong in ("9", "3-1", "hair", "", "1,,2", "9" * 5000, "-1"):
        with pytest.raises(UserError, match="names no layers of this model; it has 0 to 8 and"):
            grouped.rows(wrong)
    assert [grouped.groups_of(row) for row in (0, 2, 8)] == [
        ("coarse",), ("coarse", "look"), ("look",),
    ]  # fmt: skip
