"""The CIPS-3D family: drawing."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.camera import OrbitPose
from engine.errors import Cancelled, UserError
from engine.generators.base import CancelToken, GoldenCase, Quality
from engine.generators.cips3d import CIPS3D, FAMILY, RELEASED, CIPS3DNetwork
from engine.generators.evaluation import frozen_mean
from tests import forks
from tests.generators.tiny_cips3d import CONFIG, tiny_model, tiny_network

FRONT = OrbitPose(radius=1.0, fov_y=12.0)


def z_of(seed: int = 0) -> Tensor:
    count = CONFIG.z_nerf_dim + CONFIG.z_inr_dim
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


def points_of(count: int) -> Tensor:
    return (torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * 0.24


# ---- the networks -------------------------------------------------------------------------


class Literal:
    """The whole generator in float64, layer by layer and pixel by pixel, from its description
    and a state dict alone; nothing is folded, joined or left out."""

    def __init__(self, network: CIPS3DNetwork) -> None:
        self.state = {k: v.double().numpy() for k, v in network.state_dict().items()}

    def linear(self, x: Any, name: str) -> Any:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def styles(self, z: Tensor) -> tuple[Any, Any]:
        def unit(x: Any) -> Any:
            return x / np.sqrt((x**2).mean() + 1e-8)

        def leaky(x: Any) -> Any:
            return np.where(x > 0, x, 0.2 * x)

        a, b = unit(z[:5].double().numpy()), unit(z[5:].double().numpy())
        for i in (0, 2, 4):
            a = self.linear(a, f"mapping_network_nerf.base_net.{i}")
            a = leaky(a) if i < 4 else a
        for i in (0, 3, 6, 9):
            b = self.linear(b, f"mapping_network_inr.base_net.{i}")
            b = (b - b.mean()) / np.sqrt(b.var() + 1e-5)
            norm = f"mapping_network_inr.base_net.{i + 1}"
            b = b * self.state[f"{norm}.weight"] + self.state[f"{norm}.bias"]
            b = leaky(b) if i < 9 else b
        return a, b

    def nerf(self, style: Any, points: Tensor) -> tuple[Any, Any]:
        def film(x: Any, name: str) -> Any:
            gain = self.linear(style, f"{name}.gain_fc") * 15 + 30
            return np.sin(
                gain * self.linear(x, f"{name}.linear") + self.linear(style, f"{name}.bias_fc")
            )

        x = points.double().numpy() * (2 / 0.24)
        for i in range(3):
            x = film(x, f"siren.network.{i}")
        density = self.linear(x, "siren.final_layer")[:, 0]
        hidden = film(x, "siren.color_layer_sine")
        return density, self.linear(hidden, "siren.color_layer_linear.0")

    def inr(self, style: Any, features: Any) -> Any:
        def modulated(x: Any, name: str) -> Any:
            scale = self.linear(style, f"{name}.modulation") + 1
            weight = self.state[f"{name}.weight"][0] * scale[:, None]
            y = x @ (weight / np.sqrt((weight**2).sum(axis=0, keepdims=True) + 1e-8))
            return np.where(y > 0, y, 0.2 * y)

        x, rgb = features, 0.0
        for index, name in enumerate(("4", "8", "16", "32", "64", "128")):
            out = modulated(x, f"inr_net.network.{name}.mod1")
            out = modulated(out, f"inr_net.network.{name}.mod2")
            x = out + x if index >= 4 else out
            if index >= 3:
                rgb = rgb + self.linear(x, f"inr_net.to_rgbs.{name}.linear")
        return np.tanh(rgb)


def test_the_networks_are_the_papers() -> None:
    model, z, points = tiny_model(), z_of(), points_of(60)
    literal = Literal(model.network)
    shape, look = literal.styles(z)
    w = model.map(z)
    np.testing.assert_allclose(w[:4, :7], np.broadcast_to(shape, (4, 7)), atol=1e-5)
    np.testing.assert_allclose(w[4:, :9], np.broadcast_to(look, (12, 9)), atol=1e-5)
    assert bool((w[:4, 7:] == 0).all()) and w.shape == (16, 9)
    density, features = literal.nerf(shape, points)
    field = model.field(w)
    np.testing.assert_allclose(field.density(points), density, atol=5e-4)
    color = literal.inr(look, features) * 0.5 + 0.5
    np.testing.assert_allclose(field.color(points), color, atol=5e-5)
    assert density.std() > 1 and color.std() > 0.02


def test_every_pixel_of_a_picture_is_the_literal_one() -> None:
    """One ray at a time: four samples, no second pass, features summed and then drawn."""
    model, z = tiny_model(), z_of()
    literal = Literal(model.network)
    shape, look = literal.styles(z)
    frame = model.golden_case(_case(z, samples=[4, 0], last_back=False))
    plain = {"near": 0.88, "far": 1.12}
    half = math.tan(math.radians(6.0))
    for row, column in ((0, 0), (7, 3), (14, 14)):
        local = np.array([(column / 7 - 1) * half, (1 - row / 7) * half, -1.0])
        way = local / np.linalg.norm(local)
        depths = np.linspace(plain["near"], plain["far"], 4)
        points = torch.from_numpy(np.array([0, 0, 1.0]) + depths[:, None] * way)
        density, features = literal.nerf(shape, points)
        light, total, depth = 1.0, np.zeros(4), 0.0
        for i in range(4):
            step = depths[i + 1] - depths[i] if i < 3 else 1e10
            alpha = 1 - math.exp(-step * max(density[i], 0.0))
            total, depth = total + light * alpha * features[i], depth + light * alpha * depths[i]
            light *= 1 - alpha + 1e-10
        np.testing.assert_allclose(frame["depth"][0, row, column], depth, atol=2e-5)
        rgb = literal.inr(look, total[None])[0]
        np.testing.assert_allclose(frame["rgb"][:, row, column], rgb, atol=1e-4)
        raw = np.tanh(literal.linear(total, "aux_to_rbg.0"))
        np.testing.assert_allclose(frame["raw"][:, row, column], raw, atol=1e-4)


def test_tensors_without_effect_are_only_those_that_the_authors_network_has_none_for() -> None:
    """The normalisations of the modulated layers, and the first three blocks' colours."""
    z, camera = z_of(), FRONT.camera()
    network = tiny_network()
    model = CIPS3D(network, torch.device("cpu"))
    before = model.render(model.map(z), camera)
    idle = [
        name
        for name in network.state_dict()
        if ".norm." in name or name.startswith(tuple(f"inr_net.to_rgbs.{n}." for n in (4, 8, 16)))
    ]
    assert len(idle) == 6 * 2 * 2 + 3 * 2
    state = network.state_dict()
    for name in idle:
        state[name].normal_()
    again = CIPS3D(network, torch.device("cpu"))
    assert torch.equal(again.render(again.map(z), camera).rgb, before.rgb)
    for name in set(state) - set(idle):
        kept = state[name].clone()
        state[name].add_(torch.randn(kept.shape, generator=torch.Generator().manual_seed(1)))
        other = CIPS3D(network, torch.device("cpu"))
        frame = other.render(other.map(z), camera)
        state[name].copy_(kept)
        same = torch.equal(frame.rgb, before.rgb) and torch.equal(frame.raw, before.raw)
        assert not same, name


def test_gradients_reach_both_latents() -> None:
    """Training and inversion go through the same networks."""
    network = tiny_network()
    w = torch.randn(16, 9, requires_grad=True)
    styled = network.styled(w)
    _, hidden = network.siren(styled.films, points_of(8))
    network.inr_net(styled.weights, network.siren.features(hidden)).sum().backward()
    assert w.grad is not None
    # The style of the density's own row reaches the colour through the trunk.
    assert bool((w.grad[:4, :7].abs().sum(dim=1) > 0).all())
    assert bool((w.grad[4:].abs().sum(dim=1) > 0).all())


# ---- pictures -----------------------------------------------------------------------------


def test_frame_shapes_ranges_and_timings() -> None:
    model = tiny_model()
    frame = model.render(model.map(z_of()), FRONT.camera(), Quality(normals=True))
    assert frame.rgb.shape == frame.raw.shape == (15, 15, 3)
    assert frame.depth.shape == frame.alpha.shape == (15, 15)
    assert frame.normal is not None and frame.normal.shape == (15, 15, 3)
    for image in (frame.rgb, frame.raw, frame.alpha):
        assert image.min() >= 0 and image.max() <= 1 and image.std() > 0
        assert image.dtype == torch.float32
    assert frame.depth.min() >= 0.88 and frame.depth.max() <= 1.12 + 1e-6
    assert set(frame.timings) == {"map", "volume", "normals"}
    raw = model.render(model.map(z_of()), FRONT.camera(), Quality(upsample=False))
    assert torch.equal(raw.raw, frame.raw) and raw.rgb is raw.raw
    assert not torch.allclose(frame.rgb, frame.raw, atol=1e-2)


def test_a_preview_shows_the_same_view() -> None:
    """The middles of 5 x 5 pixels are the middles of every third of 15 x 15."""
    model, camera = tiny_model(), OrbitPose(20, 5, radius=1.0, fov_y=12.0).camera()
    w = model.map(z_of())
    whole = model.render(w, camera)
    small = model.render(w, camera, Quality(neural_resolution=5))
    assert torch.allclose(small.raw, whole.raw[1::3, 1::3], atol=1e-3)
    assert torch.allclose(small.depth, whole.depth[1::3, 1::3], atol=1e-4)


def test_the_same_arguments_give_the_same_picture_in_any_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, camera = tiny_model(), OrbitPose(30, -10, radius=1.0, fov_y=12.0).camera()
    one = model.render(model.map(z_of(), psi=0.6), camera)
    again = tiny_model()
    assert torch.equal(again.render(again.map(z_of(), psi=0.6), camera).rgb, one.rgb)
    monkeypatch.setitem(sys.modules["engine.generators.cips3d"].__dict__["TILE_PIXELS"], "cpu", 17)
    tiled = model.render(model.map(z_of(), psi=0.6), camera)
    assert torch.allclose(tiled.rgb, one.rgb, atol=1e-4)


def test_styled_weights_are_kept_by_value_for_the_last_identities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, made = tiny_model(), []
    plain = model.network.styled
    monkeypatch.setattr(model.network, "styled", lambda w: (made.append(1), plain(w))[1])
    ws = [model.map(z_of(seed)) for seed in range(5)]
    model.render(ws[0], FRONT.camera(), Quality(4))
    model.render(ws[0].clone(), OrbitPose(9, radius=1.0, fov_y=12.0).camera(), Quality(4))
    model.field(ws[0]).density(torch.zeros(1, 3))
    assert len(made) == 1
    for w in [*ws, ws[1]]:
        model.styled(w)
    assert len(made) == 5
    model.styled(ws[0])
    assert len(made) == 6


def test_cancelling() -> None:
    model, token = tiny_model(), CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        model.render(model.map(z_of()), FRONT.camera(), cancel=token)
    asked = 0

    def after_three() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    with pytest.raises(Cancelled):
        model.render(model.map(z_of()), FRONT.camera(), Quality(128), CancelToken(after_three))
    assert asked == 4


# ---- latents ------------------------------------------------------------------------------


def test_truncation_goes_to_frozen_means_row_by_row() -> None:
    model, z = tiny_model(), z_of()
    w = model.map(z)
    network = model.network
    nerf = frozen_mean(network.mapping_network_nerf, CONFIG.z_nerf_dim)
    inr = frozen_mean(network.mapping_network_inr, CONFIG.z_inr_dim)
    mean = torch.zeros(16, 9)
    mean[:4, :7], mean[4:] = nerf, inr
    assert torch.allclose(model.mean_w(), mean, atol=1e-6)
    assert torch.allclose(model.map(z, psi=0.25), mean + 0.25 * (w - mean), atol=1e-6)
    cut = model.map(z, psi=0.25, cutoff=4)
    assert torch.equal(cut[4:], w[4:]) and torch.equal(cut[:4], model.map(z, psi=0.25)[:4])
    assert torch.equal(model.map(z, psi=0.25, cutoff=0), w)
    # One draw of the mean must not depend on what was drawn before.
    assert torch.equal(tiny_model().mean_w(), model.mean_w())


def test_two_latents_mix() -> None:
    """The NeRF's latent makes the shape, the INR's the looks; rows of w do the same."""
    model, camera = tiny_model(), FRONT.camera()
    one, two = z_of(0), z_of(1)
    mixed = torch.cat([one[:5], two[5:]])
    w = torch.cat([model.map(one)[:4], model.map(two)[4:]])
    assert torch.equal(model.map(mixed), w)
    groups = model.capabilities.layer_groups
    assert groups["shape"] == (0, 4) and groups["appearance"] == (4, 16)
    assert (groups["coarse"], groups["middle"], groups["fine"]) == ((4, 8), (8, 12), (12, 16))
    a, b = model.render(model.map(one), camera), model.render(w, camera)
    assert torch.equal(a.depth, b.depth) and torch.equal(a.raw, b.raw)
    assert float((a.rgb - b.rgb).abs().mean()) > 1e-3


def test_wrong_latents_are_told() -> None:
    model = tiny_model()
    with pytest.raises(UserError, match="11 numbers"):
        model.map(torch.zeros(12))
    with pytest.raises(UserError, match="16 x 9"):
        model.field(torch.zeros(16, 8))


# ---- settings -----------------------------------------------------------------------------


def test_settings_change_the_march() -> None:
    model, camera = tiny_model(), FRONT.camera()
    w = model.map(z_of())
    plain = model.render(w, camera)
    for name, value in (
        ("samples_per_pass", 24), ("last_back", True), ("white_back", True),
        ("activation", "softplus"),
    ):  # fmt: skip
        model.adjust({name: value})
        assert not torch.equal(model.render(w, camera).raw, plain.raw), name
    model.adjust({})
    assert torch.equal(model.render(w, camera).raw, plain.raw)
    with pytest.raises(UserError, match="samples_per_pass"):
        model.adjust({"samples_per_pass": 3})


def test_an_empty_ray_shows_what_lies_behind() -> None:
    """Without density: black features, the last sample's, or features of one everywhere."""
    model = tiny_model()
    with torch.no_grad():
        model.network.siren.final_layer.weight.zero_()
        model.network.siren.final_layer.bias.fill_(-1.0)
    w, network = model.map(z_of()), model.network

    def raw() -> Tensor:
        frame = model.render(w, FRONT.camera(), Quality(4))
        assert float(frame.alpha.abs().max()) == 0
        assert torch.allclose(frame.depth, torch.full((4, 4), 1.12))
        return frame.raw

    bias, weight = network.aux_to_rbg[0].bias, network.aux_to_rbg[0].weight
    black = (torch.tanh(bias) + 1) / 2
    assert torch.allclose(raw(), black.expand(4, 4, 3), atol=1e-6)
    model.adjust({"white_back": True})
    white = (torch.tanh(weight.sum(dim=1) + bias) + 1) / 2
    assert torch.allclose(raw(), white.expand(4, 4, 3), atol=1e-5)
    model.adjust({"last_back": True})
    assert float((raw() - black).abs().max()) > 0.05


# ---- golden cases and released sizes ------------------------------------------------------


def _case(z: Tensor, **options: Any) -> GoldenCase:
    latents = {"z_nerf": z[:5], "z_inr": z[5:]}
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[2, 3] = 1.0
    return GoldenCase("c", latents, 1.0, None, matrix, None, options, 15)


def test_golden_cases_mix_styles_and_refuse_what_they_cannot_draw() -> None:
    model = tiny_model()
    z, other = z_of(0), z_of(1)
    plain = model.golden_case(_case(z))
    mixed = _case(z, mix_from_layer=4)
    mixed.latents["z_inr_mix"] = other[5:]  # type: ignore[index]
    swapped = model.golden_case(mixed)["rgb"]
    both = model.golden_case(_case(torch.cat([z[:5], other[5:]])))
    assert torch.equal(swapped, both["rgb"]) and not torch.equal(swapped, plain["rgb"])
    filled = model.golden_case(_case(z, last_back=True))
    assert not torch.equal(filled["rgb"], plain["rgb"])
    lacking = _case(z)
    del lacking.latents["z_inr"]  # type: ignore[attr-defined]
    for case, words in (
        (lacking, "no latent 'z_inr'"),
        (GoldenCase("c", {"z_nerf": z, "z_inr": z}, 1.0, None, None, None), "do not fit"),
        (GoldenCase("c", _case(z).latents, 1.0, None, None, None), "neither"),
    ):
        with pytest.raises(UserError, match=words):
            model.golden_case(case)


def test_released_size_is_the_releases() -> None:
    config = RELEASED["ffhq-256"]
    with torch.device("meta"):
        network = CIPS3DNetwork(config)
    state = network.state_dict()
    assert len(state) == 172 and sum(t.numel() for t in state.values()) == 11_287_743
    assert (config.num_ws, config.w_dim) == (21, 512)
    assert state["inr_net.network.4.mod1.weight"].shape == (1, 32, 512)
    assert state["siren.color_layer_linear.0.weight"].shape == (32, 64)
    made = FAMILY.network
    assert made is not None
    drawn = made(config.to_json())
    model = FAMILY.build(config.to_json(), drawn.state_dict(), torch.device("cpu"))
    frame = model.render(model.map(torch.randn(768)), FRONT.camera(), Quality(8))
    assert frame.rgb.std() > 0 and bool(torch.isfinite(frame.rgb).all())


def test_opening_a_model_does_not_import_torchs_compiler() -> None:
    code = (
        "import sys, torch\n"
        "from engine.generators.cips3d import FAMILY\n"
        "from tests.generators.tiny_cips3d import CONFIG, tiny_network\n"
        "state = tiny_network().state_dict()\n"
        "FAMILY.build(CONFIG.to_json(), state, torch.device('cpu'))\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert forks.run(["-c", code]).returncode == 0
