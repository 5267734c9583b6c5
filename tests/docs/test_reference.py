"""What the reference shows has docstrings; the pages themselves take half a minute (``make docs``)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.shown import ROOT

#: What made the models that ship explains itself by ``--help``.
HIDDEN = {"heads", "bundled", "text_encoder", "mediapipe_child.py", "__main__.py"}
SHOWN = sorted(
    path
    for path in (ROOT / "engine").rglob("*.py")
    if path.name != "__main__.py"
    and not (HIDDEN & set(path.parts) and "training" in path.relative_to(ROOT).parts)
)
#: Methods whose meaning stands elsewhere: torch's own at the class, those of a protocol at the protocol, those of
#: a file at io, and one for each opcode at Python's pickletools.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "forward": ("",),
    **dict.fromkeys(("size", "read_into", "read_at"), ("engine/checkpoints",)),
    **dict.fromkeys(("seekable", "readable", "tell", "seek"), ("engine/checkpoints/torch_files.py",)),
    "read": ("engine/checkpoints/torch_files.py", "engine/training/data/files.py"),
    **dict.fromkeys(("labels", "beside"), ("engine/training/data/files.py",)),
    **dict.fromkeys(("find", "close"), ("engine/training/data/photos",)),
}  # fmt: skip
OPCODES = "PickleMachine."
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    """The names that the reference shows: the module, its classes and functions, and their methods."""
    yield "", tree
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                plain = isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_")
                # What sets a property is explained where it is read.
                if plain and not any(isinstance(d, ast.Attribute) for d in inner.decorator_list):
                    yield f"{node.name}.{inner.name}", inner


def without(text: str) -> list[str]:
    """Public names of a module that have no docstring."""
    return [name for name, node in public(ast.parse(text)) if not ast.get_docstring(node)]


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_all_that_is_public_is_documented(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    missing = [
        name
        for name in without(path.read_text(encoding="utf-8"))
        if not name.startswith(OPCODES)
        and not place.startswith(ELSEWHERE.get(name.rpartition(".")[2], ("nowhere",)))
    ]
    assert not missing, missing


def test_what_is_missing_is_found() -> None:
    assert without('"""A."""\n\ndef f() -> None:\n    pass\n\ndef _g() -> None:\n    pass\n') == [
        "f"
    ]
    assert without('class A:\n    """A."""\n\n    def b(self) -> None:\n        pass\n') == [
        "",
        "A.b",
    ]
    assert len(SHOWN) > 100


ARRAY = re.compile(r"\b(Tensor|NDArray|Floats|Ints|Bytes|Flags|Indices|Volume)\b")
SHAPE = re.compile(r"\[|\bshapes?\b|:(func|meth|class|mod|data):")
#: Arrays of two folders are told of elsewhere: those of kernels in the headers of ``cuda/*.cu`` and at their references,
#: those of training, states by name mostly, at the families' networks.
#: Names of what takes any array, and of what passes one on.
PASSED_ON = {"write", "find", "get", "advance", "fitting", "read_array", "extract_on_gpu", "render_volume"}  # fmt: skip


def shapeless(text: str) -> list[str]:
    """Public functions that take or give arrays, of which neither they nor their class say the shapes."""
    found = {name: node for name, node in public(ast.parse(text)) if name}
    missing = []
    for name, node in found.items():
        if not isinstance(node, ast.FunctionDef):
            continue
        hints = [one.annotation for one in ast.walk(node.args) if isinstance(one, ast.arg)]
        stated = " ".join(ast.unparse(one) for one in (*hints, node.returns) if one is not None)
        owner = found.get(name.rpartition(".")[0])
        docs = [ast.get_docstring(one) or "" for one in (node, owner) if one is not None]
        if ARRAY.search(stated) and not SHAPE.search(" ".join(docs)):
            missing.append(name)
    return missing


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in SHOWN
        if not {"kernels", "gan"} & set(path.parts) or path.name == "losses.py"
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_arrays_have_shapes(path: Path) -> None:
    missing = shapeless(path.read_text(encoding="utf-8"))
    missing = [name for name in missing if name.rpartition(".")[2] not in (*PASSED_ON, "forward")]
    assert not missing, missing


def test_an_array_without_a_shape_is_found() -> None:
    text = (
        '"""A."""\nclass B:\n    """C."""\n    def d(self, x: Tensor) -> None:\n        """E."""\n'
    )
    assert shapeless(text) == ["B.d"]
    assert not shapeless(text.replace("E.", "E ``[N]``.")) and not shapeless(
        text.replace("C.", "C ``[N]``.")
    )
    assert not shapeless(text.replace("x: Tensor", "x: int"))


SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
ITEM = re.compile(r"    ([\w*, .]+?):\s")


def taken(node: Documented) -> set[str]:
    """Names of what a function takes, or the constructor of a class."""
    found = [node, *(node.body if isinstance(node, ast.ClassDef) else ())]
    functions = [one for one in found if isinstance(one, ast.FunctionDef)]
    maker = next((one for one in functions if one is node or one.name == "__init__"), None)
    return set() if maker is None else {one.arg for one in ast.walk(maker.args) if isinstance(one, ast.arg)}  # fmt: skip


def misdescribed(text: str) -> list[str]:
    """What the sections of docstrings say of things that are not there, or in a form that pdoc cannot read."""
    wrong = []
    for name, node in public(ast.parse(text)):
        section = ""
        for line in (ast.get_docstring(node) or "").split("\n"):
            if line and not line.startswith(" "):
                section = line.removesuffix(":") if SECTION.fullmatch(line) else ""
            elif section in ("Args", "Attributes", "Raises") and re.match(r"    \S", line):
                found = ITEM.match(f"{line} ")
                if found is None:
                    wrong.append(f"{name}: {line.strip()}")
                elif section == "Args" and (known := taken(node)):
                    words = {word.strip("* ") for word in found[1].split(",")}
                    wrong += [f"{name}: {word}" for word in sorted(words - known)]
    return wrong


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_described_is_there(path: Path) -> None:
    assert not misdescribed(path.read_text(encoding="utf-8"))


def test_what_is_not_there_is_found() -> None:
    text = '"""A."""\n\ndef f(a: int, *, b: int) -> None:\n    """B.\n\n    Args:\n        a, c: wrong.\n        b says\n    """\n'
    assert misdescribed(text) == ["f: c", "f: b says"]
