"""StyleNeRF's drawing against a literal computation of every variant, and its own promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.camera import FAMILY_AXES, OrbitPose
from engine.errors import Cancelled, CheckpointError, UserError
from engine.generators import stylenerf_upsampler, stylenerf_volume
from engine.generators.base import CancelToken, GoldenCase, Quality
from engine.generators.stylenerf import (
    RELEASED,
    StyleNeRF,
    StyleNeRFConfig,
    StyleNeRFNetwork,
    build,
)
from tests.generators.literal_stylenerf import Literal
from tests.generators.tiny_stylenerf import CONFIG, tiny_model, tiny_network, z_of

CPU = torch.device("cpu")
#: Yaw, pitch of a view that is not frontal.
TURNED = OrbitPose(yaw=14.0, pitch=-7.0, radius=1.0, fov_y=CONFIG.fov)

VARIANTS: dict[str, dict[str, Any]] = {
    "nearest neighbours": {},
    "pixel shuffle": {"upsample_mode": "pixelshuffle"},
    "no magnitudes": {"magnitude_ema": False},
    "last picture alone": {"no_residual_img": True},
    "unit features": {"fg_normalized_feat": True, "bg_normalized_feat": True},
    "unit features of the head": {"fg_normalized_feat": True},
    "one pass": {"hierarchical": False},
    "one pass, unit features": {"hierarchical": False, "fg_normalized_feat": True},
    "steps as shares": {"dists_normalized": True},
    "corner rays": {"ray_align_corner": True},
    "scaled points": {"fg_downscale": 0.5, "bg_downscale": 1.7},
    "no clamp": {"conv_clamp": None},
    "wide kernels": {"kernel_size": 3},
    "wide kernels, shuffled": {"kernel_size": 3, "upsample_mode": "pixelshuffle"},
    "noise": {"use_noise": True},
    "noise and wide kernels": {"use_noise": True, "kernel_size": 3, "magnitude_ema": False},
    "no background": {"background": False, "z_dim_bg": 0},
    "no background, one pass": {"background": False, "z_dim_bg": 0, "hierarchical": False},
    "no latent behind": {"z_dim_bg": 0},
    "three blocks": {
        "img_resolution": 64,
        "block_channels": (8, 4, 6),
        "adapter_channels": (2, 1, 3),
    },
}


def camera_of(pose: OrbitPose) -> Tensor:
    matrix = FAMILY_AXES["stylenerf"].from_ours(pose.camera().cam2world)
    return torch.tensor(matrix, dtype=torch.float32)


def case(z: Tensor, config: StyleNeRFConfig, pose: OrbitPose = TURNED, **more: Any) -> GoldenCase:
    latents = {"z": z[: config.z_dim], "z_shape_bg": z[config.z_dim :]}
    return GoldenCase("case", latents, more.pop("psi", 1.0), None, camera_of(pose), None, more)


def literal_of(model: StyleNeRF) -> Literal:
    return Literal(model.config, model.network.state_dict())


def drawn(model: StyleNeRF, w: Tensor, pose: OrbitPose = TURNED, **quality: Any) -> Tensor:
    return model.render(w, pose.camera(), Quality(**quality)).rgb


def unit(image: Tensor) -> Tensor:
    return (image.permute(1, 2, 0) * 0.5 + 0.5).clamp(0, 1)


# every variant -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_a_variant_is_what_its_description_says(options: dict[str, Any]) -> None:
    model = tiny_model(**options)
    config, literal, z = model.config, literal_of(model), z_of(model.config)
    w = literal.styles(z, psi=0.7)
    features, rgb = literal.volume(w, z[config.z_dim :], camera_of(TURNED))
    expected = literal.picture(features, rgb, w)
    result = model.golden_case(case(z, config, psi=0.7))
    assert expected.std() > 0.05 and rgb.std() > 0.01
    np.testing.assert_allclose(result["raw"], rgb, atol=1e-4)
    np.testing.assert_allclose(result["rgb"], expected, atol=4e-4)


def test_the_window_draws_the_same() -> None:
    model = tiny_model()
    z = z_of()
    result = model.golden_case(case(z, model.config, psi=0.6))
    frame = model.render(model.map(z, psi=0.6), TURNED.camera())
    np.testing.assert_allclose(frame.rgb, unit(result["rgb"]), atol=1e-5)
    np.testing.assert_allclose(frame.raw, unit(result["raw"]), atol=1e-5)
    assert frame.size == (32, 32) and frame.depth.shape == frame.alpha.shape == (8, 8)


@pytest.mark.parametrize("first", [1, 3, 4, 5, 6, 7, 8])
def test_styles_are_mixed_by_rows(first: int) -> None:
    """Each row reaches the layer that the authors gave it: 2 layers of the head more than fc_in,
    density 3, features 4, then two convolutions a block and a row shared with the next."""
    model = tiny_model()
    literal, z, other = literal_of(model), z_of(), z_of(seed=1)
    w = torch.cat([literal.styles(z)[:first], literal.styles(other)[first:]])
    features, rgb = literal.volume(w, z[CONFIG.z_dim :], camera_of(TURNED))
    mixed = case(z, CONFIG, mix_from_layer=first)
    mixed.latents["z_mix"] = other[: CONFIG.z_dim]
    result = model.golden_case(mixed)
    np.testing.assert_allclose(result["rgb"], literal.picture(features, rgb, w), atol=4e-4)


# settings ----------------------------------------------------------------------------------


def test_hierarchical_sampling_can_be_switched_off() -> None:
    model, once = tiny_model(), tiny_model(hierarchical=False)
    w = model.map(z_of())
    two = drawn(model, w)
    model.adjust({"hierarchical": False})
    one = drawn(model, w)
    assert torch.equal(one, drawn(once, w)) and not torch.equal(one, two)


def test_a_frozen_background_is_seen_from_the_front() -> None:
    model = tiny_model()
    model.adjust({"freeze_bg": True})
    literal, z = literal_of(model), z_of()
    w = literal.styles(z)
    front = camera_of(OrbitPose(radius=1.0, fov_y=CONFIG.fov))
    _, rgb = literal.volume(w, z[CONFIG.z_dim :], camera_of(TURNED), front)
    result = model.golden_case(case(z, CONFIG))
    np.testing.assert_allclose(result["raw"], rgb, atol=1e-4)
    model.adjust({})
    assert not torch.allclose(model.golden_case(case(z, CONFIG))["raw"], result["raw"], atol=1e-3)


def test_noise_is_the_stored_one_or_none() -> None:
    model = tiny_model(use_noise=True)
    literal, z = literal_of(model), z_of()
    w = literal.styles(z)
    features, rgb = literal.volume(w, z[CONFIG.z_dim :], camera_of(TURNED))
    with_noise = model.golden_case(case(z, CONFIG))["rgb"]
    assert torch.equal(with_noise, model.golden_case(case(z, CONFIG))["rgb"])
    model.adjust({"noise": False})
    without = model.golden_case(case(z, CONFIG))["rgb"]
    np.testing.assert_allclose(without, literal.picture(features, rgb, w, noise=False), atol=4e-4)
    assert not torch.allclose(with_noise, without, atol=1e-2)
    assert "noise" not in tiny_model().settings


def test_unit_features_along_channels() -> None:
    """The other axis that the authors may have meant, on one sample a ray that holds all."""
    model = tiny_model(fg_normalized_feat=True, hierarchical=False)
    model.adjust({"unit_features": "channels"})
    head = model.identity(model.map(z_of())).head
    hidden = head.hidden(torch.randn(6, 3) * 0.05).reshape(2, 3, 1, -1)
    weights = torch.ones(2, 3, 1)
    features, _ = head.blended(hidden, weights, 3, across_columns=False)
    assert features.norm(dim=-1).tolist() == [pytest.approx([1.0] * 3)] * 2
    columns, _ = head.blended(hidden, weights, 3, across_columns=True)
    assert columns.norm(dim=1)[0].tolist() == pytest.approx([1.0] * CONFIG.rgb_out_dim, abs=1e-5)
    front = model.render(model.map(z_of()), TURNED.camera())
    model.adjust({"unit_features": "columns"})
    assert not torch.equal(model.render(model.map(z_of()), TURNED.camera()).rgb, front.rgb)
    assert "unit_features" not in tiny_model().settings


def test_classes_are_a_setting() -> None:
    model = tiny_model(c_dim=3, embed_features=6)
    first = model.map(z_of())
    model.adjust({"label": 2})
    assert not torch.equal(model.map(z_of()), first)
    with pytest.raises(UserError, match="from 0 to 2"):
        model.adjust({"label": 3})


# the background's latent -------------------------------------------------------------------


def test_the_background_is_part_of_the_identity() -> None:
    model, z = tiny_model(), z_of()
    w = model.map(z, psi=0.3)
    assert model.capabilities.z_dim == 17
    assert w.shape == (model.capabilities.num_ws, model.capabilities.w_dim) == (11, 9)
    assert torch.equal(w[-1], z[8:])  # whatever psi
    assert torch.equal(w[:-1, 6:], torch.zeros(10, 3))
    assert torch.equal(drawn(model, w), drawn(model, model.map(z, psi=0.3)))  # no flicker
    other = w.clone()
    other[-1] = -other[-1]
    points = torch.rand(9, 3) * 0.2 - 0.1
    assert torch.equal(model.field(other).density(points), model.field(w).density(points))
    assert not torch.allclose(drawn(model, other), drawn(model, w), atol=1e-3)


def test_rows_are_named() -> None:
    groups = tiny_model(fg_blocks=7).capabilities.layer_groups
    assert groups == {"shape": (0, 8), "appearance": (8, 15), "background": (15, 16)}
    assert "background" not in tiny_model(background=False).capabilities.layer_groups


# progressive training ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alpha", "side", "fade"), [(0.0, 8, 1.0), (0.25, 16, 0.5), (0.5, 16, 1.0), (0.75, 32, 0.5)]
)
def test_unfinished_training_shows_its_own_size(alpha: float, side: int, fade: float) -> None:
    network = tiny_network()
    network.synthesis.alpha.fill_(alpha)
    model = StyleNeRF(network, CPU)
    literal, z = literal_of(model), z_of()
    w = literal.styles(z)
    x, picture = literal.volume(w, z[CONFIG.z_dim :], camera_of(TURNED))
    before = picture
    for index in range(side // 8 // 2):
        before = picture
        x, picture = literal.block(x, picture, w[5 + 2 * index :], 16 * 2**index)
    if fade < 1.0:
        coarse = torch.nn.functional.interpolate(before[None], scale_factor=2, mode="bilinear")[0]
        picture = fade * picture + (1 - fade) * coarse
    result = model.golden_case(case(z, CONFIG))["rgb"]
    assert model.capabilities.resolution == side
    np.testing.assert_allclose(result, picture, atol=4e-4)
    assert bool(model.capabilities.absent.get("upsample")) == (alpha == 0.0)
    frame = model.render(model.map(z), TURNED.camera())
    assert frame.size == (side, side)


def test_alpha_minus_one_is_the_whole_network() -> None:
    network = tiny_network()
    network.synthesis.alpha.fill_(-1.0)
    assert StyleNeRF(network, CPU).capabilities.resolution == 32
    network.synthesis.alpha.fill_(1.5)
    with pytest.raises(CheckpointError, match=r"alpha.*1\.5"):
        StyleNeRF(network, CPU)


# chunks, caches, cancelling ------------------------------------------------------------------


def test_strips_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of one low pixel each: every strip meets a border or a neighbour."""
    for options in ({}, {"upsample_mode": "pixelshuffle", "use_noise": True}):
        whole = tiny_model(**options)
        w = whole.map(z_of())
        expected = whole.render(w, TURNED.camera(), Quality(neural_resolution=11))
        with monkeypatch.context() as patch:
            patch.setitem(stylenerf_upsampler.STRIP_NUMBERS, "cpu", 1)
            patch.setitem(stylenerf_volume.CHUNK_SAMPLES, "cpu", 1)
            frame = tiny_model(**options).render(w, TURNED.camera(), Quality(neural_resolution=11))
        np.testing.assert_allclose(frame.rgb, expected.rgb, atol=1e-5)
        np.testing.assert_allclose(frame.depth, expected.depth, atol=1e-5)


def test_many_points_at_once_are_points_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    field, points = model.field(model.map(z_of())), torch.rand(9001, 3) * 0.2 - 0.1
    density, colour = field.density(points), field.color(points)
    assert density.shape == (9001,) and colour.shape == (9001, 3)
    np.testing.assert_allclose(density[-5:], field.density(points[-5:]), atol=1e-4)
    np.testing.assert_allclose(colour[:5], field.color(points[:5]), atol=1e-5)


def test_what_depends_on_w_alone_is_kept() -> None:
    model = tiny_model(use_noise=True)
    ws = [model.map(z_of(seed=s)) for s in range(7)]
    first = model.identity(ws[0])
    assert model.identity(ws[0].clone()) is first
    for w in ws[1:6]:
        model.identity(w)
    assert model.identity(ws[0]) is first  # used last, so kept longest
    model.identity(ws[6])
    assert model.identity(ws[0]) is first
    model.adjust({"noise": False})
    plain = model.identity(ws[0])
    assert plain is not first
    for _ in range(2):  # as two views side by side are drawn, one of them without noise
        model.adjust({"noise": True})
        assert model.identity(ws[0]) is first
        model.adjust({"noise": False})
        assert model.identity(ws[0]) is plain


def test_cancelling_stops_between_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stylenerf_volume.CHUNK_SAMPLES, "cpu", 1)
    model, seen = tiny_model(), []
    w = model.map(z_of())
    token = CancelToken(lambda: bool(seen.append(0)) or len(seen) > 4)
    with pytest.raises(Cancelled):
        model.render(w, TURNED.camera(), cancel=token)
    assert len(seen) == 5


def test_wrong_shapes_are_told() -> None:
    model = tiny_model()
    with pytest.raises(UserError, match="17 numbers, not"):
        model.map(torch.zeros(8))
    with pytest.raises(UserError, match="11 x 9, not"):
        model.render(torch.zeros(10, 6), TURNED.camera())
    with pytest.raises(UserError, match="no latent 'z_shape_bg'"):
        model.golden_case(
            GoldenCase("x", {"z": torch.zeros(8)}, 1.0, None, None, torch.zeros(1, 3))
        )
    with pytest.raises(UserError, match="neither a camera nor points"):
        latents = {"z": torch.zeros(8), "z_shape_bg": torch.zeros(9)}
        model.golden_case(GoldenCase("x", latents, 1.0, None, None, None))


# sizes of the release ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "tensors", "widths"),
    [
        ("ffhq-256", 17, None, (256, 128, 64)),
        ("ffhq-512", 19, 180, (512, 256, 128, 64)),
        ("ffhq-1024", 21, None, (1024, 512, 256, 128, 64)),
    ],
)
def test_released_layouts(
    name: str, rows: int, tensors: int | None, widths: tuple[int, ...]
) -> None:
    config = RELEASED[name]
    assert (config.style_ws, config.num_ws, config.row_width) == (rows, rows + 1, 512)
    assert config.block_channels == widths
    with torch.device("meta"):
        state = StyleNeRFNetwork(config).state_dict()
    assert tensors is None or len(state) == tensors
    assert state["synthesis.fg_nerf.fc_in.affine.weight"].shape == (60, 512)
    assert state["synthesis.bg_nerf.fc_in.weight"].shape == (64, 112)
    o = widths[0]
    enter, leave = ((o // 4, o), (4 * o, o // 4))
    if config.upsample_mode == "nn_cat":
        enter, leave = (o // 4, 2 * o), (o, o // 4)
    assert state["synthesis.b64.conv0.adapter.0.weight"].shape == (*enter, 1, 1)
    assert state["synthesis.b64.conv0.adapter.1.weight"].shape == (*leave, 1, 1)


def test_building_keeps_the_tensors_that_it_was_given() -> None:
    tensors = tiny_network().state_dict()
    model = build(CONFIG.to_json(), tensors, CPU)
    for name, tensor in model.network.state_dict().items():
        assert tensor.data_ptr() == tensors[name].data_ptr()
