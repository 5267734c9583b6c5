"""Helpers for tests of the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli.main import main

GOLDEN = Path(__file__).resolve().parent.parent / "data" / "goldens" / "eg3d_ffhq"


@dataclass(frozen=True)
class Result:
    """What one call of the command line left behind."""

    status: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Calls ``maquette`` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> Result:
        capfd.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:  # after --help
            status = int(stop.code or 0)
        return Result(status, *capfd.readouterr())

    return call


@pytest.fixture
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small EG3D checkpoint in the authors' format (64 px), alone in a folder."""
    folder = tmp_path_factory.mktemp("model")
    return Path(shutil.copy(GOLDEN / "checkpoint.pkl", folder / "face.pkl"))
