"""What the export tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from analytic import AnalyticGenerator

from engine.draw import Painter
from engine.export import files
from engine.recipe import Recipe


@pytest.fixture
def painter() -> Painter:
    return Painter(AnalyticGenerator())


@pytest.fixture
def recipe(painter: Painter) -> Recipe:
    return Recipe(seed=7, psi=0.8).with_defaults_of(painter.generator.capabilities)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every temporary file is /dev/full: writing it fails with a real ENOSPC."""

    def on_full_disk(path: Path) -> Path:
        temporary = files._temporary_name(path)
        temporary.symlink_to("/dev/full")
        return temporary

    monkeypatch.setattr(files, "_new_file", on_full_disk)
