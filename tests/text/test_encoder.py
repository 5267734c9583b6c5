"""The encoder: unit vectors, pictures of any size, gradients, and the user's own weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engine.editing.encoders import open_encoder
from engine.errors import UserError
from engine.text import encoder as module
from engine.text import spec
from engine.text.encoder import load
from engine.text.library import open_clip
from tests.text.conftest import TINY, tiny_weights

TEXTS = ["a smiling woman", "a man with a beard", "nothing of the kind"]


def test_vectors_have_length_one_and_belong_to_the_network(folder: Path) -> None:
    encoder = load(folder)
    texts = encoder.encode_text(TEXTS)
    pictures = encoder.encode_image(torch.rand(2, 3, 32, 32))
    assert texts.shape == (3, 16) and pictures.shape == (2, 16) and encoder.dimension == 16
    for vectors in (texts, pictures):
        assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-5)
    tokens = open_clip().tokenize(TEXTS)
    with torch.no_grad():
        expected = encoder.network.encode_text(tokens, normalize=True)
    assert torch.allclose(texts, expected, atol=1e-6)
    assert encoder.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)


def test_pictures_are_prepared_as_the_model_wants(folder: Path) -> None:
    encoder = load(folder)
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        expected = encoder.network.encode_image((picture - 0.5) / 0.25, normalize=True)
    assert torch.allclose(encoder.encode_image(picture), expected, atol=1e-6)


def test_the_middle_square_of_any_size_is_looked_at(folder: Path) -> None:
    encoder = load(folder)
    small = torch.rand(1, 3, 32, 32)
    large = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    wide = torch.cat([torch.zeros(1, 3, 128, 30), large, torch.ones(1, 3, 128, 30)], 3)
    seen, whole = encoder.encode_image(wide), encoder.encode_image(large)
    assert torch.allclose(seen, whole, atol=1e-6)
    assert float((whole @ encoder.encode_image(small).T).item()) > 0.99


def test_pictures_have_gradients_and_weights_have_none(folder: Path) -> None:
    encoder = load(folder)
    picture = torch.rand(1, 3, 48, 48, requires_grad=True)
    encoder.similarity(picture, ["a smiling woman"]).sum().backward()
    assert picture.grad is not None and float(picture.grad.abs().max()) > 0
    assert not any(value.requires_grad for value in encoder.parameters())


def test_half_precision_on_disk_is_single_in_memory(folder: Path) -> None:
    path = folder / "open_clip_model.safetensors"
    before = load(folder).encode_text(TEXTS)
    save_file(
        {k: v.half() if v.is_floating_point() else v for k, v in tiny_weights().items()}, path
    )
    encoder = load(folder)
    assert {value.dtype for value in encoder.parameters()} == {torch.float32}
    assert torch.allclose(encoder.encode_text(TEXTS), before, atol=5e-3)


@pytest.mark.parametrize(
    "place", ["plain", "state_dict", "module"], ids=["bare", "of a training", "of several GPUs"]
)
def test_checkpoints_of_torch_are_read(
    folder: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: dict[str, Any] = tiny_weights()
    if place == "state_dict":
        weights = {"epoch": 3, "name": "tiny", "state_dict": weights}
    elif place == "module":
        weights = {f"module.{name}": value for name, value in weights.items()}
    torch.save(weights, tmp_path / "weights.pt")
    named = folder / "open_clip_pytorch_model.bin"
    (tmp_path / "weights.pt").rename(named)
    expected = load(folder).encode_text(TEXTS)
    (folder / "open_clip_model.safetensors").unlink()

    def never(*_: object, **__: object) -> None:
        raise AssertionError("torch.load reads pickles")

    monkeypatch.setattr(torch, "load", never)
    assert torch.equal(load(folder).encode_text(TEXTS), expected)


class Hostile:
    """Unpickling this with Python's own reader would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.target,)  # type: ignore[return-value]


def test_nothing_in_a_file_is_executed(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "executed"
    bad = tmp_path / "weights.pt"
    torch.save({"state_dict": {**tiny_weights(), "x": Hostile(target)}}, bad)
    with pytest.raises(UserError, match="not opened, to be safe"):
        load(bad)
    assert not target.exists()


def test_a_bare_file_is_recognised_by_its_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = open_clip()
    wider = {**TINY, "embed_dim": 24}
    known = {"tiny": TINY, "wider": wider, "other": library.get_model_config("RN50")}
    monkeypatch.setattr(library, "list_models", lambda: list(known))
    monkeypatch.setattr(library, "get_model_config", lambda name: known.get(name))
    save_file(tiny_weights(), tmp_path / "bare.safetensors")
    encoder = load(tmp_path / "bare.safetensors")
    assert encoder.name == "tiny"
    assert encoder.mean.flatten().tolist() == pytest.approx(list(library.OPENAI_DATASET_MEAN))
    known["tiny-quickgelu"] = {**TINY, "quick_gelu": True}
    with pytest.raises(UserError, match=r"tiny, tiny-quickgelu.*tiny=PATH"):
        load(tmp_path / "bare.safetensors")
    named = load(f"tiny-quickgelu={tmp_path / 'bare.safetensors'}")
    assert named.name == "tiny-quickgelu"
    assert not torch.equal(named.encode_text(TEXTS), encoder.encode_text(TEXTS))
    with pytest.raises(UserError, match="do not fit wider"):
        load(f"wider={tmp_path / 'bare.safetensors'}")


def test_real_configurations_are_told_apart() -> None:
    shapes = spec.build(spec.model_named("RN50"), "RN50", "meta").state_dict()
    assert spec.fitting(shapes) == ["RN50", "RN50-quickgelu"]
    shapes = spec.build(spec.model_named("ViT-B-16-plus-240"), "", "meta").state_dict()
    assert spec.fitting(shapes) == ["ViT-B-16-plus-240"]


def test_weights_of_something_else(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(UserError, match="fit none of open_clip's networks"):
        load(path)
    path.rename(folder / "open_clip_model.safetensors")
    with pytest.raises(UserError, match="do not fit tiny"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"text_cfg": {"hf_model_name": "roberta-base"}, "vision_cfg": {}}, "would download"),
        ({"text_cfg": {"hf_tokenizer_name": "x/y"}, "vision_cfg": {}}, "would download"),
        ({"embed_dim": 3}, "not described as a CLIP model"),
        ({**TINY, "text_cfg": {**TINY["text_cfg"], "vocab_size": 100}}, "another list of words"),
        (
            {**TINY, "text_cfg": {**TINY["text_cfg"], "tokenizer_kwargs": {"clean": "soap"}}},
            "unknown cleaning",
        ),
        ({**TINY, "vision_cfg": {"layers": "many"}}, "cannot build"),
        ({**TINY, "nonsense": 1}, "cannot build"),
    ],
)
def test_folders_that_cannot_be_used(folder: Path, change: dict[str, Any], sentence: str) -> None:
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": change}))
    with pytest.raises(UserError, match=sentence):
        load(folder)


def test_paths_that_lead_nowhere(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="There are no CLIP weights"):
        load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no configuration 'ViT-Z-1'"):
        load("ViT-Z-1=weights.pt")
    with pytest.raises(UserError, match="There is no file"):
        load("RN50=nowhere.safetensors")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no CLIP weights"):
        load(tmp_path / "empty")
    (folder / "open_clip_config.json").write_text("{")
    with pytest.raises(UserError, match="not a description of a CLIP model"):
        load(folder)
    (folder / "open_clip_model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0rubbish!")
    with pytest.raises(UserError):
        load(folder / "open_clip_model.safetensors")


def test_nothing_is_ever_downloaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", never)
    monkeypatch.setattr(socket, "getaddrinfo", never)
    assert load(folder).encode_text(["a"]).shape == (1, 16)
    with pytest.raises(UserError, match="would download"):
        load(f"ViT-B-16-SigLIP={folder / 'open_clip_model.safetensors'}")


def test_texts_are_cleaned_as_the_model_wants(folder: Path) -> None:
    config = {
        **TINY,
        "text_cfg": {**TINY["text_cfg"], "tokenizer_kwargs": {"clean": "canonicalize"}},
    }
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    plain, marked = load(folder).tokenize(["a smile", "A smile!"])
    assert torch.equal(plain, marked)


def test_empty_texts_are_refused_and_long_ones_cut(folder: Path) -> None:
    encoder = load(folder)
    for texts in ([], ["a", "  "]):
        with pytest.raises(UserError, match="empty"):
            encoder.encode_text(texts)
    long = "a very " + "very " * 500 + "long text"
    assert torch.isfinite(encoder.encode_text([long])).all()
    assert encoder.tokenize([long]).shape == (1, 77)
    assert module.BUNDLED == "text_encoder"


def test_weights_that_were_replaced_are_noticed_and_gone_ones_kept(folder: Path) -> None:
    opened = open_encoder(str(folder))
    assert opened.is_current and opened.weights.is_file()
    content = opened.weights.read_bytes()
    opened.weights.unlink()
    assert opened.is_current
    opened.weights.write_bytes(content)
    os.utime(opened.weights, ns=(1, 1))
    assert not opened.is_current
