"""StyleSDF: its settings, its layers, its record, and volume renderers alone."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from engine.camera import Camera, OrbitPose
from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.frame import Frame
from engine.generators.base import Quality
from engine.generators.stylesdf import StyleSDF
from tests.generators.tiny_stylesdf import VOLUME_ONLY, tiny_model, z_of


@pytest.fixture(scope="module")
def model() -> StyleSDF:
    return tiny_model()


@pytest.fixture(scope="module")
def w(model: StyleSDF) -> Tensor:
    return model.map(z_of())


def camera(yaw: float = 0.0) -> Camera:
    return OrbitPose(yaw, radius=1.0, fov_y=12.0).camera()


# ---- settings and mixing ------------------------------------------------------------------


def drawn(change: dict[str, object], yaw: float = 20.0) -> Tensor:
    model = tiny_model()
    model.adjust(change)
    return model.render(model.map(z_of()), camera(yaw)).rgb


@pytest.mark.parametrize(
    "change",
    [{"samples_per_ray": 64}, {"samples_per_ray": 128}, {"noise": "none"}, {"noise": "random"},
     {"static_view": False}],
)  # fmt: skip
def test_every_setting_changes_the_picture_and_repeats(change: dict[str, object]) -> None:
    assert float((drawn(change) - drawn({})).abs().max()) > 1e-3
    assert torch.equal(drawn(change), drawn(change))


def test_random_noise_is_the_same_on_every_frame_and_differs_between_layers() -> None:
    model = tiny_model()
    model.adjust({"noise": "random"})
    w = model.map(z_of())
    assert torch.equal(model.render(w, camera()).rgb, model.render(w, camera()).rgb)
    first, second = model._noise(1, "random"), model._noise(2, "random")
    assert first is not None and second is not None and first.shape == second.shape
    assert float((first - second).abs().mean()) > 0.5
    assert float(first.mean()) == pytest.approx(0, abs=0.1)


def test_going_back_to_a_setting_gives_its_picture_back(w: Tensor) -> None:
    model = tiny_model()
    before = model.render(w, camera()).rgb
    for change in ({"noise": "none"}, {"samples_per_ray": 7}, {}):
        model.adjust(change)
        last = model.render(w, camera()).rgb
    assert torch.equal(before, last)


def test_rows_style_what_their_groups_say(model: StyleSDF, w: Tensor) -> None:
    """Shape rows move the surface, the view's row colours it, the decoder's rows the picture."""
    other = model.map(z_of(1))
    groups = model.capabilities.layer_groups
    assert groups == {
        "shape": (0, 3), "appearance": (3, 10),
        "coarse": (4, 6), "middle": (6, 8), "fine": (8, 10),
    }  # fmt: skip

    def with_rows(name: str) -> Frame:
        mixed = w.clone()
        mixed[slice(*groups[name])] = other[slice(*groups[name])]
        return model.render(mixed, camera())

    plain = model.render(w, camera())
    for name in groups:
        frame = with_rows(name)
        assert torch.equal(frame.depth, plain.depth) == (name != "shape")
        assert torch.equal(frame.raw, plain.raw) == (name not in ("shape", "appearance"))
        assert float((frame.rgb - plain.rgb).abs().max()) > 1e-4


def test_columns_beyond_a_row_do_not_count(model: StyleSDF, w: Tensor) -> None:
    filled = w.clone()
    filled[:4, 8:] = 3.0
    assert torch.equal(model.render(filled, camera()).rgb, model.render(w, camera()).rgb)


# ---- what the record says -----------------------------------------------------------------


def test_the_record_of_a_full_model(model: StyleSDF) -> None:
    facts = model.capabilities
    assert (facts.z_dim, facts.num_ws, facts.w_dim) == (8, 10, 14)
    assert (facts.resolution, facts.neural_resolution, facts.samples_per_ray) == (64, 16, 24)
    assert (facts.mesh_level, facts.mesh_level_meaning) == (0.0, "sdf")
    assert facts.bounds == ((-0.12,) * 3, (0.12,) * 3)
    assert facts.yaw_range == pytest.approx((-34.4, 34.4))
    assert facts.pitch_range == pytest.approx((-17.2, 17.2))
    assert "raw" in facts.view_modes and set(facts.absent) == {"conditioning"}
    assert Capabilities.from_json(json.loads(json.dumps(facts.to_json()))) == facts
    settings: dict[str, Callable[..., object]] = {s.name: s.checked for s in facts.settings}
    assert settings["samples_per_ray"]("128") == 128
    for name, wrong in (("samples_per_ray", 1), ("samples_per_ray", 1025), ("noise", "some")):
        with pytest.raises(UserError):
            settings[name](wrong)


def test_a_volume_renderer_is_a_generator_in_its_own_right() -> None:
    model = tiny_model(VOLUME_ONLY)
    facts = model.capabilities
    assert (facts.num_ws, facts.w_dim) == (4, 8)
    assert (facts.resolution, facts.neural_resolution) == (64, 64)
    assert "raw" not in facts.view_modes and {"raw", "upsample"} <= set(facts.absent)
    assert {setting.name for setting in facts.settings} == {"samples_per_ray", "static_view"}
    assert facts.layer_groups == {"shape": (0, 3), "appearance": (3, 4)}
    w = model.map(z_of(), psi=0.5)
    assert torch.equal(model.mean_w(), model.map(z_of(1), psi=0.0))
    frame = model.render(w, camera(10))
    assert frame.rgb.shape == (64, 64, 3) and frame.rgb is frame.raw
    assert "upsample" not in frame.timings
    larger = model.render(w, camera(10), Quality(neural_resolution=128)).rgb
    pooled = larger.reshape(64, 2, 64, 2, 3).mean(dim=(1, 3))
    assert float((pooled - frame.rgb).abs().mean()) < 0.01
