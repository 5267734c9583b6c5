"""Every family's file format, against Python's own unpickler with harmless classes."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.checkpoints import (
    LazyTensor,
    Node,
    file_sha256,
    module_tensors,
    read_checkpoint,
    unwrap_omegaconf,
)
from engine.describe import describe

GOLDENS = Path(__file__).parent.parent / "data" / "goldens"


class _Object:
    """What the reference unpickler makes of a class that is not installed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class _Dict(dict[Any, Any]):
    def __setstate__(self, state: Any) -> None:
        pass


def _persistent(meta: dict[str, Any]) -> _Object:
    made = _Object()
    made.__dict__.update(meta["state"])
    return made


def _load_storage(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)


class _Reference(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct_persistent_obj":
            return _persistent
        if name == "_load_from_bytes":
            return _load_storage
        if name == "EasyDict":
            return _Dict
        if module in ("collections", "__builtin__", "builtins"):
            return {"OrderedDict": OrderedDict, "defaultdict": defaultdict}.get(name) or {
                "set": set, "dict": dict, "list": list, "int": int,
            }[name]  # fmt: skip
        if module.startswith(("numpy", "torch._utils")) or module == "torch":
            return super().find_class(module, name)
        return _Object


class _ReferenceModule:
    """What ``torch.load`` takes as its pickle module."""

    Unpickler = _Reference
    load = staticmethod(pickle.load)


def _reference_tensors(module: _Object, prefix: str = "") -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for group in ("_parameters", "_buffers"):
        for name, value in vars(module).get(group, {}).items():
            if value is not None:
                found[prefix + name] = value.detach()
    for name, child in vars(module).get("_modules", {}).items():
        if child is not None:
            found |= _reference_tensors(child, f"{prefix}{name}.")
    return found


def _assert_same(ours: dict[str, LazyTensor], theirs: dict[str, torch.Tensor]) -> None:
    assert list(ours) == list(theirs)
    for name, lazy in ours.items():
        tensor = lazy.load()
        assert lazy.shape == tuple(theirs[name].shape) == tuple(tensor.shape), name
        assert lazy.dtype == theirs[name].dtype == tensor.dtype, name
        assert tensor.is_contiguous(), name
        assert torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize(
    ("name", "count"), [("eg3d_ffhq", 177), ("epigraf", 99), ("stylenerf_default", 134)]
)
def test_stylegan_pickles(name: str, count: int) -> None:
    path = GOLDENS / name / "checkpoint.pkl"
    checkpoint = read_checkpoint(path)
    assert checkpoint.container == "pickle"
    with path.open("rb") as file:
        reference = _Reference(file).load()
    assert list(checkpoint.root) == list(reference)
    for key in ("G", "D", "G_ema"):
        node = checkpoint.root[key]
        assert isinstance(node, Node) and node.persistent
        _assert_same(dict(module_tensors(node)), _reference_tensors(reference[key]))
    assert len(dict(module_tensors(checkpoint.root["G_ema"]))) == count


@pytest.mark.parametrize(
    ("path", "parts"),
    [("cips3d/checkpoint.pth", None), ("stylesdf/checkpoint.pt", ("g", "d", "g_ema"))],
)
def test_state_dicts(path: str, parts: tuple[str, ...] | None) -> None:
    checkpoint = read_checkpoint(GOLDENS / path)
    assert checkpoint.container == "torch-zip"
    reference = torch.load(GOLDENS / path, map_location="cpu", weights_only=True)
    tensors = checkpoint.root if parts is None else checkpoint.root["g_ema"]
    assert {tensor.device_tag for tensor in tensors.values()} == {"cuda:0"}
    if parts is None:
        _assert_same(checkpoint.root, reference)
    else:
        assert tuple(checkpoint.root) == parts
        for part in parts:
            _assert_same(checkpoint.root[part], reference[part])


def test_pickled_module_and_average() -> None:
    folder = GOLDENS / "pigan" / "CelebA"
    module = read_checkpoint(folder / "generator.pth").root
    reference = torch.load(
        folder / "generator.pth",
        map_location="cpu",
        weights_only=False,
        pickle_module=_ReferenceModule,
    )
    assert module.kind == "generators.generators.ImplicitGenerator3d" and not module.persistent
    _assert_same(dict(module_tensors(module)), _reference_tensors(reference))
    assert module.state["device"] == str(reference.device)
    assert module.state["avg_frequencies"].load().equal(reference.avg_frequencies)
    average = read_checkpoint(folder / "ema.pth").root
    reference = torch.load(
        folder / "ema.pth", map_location="cpu", weights_only=False, pickle_module=_ReferenceModule
    )
    assert average.kind == "torch_ema.ema.ExponentialMovingAverage"
    assert average.state["decay"] == reference.decay
    assert len(average.state["shadow_params"]) == 30
    for ours, theirs in zip(average.state["shadow_params"], reference.shadow_params, strict=True):
        assert ours.load().equal(theirs)


def test_options_of_eg3d() -> None:
    state = read_checkpoint(GOLDENS / "eg3d_ffhq" / "checkpoint.pkl").root["G_ema"].state
    assert isinstance(state["neural_rendering_resolution"], int)
    options = state["rendering_kwargs"]
    assert type(options) is dict
    assert isinstance(options["ray_start"], float) and isinstance(options["box_warp"], (int, float))
    axes = state["_modules"].get("renderer") or state["renderer"]
    assert axes.kind.endswith("ImportanceRenderer")
    assert axes.state["plane_axes"].load().shape == (3, 3, 3)


def test_omegaconf_and_numpy_of_epigraf() -> None:
    path = GOLDENS / "epigraf" / "checkpoint.pkl"
    root = read_checkpoint(path).root
    options = unwrap_omegaconf(root["G_ema"].state["cfg"])
    assert options["patch"] == "${training.patch}"
    assert options["optim"]["betas"] == [0.0, 0.99]
    assert options["w_dim"] == 16 and options["camera_cond"] is False
    with path.open("rb") as file:
        reference = _Reference(file).load()
    angles = root["vis"]["camera_angles"]
    assert angles.kind == "numpy.ndarray" and angles.state["dtype"] == "f4"
    assert np.array_equal(angles.state["tensor"].load().numpy(), reference["vis"]["camera_angles"])
    assert root["G_opt"].kind == "torch.optim.adam.Adam"


def test_omegaconf_of_stylenerf() -> None:
    root = read_checkpoint(GOLDENS / "stylenerf_default" / "checkpoint.pkl").root
    options = root["G_ema"].state["_init_kwargs"]["synthesis_kwargs"]
    assert options.kind == "omegaconf.dictconfig.DictConfig"
    plain = unwrap_omegaconf(options)
    assert type(plain) is dict and plain and not any(isinstance(v, Node) for v in plain.values())


def test_description_of_a_foreign_checkpoint() -> None:
    path = GOLDENS / "cips3d" / "checkpoint.pth"
    facts = describe(read_checkpoint(path))
    if facts["family"] is None:  # until that family is there
        assert "not of a generator" in facts["note"]
        assert facts["contents"][0]["name"] == "siren.network.0.linear.weight"
        assert facts["contents"][0]["what"].startswith("tensor [")
    assert facts["container"] == "torch-zip"
    assert facts["bytes"] == path.stat().st_size
    assert facts["sha256"] == file_sha256(path)
