"""What the tests of the application share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import forks


@pytest.fixture(scope="session", autouse=True)
def _quick_processes() -> Iterator[None]:
    """Processes behind the window find torch loaded. So do those of a real window on the analytic head; on other
    models tests/app/gui starts everything as its user does."""
    with forks.spawning():
        yield
