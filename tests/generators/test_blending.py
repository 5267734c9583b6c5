"""A model between two others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.checkpoints import read_checkpoint, write_model
from engine.checkpoints.plain import LazyTensor, ModelSource
from engine.errors import UserError
from engine.generators.base import Generator, Quality, latent_from_seed
from engine.generators.blending import blend_sources, swappable_layers
from engine.generators.registry import build_generator, find_source, open_model

GOLDENS = Path(__file__).parent.parent / "data" / "goldens"
FIRST, SECOND = GOLDENS / "cips3d" / "checkpoint.pth", GOLDENS / "cips3d" / "second.pth"


def opened(path: Path = FIRST) -> ModelSource:
    return find_source(read_checkpoint(path))


def picture(generator: Generator, side: int = 24) -> Tensor:
    facts = generator.capabilities
    w = generator.map(latent_from_seed(0, facts.z_dim))
    return generator.render(w, facts.default_pose.camera(), Quality(neural_resolution=side)).rgb


def louder(source: ModelSource) -> ModelSource:
    """A second model of the same build."""

    def times(tensor: LazyTensor) -> LazyTensor:
        return replace(tensor, load=lambda: tensor.load() * 1.3)

    return replace(source, tensors={name: times(t) for name, t in source.tensors.items()})


def test_layers_of_each_family() -> None:
    blocks = swappable_layers(opened())
    assert list(blocks) == ["4", "8", "16", "32", "64", "128", "256", "512", "1024"]
    assert blocks["64"] == ("inr_net.network.64.", "inr_net.to_rgbs.64.")
    planes = swappable_layers(opened(GOLDENS / "eg3d_ffhq" / "checkpoint.pkl"))
    assert list(planes) == ["4", "8", "16", "32", "64", "128", "256"]
    names = read_checkpoint(FIRST).root
    for starts in blocks.values():
        assert sum(name.startswith(starts) for name in names) == 12


@pytest.mark.parametrize(
    ("folder", "layers"),
    [
        ("epigraf/checkpoint.pkl", ["4", "8", "16", "32", "64"]),
        ("pigan/CelebA/generator.pth", [*"12345678", "density", "colour"]),
        ("stylenerf_default/checkpoint.pkl", ["32", "64"]),
        ("stylesdf/checkpoint.pt", None),
    ],
)
def test_every_layer_of_every_family_stands_in_the_file_and_is_drawn(
    folder: str, layers: list[str] | None
) -> None:
    one = opened(GOLDENS / folder)
    known = swappable_layers(one)
    assert known and (layers is None or list(known) == layers)
    for starts in known.values():
        assert all(any(name.startswith(start) for name in one.tensors) for start in starts)
    other = louder(one)
    plain = picture(build_generator(one, "cpu"), 16)
    last = blend_sources(one, other, [list(known)[-1]], 1.0)
    assert not torch.equal(picture(build_generator(last, "cpu"), 16), plain)


def test_the_formula_on_the_named_layers_and_nothing_else() -> None:
    """Against the tensors themselves: p = (1 - gamma) a + gamma b in blocks 512 and 1024."""
    one, other = opened(), opened(SECOND)
    blended = blend_sources(one, other, ["1024", "512", "1024"], 0.25)
    assert list(blended.tensors) == list(one.tensors) and blended.config == one.config
    changed = 0
    for name, tensor in blended.tensors.items():
        a, b = one.tensors[name].load(), other.tensors[name].load()
        if name.split(".")[:2] in (["inr_net", "network"], ["inr_net", "to_rgbs"]) and name.split(
            "."
        )[2] in ("512", "1024"):
            torch.testing.assert_close(tensor.load(), 0.75 * a + 0.25 * b, rtol=1e-6, atol=1e-7)
            changed += 1
        else:
            assert torch.equal(tensor.load(), a), name
    assert changed == 24
    assert blended.name == "checkpoint with second"
    assert blended.assumptions[-1].endswith("layers 512, 1024 are 0.25 those of second.")


def test_the_ends_are_the_models_themselves() -> None:
    one, other = opened(), opened(SECOND)
    none, whole = (blend_sources(one, other, ["all"], gamma) for gamma in (0.0, 1.0))
    for name, tensor in one.tensors.items():
        assert torch.equal(none.tensors[name].load(), tensor.load())
        theirs = other.tensors[name] if name.startswith("inr_net.") else tensor
        assert torch.equal(whole.tensors[name].load(), theirs.load()), name


def test_shape_and_mapping_stay_and_the_looks_change(tmp_path: Path) -> None:
    """The cartoon effect: depth is that of the source, colours are not; and the written model
    draws what the blend draws."""
    source = blend_sources(opened(), opened(SECOND), ["1024", "512", "256"], 0.5)
    blend = build_generator(source, "cpu")
    plain = open_model(FIRST, "cpu")
    z = latent_from_seed(0, plain.capabilities.z_dim)
    w = plain.map(z, psi=0.7)
    assert torch.equal(w, blend.map(z, psi=0.7))
    camera = plain.capabilities.default_pose.camera()
    quality = Quality(neural_resolution=16)
    a, b = plain.render(w, camera, quality), blend.render(w, camera, quality)
    assert torch.equal(a.depth, b.depth) and torch.equal(a.raw, b.raw)
    assert float((a.rgb - b.rgb).abs().mean()) > 0.005
    written = write_model(source, tmp_path / "blend")
    assert torch.equal(picture(open_model(written, "cpu")), picture(blend))
    again = find_source(read_checkpoint(written))
    assert again.assumptions == source.assumptions and again.name == source.name


def test_it_reads_nothing_until_a_tensor_is_asked_for() -> None:
    loads = []

    def counting(source: ModelSource) -> ModelSource:
        def watched(name: str, tensor: LazyTensor) -> LazyTensor:
            return replace(tensor, load=lambda: (loads.append(name), tensor.load())[1])

        return replace(source, tensors={n: watched(n, t) for n, t in source.tensors.items()})

    blended = blend_sources(counting(opened()), counting(opened(SECOND)), ["64"], 0.5)
    assert loads == []
    name = "inr_net.network.64.mod1.weight"
    blended.tensors[name].load()
    assert loads == [name, name]
    blended.tensors["siren.final_layer.bias"].load()
    assert loads[2:] == ["siren.final_layer.bias"]


def test_eg3d_backbones_blend(tmp_path: Path) -> None:
    path = GOLDENS / "eg3d_ffhq" / "checkpoint.pkl"
    one = opened(path)
    noisy = {
        name: replace(tensor, load=lambda t=tensor: t.load() * 1.25)
        for name, tensor in one.tensors.items()
    }
    other = replace(one, name="other", tensors=noisy)
    blended = blend_sources(one, other, ["16", "256"], 0.5)
    name = "backbone.synthesis.b16.conv1.weight"
    torch.testing.assert_close(blended.tensors[name].load(), one.tensors[name].load() * 1.125)
    same = "backbone.synthesis.b160"
    assert not any(n.startswith(same) for n in one.tensors)
    name = "backbone.synthesis.b32.conv1.weight"
    assert torch.equal(blended.tensors[name].load(), one.tensors[name].load())
    plain, mixed = build_generator(one, "cpu"), build_generator(blended, "cpu")
    assert not torch.equal(picture(plain, 16), picture(mixed, 16))


def test_what_does_not_fit_is_told() -> None:
    one, other = opened(), opened(SECOND)
    eg3d = opened(GOLDENS / "eg3d_ffhq" / "checkpoint.pkl")
    for arguments, words in (
        ((one, eg3d, ["64"], 0.5), "only models of one family"),
        ((one, other, ["2048"], 0.5), "no layer '2048'.*4, 8, 16"),
        ((one, other, [], 0.5), "Name the layers"),
        ((one, other, ["64"], 1.5), "0 to 1"),
        ((one, other, ["64"], float("nan")), "0 to 1"),
    ):
        with pytest.raises(UserError, match=words):
            blend_sources(*arguments)  # type: ignore[arg-type]
    name = "inr_net.network.64.mod1.weight"
    narrow = replace(other.tensors[name], shape=(1, 4, 4))
    misshapen = replace(other, tensors={**other.tensors, name: narrow})
    with pytest.raises(UserError, match=f"not built alike.*{name}"):
        blend_sources(one, misshapen, ["64"], 0.5)
    blend_sources(one, misshapen, ["128"], 0.5)  # other layers do fit
    missing = replace(other, tensors={n: t for n, t in other.tensors.items() if n != name})
    with pytest.raises(UserError, match="not built alike"):
        blend_sources(one, missing, ["all"], 0.5)
    whole = replace(other.tensors[name], dtype=torch.int64)
    with pytest.raises(UserError, match="not real numbers"):
        blend_sources(one, replace(other, tensors={**other.tensors, name: whole}), ["64"], 0.5)


def test_half_precision_models_blend(tmp_path: Path) -> None:
    half = write_model(opened(), tmp_path / "half", half=True)
    blended = blend_sources(opened(half), opened(SECOND), ["64"], 0.5)
    name = "inr_net.network.64.mod1.weight"
    expected = (opened().tensors[name].load() + opened(SECOND).tensors[name].load()) / 2
    got = blended.tensors[name].load()
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-3)
    facts = json.loads(write_model(blended, tmp_path / "both").read_text())
    assert facts["family"] == "cips3d"
