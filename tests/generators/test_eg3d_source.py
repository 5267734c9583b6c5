"""The EG3D family: options and files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.camera import OrbitPose
from engine.checkpoints.plain import Checkpoint, Node
from engine.errors import CheckpointError, UserError
from engine.generators.eg3d import EG3D, FAMILY, EG3DConfig, EG3DNetwork
from engine.generators.registry import families
from engine.generators.triplane import EG3D_AXES
from engine.rendering.volume import RenderSettings
from tests.generators.tiny_eg3d import CONFIG, pickled, tiny_network

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
