"""Answers of the system's file dialogs, whatever a file is called."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from app import dialogs
from app.dialogs import Dialogs, Question
from engine.errors import UserError

#: Names as nobody should give them, and everybody may.
NAMES = (
    b"plain.pkl",
    b"two words \"and\" 'quotes'.pkl",
    b"\nlines\n",
    "Zoë.pkl".encode(),
    b"\xff\xe9.pkl",
)


def answered(monkeypatch: pytest.MonkeyPatch, program: str) -> list[Path]:
    """What comes of a dialog that is this Python program."""
    command = [sys.executable, "-c", program]
    monkeypatch.setattr(dialogs, "command_for", lambda question: command)
    found: list[Path] = []
    asked = Dialogs()
    asked.ask(Question("Open"), found.append)
    while not asked.poll():
        time.sleep(0.01)
    assert not asked.is_open
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_path_comes_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(path)).write_bytes(b"x")
    said = f"import sys; sys.stdout.buffer.write({path!r} + b'\\n')"
    (found,) = answered(monkeypatch, said)
    assert os.fsencode(found) == path and found.exists()


def test_nothing_comes_of_a_dialog_that_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered(monkeypatch, "raise SystemExit(1)") == []


def test_a_dialog_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="type the path into the box"):
        answered(monkeypatch, "raise SystemExit(3)")
