"""The StyleNeRF family: options and files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.checkpoints.plain import Checkpoint, Node
from engine.errors import CheckpointError, UserError
from engine.generators.stylenerf import (
    FAMILY,
    RELEASED,
    StyleNeRF,
    StyleNeRFConfig,
    StyleNeRFNetwork,
)
from tests.generators.tiny_stylenerf import (
    CONFIG,
    changed,
    easy_dict,
    flat,
    lazy,
    nested,
    omegaconf,
    options_of,
    pickled,
    tiny_network,
    z_of,
)

CPU = torch.device("cpu")
#: Nothing in here has the value that an option takes where a file does not state it.
ODD = changed(
    mapping_layers=4,
    upsample_mode="pixelshuffle",
    kernel_size=3,
    conv_clamp=2.5,
    magnitude_ema=False,
    use_noise=True,
    no_residual_img=True,
    fg_downscale=1.5,
    bg_downscale=2.0,
    fg_normalized_feat=True,
    bg_normalized_feat=True,
    n_ray_samples=9,
    n_bg_samples=5,
    hierarchical=False,
    bg_start=0.7,
    dists_normalized=True,
    radius=1.1,
    yaw=0.25,
    yaw_spread=0.5,
    pitch=-0.125,
    pitch_spread=0.25,
    progressive=False,
)


def source_of(checkpoint: Checkpoint) -> tuple[StyleNeRFConfig, tuple[str, ...]]:
    assert FAMILY.matches(checkpoint)
    found = FAMILY.source(checkpoint)
    return StyleNeRFConfig.from_json(json.loads(json.dumps(found.config))), found.assumptions


def tensors_of(network: StyleNeRFNetwork) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def generator_of(checkpoint: Checkpoint) -> Node:
    node = checkpoint.root["G_ema"]
    assert isinstance(node, Node)
    return node


def part(node: Node, *names: str) -> Node:
    for name in names:
        node = node.state["_modules"][name]
    return node


def close(config: StyleNeRFConfig, wanted: StyleNeRFConfig) -> bool:
    """Equal but for the rounding of angles' middles."""
    ours, theirs = config.to_json(), wanted.to_json()
    return all(
        math.isclose(ours[k], v, abs_tol=1e-8) if isinstance(v, float) else ours[k] == v
        for k, v in theirs.items()
    )


# options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, ODD, *RELEASED.values()])
def test_config_survives_json(config: StyleNeRFConfig) -> None:
    assert StyleNeRFConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"upsample_mode": "bilinear"}, "'bilinear' is unknown"),
        ({"kernel_size": 5}, "1 or 3 wide"),
        ({"img_resolution": 64}, "enlarge 8 pixels to 32"),
        ({"adapter_channels": (2,)}, "as many adapters"),
        ({"n_ray_samples": 2}, "n_ray_samples must be 3"),
        ({"n_bg_samples": 1}, "n_bg_samples must be 2"),
        ({"depth_near": 1.2}, "end behind their start"),
        ({"fov": 0.5}, "angle of view"),
        ({"bg_start": 0.0}, "bg_start"),
        ({"radius": 0.0}, "radius must be above 0"),
        ({"fg_hidden": 0}, "fg_hidden must be 1 or more"),
    ],
)
def test_contradicting_options_are_told(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        changed(**change)


@pytest.mark.parametrize(
    "broken",
    [{"odd": 1}, {"z_dim": "many"}, {"z_dim": -1}, {"w_dim": 1 << 40}, {"fov": math.nan},
     {"block_channels": [4.5, 4]}, {"block_channels": []}, {"hierarchical": 1}, {"conv_clamp": "x"}],
)  # fmt: skip
def test_unreadable_options_are_told(broken: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        StyleNeRFConfig.from_json(CONFIG.to_json() | broken)


# files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, ODD], ids=["usual", "odd"])
@pytest.mark.parametrize("layout", [nested, flat], ids=["nested", "flat"])
@pytest.mark.parametrize("wrap", [dict, easy_dict, omegaconf])
def test_every_option_is_read_off_the_file(config: StyleNeRFConfig, layout: Any, wrap: Any) -> None:
    options = options_of(config)
    if layout is flat and config is ODD:
        # Two fields whose options have the same names cannot differ in a flat file.
        config = changed(**{**_asdict(ODD), "bg_downscale": ODD.fg_downscale})
        options = options_of(config)
    read, assumptions = source_of(pickled(tiny_network(config), wrap(layout(options))))
    assert close(read, config) and assumptions == ()


def _asdict(config: StyleNeRFConfig) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in config.to_json().items()}


def test_options_of_the_objects_count_most() -> None:
    """What camera, renderer, upsampler and fields hold is what they were last set to."""
    checkpoint = pickled(tiny_network(ODD), nested(options_of(CONFIG)))
    synthesis = part(generator_of(checkpoint), "synthesis")
    options = options_of(ODD)
    for name, holder in (("camera", "C"), ("renderer", "V"), ("upsampler", "U")):
        state = {k: omegaconf(v) if isinstance(v, list) else v for k, v in options[name].items()}
        synthesis.state[holder] = Node("Holder", (), state | {"_init_kwargs": {}}, True)
    for name, module in (("foreground", "fg_nerf"), ("background", "bg_nerf")):
        part(synthesis, module).state.update(options[name])
    synthesis.state |= {"progressive": False, "upsample_mode": "pixelshuffle"}
    assert close(source_of(checkpoint)[0], ODD)


def test_references_are_resolved() -> None:
    root = omegaconf({"spec": {"fov": 17, "clamp": None}, "kwargs": {}})
    options = nested(options_of(CONFIG))
    options["camera_kwargs"]["fov"] = "${spec.fov}"
    root.state["_content"]["kwargs"] = wrapped = omegaconf(options, root)
    assert source_of(pickled(tiny_network(), wrapped))[0].fov == 17.0


def test_missing_options_are_assumed_and_named() -> None:
    read, assumptions = source_of(pickled(tiny_network(), {}))
    sentence = " ".join(assumptions)
    for name in ("fov", "depth_range", "ray_align_corner", "n_ray_samples", "hierarchical"):
        assert name in sentence
    assert (read.fov, read.depth_near, read.depth_far) == (12.0, 0.88, 1.12)
    assert (read.n_ray_samples, read.n_bg_samples, read.hierarchical) == (14, 4, True)
    assert read.yaw_spread == pytest.approx(0.3) and read.pitch_spread == pytest.approx(0.155)
    # Sizes come from the tensors: nine inputs more than the encoding of whole octaves.
    assert (read.fg_posenc, read.fg_hidden, read.rgb_out_dim) == (3, 7, 5)


def test_shares_of_a_sphere_are_no_angles() -> None:
    options = options_of(CONFIG)
    options["camera"] |= {"angular_camera": False, "range_u": [0, 1], "range_v": [0.4, 0.5]}
    read, assumptions = source_of(pickled(tiny_network(), nested(options)))
    assert (read.yaw, read.yaw_spread) == (0.0, pytest.approx(0.3))
    assert any("shares of a sphere" in sentence for sentence in assumptions)


@pytest.mark.parametrize(
    ("alpha", "progressive", "words"),
    [(-1.0, True, "before training began"), (0.3, True, "draws 16 pixels"), (0.75, True, "32 pix")],
)
def test_unfinished_training_is_told(alpha: float, progressive: bool, words: str) -> None:
    network = tiny_network(changed(progressive=progressive))
    network.synthesis.alpha.fill_(alpha)
    _, assumptions = source_of(pickled(network, nested(options_of(network.config))))
    assert len(assumptions) == 1 and words in assumptions[0]


def test_finished_training_says_nothing() -> None:
    for alpha, progressive in ((1.0, True), (-1.0, False)):
        network = tiny_network(changed(progressive=progressive))
        network.synthesis.alpha.fill_(alpha)
        assert source_of(pickled(network, nested(options_of(network.config))))[1] == ()


def test_a_background_that_is_not_drawn_is_left_out() -> None:
    options = options_of(CONFIG)
    options["renderer"]["no_background"] = True
    checkpoint = pickled(tiny_network(), nested(options))
    read, assumptions = source_of(checkpoint)
    assert not read.background and read.z_dim_bg == 0 and "background" in assumptions[0]
    source = FAMILY.source(checkpoint)
    model = FAMILY.build(source.config, {k: v.load() for k, v in source.tensors.items()}, CPU)
    assert model.capabilities.z_dim == 8


def test_the_averaged_generator_is_taken_and_a_bare_one_too() -> None:
    checkpoint = pickled(tiny_network(), nested(options_of(CONFIG)))
    averaged = generator_of(checkpoint)
    checkpoint.root["G"] = generator_of(pickled(tiny_network(seed=5), nested(options_of(CONFIG))))
    name = "synthesis.fg_nerf.fc_in.weight"
    weight = tiny_network().state_dict()[name]
    for root in (checkpoint.root, averaged, {"G": averaged}):
        source = FAMILY.source(Checkpoint(Path("x.pkl"), "pickle", root))
        assert torch.equal(source.tensors[name].load(), weight)


def test_a_file_opens_and_draws_as_its_network() -> None:
    network = tiny_network(ODD)
    source = FAMILY.source(pickled(network, omegaconf(nested(options_of(ODD)))))
    model = FAMILY.build(source.config, {k: v.load() for k, v in source.tensors.items()}, CPU)
    reference = StyleNeRF(network, CPU)
    z = z_of(ODD)
    assert torch.equal(model.map(z, psi=0.6), reference.map(z, psi=0.6))
    camera = model.capabilities.default_pose.camera()
    expected = reference.render(reference.map(z), camera)
    torch.testing.assert_close(
        model.render(model.map(z), camera).rgb, expected.rgb, atol=1e-5, rtol=0
    )
    assert model.capabilities.default_pose.yaw == pytest.approx(math.degrees(0.25))
    assert model.capabilities.default_pose.pitch == pytest.approx(math.degrees(-0.125))


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        ("camera", "depth_transform", "LogWarp"),
        ("foreground", "positional_encoding", "gauss"),
        ("foreground", "use_viewdirs", True),
        ("background", "inverse_sphere", False),
        ("renderer", "sigma_type", "abs"),
        ("upsampler", "no_2d_renderer", True),
        ("upsampler", "shared_rgb_style", True),
        ("", "architecture", "resnet"),
        ("", "z_dim", 16),
    ],
)
def test_other_kinds_of_network_are_refused(section: str, option: str, value: Any) -> None:
    options = options_of(CONFIG)
    options[section][option] = value
    with pytest.raises(CheckpointError, match=f"{option} = .*does not draw"):
        FAMILY.source(pickled(tiny_network(), nested(options)))


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        ("camera", "fov", "wide"),
        ("camera", "fov", float("nan")),
        ("camera", "depth_range", [1.0]),
        ("camera", "depth_range", [1.2, 0.8]),
        ("camera", "range_v", [None, 1]),
        ("camera", "range_radius", "near"),
        ("renderer", "n_ray_samples", 3.5),
        ("renderer", "n_ray_samples", 1 << 30),
        ("", "z_dim_bg", 4),
        ("", "z_dim_bg", 900),
        ("", "resolution_vol", 16),
        ("", "upsample_mode", "pixelshuffle"),
        ("", "conv_clamp", "tight"),
    ],
)
def test_unusable_options_in_a_file_are_told(section: str, option: str, value: Any) -> None:
    options = options_of(CONFIG)
    options[section][option] = value
    with pytest.raises(CheckpointError) as caught:
        FAMILY.source(pickled(tiny_network(), nested(options)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"), [("num_ws", 12), ("img_resolution", 64), ("num_ws", "x")]
)
def test_statements_that_the_tensors_contradict_are_told(key: str, value: Any) -> None:
    checkpoint = pickled(tiny_network(), nested(options_of(CONFIG)), **{key: value})
    with pytest.raises(CheckpointError):
        FAMILY.source(checkpoint)


def test_an_upsampler_of_another_kind_is_told() -> None:
    options = options_of(CONFIG)
    options[""]["upsample_mode"] = "bilinear"
    checkpoint = pickled(tiny_network(), nested(options))
    del part(generator_of(checkpoint), "synthesis", "b16", "conv0").state["_modules"]["adapter"]
    with pytest.raises(CheckpointError, match="'bilinear'; Maquette draws nn_cat and pixelshuffle"):
        FAMILY.source(checkpoint)


@pytest.mark.parametrize(
    "path",
    [("mapping", "fc0"), ("synthesis", "fg_nerf", "fc_in"), ("synthesis", "bg_nerf", "fc_in")],
)
def test_tensors_that_options_are_read_from_must_be_sound(path: tuple[str, ...]) -> None:
    checkpoint = pickled(tiny_network(), nested(options_of(CONFIG)))
    part(generator_of(checkpoint), *path).state["_parameters"]["weight"] = lazy(torch.zeros(3))
    with pytest.raises(CheckpointError, match="not a whole StyleNeRF"):
        FAMILY.source(checkpoint)


def test_a_network_without_blocks_is_told() -> None:
    checkpoint = pickled(tiny_network(), nested(options_of(CONFIG)))
    modules = part(generator_of(checkpoint), "synthesis").state["_modules"]
    del modules["b16"], modules["b32"]
    with pytest.raises(CheckpointError, match="no blocks"):
        FAMILY.source(checkpoint)


@pytest.mark.parametrize(
    "root", [None, [], {}, {"G_ema": 3}, {"G_ema": Node("StyleGAN")}, Node("x")]
)
def test_other_files_are_not_taken(root: Any) -> None:
    assert not FAMILY.matches(Checkpoint(Path("x"), "pickle", root))


def test_missing_extra_and_misshapen_tensors_are_named() -> None:
    tensors = tensors_of(tiny_network())
    del tensors["synthesis.bg_nerf.blocks.1.resample_filter"]
    tensors["synthesis.b64.conv1.weight"] = torch.zeros(1)
    tensors["synthesis.b16.conv0.w_avg"] = torch.zeros(7)
    with pytest.raises(CheckpointError) as caught:
        FAMILY.build(CONFIG.to_json(), tensors, CPU)
    sentence = str(caught.value)
    assert "lacks synthesis.bg_nerf.blocks.1.resample_filter" in sentence
    assert "synthesis.b64.conv1.weight" in sentence and "\n" not in sentence
    assert "synthesis.b16.conv0.w_avg (7 instead of a single number)" in sentence


def test_damaged_numbers_and_options_are_told() -> None:
    tensors = tensors_of(tiny_network())
    tensors["mapping.fc0.bias"][2] = math.nan
    with pytest.raises(CheckpointError, match=r"mapping\.fc0\.bias"):
        FAMILY.build(CONFIG.to_json(), tensors, CPU)
    with pytest.raises(CheckpointError, match="1 or 3 wide"):
        FAMILY.build(CONFIG.to_json() | {"kernel_size": 4}, tensors, CPU)
