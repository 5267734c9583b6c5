"""``maquette doctor``: a line a look, and a status that a script can ask for."""

from __future__ import annotations

import json
import sys

import pytest

from app import doctor
from engine.health import Line
from tests.cli.conftest import Run

GOOD = Line("Python", "ok", "3.12")
LESS = Line("PyCUDA", "note", "not installed", "pip install it")
BAD = Line("Display", "fault", "none that answers", "start one")


def test_all_is_well(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter([GOOD, LESS]))
    result = run("doctor")
    assert result.status == 0 and not result.err
    assert result.out.splitlines()[1:] == [
        "ok    Python          3.12",
        "note  PyCUDA          not installed",
        "                      pip install it",
        "Everything works.",
    ]


def test_a_fault_gives_status_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter([GOOD, BAD]))
    result = run("doctor")
    assert result.status == 1
    assert result.out.endswith("                      start one\n1 of 2 do not work.\n")
    facts = json.loads(run("doctor", "--json").out)
    assert facts["lines"][1] == {
        "subject": "Display", "state": "fault", "found": "none that answers", "advice": "start one",
    }  # fmt: skip


def test_a_doctor_needs_no_parser(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing must not keep it from being told."""
    for name in ("tyro", "app.cli.parsing", "app.cli.doctor_options"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(doctor, "examine", lambda: iter([GOOD, BAD]))
    assert run("doctor").status == 1
    assert json.loads(run("doctor", "--json").out)["lines"][0]["state"] == "ok"


def test_words_that_it_does_not_know(run: Run) -> None:
    result = run("doctor", "--jsn")
    assert result.status == 2 and "--jsn" in result.err
