"""Names that are no letters, and terminals that lack some."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest

from app.cli import terminal
from app.cli.main import main

NAME = os.fsdecode(b"\xff.png")


def spoken(monkeypatch: pytest.MonkeyPatch, encoding: str, *lines: str) -> bytes:
    """What arrives at a terminal with an encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.speak_any_letter()
    for line in lines:
        terminal.say(line)
    return stream.buffer.getvalue()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_names_go_out_as_they_came_in(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    assert spoken(monkeypatch, encoding, NAME) == b"\xff.png\n"


def test_letters_that_a_terminal_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spoken(monkeypatch, "ascii", "psi ψ, Zoë") == b"psi ?, Zo?\n"
    assert spoken(monkeypatch, "utf-8", "ψ") == "ψ\n".encode()


def test_json_keeps_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("utf-8", "ascii"):
        for name in (NAME, "Zoë"):
            stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
            monkeypatch.setattr(sys, "stdout", stream)
            terminal.show_json({"path": name})
            stream.flush()
            text = stream.buffer.getvalue()  # type: ignore[attr-defined]
            assert json.loads(text.decode(encoding)) == {"path": name}


def test_every_command_begins_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["--version"]) == 0
    stream.write(NAME)
    stream.flush()
    assert stream.buffer.getvalue().endswith(b"\xff.png")  # type: ignore[attr-defined]
