"""The documents name controls of the window by the words that stand on them, and keys that do something."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from app.commands import COMMANDS
from tests.docs.shown import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "troubleshooting.md",
    *sorted((ROOT / "docs" / "guide").glob("*.md")),
]
#: Words of other programs, and how the ways to a tab are written.
ELSEWHERE = {
    "blender.md": {"File > Import > glTF 2.0", "Up", "Forward", "Attribute", "Vertex", "Color Attribute", "Base Color"},
    "troubleshooting.md": {"Attribute"},
    "README.md": {"A maquette is the small model a sculptor turns in the hand before cutting stone."},
}  # fmt: skip
#: Of a text box or of the toolkit, and of other programs.
OTHER_KEYS = {"Enter", "Tab", "Ctrl-C"}
KEY = re.compile(r"^((Ctrl|Shift|Alt)\+)*([A-Z0-9\[\],.+-]|F\d+|Esc|Home|Space|Delete)$")


def plain(page: Path) -> str:
    """A page's sentences without commands; keys and words of controls keep their marks."""
    return re.sub(r"(?m)^    .*$", "", page.read_text(encoding="utf-8")).replace("**", "")


def controls(page: Path) -> Iterator[str]:
    """What a page writes in italics with a capital letter: words on the screen."""
    for found in re.finditer(
        r"(?<![\w*])\*([A-Z][^*]*?)\*(?![\w*])", re.sub(r"`[^`]*`", "", plain(page))
    ):
        words = " ".join(found[1].split())
        if words not in ELSEWHERE.get(page.name, ()):
            # "Export > Picture" is a tab of a section.
            yield from words.split(" > ")


@cache
def on_screen() -> frozenset[str]:
    """Every text of the window's code, and names of what ships, in small letters."""
    texts = {"export picture", "export video", "export mesh", "export sheet"}
    for path in (*(ROOT / "app").rglob("*.py"), ROOT / "engine" / "assets.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value.strip().lower())
    return frozenset(texts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_controls_are_called_what_stands_on_them(page: Path) -> None:
    unknown = [words for words in controls(page) if words.lower() not in on_screen()]
    assert not unknown, f"{page.name} names what is not in the window: {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_keys_do_something(page: Path) -> None:
    known = {key for command in COMMANDS for key in re.split(r", (?=.)", command.keys)}
    shown = {code for code in re.findall(r"`([^`\n]+)`", plain(page)) if KEY.match(code)}
    if page.name == "blender.md":
        # Keys of Blender, and no others.
        assert shown <= {"1", "R", "X"}
        return
    assert not shown - known - OTHER_KEYS, f"{page.name} names keys of nothing: {shown - known}"


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text(
        "Press *Add  face*, **not** *this*, then *Fly away* or *Export > Video*; `Ctrl+Y` or `Ctrl+7`.\n"
    )
    assert list(controls(page)) == ["Add face", "Fly away", "Export", "Video"]
    assert "add face" in on_screen() and "fly away" not in on_screen()
    assert KEY.match("Ctrl+Shift+S") and KEY.match("[") and not KEY.match("w")
