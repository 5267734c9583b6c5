"""An authors' EG3D file and its conversion are the same model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.checkpoints import Node, file_sha256, read_checkpoint, write_model
from engine.describe import describe
from engine.errors import CheckpointError, UserError
from engine.generators.base import Quality, latent_from_seed
from engine.generators.registry import build_generator, find_source, open_model

GOLDEN = Path(__file__).parent.parent / "data" / "goldens" / "eg3d_ffhq" / "checkpoint.pkl"


def test_conversion_keeps_everything(tmp_path: Path) -> None:
    source = find_source(read_checkpoint(GOLDEN))
    path = write_model(source, tmp_path / "converted")
    converted = find_source(read_checkpoint(path))
    assert (converted.family, converted.name) == (source.family, source.name)
    assert converted.config == source.config
    assert converted.assumptions == source.assumptions
    assert list(converted.tensors) == list(source.tensors) and len(source.tensors) > 170
    for name, tensor in source.tensors.items():
        assert torch.equal(converted.tensors[name].load(), tensor.load()), name


@pytest.mark.parametrize("half", [False, True])
def test_conversion_draws_the_same_picture(tmp_path: Path, half: bool) -> None:
    path = write_model(find_source(read_checkpoint(GOLDEN)), tmp_path / "converted", half=half)
    pictures = []
    for where in (GOLDEN, path):
        generator = open_model(where, "cpu")
        w = generator.map(latent_from_seed(3, generator.capabilities.z_dim), psi=0.7)
        camera = generator.capabilities.default_pose.camera()
        quality = Quality(neural_resolution=8, samples=0.25)
        pictures.append(torch.as_tensor(generator.render(w, camera, quality).rgb))
    if half:
        assert not torch.equal(*pictures)
        assert (pictures[0] - pictures[1]).abs().mean() < 0.01
    else:
        assert torch.equal(*pictures)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    source = find_source(read_checkpoint(GOLDEN))
    tensors = dict(source.tensors)
    gone = "decoder.net.0.weight"
    del tensors[gone]
    broken = type(source)(source.family, source.name, source.config, tensors)
    path = write_model(broken, tmp_path / "converted")
    with pytest.raises(CheckpointError, match=r"decoder\.net\.0\.weight"):
        build_generator(find_source(read_checkpoint(path)), "cpu")


def test_description(tmp_path: Path) -> None:
    facts = describe(read_checkpoint(GOLDEN))
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert (facts["family"], facts["container"]) == ("eg3d", "pickle")
    assert facts["bytes"] == GOLDEN.stat().st_size and facts["sha256"] == file_sha256(GOLDEN)
    assert len(facts["tensors"]) == 177
    by_name = {tensor["name"]: tensor for tensor in facts["tensors"]}
    assert by_name["decoder.net.2.bias"] == {
        "name": "decoder.net.2.bias", "shape": [33], "dtype": "float32",
    }  # fmt: skip
    sizes = (torch.tensor(tensor["shape"]).prod().item() for tensor in facts["tensors"])
    assert facts["parameters"] == sum(int(size) for size in sizes)
    path = write_model(find_source(read_checkpoint(GOLDEN)), tmp_path / "converted", half=True)
    converted = describe(read_checkpoint(path))
    assert converted["container"] == "maquette"
    assert converted["options"] == facts["options"]
    assert converted["parameters"] == facts["parameters"]
    assert {tensor["dtype"] for tensor in converted["tensors"]} == {"float16"}
    assert converted["sha256"] == file_sha256(tmp_path / "converted.safetensors")


@pytest.mark.parametrize("value", [None, "x", -1, 0, 10**17, [], {}, [[1] * 3] * 3])
def test_altered_options(tmp_path: Path, value: object) -> None:
    """Every option of a converted model in turn: a generator or one sentence."""
    source = find_source(read_checkpoint(GOLDEN))
    refused = 0
    for key in source.config:
        config = source.config | {key: value}
        try:
            build_generator(replace(source, config=config), "cpu")
        except UserError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).endswith(".")
    assert refused > 5


def test_altered_contents() -> None:
    """A file of the right names whose values are of the wrong kinds."""
    for key in ("_init_kwargs", "rendering_kwargs", "_modules", "_parameters", "img_resolution"):
        for value in (None, 3, "x", [], {}, {1: 2}, Node("z")):
            checkpoint = read_checkpoint(GOLDEN)
            checkpoint.root["G_ema"].state[key] = value
            try:
                build_generator(find_source(checkpoint), "cpu")
            except CheckpointError as error:
                assert "\n" not in str(error)
