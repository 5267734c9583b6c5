"""Files that take little room and ask for a lot: short programs that copy one long thing again and
again. Each is refused or read at once, within a fixed number of steps."""

from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from engine.checkpoints import ClassRef, LazyTensor, Node, module_tensors, read_checkpoint
from engine.checkpoints.modules import saved_module
from engine.checkpoints.references import resolve_omegaconf
from engine.checkpoints.source import BytesSource, Cursor
from engine.describe import describe
from engine.errors import MAX_SENTENCE, CheckpointError, UserError
from engine.generators.options import FileOptions
from tests.checkpoints import hostile

TEXT = hostile.long_text("x" * 50_000)
#: Puts something long under number 0, and an empty list on the stack for what is made of it.
START = b"\x80\x02"
TIMES = 20_000


def _repeated(first: bytes, call: bytes) -> bytes:
    """A pickle that keeps ``first`` in its memo and the results of many calls in a list."""
    return START + first + b"q\x000](" + call * TIMES + b"e."


def _numpy_type(code: str) -> bytes:
    return b"cnumpy\ndtype\n" + hostile.text(code) + b"\x85R"


COPIES = {
    "arguments": _repeated(b"(" + b"N" * 50_000 + b"t", b"cbuiltins\nslice\nh\x00R"),
    "arguments of an array": _repeated(
        b"(" + b"N" * 50_000 + b"t", b"cnumpy.core.multiarray\n_reconstruct\nh\x00R"
    ),
    "named arguments": _repeated(
        b"}(" + b"".join(b"J" + struct.pack("<i", n) + b"N" for n in range(20_000)) + b"u",
        b"ctraining.networks\nX\n)h\x00\x92",
    ),
    "shapes": _repeated(b"](" + b"K\x01" * 50_000 + b"e", b"ctorch\nSize\nh\x00\x85R"),
    "devices": _repeated(TEXT, b"ctorch\ndevice\nh\x00K\x01\x86R"),
    "types": _repeated(TEXT, b"cnumpy\ndtype\nh\x00\x85R"),
    "numbers": _repeated(
        TEXT + b"q\x010" + _numpy_type("V4"),
        b"cnumpy.core.multiarray\nscalar\nh\x00h\x01\x86R",
    ),
    "arrays": _repeated(
        TEXT + b"q\x010" + _numpy_type("V4"),
        b"cnumpy.core.numeric\n_frombuffer\n(h\x01h\x00)tR",
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_of_something_long_are_counted(tmp_path: Path, name: str) -> None:
    """Without a count each would fill gigabytes: megabytes, some thousand times."""
    path = tmp_path / "x.pkl"
    path.write_bytes(COPIES[name])
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            read_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < 300 << 20
    finally:
        tracemalloc.stop()


class _Counted(BytesSource):
    """Bytes that know how many of them were read."""

    read = 0

    def read_at(self, offset: int, count: int) -> bytes:
        self.read += count
        return super().read_at(offset, count)


def test_short_lines_are_not_read_over_and_over() -> None:
    """A line may be longer than what is read ahead, which is no reason to read so much for each."""
    source = _Counted(b"I1\n" * 20_000)
    cursor = Cursor(source, 0, source.size, 4096)
    while cursor.tell() < source.size:
        assert cursor.line(1 << 13) == b"I1"
    assert source.read <= 2 * source.size


def test_lines_across_the_window() -> None:
    lines = [b"x" * length for length in (0, 1, 4095, 4096, 4097, 10_000, 3)]
    source = BytesSource(b"".join(line + b"\n" for line in lines))
    cursor = Cursor(source, 0, source.size, 4096)
    assert [cursor.line(1 << 20) for _ in lines] == lines


def _twice(depth: int) -> list[Any]:
    """A list that is 2^depth long when it is written out."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value, value]
    return value


def test_options_that_hold_themselves_twice_are_not_written_out() -> None:
    options = FileOptions("x.pkl", {"a": _twice(60), "n": 2, "t": True})
    for read in (options.number, options.integer, options.text):
        with pytest.raises(CheckpointError, match="a value of the type list"):
            read("a", 0)  # type: ignore[arg-type]
    assert (options.text("n", ""), options.text("t", ""), options.text("u", "v")) == (
        "2", "True", "v",
    )  # fmt: skip


def test_long_text_in_a_configuration_is_left_alone() -> None:
    """Paths of a megabyte that are named again and again would be cut into steps each time."""
    long = "${" + " " * 5000 + "a}"
    assert resolve_omegaconf({"a": 1, "b": "${  a}", "c": long}) == {"a": 1, "b": 1, "c": long}


def test_names_of_modules_do_not_add_up() -> None:
    """Ten modules inside each other with names of a megabyte would name every tensor in ten."""
    tensor = LazyTensor((), None, lambda: None)  # type: ignore[arg-type]
    inner = Node("M", (), {"_parameters": {"w": tensor, 3: tensor, "y" * 501: tensor}})
    for name in ("x" * 500, "ok", "z" * 501):
        inner = Node("M", (), {"_modules": {name: inner, "w": inner}})
    names = [name for name, _ in module_tensors(inner)]
    assert "w.ok." + "x" * 500 + ".w" in names and max(map(len, names)) < 600
    deep = Node("M", (), {"_parameters": {"w": tensor}})
    for _ in range(10):
        deep = Node("M", (), {"_modules": {"x" * 500: deep}})
    with pytest.raises(CheckpointError, match="not a sound one"):
        list(module_tensors(deep))


def test_tensors_that_many_modules_share_are_counted() -> None:
    tensor = LazyTensor((), None, lambda: None)  # type: ignore[arg-type]
    leaf = Node("M", (), {"_parameters": {str(n): tensor for n in range(10_000)}})
    root = Node("M", (), {"_modules": {str(n): leaf for n in range(30)}})
    with pytest.raises(CheckpointError, match="repeat without end"):
        list(module_tensors(root))


def test_what_is_listed_of_a_foreign_file_is_short(tmp_path: Path) -> None:
    """Keys of a dictionary may be tuples of texts, each as long as the file."""
    long = hostile.long_text("k" * 100_000) + b"q\x000"
    keys = b"".join(b"(" + b"h\x00" * 60 + b"K" + bytes([n]) + b"tN" for n in range(200))
    path = tmp_path / "x.pkl"
    path.write_bytes(START + long + b"}(" + keys + b"h\x00N" + b"u.")
    contents = describe(read_checkpoint(path))["contents"]
    assert len(contents) == 201 and max(len(one["name"]) for one in contents) <= 201
    assert contents[0]["name"] == "tuple"


def test_a_class_in_a_saved_module_is_a_word() -> None:
    saved: dict[str, Any] = {"class": "G", "state_dict": {}, "attributes": {}, "modules": {}}
    saved["modules"] = {"a": {"class": _twice(60)}}
    node = saved_module(saved)
    assert node.state["_modules"]["a"].kind == "Module"


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    text = str(UserError("Two\nlines\x1b[31m, \u202eturned, half a \ud83d, wide\u3000space."))
    assert text == "Two lines?[31m, ?turned, half a ?, wide\u3000space."
    long = str(UserError("Begins " + "x" * 5000 + " ends."))
    assert len(long) <= MAX_SENTENCE and long.startswith("Begins x") and long.endswith("x ends.")
    assert str(UserError("Plain.")) == "Plain." and ClassRef("a").name == "a"


def test_no_codec_is_imported_for_a_text(tmp_path: Path) -> None:
    """What a file holds decides what is read, and never what Python imports."""
    code = (
        "import sys\nfrom engine.checkpoints import read_checkpoint\nbefore = set(sys.modules)\n"
        f"root = read_checkpoint({str(tmp_path / 'x.pkl')!r}).root\n"
        "assert root == ['\\xe9', 'ab', 'ab'], root\n"
        "sys.exit(', '.join(sorted(set(sys.modules) - before)) or 0)"
    )
    scalar = b"cnumpy.core.multiarray\nscalar\n" + _numpy_type("U2")
    little, big = (hostile.text(f"{order}U2") for order in "<>")
    texts = (("ab".encode("utf-32-le"), little), ("ab".encode("utf-32-be"), big))
    scalars = b"".join(
        scalar[: scalar.index(b"cnumpy\ndtype")] + b"cnumpy\ndtype\n" + kind + b"\x85R"
        + hostile.binbytes(data) + b"\x86R"
        for data, kind in texts
    )  # fmt: skip
    (tmp_path / "x.pkl").write_bytes(START + b"](V\\u00e9\n" + scalars + b"e.")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
