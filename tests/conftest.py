"""What holds for every test."""

from __future__ import annotations

import os

import pytest

# Workers share the cores; more threads only fight each other. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests of the real window, one after the other: they share the screen's
    keyboard and mouse, and are timed by the clock."""
    for item in items:
        if item.get_closest_marker("gui") is not None:
            item.add_marker(pytest.mark.xdist_group("gui"))
