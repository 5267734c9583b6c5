"""Files made to do harm: one clear sentence, no side effect, bounded memory and time."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from pathlib import Path

import pytest

from engine.checkpoints import Node, module_tensors, read_checkpoint, unwrap_omegaconf
from engine.errors import CheckpointError
from tests.checkpoints import hostile

# Seconds; what hangs is ended.
pytestmark = pytest.mark.timeout(60)
NAMES = list(hostile.calls(""))


def _refused(path: Path, data: bytes) -> str:
    """Write, read, and return the one sentence; nothing may have been imported or made."""
    path.write_bytes(data)
    modules, files = set(sys.modules), set(path.parent.iterdir())
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert set(sys.modules) == modules
    assert set(path.parent.iterdir()) == files
    sentence = str(caught.value)
    assert str(path) in sentence and sentence.endswith(".")
    assert "\n" not in sentence and sentence.isprintable() and len(sentence) < 500
    return sentence


@pytest.mark.parametrize("name", NAMES)
def test_calls(tmp_path: Path, name: str) -> None:
    payload = hostile.calls(f"touch {tmp_path}/sentinel")[name]
    _refused(tmp_path / "plain.pkl", payload)
    _refused(tmp_path / "legacy.pth", hostile.legacy(payload))
    _refused(tmp_path / "zip.pth", hostile.in_zip(payload))
    _refused(tmp_path / "nested.pkl", hostile.in_storage(payload))


@pytest.mark.parametrize(
    "name",
    ["global reduce", "protocol 0", "posix", "stack global reduce", "inst", "obj", "eval",
     "getattr chain", "dotted name", "dotted name in torch.nn"],
)  # fmt: skip
def test_those_calls_are_real(tmp_path: Path, name: str) -> None:
    """Python's own unpickler does run them: the tests above could fail."""
    payload = hostile.calls(f"touch {tmp_path}/sentinel")[name]
    pickle.loads(payload)
    assert (tmp_path / "sentinel").exists()


def test_the_sentence_names_what_was_asked_for(tmp_path: Path) -> None:
    calls = hostile.calls("true")
    path = tmp_path / "x"
    assert "'os.system'" in _refused(path, calls["global reduce"])
    assert "'os.system'" in _refused(path, calls["stack global reduce"])
    assert "'os.system'" in _refused(path, hostile.in_storage(calls["inst"]))
    assert "'builtins.eval'" in _refused(path, calls["eval"])
    assert "'builtins.getattr'" in _refused(path, calls["getattr chain"])
    assert "'torch.serialization.os.system'" in _refused(path, calls["dotted name"])
    assert "was not opened" in _refused(path, calls["torch.load"])


def test_embedded_source_is_never_run(tmp_path: Path) -> None:
    source = f"open({str(tmp_path / 'sentinel')!r}, 'w').close()\nraise SystemExit\n"
    (tmp_path / "x.pkl").write_bytes(hostile.persistent_with_source(source))
    modules = set(sys.modules)
    node = read_checkpoint(tmp_path / "x.pkl").root
    assert (node.kind, node.persistent, node.state) == ("Harmless", True, {"x": 1})
    assert not (tmp_path / "sentinel").exists() and set(sys.modules) == modules


def test_names_cannot_break_the_sentence(tmp_path: Path) -> None:
    name = "a\x1b[31m\nb" * 10
    sentence = _refused(
        tmp_path / "x", b"\x80\x04" + hostile.text("os") + hostile.text(name) + b"\x93)R."
    )
    assert "\x1b" not in sentence
    long = hostile.long_text("o" * 100_000)
    assert len(_refused(tmp_path / "x", b"\x80\x04" + long + long + b"\x93)R.")) < 400


LIMIT = 3_000_000
BOMBS: dict[str, bytes] = {
    "claimed length of bytes": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f" + b"x.",
    "claimed length of text": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f" + b"x.",
    "claimed length of short text": b"\x80\x04X\xff\xff\xff\xff.",
    "claimed frame": b"\x80\x04\x95" + b"\xff" * 8 + b"}.",
    "giant number": b"\x80\x02\x8b\xff\xff\xff\x7f" + b"\xff" * 100 + b".",
    "large number": b"\x80\x02\x8b\x00\x10\x00\x00" + b"\x7f" * 4096 + b".",
    "number of many digits": b"L" + b"9" * 100_000 + b"L\n.",
    "float of many digits": b"F" + b"9" * 100_000 + b"\n.",
    "line without end": b"\x80\x02c" + b"a" * 3_000_000,
    "memo with a huge index": b"\x80\x02}r\xff\xff\xff\xffj\xff\xff\xff\xfe.",
    "marks without end": b"\x80\x02" + b"(" * 1_000_000,
    "empty sets": b"\x80\x04" + b"\x8f" * 2_000_000 + b".",
    "empty lists": b"\x80\x02" + b"]" * 2_000_000 + b".",
    "steps": b"\x80\x02" + b"N0" * 2_000_000 + b"}.",
    "duplicates": b"\x80\x02}" + b"2" * 4_000_000 + b".",
    "pops": b"\x80\x02" + b"0" * 1000 + b".",
    "pops of marks": b"\x80\x02" + b"1" * 1000 + b".",
    "memoized": b"\x80\x04}" + b"\x94" * 4_000_000 + b".",
    "deep list with a wrong end": b"\x80\x02" + b"]" * 100_000 + b"a" * 100_000 + b"\xff",
    "deep tuple as a key": b"\x80\x02})" + b"\x85" * 200_000 + b"Ns.",
    "doubling tuple as a key": b"\x80\x04})q\x00" + b"h\x00\x86q\x00" * 60 + b"Ns.",
    "doubling tuple in a set": b"\x80\x04\x8f()" + b"q\x00h\x00\x86" * 60 + b"\x90.",
    "long tuple as a key": b"\x80\x02}(" + b"K\x00" * 1000 + b"tNs.",
    "many tuples as keys": b"\x80\x02}(" + b"K\x01K\x02\x86N" * 20_000 + b"u.",
    "number as a key": b"\x80\x02}\x8a\x10" + b"\x7f" * 16 + b"Ns.",
    "list as a key": b"\x80\x02}]Ns.",
    "dictionary into itself": b"\x80\x02}q\x00h\x00h\x00s.",
    "copies": b"\x80\x02](" + b"N" * 100_000 + b"eq\x00cbuiltins\nset\n0"
    + b"cbuiltins\nlist\nh\x00\x85R0" * 1000 + b".",
    "states": b"\x80\x02ctraining.x\nA\n)\x81q\x00}(" + b"".join(
        b"J" + i.to_bytes(4, "little") + b"N" for i in range(50_000)
    ) + b"uq\x010" + b"h\x01b" * 1000 + b".",
    "byte array of a length": b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\xff\xff\xff\xff\xff\x00\x85R.",
    "encoding bomb": b"\x80\x02c_codecs\nencode\n" + hostile.text("a") + hostile.text("zip")
    + b"\x86R.",
    "protocol 200": b"\x80\xc8}.",
    "huge shape": b"\x80\x02ctorch\nSize\n(" + hostile.number(1 << 60) + b"t\x85R.",
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path: Path, name: str) -> None:
    _refused(tmp_path / "plain.pkl", BOMBS[name])
    if len(BOMBS[name]) < 1_000_000:
        _refused(tmp_path / "nested.pkl", hostile.in_storage(BOMBS[name]))
        _refused(tmp_path / "zip.pth", hostile.in_zip(BOMBS[name]))


def test_deep_nesting_does_not_break_the_interpreter(tmp_path: Path) -> None:
    """Sound pickles may nest deeper than Python's stack; building and freeing them must do."""
    deep = b"\x80\x02" + b"]" * 400_000 + b"a" * 399_999 + b"."
    (tmp_path / "x").write_bytes(deep)
    root = read_checkpoint(tmp_path / "x").root
    assert len(root) == 1
    del root
    nodes = b"\x80\x02ctraining.x\nA\nq\x000)" + b"h\x00)\x81}X\x01\x00\x00\x00a" * 100_000
    (tmp_path / "x").write_bytes(nodes + b"N" + b"sb" * 100_000 + b"\x86.")
    root = read_checkpoint(tmp_path / "x").root
    assert isinstance(root[1], Node)
    assert len(repr(root)) < 1000
    del root


TENSORS: dict[str, bytes] = {
    "outside": hostile.tensor(1, hostile.sides(4), hostile.sides(1)),
    "offset beyond": hostile.tensor(1 << 40, hostile.sides(1), hostile.sides(1)),
    "negative offset": hostile.tensor(-1, hostile.sides(1), hostile.sides(1)),
    "negative stride": hostile.tensor(3, hostile.sides(2), hostile.sides(-1)),
    "negative side": hostile.tensor(0, hostile.sides(-4, -1), hostile.sides(1, 1)),
    "stride beyond": hostile.tensor(0, hostile.sides(2), hostile.sides(1 << 62)),
    "repeated to terabytes": hostile.tensor(
        0, hostile.sides(1 << 20, 1 << 20), hostile.sides(0, 0)
    ),
    "repeated to gigabytes": hostile.tensor(0, hostile.sides(1 << 30), hostile.sides(0)),
    "too many sides": hostile.tensor(0, hostile.sides(*[1] * 40), hostile.sides(*[0] * 40)),
    "sides and strides differ": hostile.tensor(0, hostile.sides(1, 1), hostile.sides(1)),
    "shape of a list": hostile.tensor(0, "]", hostile.sides()),
    "storage longer than its entry": hostile.tensor(
        0, hostile.sides(1), hostile.sides(1), count=1 << 40
    ),
    "storage missing": hostile.tensor(0, hostile.sides(1), hostile.sides(1), key="7"),
    "storage outside its folder": hostile.tensor(
        0, hostile.sides(1), hostile.sides(1), key="../byteorder"
    ),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_outside_their_storage(tmp_path: Path, name: str) -> None:
    _refused(tmp_path / "x.pth", hostile.in_zip(TENSORS[name]))


def test_many_tensors_on_one_storage(tmp_path: Path) -> None:
    """Each is allowed by itself; all together they would be gigabytes."""
    one = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(h\x00K\x00"
        + hostile.sides(1 << 22).encode("latin-1")
        + hostile.sides(0).encode("latin-1")
        + b"\x89}tR"
    )
    pid = b"(" + hostile.text("storage") + b"ctorch\nFloatStorage\n" + hostile.text("0")
    head = b"\x80\x02]" + pid + hostile.text("cpu") + b"K\x04tQq\x000("
    assert "many times larger" in _refused(
        tmp_path / "x", hostile.in_zip(head + one * 1000 + b"e.")
    )


def test_zip_with_a_giant_directory(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index in range(2000):
            archive.writestr(zipfile.ZipInfo(f"{index}" + "n" * 60_000), b"")
        archive.writestr("m/data.pkl", b"\x80\x02}.")
    assert "zip directory" in _refused(tmp_path / "x", buffer.getvalue())


def test_zip_entries_of_the_same_name(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("m/data.pkl", b"\x80\x02}.")
    assert "same name" in _refused(tmp_path / "x", buffer.getvalue())


def test_modules_that_contain_themselves() -> None:
    node = Node("A")
    node.state = {"_modules": {"child": node}}
    with pytest.raises(CheckpointError, match="contain each other"):
        list(module_tensors(node))
    node = Node("A")
    for _ in range(40):  # 2^40 paths
        node = Node("A", (), {"_modules": {"a": node, "b": node}})
    with pytest.raises(CheckpointError, match="repeat without end"):
        list(module_tensors(node))


def test_configuration_that_contains_itself() -> None:
    content: dict[str, object] = {}
    node = Node("omegaconf.dictconfig.DictConfig", (), {"_content": content})
    content["self"] = node
    with pytest.raises(CheckpointError, match="contains itself"):
        unwrap_omegaconf(node)
    tree: object = 1
    for _ in range(40):
        tree = [tree, tree]
    with pytest.raises(CheckpointError, match="far too large"):
        unwrap_omegaconf(tree)
