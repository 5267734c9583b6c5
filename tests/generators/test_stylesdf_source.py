"""The StyleSDF family: options and files."""

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
from engine.checkpoints import read_checkpoint
from engine.checkpoints.plain import Checkpoint, Node
from engine.errors import CheckpointError, UserError
from engine.generators.blending import blend_sources
from engine.generators.registry import build_generator
from engine.generators.stylesdf import FAMILY, RELEASED, StyleSDF, StyleSDFConfig, StyleSDFNetwork
from tests.generators.tiny_stylesdf import (
    CONFIG,
    CPU,
    VOLUME_ONLY,
    lazy,
    saved,
    tiny_model,
    tiny_network,
    z_of,
)


def tensors_of(network: StyleSDFNetwork) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def opened(checkpoint: Checkpoint) -> StyleSDF:
    source = FAMILY.source(checkpoint)
    config = json.loads(json.dumps(source.config))
    model = FAMILY.build(config, {k: v.load() for k, v in source.tensors.items()}, CPU)
    assert isinstance(model, StyleSDF)
    return model


def picture(model: StyleSDF, seed: int = 0) -> Tensor:
    w = model.map(torch.randn(8, generator=torch.Generator().manual_seed(seed)), psi=0.7)
    return model.render(w, OrbitPose(20, 10, radius=1.0, fov_y=12.0).camera()).rgb


# ---- options ------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, VOLUME_ONLY, *RELEASED.values()])
def test_config_survives_json(config: StyleSDFConfig) -> None:
    assert StyleSDFConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("name", "tensors", "rows", "resolution"),
    [("ffhq1024x1024", 166, 9 + 10, 1024), ("afhq512x512", 146, 9 + 8, 512),
     ("ffhq_vol_renderer", 65, 9, 64), ("afhq_vol_renderer", 65, 9, 64), ("sphere_init", 65, 9, 64)],
)  # fmt: skip
def test_released_shapes(name: str, tensors: int, rows: int, resolution: int) -> None:
    config = RELEASED[name]
    with torch.device("meta"):
        state = StyleSDFNetwork(config).state_dict()
    assert len(state) == tensors
    assert (config.num_ws, config.resolution) == (rows, resolution)
    assert state["renderer.network.views_linears.weight"].shape == (256, 259)
    if config.decoder_channels:
        assert state["decoder.style.1.weight"].shape == (512, 256)
        assert state["decoder.conv1.conv.weight"].shape == (1, 512, 256, 3, 3)
        assert state["decoder.noises.noise_6"].shape == (1, 1, 512, 512)


def test_released_sizes_in_bytes() -> None:
    """A full file holds g and g_ema beside the discriminator, so that the two released full
    files may differ by twice the generators' difference and what their discriminators differ."""
    sizes = {}
    for name in ("ffhq1024x1024", "ffhq_vol_renderer"):
        with torch.device("meta"):
            state = StyleSDFNetwork(RELEASED[name]).state_dict()
        sizes[name] = sum(4 * tensor.numel() for tensor in state.values())
    # 3 mapping layers, 8 + 1 FiLM layers with two modulators each, two heads, one beta.
    square = 256 * 256 + 256
    film = 7 * 3 * square + (3 * 256 + 256 + 2 * square) + (259 * 256 + 256 + 2 * square)
    assert sizes["ffhq_vol_renderer"] == 4 * (3 * square + film + 3 * 257 + 257 + 1)
    # The released file is 63,736,197 bytes with a discriminator of 12.1 million numbers.
    assert 63_736_197 - 2 * sizes["ffhq_vol_renderer"] == pytest.approx(4 * 12.1e6, rel=0.01)
    assert 202_570_217 - 2 * sizes["ffhq1024x1024"] == pytest.approx(4 * 29e6, rel=0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth": 0}, "depth must be 1"),
        ({"depth": 1 << 19}, "depth must be 1"),
        ({"decoder_channels": (4,) * 13}, "pixels a side"),
        ({"decoder_channels": (4,) * 5000}, "pixels a side"),
        ({"decoder_channels": (4, 0)}, "at least one channel"),
        ({"skipped_noise": (5,)}, "layer that the decoder lacks"),
        ({"decoder_channels": None, "skipped_noise": (0,)}, "layer that the decoder lacks"),
        ({"samples_per_ray": 1}, "2 to"),
        ({"fov_y": 0.5}, "angle of view"),
        ({"half_depth": 1.0}, "half depth"),
        ({"yaw_std": -0.1}, "spread"),
        ({"radius": 0.0}, "half depth"),
    ],
)
def test_contradicting_options_are_told(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(CONFIG, **change)


@pytest.mark.parametrize(
    "broken",
    [{"odd": 1}, {"width": "wide"}, {"style_dim": -1}, {"width": 1 << 40}, {"fov_y": math.nan},
     {"decoder_channels": []}, {"decoder_channels": [4.5]}, {"decoder_channels": 3},
     {"skipped_noise": ["all"]}, {"radius": None}, {"depth": True}],
)  # fmt: skip
def test_unreadable_options_are_told(broken: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        StyleSDFConfig.from_json(CONFIG.to_json() | broken)
    with pytest.raises(CheckpointError):
        FAMILY.build(CONFIG.to_json() | broken, tensors_of(tiny_network()), CPU)


# ---- files --------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, VOLUME_ONLY, replace(CONFIG, decoder_channels=(5,))])
def test_every_shape_is_read_off_the_file(config: StyleSDFConfig) -> None:
    network = tiny_network(config)
    checkpoint = saved(network)
    assert FAMILY.matches(checkpoint)
    assert StyleSDFConfig.from_json(FAMILY.source(checkpoint).config) == config
    assert torch.equal(picture(opened(checkpoint)), picture(StyleSDF(network, CPU)))


def test_what_a_file_cannot_tell_is_said() -> None:
    sentences = FAMILY.source(saved(tiny_network())).assumptions
    for words in (
        "24",
        "samples_per_ray",
        "12 degrees",
        "distance; 1 ",
        "0.88 and 1.12",
        "0.3 radians",
    ):
        assert any(words in sentence for sentence in sentences), words
    assert len(sentences) == 5
    alone = FAMILY.source(saved(tiny_network(VOLUME_ONLY))).assumptions
    assert len(alone) == 6 and "64 pixels" in alone[-1]
    assert all(s.endswith(".") for s in alone)


def test_the_average_is_drawn_with_and_noise_comes_from_the_same_dictionary() -> None:
    average, trained = tiny_network(seed=1), tiny_network(seed=2)
    both = saved(average)
    both.root["g"] = saved(trained).root["g_ema"]
    assert torch.equal(picture(opened(both)), picture(StyleSDF(average, CPU)))
    noise = FAMILY.source(both).tensors["decoder.noises.noise_1"].load()
    assert torch.equal(noise, average.state_dict()["decoder.noises.noise_1"])


def test_files_without_an_average_are_drawn_with_what_they_hold() -> None:
    network = tiny_network()
    source = FAMILY.source(saved(network, key="g"))
    assert "no averaged generator" in source.assumptions[0]
    for checkpoint in (saved(network, "g"), saved(network, None), saved(network, prefix="module.")):
        assert torch.equal(picture(opened(checkpoint)), picture(StyleSDF(network, CPU)))
    node = Node("collections.MyDict", (), {"[items]": dict(saved(network, None).root)})
    assert FAMILY.matches(Checkpoint(Path("x.pt"), "torch-zip", {"g_ema": node}))


def test_noise_of_another_size_is_passed_over_and_said() -> None:
    network = tiny_network()
    checkpoint = saved(network)
    checkpoint.root["g_ema"]["decoder.noises.noise_3"] = lazy(torch.randn(1, 1, 40, 64))
    checkpoint.root["g_ema"]["decoder.noises.noise_0"] = lazy(torch.randn(1, 1, 4, 4))
    source = FAMILY.source(checkpoint)
    config = StyleSDFConfig.from_json(source.config)
    assert config == replace(CONFIG, skipped_noise=(0, 3))
    assert any("noise_0, noise_3" in sentence for sentence in source.assumptions)
    assert "decoder.noises.noise_3" not in source.tensors
    model = opened(checkpoint)
    expected = StyleSDF(network, CPU)
    network.decoder.noises.noise_0 = network.decoder.noises.noise_3 = None  # type: ignore[union-attr]
    assert torch.equal(picture(model), picture(expected))
    model.adjust({"noise": "random"})
    assert model._noise(3, "random") is not None


def test_the_volume_size_is_what_most_noise_agrees_on() -> None:
    state = saved(tiny_network()).root["g_ema"]
    state["decoder.noises.noise_0"] = lazy(torch.randn(1, 1, 7, 9))
    config = StyleSDFConfig.from_json(FAMILY.source(Checkpoint(Path("x"), "t", state)).config)
    assert (config.render_size, config.skipped_noise) == (16, (0,))
    for layer in range(5):
        state[f"decoder.noises.noise_{layer}"] = lazy(torch.randn(1, 1, 7, 9))
    config = StyleSDFConfig.from_json(FAMILY.source(Checkpoint(Path("x"), "t", state)).config)
    assert (config.render_size, config.skipped_noise) == (64, (0, 1, 2, 3, 4))


def test_unused_biases_do_not_count_but_must_be_there() -> None:
    tensors = tensors_of(tiny_network())
    before = picture(StyleSDF(tiny_network(), CPU))
    for name in ("decoder.conv1.bias", "decoder.convs.2.bias"):
        tensors[name] = torch.full_like(tensors[name], 5.0)
    model = FAMILY.build(CONFIG.to_json(), tensors, CPU)
    assert isinstance(model, StyleSDF) and torch.equal(picture(model), before)
    del tensors["decoder.conv1.bias"]
    with pytest.raises(CheckpointError, match=r"lacks decoder\.conv1\.bias"):
        FAMILY.build(CONFIG.to_json(), tensors, CPU)


def test_stored_kernels_are_used_as_they_stand() -> None:
    tensors = tensors_of(tiny_network())
    before = picture(StyleSDF(tiny_network(), CPU))
    for name in ("decoder.convs.0.conv.blur.kernel", "decoder.to_rgbs.1.upsample.kernel"):
        assert float(tensors[name].sum()) == pytest.approx(4.0)
        changed = tensors | {name: tensors[name] * 1.5}
        model = FAMILY.build(CONFIG.to_json(), changed, CPU)
        assert isinstance(model, StyleSDF)
        assert float((picture(model) - before).abs().max()) > 1e-3


@pytest.mark.parametrize(
    "root",
    [None, [], {}, {"g_ema": 3}, {"g_ema": Node("StyleGAN")}, Node("x"), {"g": {}},
     {"style.0.weight": lazy(torch.zeros(1))}, {1: 2}],
)  # fmt: skip
def test_other_files_are_not_taken(root: Any) -> None:
    checkpoint = Checkpoint(Path("x"), "pickle", root)
    assert not FAMILY.matches(checkpoint)
    with pytest.raises(CheckpointError, match="no StyleSDF generator"):
        FAMILY.source(checkpoint)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("decoder.conv1.conv.weight", (3, 3)), ("decoder.style.1.weight", (5,)),
     ("renderer.network.sigma_linear.weight", (7,)), ("decoder.noises.noise_0", (16, 16)),
     ("style.0.weight", (8, 0)), ("decoder.style.1.weight", None),
     ("decoder.convs.2.conv.weight", None), ("renderer.network.sigma_linear.weight", (1, 1 << 50))],
)  # fmt: skip
def test_damaged_shapes_are_told(name: str, shape: tuple[int, ...] | None) -> None:
    state = saved(tiny_network()).root["g_ema"]
    if shape is None:
        del state[name]
    else:
        state[name] = replace(lazy(torch.zeros(1)), shape=shape)
    checkpoint = Checkpoint(Path("x"), "torch-zip", {"g_ema": state})
    assert FAMILY.matches(checkpoint)
    with pytest.raises(CheckpointError) as caught:
        FAMILY.source(checkpoint)
    assert "\n" not in str(caught.value)


def test_missing_extra_and_misshapen_tensors_are_named() -> None:
    source = FAMILY.source(saved(tiny_network()))
    tensors = {name: tensor.load() for name, tensor in source.tensors.items()}
    del tensors["renderer.sigmoid_beta"]
    tensors["decoder.odd"] = torch.zeros(1)
    tensors["style.1.bias"] = torch.zeros(9)
    with pytest.raises(CheckpointError) as caught:
        FAMILY.build(source.config, tensors, CPU)
    sentence = str(caught.value)
    for words in ("lacks renderer.sigmoid_beta", "decoder.odd", "style.1.bias (9 instead of 8)"):
        assert words in sentence
    tensors = tensors_of(tiny_network())
    tensors["style.0.bias"][3] = math.inf
    with pytest.raises(CheckpointError, match=r"style\.0\.bias"):
        FAMILY.build(CONFIG.to_json(), tensors, CPU)


def test_a_hole_in_the_layers_is_named() -> None:
    state = saved(tiny_network()).root["g_ema"]
    for part in ("weight", "bias", "gamma.weight", "gamma.bias", "beta.weight", "beta.bias"):
        del state[f"renderer.network.pts_linears.1.{part}"]
    with pytest.raises(CheckpointError, match=r"lacks renderer\.network\.pts_linears\.1"):
        opened(Checkpoint(Path("x"), "torch-zip", {"g_ema": state}))


@pytest.mark.parametrize("config", [CONFIG, VOLUME_ONLY])
def test_a_real_file_opens(config: StyleSDFConfig, tmp_path: Path) -> None:
    """As torch writes it, with the metadata that a module's own state dict carries."""
    network = tiny_network(config)
    path = tmp_path / "renamed.bin"
    torch.save({"g": network.state_dict(), "d": {}, "g_ema": network.state_dict()}, path)
    checkpoint = read_checkpoint(path)
    assert FAMILY.matches(checkpoint)
    assert torch.equal(picture(opened(checkpoint)), picture(tiny_model(config)))
    assert z_of(0, config).shape == (8,)


def test_layers_of_another_decoder_can_be_taken() -> None:
    """From the last size only: the volume and the surface stay, the picture changes."""
    assert FAMILY.swappable is not None
    layers = FAMILY.swappable(CONFIG.to_json())
    assert list(layers) == ["16", "32", "64"]
    assert layers["64"] == ("decoder.convs.2.", "decoder.convs.3.", "decoder.to_rgbs.1.")
    covered = sum(name.startswith(sum(layers.values(), ())) for name in tensors_of(tiny_network()))
    assert covered == 5 * 6 + 2 + 3 * 4 + 2  # convolutions and kernels, pictures and kernels
    assert FAMILY.swappable(VOLUME_ONLY.to_json()) == {}
    one, other = (FAMILY.source(saved(tiny_network(seed=seed))) for seed in (0, 1))
    blended = blend_sources(one, other, ["64"], 1.0)
    drawn = [build_generator(source, CPU) for source in (one, blended)]
    w = drawn[0].map(z_of())
    camera = OrbitPose(10, radius=1.0, fov_y=12.0).camera()
    before, after = (model.render(w, camera) for model in drawn)
    assert torch.equal(before.raw, after.raw)
    assert float((before.rgb - after.rgb).abs().max()) > 0.01
