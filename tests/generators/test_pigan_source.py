"""The pi-GAN family: options and files."""

from __future__ import annotations

import json
import math
import shutil
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoints import read_checkpoint
from engine.checkpoints.plain import Checkpoint, Node
from engine.errors import CheckpointError, UserError
from engine.generators.pigan import FAMILY, PiGAN, PiGANConfig
from engine.generators.registry import build_generator, find_source
from engine.hashing import averages_path, file_sha256, model_sha256
from tests.generators.tiny_eg3d import lazy
from tests.generators.tiny_pigan import CONFIG, pickled, tiny_network

CPU = torch.device("cpu")
RELEASED_FILE = (
    Path(__file__).parents[1] / "data" / "goldens" / "pigan" / "CelebA" / "generator.pth"
)


def released(folder: Path, name: str = "generator.pth", averages: str | None = "ema.pth") -> Path:
    """The released-format pair in a folder of the test's own."""
    shutil.copyfile(RELEASED_FILE, folder / name)
    if averages:
        shutil.copyfile(RELEASED_FILE.with_name("ema.pth"), folder / averages)
    return folder / name


# ---- options ------------------------------------------------------------------------------


def test_config_survives_json() -> None:
    for config in (CONFIG, PiGANConfig(), replace(CONFIG, siren="TALLSIREN", data_set="carla")):
        assert PiGANConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    "broken",
    [{"odd": 1}, {"z_dim": 0}, {"hidden": "wide"}, {"layers": -1}, {"steps": 3}, {"steps": 1000},
     {"data_set": "dogs"}, {"resolution": 2}, {"point_scale": 0.0}, {"point_scale": math.nan},
     {"last_back": 1}],
)  # fmt: skip
def test_unreadable_options_are_told(broken: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        PiGANConfig.from_json(CONFIG.to_json() | broken)
    with pytest.raises(CheckpointError):
        FAMILY.build(CONFIG.to_json() | broken, tiny_network().state_dict(), CPU)


# ---- the pickled module -------------------------------------------------------------------


@pytest.mark.parametrize("averages", [False, True])
def test_every_option_is_read_off_the_file(averages: bool) -> None:
    """What a file cannot state is the data set's; all else comes back."""
    config = replace(CONFIG, stored_averages=averages)
    network = tiny_network(config)
    checkpoint = pickled(network)
    assert FAMILY.matches(checkpoint)
    source = find_source(checkpoint)
    read = PiGANConfig.from_json(json.loads(json.dumps(source.config)))
    assert read == replace(config, steps=12, resolution=256)
    model = build_generator(source, CPU)
    assert isinstance(model, PiGAN)
    reference = PiGAN(network, CPU)
    z = torch.ones(6)
    assert torch.equal(model.map(z, psi=0.3), reference.map(z, psi=0.3))
    assert any("average face" in sentence for sentence in source.assumptions) is not averages


def test_cars_have_no_box_and_their_own_camera() -> None:
    network = tiny_network(replace(CONFIG, siren="TALLSIREN", point_scale=1.0))
    source = FAMILY.source(pickled(network))
    config = PiGANConfig.from_json(source.config)
    assert (config.siren, config.point_scale, config.data_set) == ("TALLSIREN", 1.0, "carla")
    assert (config.steps, config.last_back, config.white_back) == (48, False, True)
    assert any("CARLA" in sentence for sentence in source.assumptions)


def test_a_network_of_another_name_is_told_by_its_box() -> None:
    checkpoint = pickled(tiny_network())
    siren = checkpoint.root.state["_modules"]["siren"]
    siren.kind = "siren.siren.MYSIREN"
    source = FAMILY.source(checkpoint)
    assert source.config["siren"] == "SPATIALSIRENBASELINE"
    assert any("does not name" in sentence for sentence in source.assumptions)
    del siren.state["_modules"]["gridwarper"]
    assert FAMILY.source(checkpoint).config["siren"] == "TALLSIREN"


def test_a_box_without_its_side_is_the_releases() -> None:
    checkpoint = pickled(tiny_network())
    del checkpoint.root.state["_modules"]["siren"].state["_modules"]["gridwarper"]
    source = FAMILY.source(checkpoint)
    assert source.config["point_scale"] == pytest.approx(8.3333333)
    assert any("0.24" in sentence for sentence in source.assumptions)


@pytest.mark.parametrize("prefix", ["", "siren."])
def test_flat_state_dicts_open(prefix: str) -> None:
    network = tiny_network(replace(CONFIG, point_scale=2.0 / 0.24))
    root = OrderedDict(
        (name.removeprefix("siren.") if not prefix else name, lazy(tensor))
        for name, tensor in network.state_dict().items()
    )
    checkpoint = Checkpoint(Path("flat.pth"), "torch-zip", root)
    assert FAMILY.matches(checkpoint)
    model = build_generator(find_source(checkpoint), CPU)
    z = torch.ones(6)
    assert torch.equal(model.map(z), PiGAN(network, CPU).map(z))


@pytest.mark.parametrize("scale", ["wide", math.nan, math.inf, -1.0, True, [8.0]])
def test_a_box_that_is_none_is_told(scale: Any) -> None:
    checkpoint = pickled(tiny_network())
    warper = checkpoint.root.state["_modules"]["siren"].state["_modules"]["gridwarper"]
    warper.state["scale_factor"] = scale
    with pytest.raises(CheckpointError):
        find_source(checkpoint)


def test_missing_extra_and_misshapen_tensors_are_named() -> None:
    tensors = dict(tiny_network().state_dict())
    del tensors["siren.final_layer.bias"]
    tensors["siren.spatial_embeddings"] = torch.zeros(1)
    tensors["siren.network.1.layer.weight"] = torch.zeros(8, 9)
    with pytest.raises(CheckpointError) as caught:
        FAMILY.build(CONFIG.to_json(), tensors, CPU)
    sentence = str(caught.value)
    assert "lacks siren.final_layer.bias" in sentence
    assert "siren.spatial_embeddings" in sentence
    assert "siren.network.1.layer.weight (8 x 9 instead of 8 x 8)" in sentence
    assert "\n" not in sentence


def test_absurd_layer_numbers_do_not_ask_for_as_many_layers() -> None:
    checkpoint = pickled(tiny_network())
    layers = checkpoint.root.state["_modules"]["siren"].state["_modules"]["network"]
    modules = layers.state["_modules"]
    modules["999999999"] = modules.pop("3")
    with pytest.raises(CheckpointError, match=r"lacks siren\.network\.3"):
        build_generator(find_source(checkpoint), CPU)


def test_half_of_the_averages_is_told() -> None:
    checkpoint = pickled(tiny_network(replace(CONFIG, stored_averages=True)))
    del checkpoint.root.state["avg_phase_shifts"]
    with pytest.raises(CheckpointError, match="only one of"):
        find_source(checkpoint)


@pytest.mark.parametrize(
    "root",
    [None, [], {}, {"siren": 3}, Node("siren.siren.TALLSIREN"), {"shadow_params": []},
     Node("torch_ema.ema.ExponentialMovingAverage")],
)  # fmt: skip
def test_other_files_are_not_taken(root: Any) -> None:
    assert not FAMILY.matches(Checkpoint(Path("x"), "pickle", root))


# ---- the averages beside it ---------------------------------------------------------------


def test_without_averages_the_files_own_weights_are_drawn(tmp_path: Path) -> None:
    path = released(tmp_path, averages=None)
    checkpoint = read_checkpoint(path)
    source = find_source(checkpoint)
    assert any("no ema.pth beside" in sentence for sentence in source.assumptions)
    own = checkpoint.root.state["_modules"]["siren"].state["_modules"]["final_layer"]
    weight = own.state["_parameters"]["weight"].load()
    assert torch.equal(source.tensors["siren.final_layer.weight"].load(), weight)
    averaged = find_source(read_checkpoint(RELEASED_FILE))
    assert not torch.equal(averaged.tensors["siren.final_layer.weight"].load(), weight)
    # Now the averages that the file stores are those of what is drawn.
    assert source.config["stored_averages"] and not averaged.config["stored_averages"]
    model = build_generator(source, CPU)
    stored = checkpoint.root.state["avg_frequencies"].load()
    assert torch.equal(model.mean_w()[:, :16].reshape(1, -1), stored)


@pytest.mark.parametrize(
    ("name", "averages"),
    [("generator.pth", "ema.pth"), ("000100_generator.pth", "000100_ema.pth"),
     ("cats.pth", "ema.pth")],
)  # fmt: skip
def test_averages_are_found_where_the_authors_scripts_look(
    name: str, averages: str, tmp_path: Path
) -> None:
    path = released(tmp_path, name, averages)
    assert averages_path(path) == tmp_path / averages
    assert any(averages in s for s in find_source(read_checkpoint(path)).assumptions)


def test_averages_alone_tell_what_to_open(tmp_path: Path) -> None:
    released(tmp_path)
    with pytest.raises(CheckpointError, match=r"open the generator\.pth") as caught:
        find_source(read_checkpoint(tmp_path / "ema.pth"))
    assert "\n" not in str(caught.value)


def test_averages_of_another_model_are_told(tmp_path: Path) -> None:
    path = released(tmp_path)
    network = tiny_network()
    torch.save(
        {"decay": 0.999, "num_updates": 5, "shadow_params": list(network.state_dict().values())},
        tmp_path / "ema.pth",
    )
    with pytest.raises(CheckpointError, match=r"does not belong to generator\.pth.*20 tensors"):
        find_source(read_checkpoint(path))
    shapes = [
        torch.zeros(t.shape) for t in find_source(read_checkpoint(RELEASED_FILE)).tensors.values()
    ]
    shapes[3], shapes[5] = torch.zeros(17), torch.zeros(16)
    torch.save({"num_updates": 5, "shadow_params": shapes}, tmp_path / "ema.pth")
    with pytest.raises(CheckpointError, match="does not belong"):
        find_source(read_checkpoint(path))


def test_something_else_in_the_averages_place_is_told(tmp_path: Path) -> None:
    path = released(tmp_path)
    torch.save({"weights": torch.zeros(3)}, tmp_path / "ema.pth")
    with pytest.raises(CheckpointError, match="holds no averaged weights"):
        find_source(read_checkpoint(path))
    (tmp_path / "ema.pth").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"ema\.pth is empty"):
        find_source(read_checkpoint(path))


def test_the_hash_of_a_model_covers_its_averages(tmp_path: Path) -> None:
    path = released(tmp_path, averages=None)
    alone = model_sha256(path)
    assert alone == file_sha256(path)
    released(tmp_path)
    both = model_sha256(path)
    assert both != alone
    # Other averages are another model, of the same generator.pth.
    averages = tmp_path / "ema.pth"
    averages.write_bytes(averages.read_bytes() + b"\0")
    assert model_sha256(path) not in (alone, both) and file_sha256(path) == alone
    # What no averages belong to is its own file's alone.
    other = tmp_path / "face.pkl"
    other.write_bytes(b"x")
    assert model_sha256(other) == file_sha256(other)
    assert model_sha256(averages) == file_sha256(averages)
