"""The EG3D family: options, files, drawing."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.camera import OrbitPose
from engine.checkpoints.plain import Checkpoint, Node
from engine.errors import Cancelled, CheckpointError, UserError
from engine.generators.base import CancelToken, GoldenCase, Quality
from engine.generators.eg3d import EG3D, FAMILY, EG3DConfig, EG3DNetwork, camera_label
from engine.generators.registry import families
from engine.generators.triplane import EG3D_AXES
from engine.rendering.volume import RenderSettings
from tests.generators.tiny_eg3d import CONFIG, pickled, tiny_model, tiny_network

CPU = torch.device("cpu")


def tensors_of(network: EG3DNetwork) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def z_of(seed: int = 0) -> Tensor:
    return torch.randn(CONFIG.z_dim, generator=torch.Generator().manual_seed(seed))


# ---- options ------------------------------------------------------------------------------


def test_family_is_registered() -> None:
    assert families()["eg3d"] is FAMILY


@pytest.mark.parametrize("config", [CONFIG, EG3DConfig(), EG3DConfig(c_dim=0)])
def test_config_survives_json(config: EG3DConfig) -> None:
    data = json.loads(json.dumps(config.to_json()))
    assert EG3DConfig.from_json(data) == config
    assert None not in [v for k, v in data.items() if k != "conv_clamp"]


def test_full_size_defaults_are_the_releases() -> None:
    config = EG3DConfig()
    assert config.num_ws == 14
    assert config.block_channels == (512, 512, 512, 512, 512, 256, 128)
    assert (config.sr_channels, config.sr_input_resolution) == ((256, 128), 128)
    with torch.device("meta"):
        network = EG3DNetwork(config)
    assert len(network.state_dict()) == 177
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(30.66, abs=0.005)


@pytest.mark.parametrize(("resolution", "rows"), [(32, 8), (64, 10), (128, 12), (256, 14)])
def test_rows_follow_the_planes(resolution: int, rows: int) -> None:
    assert replace(CONFIG, plane_resolution=resolution, block_channels=()).num_ws == rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plane_channels": 31}, "divide by 3"),
        ({"plane_resolution": 100, "block_channels": ()}, "power of two"),
        ({"block_channels": (4, 4)}, "block widths"),
        ({"img_resolution": 64}, "enlarges 2 times"),
        ({"sr_module": "Odd", "sr_channels": None}, "'Odd' is unknown"),
        ({"superresolution_noise_mode": "some"}, "noise mode"),
        ({"c_dim": 3}, "25 numbers"),
        ({"decoder_features": 2}, "red, green and blue"),
    ],
)
def test_contradicting_options_are_told(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(CONFIG, **change)


@pytest.mark.parametrize(
    "broken",
    [{"odd": 1}, {"z_dim": "many"}, {"z_dim": -1}, {"w_dim": 1 << 40}, {"focal": math.nan},
     {"sr_antialias": 1}, {"sr_channels": [4]}, {"block_channels": [4.5, 4, 4, 4]},
     {"avg_camera_pivot": [0, 0]}, {"rendering": {"odd": 1}}, {"rendering": 3},
     {"rendering": {"ray_end": "far"}}, {"rendering": {"depth_resolution": 1 << 30}}],
)  # fmt: skip
def test_unreadable_options_are_told(broken: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        EG3DConfig.from_json(CONFIG.to_json() | broken)


# ---- files --------------------------------------------------------------------------------


def test_every_option_is_read_off_the_file() -> None:
    """Options that a file cannot state keep their defaults; all others come back."""
    network = tiny_network()
    checkpoint = pickled(network)
    assert FAMILY.matches(checkpoint)
    source = FAMILY.source(checkpoint)
    read = EG3DConfig.from_json(json.loads(json.dumps(source.config)))
    unstated = {"focal": read.focal, "mesh_level": 10.0, "channel_base": 32768, "channel_max": 512}
    assert read == replace(CONFIG, **unstated)
    assert any("focal" in sentence for sentence in source.assumptions)
    model = FAMILY.build(source.config, {k: v.load() for k, v in source.tensors.items()}, CPU)
    assert isinstance(model, EG3D)
    reference = EG3D(network, CPU)
    w = reference.map(z_of(), psi=0.6)
    assert torch.equal(
        model.map(z_of(), psi=0.6, conditioning=reference.capabilities.default_pose.camera()), w
    )
    camera = OrbitPose(20, 10, radius=2.6).camera()
    assert torch.equal(model.render(w, camera).rgb, reference.render(w, camera).rgb)


def test_missing_options_take_the_authors_defaults() -> None:
    config = replace(CONFIG, rendering=RenderSettings(), c_scale=0.0)
    checkpoint = pickled(tiny_network(config), rendering_kwargs={})
    generator = checkpoint.root["G_ema"]
    del generator.state["neural_rendering_resolution"]
    generator.state["_modules"]["renderer"].state.clear()
    source = FAMILY.source(checkpoint)
    read = EG3DConfig.from_json(source.config)
    assert read.rendering == RenderSettings() and read.rendering.plane_axes == EG3D_AXES
    assert (read.c_scale, read.c_gen_conditioning_zero) == (0.0, False)
    assert (read.avg_camera_radius, read.avg_camera_pivot) == (2.7, (0.0, 0.0, 0.0))
    assert read.neural_rendering_resolution == 64
    assert {"axes", "c_scale"} <= {
        word for word in ("axes", "c_scale") if any(word in s for s in source.assumptions)
    }


def test_cars_have_their_own_camera() -> None:
    checkpoint = pickled(tiny_network())
    checkpoint.root["G_ema"].state["rendering_kwargs"]["avg_camera_radius"] = 1.7
    assert FAMILY.source(checkpoint).config["focal"] == pytest.approx(1.7074, abs=1e-3)


@pytest.mark.parametrize(
    ("key", "value"),
    [("box_warp", "wide"), ("ray_start", float("nan")), ("avg_camera_pivot", [0, 1]),
     ("clamp_mode", "relu"), ("depth_resolution", 3.5), ("avg_camera_pivot", [0, 0, None])],
)  # fmt: skip
def test_unusable_options_in_a_file_are_told(key: str, value: Any) -> None:
    checkpoint = pickled(tiny_network())
    checkpoint.root["G_ema"].state["rendering_kwargs"][key] = value
    with pytest.raises(CheckpointError):
        FAMILY.source(checkpoint)


@pytest.mark.parametrize(
    "root", [None, [], {}, {"G_ema": 3}, {"G_ema": Node("StyleGAN")}, Node("x")]
)
def test_other_files_are_not_taken(root: Any) -> None:
    assert not FAMILY.matches(Checkpoint(Path("x"), "pickle", root))


def test_missing_extra_and_misshapen_tensors_are_named() -> None:
    tensors = tensors_of(tiny_network())
    del tensors["decoder.net.0.weight"]
    tensors["decoder.net.4.weight"] = torch.zeros(1)
    tensors["backbone.mapping.w_avg"] = torch.zeros(7)
    with pytest.raises(CheckpointError) as caught:
        FAMILY.build(CONFIG.to_json(), tensors, CPU)
    sentence = str(caught.value)
    assert "lacks decoder.net.0.weight" in sentence
    assert "decoder.net.4.weight" in sentence
    assert "backbone.mapping.w_avg (7 instead of 6)" in sentence
    assert "\n" not in sentence


def test_many_faults_name_the_first_few() -> None:
    with pytest.raises(CheckpointError, match=r"lacks .*, .*, .* and \d+ more"):
        FAMILY.build(CONFIG.to_json(), {}, CPU)


def test_damaged_and_foreign_numbers_are_told() -> None:
    tensors = tensors_of(tiny_network())
    tensors["decoder.net.0.bias"][2] = math.nan
    with pytest.raises(CheckpointError, match=r"decoder\.net\.0\.bias"):
        FAMILY.build(CONFIG.to_json(), tensors, CPU)
    tensors["decoder.net.0.bias"] = torch.zeros(8, dtype=torch.int64)
    with pytest.raises(CheckpointError, match="other than numbers"):
        FAMILY.build(CONFIG.to_json(), tensors, CPU)
    with pytest.raises(CheckpointError, match="divide by 3"):
        FAMILY.build(CONFIG.to_json() | {"plane_channels": 13}, tensors, CPU)


def test_a_model_without_label_statistics_opens() -> None:
    tensors = tensors_of(tiny_network())
    del tensors["dataset_label_std"]
    assert FAMILY.build(CONFIG.to_json(), tensors, CPU).capabilities.num_ws == 8


# ---- drawing ------------------------------------------------------------------------------


def test_frame_shapes_ranges_and_timings() -> None:
    model = tiny_model()
    frame = model.render(
        model.map(z_of()), model.capabilities.default_pose.camera(), Quality(normals=True)
    )
    assert frame.rgb.shape == (32, 32, 3) and frame.raw.shape == (12, 12, 3)
    assert frame.depth.shape == frame.alpha.shape == (12, 12)
    assert frame.normal is not None and frame.normal.shape == (12, 12, 3)
    for image in (frame.rgb, frame.raw, frame.alpha):
        assert image.min() >= 0 and image.max() <= 1 and image.std() > 0
    assert frame.depth.min() >= 2.2 and frame.depth.max() <= 3.4
    assert set(frame.timings) == {"planes", "volume", "upsample", "normals"}
    assert frame.rgb.dtype == torch.float32


def test_quality_changes_the_volume_but_not_the_picture_size() -> None:
    model = tiny_model()
    w, camera = model.map(z_of()), model.capabilities.default_pose.camera()
    for side in (4, 7, 20):
        frame = model.render(w, camera, Quality(neural_resolution=side, samples=0.5))
        assert frame.raw.shape == (side, side, 3) and frame.rgb.shape == (32, 32, 3)
    raw_only = model.render(w, camera, Quality(upsample=False))
    assert raw_only.rgb is raw_only.raw


def test_the_same_arguments_give_the_same_picture() -> None:
    first, second = tiny_model(), tiny_model(superresolution_noise_mode="random")
    camera = OrbitPose(30, -10, radius=2.6).camera()
    for model in (first, second):
        w = model.map(z_of())
        one = model.render(w, camera)
        model._planes.clear()
        assert torch.equal(one.rgb, model.render(model.map(z_of()), camera).rgb)


def test_planes_are_kept_by_value_for_the_last_identities() -> None:
    model = tiny_model()
    made = 0

    def count(*_: Any) -> None:
        nonlocal made
        made += 1

    model.network.backbone.synthesis.register_forward_hook(count)
    ws = [model.map(z_of(seed)) for seed in range(5)]
    camera = model.capabilities.default_pose.camera()
    model.render(ws[0], camera)
    model.render(ws[0].clone(), OrbitPose(10, radius=2.6).camera())
    model.field(ws[0]).density(torch.zeros(1, 3))
    assert made == 1
    for w in ws[1:4]:
        model.planes(w)
    model.planes(ws[0])  # still there, and now the newest
    assert made == 4
    model.planes(ws[4])
    model.planes(ws[0])
    assert made == 5
    changed = ws[0].clone()
    kept = model.planes(changed)
    changed[0, 0] += 1
    assert not torch.equal(model.planes(changed), kept)


def test_cancelled_before_and_between_chunks() -> None:
    model = tiny_model()
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        model.render(model.map(z_of()), model.capabilities.default_pose.camera(), cancel=token)


def test_field_agrees_with_the_network_and_ends_at_the_box() -> None:
    model = tiny_model()
    w = model.map(z_of())
    field = model.field(w)
    assert field.bounds[0].tolist() == pytest.approx([-0.6] * 3)
    assert field.bounds[1].tolist() == pytest.approx([0.6] * 3)
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(2)) - 0.5
    density, features = model.network.field_at(model.network.planes(w[None]), points[None])
    torch.testing.assert_close(field.density(points), density[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        field.color(points), features[0, :, :3].clamp(0, 1), rtol=1e-4, atol=1e-5
    )
    assert field.density(points).std() > 0


def test_truncation_mean_and_conditioning() -> None:
    model = tiny_model()
    z = z_of()
    assert torch.equal(model.mean_w(), model.map(z_of(1), psi=0.0))
    cut = model.map(z, psi=0.3, cutoff=2)
    assert torch.equal(cut[2:], model.map(z)[2:]) and not torch.equal(cut[:2], model.map(z)[:2])
    side = OrbitPose(40, radius=2.6).camera()
    front = model.capabilities.default_pose.camera()
    assert torch.equal(model.map(z), model.map(z, conditioning=front))
    assert not torch.equal(model.map(z), model.map(z, conditioning=side))
    zeroed = tiny_model(c_gen_conditioning_zero=True)
    assert torch.equal(zeroed.map(z), zeroed.map(z, conditioning=side))
    assert "conditioning" in zeroed.capabilities.absent
    assert "conditioning" not in model.capabilities.absent


def test_models_without_conditioning_draw() -> None:
    model = tiny_model(c_dim=0)
    frame = model.render(model.map(z_of()), model.capabilities.default_pose.camera())
    assert frame.rgb.shape == (32, 32, 3)


def test_capabilities_state_the_model() -> None:
    facts = tiny_model().capabilities
    assert (facts.num_ws, facts.w_dim, facts.z_dim) == (8, 6, 8)
    assert (facts.resolution, facts.neural_resolution, facts.samples_per_ray) == (32, 12, 13)
    assert facts.default_pose.camera().focal == pytest.approx(3.0)
    assert facts.default_pose.center == (0.0, 0.0, 0.0)
    assert facts.default_pose.look_at == (0.0, 0.05, 0.1)
    assert facts.mesh_level == 8.0
    groups = facts.layer_groups
    assert groups["coarse"][0] == 0 and groups["fine"][1] == 8
    assert groups["coarse"][1] == groups["middle"][0] and groups["middle"][1] == groups["fine"][0]
    assert all(low < high for low, high in groups.values())


def test_wrong_latents_are_told() -> None:
    model = tiny_model()
    with pytest.raises(UserError, match="8 numbers"):
        model.map(torch.zeros(9))
    with pytest.raises(UserError, match="8 x 6"):
        model.field(torch.zeros(8, 7))


def test_label_is_cam2world_then_intrinsics() -> None:
    camera = OrbitPose(20, 5, radius=2.0).camera()
    label = camera_label(camera)
    assert label.shape == (25,)
    expected = torch.from_numpy(camera.cam2world.copy()).float()
    assert torch.equal(label[:16].reshape(4, 4), expected)
    assert label[16].item() == label[20].item() == pytest.approx(camera.focal)
    assert label[[18, 21]].tolist() == [0.5, 0.5] and label[24] == 1.0


def test_turning_the_head_shows_the_other_cheek() -> None:
    """A yaw to +x brings what lies at +x (the person's left) to the middle of the picture.

    A red wall is put at x > 0 of the field by hand; from the left it fills the view's
    middle, from the right it does not.
    """
    model = tiny_model()

    class Halves(torch.nn.Module):
        def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
            x = features[:, 0, :, 0]
            colour = torch.zeros(*x.shape, 5)
            colour[..., 0] = (x > 0).float()
            return torch.where(x.abs() > 0.05, 50.0, -50.0), colour

    ramp = torch.linspace(-1, 1, 32).expand(32, 32)
    planes = ramp[None, None, None].expand(1, 3, 4, -1, -1).clone()
    model.network.decoder = Halves()  # type: ignore[assignment]
    w = model.map(z_of())
    model._planes.append((w, planes))
    redness = {
        yaw: model.render(w, OrbitPose(yaw, radius=2.6).camera(), Quality(upsample=False))
        .rgb[4:8, 4:8, 0].mean().item()
        for yaw in (-60.0, 60.0)
    }  # fmt: skip
    assert redness[60.0] > 0.9
    assert redness[-60.0] < redness[60.0] - 0.5


def test_golden_cases_mix_styles_and_refuse_what_they_cannot_draw() -> None:
    model = tiny_model()
    camera = torch.from_numpy(model.capabilities.default_pose.camera().cam2world.copy())

    def case(latents: dict[str, Tensor], **options: Any) -> GoldenCase:
        return GoldenCase("c", latents, 0.8, None, camera, None, options)

    z, other = z_of(0).double(), z_of(1).double()
    plain = model.golden_case(case({"z": z}))
    assert {k: tuple(v.shape) for k, v in plain.items()} == {
        "rgb": (3, 32, 32), "raw": (3, 12, 12), "depth": (1, 12, 12),
    }  # fmt: skip
    both = {"z": z, "z_mix": other}
    assert torch.equal(model.golden_case(case(both, mix_from_layer=8))["rgb"], plain["rgb"])
    swapped = model.golden_case(case(both, mix_from_layer=0))["rgb"]
    assert torch.equal(swapped, model.golden_case(case({"z": other}))["rgb"])
    by_angle = model.golden_case(
        case({"z": z}, fov_y=model.capabilities.default_pose.fov_y, neural_resolution=5)
    )
    assert by_angle["raw"].shape == (3, 5, 5)
    silent = model.golden_case(case({"z": z}, noise="none"))
    assert not torch.equal(silent["rgb"], plain["rgb"])
    for bad in (case({}), case({"z": z}, mix_from_layer=2), case({"z": z}, noise="odd")):
        with pytest.raises(UserError):
            model.golden_case(bad)


def test_opening_a_model_does_not_import_torchs_compiler():
    """Arithmetic on the meta device would: 1.6 s at every start of the window."""
    code = (
        "import sys; from engine.generators.eg3d_network import EG3DConfig, EG3DNetwork\n"
        "import torch\n"
        "with torch.device('meta'): EG3DNetwork(EG3DConfig())\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
