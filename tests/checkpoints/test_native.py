"""Maquette's own format: what is written, what is read back, and what is refused."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from engine.checkpoints import LazyTensor, file_sha256, read_checkpoint, write_model
from engine.checkpoints.plain import ModelSource
from engine.errors import CheckpointError
from engine.generators.registry import find_source

TENSORS = {
    "b.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4) / 7,
    "a.count": torch.tensor([1, 2, 3]),
    "a.scale": torch.tensor(0.1, dtype=torch.float64),
    "flags": torch.tensor([True, False]),
    "nothing": torch.empty(0, 3),
    "large": torch.tensor([1.0, 1e6]),
    "half": torch.tensor([0.1, 2.0], dtype=torch.float16),
}
CONFIG = {"z_dim": 4, "rendering": {"box": 1.0, "auto": None, "axes": [[1, 0], [0, 1]]}}


def lazy(tensor: torch.Tensor) -> LazyTensor:
    return LazyTensor(tuple(tensor.shape), tensor.dtype, tensor.clone)


def source(config: dict[str, Any] | None = None, **tensors: torch.Tensor) -> ModelSource:
    held = {name: lazy(tensor) for name, tensor in (tensors or TENSORS).items()}
    return ModelSource("eg3d", "A name", config or CONFIG, held, ("We assumed this.",))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write_model(source(), tmp_path / "model")
    assert path == tmp_path / "model.json"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.json", "model.safetensors"]
    for opened in (path, tmp_path / "model.safetensors"):
        checkpoint = read_checkpoint(opened)
        assert (checkpoint.container, checkpoint.native_family) == ("maquette", "eg3d")
        assert checkpoint.title == "A name" and checkpoint.native_config == CONFIG
        assert list(checkpoint.native_tensors) == list(TENSORS)
        for name, tensor in TENSORS.items():
            read = checkpoint.native_tensors[name]
            wanted = tensor.float() if tensor.dtype == torch.float16 else tensor
            assert read.dtype == read.load().dtype == wanted.dtype
            assert torch.equal(read.load(), wanted), name
    found = find_source(read_checkpoint(path))
    assert found.assumptions == ("We assumed this.",) and found.name == "A name"


def test_other_programs_read_it(tmp_path: Path) -> None:
    write_model(source(), tmp_path / "model.json")
    read = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor), name
    facts = json.loads((tmp_path / "model.json").read_text())
    assert facts["format"] == "maquette-generator/1"
    assert facts["sha256"] == file_sha256(tmp_path / "model.safetensors")


def test_what_other_programs_write_is_read(tmp_path: Path) -> None:
    write_model(source(), tmp_path / "model")
    tensors = {"x": torch.randn(4, 5), "y": torch.arange(3), "z": torch.ones(2).bfloat16()}
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors", {"made": "elsewhere"})
    facts = json.loads((tmp_path / "model.json").read_text())
    facts["sha256"] = file_sha256(tmp_path / "model.safetensors")
    (tmp_path / "model.json").write_text(json.dumps(facts))
    read = read_checkpoint(tmp_path / "model.json").native_tensors
    assert torch.equal(read["x"].load(), tensors["x"])
    assert torch.equal(read["y"].load(), tensors["y"])
    assert torch.equal(read["z"].load(), torch.ones(2))


def test_half_precision(tmp_path: Path) -> None:
    path = write_model(source(), tmp_path / "model", half=True)
    stored = safetensors.torch.load_file(tmp_path / "model.safetensors")
    assert stored["b.weight"].dtype == torch.float16
    assert stored["large"].dtype == torch.float32  # 1e6 does not fit float16
    assert stored["a.scale"].dtype == torch.float64 and stored["a.count"].dtype == torch.int64
    read = read_checkpoint(path).native_tensors["b.weight"]
    assert read.dtype == torch.float32 and read.stored_dtype == torch.float16
    assert torch.equal(read.load(), TENSORS["b.weight"].half().float())


@pytest.mark.parametrize("name", ["ffhq512-128.v2", "x.json", "x.safetensors", "Köpfe 3"])
def test_names(tmp_path: Path, name: str) -> None:
    path = write_model(source(), tmp_path / name)
    stem = name.removesuffix(".json").removesuffix(".safetensors")
    assert sorted(f.name for f in tmp_path.iterdir()) == [f"{stem}.json", f"{stem}.safetensors"]
    assert read_checkpoint(path).title == "A name"


def test_converting_onto_itself(tmp_path: Path) -> None:
    path = write_model(source(), tmp_path / "model")
    write_model(find_source(read_checkpoint(path)), path)
    read = read_checkpoint(path).native_tensors
    assert torch.equal(read["b.weight"].load(), TENSORS["b.weight"])


def test_fingerprint_follows_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(file) == wanted == file_sha256(file)
    file.write_bytes(b"abcd")
    assert file_sha256(file) != wanted
    with pytest.raises(CheckpointError, match="cannot be read"):
        file_sha256(tmp_path / "nothing")


def _change(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda facts: facts.update({key: value})


FACTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "format": (_change("format", "maquette-generator/2"), "update Maquette"),
    "no format": (lambda facts: facts.pop("format"), "no 'format'"),
    "missing": (lambda facts: facts.pop("family"), "lacks 'family'"),
    "unknown": (_change("run", "os.system"), "unknown entries 'run'"),
    "family": (_change("family", ["eg3d"]), "'family' is not"),
    "long name": (_change("name", "x" * 5000), "'name' is not"),
    "config": (_change("config", [1]), "'config' is not"),
    "assumptions": (_change("assumptions", "one"), "'assumptions' are not"),
    "fingerprint form": (_change("sha256", "../../etc"), "not a SHA-256"),
    "fingerprint": (_change("sha256", "0" * 64), "SHA-256 is not the one"),
}


@pytest.mark.parametrize("name", FACTS)
def test_wrong_description(tmp_path: Path, name: str) -> None:
    path = write_model(source(), tmp_path / "model")
    facts = json.loads(path.read_text())
    FACTS[name][0](facts)
    path.write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match=FACTS[name][1]) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": ', "not sound JSON"),
        ('{"a":' * 100_000, "not sound JSON"),
        ("{" + " " * (5 << 20) + "}", "MB of text"),
        ('{"format": NaN}', "NaN"),
        ('{"format": 1' + "0" * 10_000 + "}", "not sound JSON"),
        ('{"format": "\\ud800"}', "format"),
        ("{}", "no 'format'"),
    ],
)
def test_broken_json(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)
    path.write_bytes(b'{"format": "\xff\xfe"}')
    with pytest.raises(CheckpointError, match="not sound JSON"):
        read_checkpoint(path)


def test_missing_half(tmp_path: Path) -> None:
    path = write_model(source(), tmp_path / "model")
    weights = tmp_path / "model.safetensors"
    weights.rename(tmp_path / "elsewhere.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing"):
        read_checkpoint(path)
    with pytest.raises(CheckpointError, match=r"without elsewhere\.json beside it"):
        read_checkpoint(tmp_path / "elsewhere.safetensors")


def test_truncated_and_flipped_weights(tmp_path: Path) -> None:
    path = write_model(source(), tmp_path / "model")
    weights = tmp_path / "model.safetensors"
    data = weights.read_bytes()
    for length in range(0, len(data), 7):
        weights.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)
    for place in range(0, len(data), 5):
        weights.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)


def _entry(dtype: Any = "F32", shape: Any = (1,), span: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(span)}


HEADERS: dict[str, Any] = {
    "list": [1],
    "not an entry": {"a": 3},
    "unknown type": {"a": _entry("F8_E4M3", (4,))},
    "negative": {"a": _entry(shape=(-1,), span=(4, 0))},
    "true": {"a": _entry(shape=(True,))},
    "float": {"a": _entry(shape=(1.0,))},
    "size": {"a": _entry(shape=(2,))},
    "overflow": {"a": _entry(shape=(1 << 62, 4), span=(0, 1 << 64))},
    "beyond": {"a": _entry(shape=(1000,), span=(0, 4000))},
    "overlap": {"a": _entry(), "b": _entry()},
    "gap": {"a": _entry(span=(4, 8))},
    "short of the end": {"a": _entry(span=(0, 4))},
    "many": {f"{i}": _entry(shape=(0,), span=(0, 0)) for i in range(30_000)},
}


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_header(tmp_path: Path, name: str) -> None:
    path = write_model(source(), tmp_path / "model")
    text = json.dumps(HEADERS[name]).encode()
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 8)
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize("length", [1 << 63, 1 << 40, 9 << 20, 100])
def test_header_that_claims_too_much(tmp_path: Path, length: int) -> None:
    path = write_model(source(), tmp_path / "model")
    (tmp_path / "model.safetensors").write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = write_model(source(), tmp_path / "model").read_text()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device.*free some space"):
        write_model(source({"other": 1}), tmp_path / "model")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.json", "model.safetensors"]
    assert (tmp_path / "model.json").read_text() == kept
    read_checkpoint(tmp_path / "model.json")


def test_interrupted(tmp_path: Path) -> None:
    def stop() -> torch.Tensor:
        raise KeyboardInterrupt

    broken = ModelSource("eg3d", "A", {}, {"a": LazyTensor((1,), torch.float32, stop)})
    with pytest.raises(KeyboardInterrupt):
        write_model(broken, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [{1, 2}, math.nan, torch.ones(1)])
def test_options_that_are_not_json(tmp_path: Path, value: Any) -> None:
    with pytest.raises(CheckpointError, match="not plain JSON"):
        write_model(source({"a": value}), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_model(source(), tmp_path / "no" / "model")


def test_types_that_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="complex64"):
        write_model(source(a=torch.ones(2, dtype=torch.complex64)), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
