"""What the tests of the application share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forks


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home and settings of the test's own."""
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="session", autouse=True)
def _quick_processes() -> Iterator[None]:
    """Processes behind the window find torch loaded. So do those of a real window on the analytic head; on other
    models tests/app/gui starts everything as its user does."""
    with forks.spawning():
        yield
