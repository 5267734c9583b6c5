"""The CIPS-3D family: options and files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.checkpoints import read_checkpoint
from engine.checkpoints.plain import Checkpoint, Node
from engine.errors import CheckpointError, UserError
from engine.generators.cips3d import CIPS3D, FAMILY, CIPS3DConfig
from engine.generators.latent_features import LatentStep
from engine.generators.registry import build_generator, find_source
from tests.generators.tiny_cips3d import CONFIG, saved, tiny_network
from tests.generators.tiny_eg3d import lazy

CPU = torch.device("cpu")
GOLDENS = Path(__file__).parents[1] / "data" / "goldens"


def tensors_of() -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tiny_network().state_dict().items()}


# ---- options ------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, CIPS3DConfig(), CIPS3DConfig(last_back=True)])
def test_config_survives_json(config: CIPS3DConfig) -> None:
    data = json.loads(json.dumps(config.to_json(), allow_nan=False))
    assert CIPS3DConfig.from_json(data) == config and None not in data.values()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inr_blocks": 3}, "4 or more blocks"),
        ({"inr_blocks": 10_000}, "inr_blocks must be 1 to 64"),
        ({"nerf_layers": 0}, "nerf_layers must be 1 to 64"),
        ({"z_nerf_dim": 0}, "widths"),
        ({"img_resolution": 1}, "picture's side"),
        ({"box": 0.0}, "box"),
        ({"near": 1.2}, "end behind their start"),
        ({"samples_per_pass": 2}, "4 or more even samples"),
        ({"activation": "exp"}, "'exp' is unknown"),
        ({"fov_y": "wide"}, "fov_y must be a number"),
        ({"last_back": 1}, "true or false"),
        ({"inr_width": -4}, "inr_width"),
        ({"nerf_reads": (0, 1, 2, 3, 4)}, "both or neither"),
        ({"nerf_reads": (0, 1, 2, 3, 4), "inr_reads": (5, 6, 7)}, "as long as the latents"),
        ({"nerf_reads": (0, 1, 2, 3, 4), "inr_reads": (0, 1, 5, 6, 7, 9)}, "unread"),
        ({"nerf_latent_steps": ((5, 0.0, 0, 0),)}, "coordinates below 5"),
        ({"inr_latent_steps": ((0, 0.0, 0, 2),)}, "side of -1, 0 or 1"),
        ({"backdrop": 1.5}, "backdrop"),
        ({"backdrop": "grey"}, "backdrop must be a number"),
    ],
)
def test_contradicting_options_are_told(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        replace(CONFIG, **change)
    with pytest.raises(CheckpointError, match=words):
        FAMILY.build({**CONFIG.to_json(), **change}, tensors_of(), CPU)


def test_what_authors_models_do_not_have_is_stated_only_where_it_is_used() -> None:
    assert not {"nerf_reads", "inr_latent_steps", "backdrop"} & set(CIPS3DConfig().to_json())
    ours = replace(
        CONFIG,
        nerf_reads=(0, 1, 2, 3, 7),
        inr_reads=(7, 6, 5, 4, 0, 1),
        inr_latent_steps=(LatentStep(1, -0.5, 0, 1),),
        backdrop=0.0,
    )
    data = json.loads(json.dumps(ours.to_json()))
    assert CIPS3DConfig.from_json(data) == ours and ours.z_dim == 8
    assert "nerf_latent_steps" not in data and data["backdrop"] == 0.0


def test_unknown_options_are_told() -> None:
    with pytest.raises(CheckpointError, match="odd"):
        FAMILY.build({**CONFIG.to_json(), "odd": 1}, tensors_of(), CPU)


# ---- files --------------------------------------------------------------------------------


def test_every_size_is_read_off_the_file() -> None:
    checkpoint = saved(tiny_network())
    assert FAMILY.matches(checkpoint)
    source = find_source(checkpoint)
    read = CIPS3DConfig.from_json(json.loads(json.dumps(source.config)))
    # What no tensor tells is the release's.
    assert read == replace(CONFIG, img_resolution=256, samples_per_pass=12)
    assert len(source.assumptions) == 4
    model = build_generator(source, "cpu")
    assert isinstance(model, CIPS3D)
    state = model.network.state_dict()
    for name, tensor in tiny_network().state_dict().items():
        assert torch.equal(state[name], tensor), name


def test_a_dictionary_of_another_class_is_read_alike() -> None:
    checkpoint = saved(tiny_network())
    node = Node("easydict.EasyDict", (), {"[items]": checkpoint.root})
    wrapped = Checkpoint(checkpoint.path, "torch-zip", node)
    assert FAMILY.matches(wrapped)
    assert FAMILY.source(wrapped).config == FAMILY.source(checkpoint).config


def test_other_files_are_not_taken() -> None:
    for path in GOLDENS.glob("*/**/*.p*"):
        if path.suffix in (".pkl", ".pth", ".pt"):
            assert FAMILY.matches(read_checkpoint(path)) == (path.parent.name == "cips3d"), path
    for root in ({}, [], 3, {"siren.color_layer_sine.gain_fc.weight": 1}, None):
        assert not FAMILY.matches(Checkpoint(Path("x"), "pickle", root))


@pytest.mark.parametrize(
    "name",
    [
        "siren.network.1.bias_fc.bias",
        "inr_net.network.8.mod2.norm.weight",  # without effect, and yet it must be there
        "inr_net.to_rgbs.4.linear.bias",
        "aux_to_rbg.0.weight",
    ],
)
def test_missing_and_misshapen_tensors_are_named(name: str) -> None:
    key = name.replace(".", "__")
    with pytest.raises(CheckpointError, match=f"lacks {name}"):
        build_generator(find_source(saved(tiny_network(), **{key: None})), "cpu")
    odd = lazy(torch.zeros(3, 3, 3, 3))
    with pytest.raises(CheckpointError, match=f"{name}.*3 x 3 x 3 x 3"):
        build_generator(find_source(saved(tiny_network(), **{key: odd})), "cpu")
    bad = tiny_network().state_dict()[name].clone()
    bad.reshape(-1)[0] = float("nan")
    with pytest.raises(CheckpointError, match=f"{name} holds values that are not finite"):
        build_generator(find_source(saved(tiny_network(), **{key: lazy(bad)})), "cpu")


def test_what_a_whole_model_must_have_to_be_measured() -> None:
    for name in ("siren.final_layer.weight", "mapping_network_nerf.base_net.0.weight"):
        with pytest.raises(CheckpointError, match="not a whole CIPS-3D model"):
            find_source(saved(tiny_network(), **{name.replace(".", "__"): None}))


def test_extra_entries_are_told() -> None:
    extra = saved(tiny_network(), siren__odd=lazy(torch.zeros(2)))
    with pytest.raises(CheckpointError, match=r"beyond what CIPS-3D has, siren\.odd"):
        build_generator(find_source(extra), "cpu")
    with pytest.raises(CheckpointError, match="which is not a tensor"):
        find_source(saved(tiny_network(), step=7))


def test_blocks_that_do_not_follow_each_other_are_told() -> None:
    state = dict(saved(tiny_network()).root)
    moved = {k.replace("network.128.", "network.512."): v for k, v in state.items()}
    with pytest.raises(CheckpointError, match="does not fit together"):
        build_generator(find_source(Checkpoint(Path("x.pth"), "torch-zip", moved)), "cpu")
