"""What holds for every test."""

from __future__ import annotations

import os
from typing import Any

import pytest

# Workers share the cores; more threads only fight each other. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Let what computes step back: a window that does not get the processor takes one click for
    two, or none."""
    from tests.sharing import begins_with_window

    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None and not begins_with_window(worker):
        os.nice(10)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out as :mod:`tests.sharing` says."""
    from tests.sharing import Sharing

    return Sharing(config, log)
