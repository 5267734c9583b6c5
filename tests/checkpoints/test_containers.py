"""Tensors of every kind through every container, against what torch itself reads."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.checkpoints import LazyBytes, Node, module_tensors, read_checkpoint
from engine.errors import CheckpointError


def _tensors() -> dict[str, torch.Tensor]:
    base = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
    return {
        "float32": base,
        "float64": base.double() / 7,
        "float16": base.half(),
        "bfloat16": base.bfloat16(),
        "int64": base.long() - 30,
        "int32": base.int(),
        "int16": base.short(),
        "int8": base.to(torch.int8),
        "uint8": base.byte(),
        "bool": base > 10,
        "complex": torch.complex(base, -base),
        "transposed": base.permute(2, 0, 1),
        "column": base[1:, 2, ::3],
        "part": base[2],
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "repeated": torch.tensor([1.5]).expand(4, 3),
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 5),
    }


SAVES: dict[str, Any] = {
    "torch-zip": {},
    "torch-legacy": {"_use_new_zipfile_serialization": False},
}


@pytest.mark.parametrize("container", SAVES)
@pytest.mark.parametrize("protocol", [2, 4])
def test_every_kind_of_tensor(tmp_path: Path, container: str, protocol: int) -> None:
    tensors = _tensors()
    torch.save(tensors, tmp_path / "x", pickle_protocol=protocol, **SAVES[container])
    checkpoint = read_checkpoint(tmp_path / "x")
    assert checkpoint.container == container
    assert list(checkpoint.root) == list(tensors)
    for name, tensor in tensors.items():
        read = checkpoint.root[name].load()
        assert read.dtype == tensor.dtype and read.is_contiguous(), name
        assert torch.equal(read, tensor), name


@pytest.mark.parametrize("protocol", range(6))
def test_tensors_in_a_plain_pickle(tmp_path: Path, protocol: int) -> None:
    tensors = _tensors()
    (tmp_path / "x").write_bytes(pickle.dumps(tensors, protocol=protocol))
    checkpoint = read_checkpoint(tmp_path / "x")
    assert checkpoint.container == "pickle"
    for name, tensor in tensors.items():
        assert torch.equal(checkpoint.root[name].load(), tensor), name


def test_unsigned_types(tmp_path: Path) -> None:
    tensors = {str(d): torch.arange(5).to(d) for d in (torch.uint16, torch.uint32, torch.uint64)}
    torch.save(tensors, tmp_path / "x")
    root = read_checkpoint(tmp_path / "x").root
    assert all(torch.equal(root[name].load(), tensor) for name, tensor in tensors.items())


def test_values_read_by_hand(tmp_path: Path) -> None:
    """Not torch's own reader: numbers known beforehand."""
    storage = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    torch.save({"a": storage.as_strided((2, 3), (1, 2), 1)}, tmp_path / "x")
    read = read_checkpoint(tmp_path / "x").root["a"].load()
    assert read.tolist() == [[2.0, 4.0, 6.0], [3.0, 5.0, 7.0]]


@pytest.mark.parametrize("container", SAVES)
def test_shared_storages(tmp_path: Path, container: str) -> None:
    base = torch.arange(10.0)
    torch.save(
        {"all": base, "tail": base[4:], "odd": base[1::2]}, tmp_path / "x", **SAVES[container]
    )
    root = read_checkpoint(tmp_path / "x").root
    assert root["tail"].load().tolist() == [4, 5, 6, 7, 8, 9]
    assert root["odd"].load().tolist() == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("container", SAVES)
def test_whole_module(tmp_path: Path, container: str) -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ModuleList([torch.nn.ReLU()])
    )
    torch.save(module, tmp_path / "x", **SAVES[container])
    root = read_checkpoint(tmp_path / "x").root
    assert root.kind == "torch.nn.modules.container.Sequential"
    tensors = dict(module_tensors(root))
    assert list(tensors) == list(module.state_dict())
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensors[name].load(), tensor)


def test_parameters_and_tensors_with_attributes(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    tensor = torch.zeros(3)
    tensor.note = "kept elsewhere"  # type: ignore[attr-defined]
    torch.save({"p": parameter, "t": tensor}, tmp_path / "x")
    root = read_checkpoint(tmp_path / "x").root
    assert root["p"].load().tolist() == [1, 1] and root["t"].load().tolist() == [0, 0, 0]


def test_state_dict_with_metadata(tmp_path: Path) -> None:
    state = torch.nn.Linear(2, 3).state_dict()
    assert hasattr(state, "_metadata")
    torch.save(state, tmp_path / "x")
    root = read_checkpoint(tmp_path / "x").root
    assert type(root) is dict and list(root) == ["weight", "bias"]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values(tmp_path: Path, protocol: int) -> None:
    value = {
        "none": None, "true": True, "false": False, "small": 5, "byte": 200, "word": 40_000,
        "negative": -7, "big": 2**70, "float": -0.1, "text": "äß 漢字 \n'", "bytes": b"\x00\xff",
        "list": [1, [2, []]], "tuple": (1, (2,), ()), "long tuple": (1, 2, 3, 4, 5),
        "set": {1, 2}, "frozen": frozenset({"a"}), ("a", 1): "tuple key", 3: "number key",
        "ordered": OrderedDict(a=1, b=2), "bytearray": bytearray(b"abc"),
    }  # fmt: skip
    (tmp_path / "x").write_bytes(pickle.dumps(value, protocol=protocol))
    read = read_checkpoint(tmp_path / "x").root
    assert read == value
    assert type(read["true"]) is bool and type(read["ordered"]) is dict


def test_references_in_circles(tmp_path: Path) -> None:
    value: dict[str, Any] = {"list": []}
    value["list"].append(value)
    (tmp_path / "x").write_bytes(pickle.dumps(value))
    read = read_checkpoint(tmp_path / "x").root
    assert read["list"][0] is read


def test_numpy_values(tmp_path: Path) -> None:
    value = {
        "f8": np.float64(0.1), "f4": np.float32(0.5), "i8": np.int64(-3), "bool": np.bool_(True),
        "u1": np.uint8(200), "text": np.str_("axes"),
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "names": np.array(["a", "bc"]),
    }  # fmt: skip
    for protocol in (2, 4, 5):
        (tmp_path / "x").write_bytes(pickle.dumps(value, protocol=protocol))
        read = read_checkpoint(tmp_path / "x").root
        for name in ("f8", "f4", "i8", "bool", "u1", "text"):
            assert read[name] == value[name], (name, protocol)
            assert type(read[name]) in (float, int, bool, str)
        for name in ("matrix", "fortran"):
            assert np.array_equal(read[name].state["tensor"].load().numpy(), value[name])
        assert read["names"].state == {"shape": (2,), "dtype": "U2"}


def test_numpy_module_paths_old_and_new(tmp_path: Path) -> None:
    data = pickle.dumps([np.float64(0.1)], protocol=3)
    old = data.replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")
    new = old.replace(b"cnumpy.core.multiarray", b"cnumpy._core.multiarray")
    assert old != new
    for text in (old, new):
        (tmp_path / "x").write_bytes(text)
        assert read_checkpoint(tmp_path / "x").root == [0.1]


def test_long_bytes_stay_in_the_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 40
    (tmp_path / "x").write_bytes(pickle.dumps({"data": data}))
    read = read_checkpoint(tmp_path / "x").root["data"]
    assert isinstance(read, LazyBytes) and read.length == len(data)
    assert read.load() == data


def test_nested_storage_with_cuda_tag(tmp_path: Path) -> None:
    plain = pickle.dumps({"w": torch.arange(4.0)}, protocol=4)
    tagged = plain.replace(b"cpu", b"gpu")  # same length: only the tag is text
    assert tagged != plain
    (tmp_path / "x").write_bytes(tagged)
    tensor = read_checkpoint(tmp_path / "x").root["w"]
    assert tensor.device_tag == "gpu"
    assert tensor.load().device.type == "cpu" and tensor.load().tolist() == [0, 1, 2, 3]


def test_object_of_known_package_becomes_a_node(tmp_path: Path) -> None:
    text = b"\x80\x02ctraining.networks\nMyThing\n)\x81}X\x01\x00\x00\x00aK\x07sb."
    (tmp_path / "x").write_bytes(text)
    node = read_checkpoint(tmp_path / "x").root
    assert isinstance(node, Node)
    assert (node.kind, node.args, node.state) == ("training.networks.MyThing", (), {"a": 7})


def test_container_is_told_from_the_bytes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(1)}, buffer)
    for name in ("model.pkl", "model.json", "model.png", "model"):
        (tmp_path / name).write_bytes(buffer.getvalue())
        assert read_checkpoint(tmp_path / name).container == "torch-zip"


def _zip(path: Path, compression: int = zipfile.ZIP_STORED, **entries: bytes) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def test_foreign_zips(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    _zip(path, **{"exp/network.pth": b"1", "exp/config.yaml": b"2"})
    with pytest.raises(CheckpointError, match=r"zip archive of several files.*'exp/network.pth'"):
        read_checkpoint(path)
    _zip(path, **{"a.txt": b"1"})
    with pytest.raises(CheckpointError, match="without a model"):
        read_checkpoint(path)
    _zip(path, **{"m/data.pkl": b"\x80\x02}.", "m/constants.pkl": b"\x80\x02)."})
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_checkpoint(path)
    _zip(path, zipfile.ZIP_DEFLATED, **{"m/data.pkl": b"\x80\x02}" + b"0N" * 100 + b"."})
    with pytest.raises(CheckpointError, match="packed again with compression"):
        read_checkpoint(path)
    _zip(path, **{"m/data.pkl": b"\x80\x02}.", "m/byteorder": b"big"})
    with pytest.raises(CheckpointError, match="big-endian"):
        read_checkpoint(path)


def test_big_endian_legacy(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "x", _use_new_zipfile_serialization=False)
    data = (tmp_path / "x").read_bytes()
    place = data.index(b"\x88", data.index(b"little_endian"))
    swapped = data[:place] + b"\x89" + data[place + 1 :]
    (tmp_path / "x").write_bytes(swapped)
    with pytest.raises(CheckpointError, match="big-endian"):
        read_checkpoint(tmp_path / "x")


def test_sparse_tensors_are_declined(tmp_path: Path) -> None:
    torch.save({"a": torch.eye(3).to_sparse()}, tmp_path / "x")
    with pytest.raises(CheckpointError, match="special tensors"):
        read_checkpoint(tmp_path / "x")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 50, "picture"),
        (b"\x1f\x8b\x08" + b"0" * 50, "gzip"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"Hello, this is text.\n", "not a model file"),
        (b"class_name: foo\nlr: 3\n", "not a model file"),
        (b"(a text in brackets)\n", "not a model file"),
        (b"I12\n.", "not a model file"),
        (b"\x00" * 100, "not a model file"),
        (b"0" * 257 + b"ustar" + b"0" * 250, "tar archive"),
        (b'{"a": 1}', "converted model"),
        (b"\x80\x02X\x02\x00\x00\x00hi.", "no model; choose"),
    ],
)
def test_other_files(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "some file.pkl"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(path)
    sentence = str(caught.value)
    assert "some file.pkl" in sentence and sentence.endswith(".") and "\n" not in sentence


def test_single_tensor(tmp_path: Path) -> None:
    torch.save(torch.ones(3), tmp_path / "x")
    with pytest.raises(CheckpointError, match="single tensor"):
        read_checkpoint(tmp_path / "x")


def test_missing_folder_and_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="There is no file"):
        read_checkpoint(tmp_path / "nothing.pkl")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="cannot be opened"):
        read_checkpoint(tmp_path / ("a\0b"))
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_checkpoint("/dev/zero")

    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "x").write_bytes(b"1")
    monkeypatch.setattr("engine.checkpoints.reader.FileSource", denied)
    with pytest.raises(CheckpointError, match=r"cannot be opened \(Permission denied\)"):
        read_checkpoint(tmp_path / "x")


def test_file_that_shrinks_while_open(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(5000)}, tmp_path / "x")
    tensor = read_checkpoint(tmp_path / "x").root["a"]
    with (tmp_path / "x").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(CheckpointError, match="changed or became unreadable"):
        tensor.load()
