"""The table of commands: keys, tooltips, the palette's search, and what people are told of it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dearpygui.dearpygui as dpg
import pytest

from app.chords import Chord, chords, first_of
from app.commands import COMMANDS, MOUSE, Command, command, find, perform, tip, with_keys
from app.copying import shortened
from app.fuzzy import fit
from app.panels import help
from app.panels.palette import found

ROOT = Path(__file__).parents[2]


def test_keys_are_read_as_people_write_them() -> None:
    assert chords("Ctrl+Shift+Z, Ctrl+Y") == (Chord("Z", True, True), Chord("Y", True))
    assert chords("Home, 0") == (Chord("Home"), Chord("0"), Chord("NumPad0"))
    assert chords("Ctrl++") == (
        Chord("Equal", True), Chord("Equal", True, True), Chord("Add", True),
    )  # fmt: skip
    assert chords("-") == (Chord("Minus"), Chord("Subtract"))
    assert chords("F1, ?") == (Chord("F1"), Chord("Slash", shift=True))
    assert chords("[") == (Chord("Open_Brace"),) and chords("") == ()
    assert first_of("Ctrl+Shift+Z, Ctrl+Y") == "Ctrl+Shift+Z"


def test_no_two_commands_share_a_key_or_a_name() -> None:
    keys = Counter(chord for entry in COMMANDS for chord in entry.chords)
    assert [chord for chord, count in keys.items() if count > 1] == []
    for part in ("name", "title"):
        named = Counter(getattr(entry, part) for entry in COMMANDS)
        assert [name for name, count in named.items() if count > 1] == []


def test_the_toolkit_knows_every_key() -> None:
    names = {chord.key for entry in COMMANDS for chord in entry.chords}
    assert [name for name in names if not hasattr(dpg, f"mvKey_{name}") and name != "Equal"] == []


def test_every_key_finds_its_command_unless_somebody_types() -> None:
    for entry in COMMANDS:
        for chord in entry.chords:
            assert find(chord, typing=False) is entry
            assert find(chord, typing=True) is (entry if entry.everywhere else None)
    # A letter that could be text never works everywhere.
    for entry in COMMANDS:
        if entry.everywhere:
            assert all(chord.ctrl or chord.key == "Escape" for chord in entry.chords)


def test_every_command_is_found_by_its_title_in_the_palette() -> None:
    for entry in COMMANDS:
        if entry.name != "palette":
            assert found(entry.title)[0] is entry, entry.title
    everything = found("")
    assert [c.name for c in everything] == [c.name for c in COMMANDS if c.name != "palette"]


def test_a_few_letters_find_the_nearest_title_first() -> None:
    assert found("undo")[0].name == "undo"
    assert found("rand")[0].name == "seed_random"
    assert found("normals")[0].name == "view_normals"
    assert found("save ano")[0].name == "project_save_as"
    assert found("lffr")[0].name == "look_front"
    assert found("xqzv") == []


def test_marks_of_a_fit() -> None:
    assert fit("", "Undo") == 0
    assert fit("und", "Undo") == 110 and fit("step", "History of all steps") == 100
    assert fit("ndo", "Undo") == 60
    # h..s: "hi" follow each other, two letters lie between i and t.
    assert fit("hit", "History") == 19
    assert fit("hx", "History") is None
    # Every word has to fit, and a later text counts one less.
    assert fit("undo nothing", "Undo") is None
    assert fit("general", "Undo", "General") == 109


def test_tooltips_carry_the_key() -> None:
    assert tip("undo") == "Undo (Ctrl+Z)"
    assert tip("redo") == "Redo (Ctrl+Shift+Z)"
    assert tip("open") == "Choose a checkpoint (Ctrl+O)"
    assert tip("settings") == command("settings").tip
    assert with_keys("Undo: Orbit", "undo") == "Undo: Orbit (Ctrl+Z)"


def test_the_help_window_lists_every_key_once() -> None:
    groups = help.lists()
    listed = [line for name, lines in groups.items() if name != "Mouse" for line in lines]
    assert listed == sorted(listed, key=listed.index) and len(listed) == len(set(listed))
    assert {title for _, title in listed} == {c.title for c in COMMANDS if c.keys}
    assert groups["Mouse"] == list(MOUSE)
    assert sorted(name for column in help.columns(groups) for name in column) == sorted(groups)
    assert help.columns({"a": [("", "")] * 9, "b": [("", "")], "c": [], "d": []}, 2) == [
        ["a"], ["b", "c", "d"],
    ]  # fmt: skip


class _Anything:
    """Parts whose every attribute can be called; notes what was."""

    def __init__(self, log: list[str], name: str = "") -> None:
        self._log, self._name = log, name

    def __getattr__(self, name: str) -> Any:
        return _Anything(self._log, f"{self._name}.{name}" if self._name else name)

    def __call__(self, *args: Any) -> None:
        self._log.append(self._name)


def test_every_command_reaches_one_part_of_the_window_that_exists() -> None:
    # The checker of types holds the names; here, that each line does one thing.
    for entry in COMMANDS:
        log: list[str] = []
        entry.do(_Anything(log))  # type: ignore[arg-type]
        assert len(log) == 1, entry.name


def test_what_cannot_be_done_now_says_why_once() -> None:
    said: list[str] = []
    notices = SimpleNamespace(notices=[])

    def say(text: str, key: str) -> None:
        said.append(text)
        notices.notices = [SimpleNamespace(text=text)]

    studio = SimpleNamespace(say=say, notices=notices)
    parts: Any = SimpleNamespace(kit=SimpleNamespace(studio=studio))
    done: list[object] = []
    off = Command("a", "A", "G", done.append, why_not=lambda _studio: "Not now.")
    perform(off, parts)
    perform(off, parts)
    assert said == ["Not now."] and done == []
    perform(Command("b", "B", "G", done.append), parts)
    assert done == [parts]


@pytest.mark.parametrize("page", ["README.md"])
def test_every_key_in_the_documents_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    tour = text[text.index("## A tour") : text.index("## The command line")]
    shown = re.findall(r"`((?:Ctrl\+)?(?:Shift\+)?(?:[A-Z0-9\[\]?+-]|F\d+|Home|Esc))`", tour)
    known = {chord for entry in COMMANDS for chord in entry.chords}
    assert len(shown) > 10
    assert [keys for keys in shown if chords(keys)[0] not in known] == []
    # Nobody writes keys in another way, which would not be checked.
    assert "`Ctrl " not in tour


def test_no_panel_writes_a_key_by_hand() -> None:
    wrong = []
    for path in sorted((ROOT / "app").rglob("*.py")):
        if path.name == "commands.py" or "cli" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or id(node) in docs:
                continue
            if isinstance(node.value, str) and re.search(r"Ctrl ?\+ ?[A-Z]\b", node.value):
                wrong.append(f"{path.name}: {node.value}")
    assert wrong == []


def test_a_long_text_is_named_by_its_ends() -> None:
    assert shortened("two\nlines") == "two lines"
    long = "/home/zoë/" + "deep/" * 40 + "face.pkl"
    told = shortened(long)
    assert told.startswith("/home/zoë/") and told.endswith("face.pkl") and " ... " in told
    assert len(told) <= 72
