"""Clocks that jump: durations are measured by clocks that cannot."""

from __future__ import annotations

import ast
import os
import time
from pathlib import Path

import pytest

from app.recovery import Recovery

ROOT = Path(__file__).resolve().parents[2]
#: Where the time of day is asked for, and why that is right.
ALLOWED = {
    "app/recovery.py": "how old a file is that a killed window left: files carry the time of day",
    "app/safekeeping.py": "told to people: when a window ended",
    "app/cli/bench.py": "the date in a report",
}
_OF_THE_DAY = {"time.time", "time.time_ns", "time.ctime", "time.localtime", "time.gmtime"}


def asked(path: Path) -> set[str]:
    """The time of day as a file asks for it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name in _OF_THE_DAY or name.endswith((".now", ".utcnow", ".today")):
                found.add(name)
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found |= {alias.name for alias in node.names if f"time.{alias.name}" in _OF_THE_DAY}
    return found


def test_nothing_else_asks_for_the_time_of_day() -> None:
    files = [path for room in ("app", "engine") for path in (ROOT / room).rglob("*.py")]
    assert len(files) > 200
    asking = {path.relative_to(ROOT).as_posix() for path in files if asked(path)}
    assert asking == set(ALLOWED)


@pytest.mark.parametrize("hours", [-24.0, -1.0, 1.0, 24.0])
def test_a_clock_that_jumps_loses_no_recovery_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    """A window was killed; before the next start the clock is put forward or back."""
    lost = tmp_path / "1-abcd.maquette"
    lost.write_bytes(b"what was being made")
    litter = tmp_path / ".maquette-00ff.tmp"
    litter.write_bytes(b"half")
    os.utime(litter, (time.time() - 1.5 * 3600,) * 2)
    before = time.time()
    monkeypatch.setattr(time, "time", lambda: before + 3600.0 * hours)
    recovery = Recovery(tmp_path)
    (found,) = recovery.leftovers()
    assert found.path == lost and lost.exists()
    # What is not finished goes once it is old by the clock that there is.
    assert litter.exists() == (hours <= -1.0)
    found.release()
    recovery.close()
