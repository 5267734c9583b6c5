"""The pi-GAN family: drawing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.camera import OrbitPose
from engine.errors import Cancelled, UserError
from engine.export.mesh import MeshOptions, extract_mesh
from engine.generators.base import CancelToken, GoldenCase, Quality
from engine.generators.evaluation import frozen_mean
from engine.generators.pigan import FAMILY, RELEASED, PiGAN, PiGANConfig, PiGANNetwork
from tests.generators.tiny_pigan import CONFIG, tiny_model, tiny_network

FRONT = OrbitPose(radius=1.0, fov_y=12.0)


def z_of(seed: int = 0) -> Tensor:
    return torch.randn(CONFIG.z_dim, generator=torch.Generator().manual_seed(seed))


def points_of(count: int, seed: int = 0) -> Tensor:
    return (torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) - 0.5) * 0.24


# ---- the field ----------------------------------------------------------------------------


def literal(network: PiGANNetwork, z: Tensor, points: Tensor, ways: Tensor) -> tuple[Any, Any]:
    """Equations 2 to 4 of the paper in float64, layer by layer, without any folding."""
    tensors = {k: v.double().numpy() for k, v in network.state_dict().items()}
    config = network.config

    def linear(x: Any, name: str) -> Any:
        return x @ tensors[f"siren.{name}.weight"].T + tensors[f"siren.{name}.bias"]

    x = z.double().numpy()
    for index in range(config.mapping_layers):
        x = linear(x, f"mapping_network.network.{2 * index}")
        x = np.where(x > 0, x, 0.2 * x)
    styles = linear(x, f"mapping_network.network.{2 * config.mapping_layers}")
    half = len(styles) // 2
    h = points.double().numpy() * config.point_scale
    for row in range(config.layers):
        part = slice(row * config.hidden, (row + 1) * config.hidden)
        gamma, beta = styles[:half][part] * 15 + 30, styles[half:][part]
        h = np.sin(gamma * linear(h, f"network.{row}.layer") + beta)
    last = slice(config.layers * config.hidden, None)
    gamma, beta = styles[:half][last] * 15 + 30, styles[half:][last]
    seen = np.concatenate([ways.double().numpy(), h], axis=1)
    color = linear(
        np.sin(gamma * linear(seen, "color_layer_sine.layer") + beta), "color_layer_linear.0"
    )
    return linear(h, "final_layer")[:, 0], 1 / (1 + np.exp(-color))


@pytest.mark.parametrize("siren", ["SPATIALSIRENBASELINE", "TALLSIREN"])
def test_the_field_is_the_papers(siren: str) -> None:
    scale = CONFIG.point_scale if siren == "SPATIALSIRENBASELINE" else 1.0
    model = tiny_model(siren=siren, point_scale=scale)
    points, ways = points_of(50), torch.nn.functional.normalize(points_of(50, seed=1), dim=1)
    density, color = literal(model.network, z_of(), points, ways)
    w = model.map(z_of())
    field = model.field(w)
    np.testing.assert_allclose(field.density(points), density, atol=2e-4)
    np.testing.assert_allclose(field.color(points, ways), color, atol=2e-5)
    np.testing.assert_allclose(model.network.density(w, points), density, atol=2e-4)
    assert density.std() > 0.5 and color.std() > 0.05


def test_colour_without_directions_is_seen_from_the_front() -> None:
    model = tiny_model()
    field, points = model.field(model.map(z_of())), points_of(9)
    ahead = torch.tensor([[0.0, 0.0, -1.0]]).expand(9, 3)
    assert torch.allclose(field.color(points), field.color(points, ahead), atol=1e-6)
    aside = torch.tensor([[1.0, 0.0, 0.0]]).expand(9, 3)
    assert not torch.allclose(field.color(points), field.color(points, aside), atol=1e-3)
    model.adjust({"lock_view_dependence": True})
    locked = model.field(model.map(z_of()))
    assert torch.equal(locked.color(points, aside), field.color(points))


def sphere_model(radius: float, level: float) -> tuple[PiGAN, Tensor]:
    """One sine layer whose first three units are cosines of the coordinates: near the middle
    their sum falls off with the square of the distance, so that its level sets are spheres."""
    config = PiGANConfig(
        z_dim=2, hidden=3, layers=1, mapping_width=2, mapping_layers=1, resolution=8
    )
    network, steep = PiGANNetwork(config), 4e4
    with torch.no_grad():
        # Frequencies of a raw 0 are 30; the phase turns the sine into a cosine of the coordinate.
        network.siren.network[0].layer.weight.copy_(torch.eye(3) / (30.0 * config.point_scale))
        network.siren.network[0].layer.bias.zero_()
        network.siren.final_layer.weight.fill_(steep)
        network.siren.final_layer.bias.fill_(level - steep * (3.0 - radius**2 / 2.0))
    w = torch.zeros(2, 6)
    w[:, 3:] = math.pi / 2
    return PiGAN(network, torch.device("cpu")), w


def test_a_sphere_comes_out_at_its_radius() -> None:
    radius = 0.07
    model, w = sphere_model(radius, level=10.0)
    mesh = extract_mesh(model, w, MeshOptions(resolution=48))
    voxel = 0.24 / 47
    distance = np.linalg.norm(mesh.vertices, axis=1)
    assert np.abs(distance - radius).max() < voxel / 2
    # Unsheared and in place: it reaches as far on either side of every axis.
    np.testing.assert_allclose(mesh.bounds, [[-radius] * 3, [radius] * 3], atol=voxel / 2)


# ---- pictures -----------------------------------------------------------------------------


def test_frame_shapes_ranges_and_timings() -> None:
    model = tiny_model()
    frame = model.render(model.map(z_of()), FRONT.camera(), Quality(normals=True))
    assert frame.rgb.shape == (15, 15, 3) and frame.raw is frame.rgb
    assert frame.depth.shape == frame.alpha.shape == (15, 15)
    assert frame.normal is not None and frame.normal.shape == (15, 15, 3)
    for image in (frame.rgb, frame.alpha):
        assert image.min() >= 0 and image.max() <= 1 and image.std() > 0
    assert frame.depth.min() >= 0.88 and frame.depth.max() <= 1.12 + 1e-6
    assert set(frame.timings) == {"map", "volume", "normals"}
    assert frame.rgb.dtype == torch.float32


def test_the_same_arguments_give_the_same_picture() -> None:
    model, camera = tiny_model(), OrbitPose(30, -10, radius=1.0, fov_y=12.0).camera()
    one = model.render(model.map(z_of(), psi=0.6), camera)
    model._layers.clear()
    model._average = None
    assert torch.equal(one.rgb, model.render(model.map(z_of(), psi=0.6), camera).rgb)


def test_a_preview_shows_the_same_view() -> None:
    """The middles of 5 x 5 pixels are the middles of every third of 15 x 15."""
    model, camera = tiny_model(), OrbitPose(20, 5, radius=1.0, fov_y=12.0).camera()
    w = model.map(z_of())
    whole = model.render(w, camera)
    small = model.render(w, camera, Quality(neural_resolution=5))
    assert torch.allclose(small.rgb, whole.rgb[1::3, 1::3], atol=1e-3)
    assert torch.allclose(small.depth, whole.depth[1::3, 1::3], atol=1e-4)


def test_rays_cover_the_same_region_from_any_distance() -> None:
    model = tiny_model()
    assert (model.march(1.0).near, model.march(1.0).far) == (0.88, 1.12)
    far = model.march(3.5, samples=2.0)
    assert (far.near, far.far) == pytest.approx((3.38, 3.62))
    assert (far.coarse, far.fine) == (12, 12)
    assert model.march(0.05).near == 0.0
    w = model.map(z_of())
    for pose in (
        OrbitPose(170, 80, radius=4.0, fov_y=3.0),
        OrbitPose(radius=0.02, fov_y=90.0),
        OrbitPose(radius=1.0, fov_y=12.0, center=(0.3, 0.2, 0.1), look_at=(0.3, 0.2, 0.1)),
    ):
        frame = model.render(w, pose.camera())
        assert bool(torch.isfinite(frame.rgb).all() and torch.isfinite(frame.depth).all())


def test_cancel_stops_between_chunks() -> None:
    model, token = tiny_model(), CancelToken()
    w = model.map(z_of())
    token.cancel()
    with pytest.raises(Cancelled):
        model.render(w, FRONT.camera(), Quality(), token)


def test_layers_are_kept_by_value_for_the_last_identities() -> None:
    model, made = tiny_model(), []
    modulate = model.network.modulated
    model.network.modulated = lambda w: made.append(w) or modulate(w)  # type: ignore[method-assign]
    ws = [model.map(z_of(seed)) for seed in range(5)]
    model.render(ws[0], FRONT.camera())
    model.render(ws[0].clone(), OrbitPose(9, radius=1.0).camera())
    model.field(ws[0])
    assert len(made) == 1
    for w in ws[1:4]:
        model.siren(w)
    model.siren(ws[0])  # still there, and now the newest
    assert len(made) == 4


# ---- latents ------------------------------------------------------------------------------


def test_rows_are_one_layer_each() -> None:
    """Frequencies come first in the mapping's output, then phases, a layer after the other."""
    network = tiny_network()
    rows = network.rows(torch.arange(80.0))
    assert rows.shape == (5, 16)
    assert rows[1].tolist() == [*range(8, 16), *range(48, 56)]


def test_truncation_leads_to_the_average_before_the_frequencies_are_scaled() -> None:
    model = tiny_model()
    average = model.network.rows(frozen_mean(model.network.siren.mapping_network, 6))
    w = model.map(z_of())
    assert torch.allclose(model.mean_w(), average, atol=1e-6)
    assert torch.allclose(model.map(z_of(), psi=0.25), average + 0.25 * (w - average), atol=1e-6)
    cut = model.map(z_of(), psi=0.25, cutoff=2)
    assert torch.equal(cut[2:], w[2:]) and not torch.allclose(cut[:2], w[:2])


def test_stored_averages_are_where_truncation_leads() -> None:
    model = tiny_model(stored_averages=True)
    network = model.network
    both = torch.cat([network.avg_frequencies[0], network.avg_phase_shifts[0]])
    assert torch.equal(model.mean_w(), network.rows(both))


def test_the_last_row_changes_colours_only() -> None:
    model = tiny_model()
    w, other = model.map(z_of(0)), model.map(z_of(1))
    first, last = model.capabilities.layer_groups["appearance"]
    assert (first, last) == (4, 5)
    mixed = torch.cat([w[:first], other[first:]])
    one, two = model.render(w, FRONT.camera()), model.render(mixed, FRONT.camera())
    assert torch.equal(one.depth, two.depth) and torch.equal(one.alpha, two.alpha)
    assert not torch.allclose(one.rgb, two.rgb, atol=1e-2)


@pytest.mark.parametrize("shape", [(5,), (6, 1), (0,)])
def test_latents_of_another_length_are_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="latent has 6 numbers"):
        tiny_model().map(torch.zeros(shape))


def test_w_of_another_shape_is_told() -> None:
    with pytest.raises(UserError, match=r"w is 5 x 16, not \(4, 16\)"):
        tiny_model().render(torch.zeros(4, 16), FRONT.camera())


# ---- settings -----------------------------------------------------------------------------


def test_the_depth_range_moves_rays_and_box() -> None:
    model = tiny_model()
    model.adjust({"range": "cats", "steps": "10"})
    march = model.march(1.0)
    assert (march.near, march.far, march.coarse, march.fine) == (0.8, 1.2, 10, 10)
    assert model.capabilities.bounds[1] == pytest.approx((0.2, 0.2, 0.2))
    assert model.field(model.map(z_of())).bounds[1].tolist() == pytest.approx([0.2] * 3)
    model.adjust({})
    assert model.capabilities.bounds[1] == pytest.approx((0.12, 0.12, 0.12))
    with pytest.raises(UserError, match="celeba, cats"):
        model.adjust({"range": "carla"})


def test_light_that_is_left_over() -> None:
    """To the last sample, to nothing, or to white: with an empty field the whole picture."""

    def empty(**changes: Any) -> PiGAN:
        model = tiny_model(**changes)
        siren = model.network.siren
        with torch.no_grad():
            siren.final_layer.weight.zero_()
            siren.final_layer.bias.fill_(-1.0)
            siren.color_layer_linear[0].weight.zero_()
            siren.color_layer_linear[0].bias.zero_()  # a grey of one half
        return model

    model = empty()
    w = model.map(z_of())
    closed = model.render(w, FRONT.camera())
    assert torch.allclose(closed.rgb, torch.tensor(0.5)) and closed.alpha.max() < 1e-6
    model.adjust({"last_back": False})
    frame = model.render(w, FRONT.camera())
    assert frame.rgb.max() < 1e-6 and torch.allclose(frame.depth, torch.tensor(1.12))
    white = empty(last_back=False, white_back=True)
    assert torch.allclose(white.render(w, FRONT.camera()).rgb, torch.tensor(1.0))


def test_released_sizes() -> None:
    assert set(RELEASED) == {"celeba", "cats", "carla"} == set(FAMILY.released)
    assert FAMILY.network is not None
    network = FAMILY.network(FAMILY.released["carla"])
    # 1,024 + 7 x 65,792 + 257 for the density, 66,560 + 771 for the colour, and the mapping's
    # 3 x 65,792 + 1,184,256.
    assert sum(p.numel() for p in network.parameters()) == 1_910_788
    model = FAMILY.build(FAMILY.released["carla"], network.state_dict(), torch.device("cpu"))
    facts = model.capabilities
    assert (facts.z_dim, facts.num_ws, facts.w_dim) == (256, 9, 512)
    assert (facts.default_pose.fov_y, facts.default_pose.pitch) == (30.0, 30.0)
    assert facts.bounds[1] == pytest.approx((0.3, 0.3, 0.3)) and facts.samples_per_ray == 96
    assert [s.default for s in facts.settings] == ["carla", 48, False, False]
    assert "raw" not in facts.view_modes and "upsample" in facts.absent
    cats = PiGANConfig.from_json(FAMILY.released["cats"])
    assert (cats.data.near, cats.data.far, cats.steps, cats.last_back) == (0.8, 1.2, 24, True)


@pytest.mark.parametrize(
    ("latents", "options", "words"),
    [
        ({}, {}, "no latent 'z'"),
        ({"z": torch.zeros(6)}, {"mix_from_layer": 2}, "no latent 'z_mix'"),
        ({"z": torch.zeros(6)}, {}, "neither a camera nor points"),
    ],
)
def test_golden_cases_that_cannot_be_drawn(
    latents: dict[str, Tensor], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        tiny_model().golden_case(GoldenCase("odd", latents, 1.0, None, None, None, options))


def test_golden_cases_mix_rows() -> None:
    model = tiny_model()
    latents = {"z": z_of(0), "z_mix": z_of(1)}
    case = GoldenCase("mix", latents, 1.0, None, torch.eye(4), None, {"mix_from_layer": 3}, 8)
    expected = torch.cat([model.map(z_of(0))[:3], model.map(z_of(1))[3:]])
    assert torch.equal(model._golden_w(case), expected)
