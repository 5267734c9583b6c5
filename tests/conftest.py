"""What holds for every test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Workers share the cores; more threads only fight each other. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fast``: what ``make fast`` runs."""
    parser.addoption("--fast", action="store_true", help="leave out the window and long files")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what is long, unread."""
    from tests.long_files import LONG_FILES
    from tests.sharing import WINDOW

    if not config.getoption("fast"):
        return None
    path = collection_path.relative_to(config.rootpath).as_posix()
    return path in LONG_FILES or f"{path}/" == WINDOW or None


def pytest_configure(config: pytest.Config) -> None:
    """Let what computes step back: a window that does not get the processor takes one click for
    two, or none."""
    from tests.sharing import begins_with_window

    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None and not begins_with_window(worker):
        os.nice(10)
    # Hypothesis asks of every example that it takes less than a fifth of a second, which says how busy
    # the machine is and nothing of what is tested.
    settings.register_profile(
        "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("untimed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out as :mod:`tests.sharing` says."""
    from tests.sharing import Sharing

    return Sharing(config, log)
