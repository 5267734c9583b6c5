"""What the reference shows has docstrings; the pages themselves take half a minute (``make docs``)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.shown import ROOT

SHOWN = sorted(
    path
    for path in (ROOT / "engine").rglob("*.py")
    if path.name != "__main__.py" and "training" not in path.relative_to(ROOT).parts
)
#: Methods whose meaning stands elsewhere: torch's own at the class, those of a protocol at the protocol, those of
#: a file at io, and one for each opcode at Python's pickletools.
ELSEWHERE = {
    "forward": "",
    **dict.fromkeys(("size", "read_into", "read_at"), "engine/checkpoints"),
    **dict.fromkeys(
        ("seekable", "readable", "tell", "seek", "read"), "engine/checkpoints/torch_files.py"
    ),
}
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
        and not place.startswith(ELSEWHERE.get(name.rpartition(".")[2], "nowhere"))
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
