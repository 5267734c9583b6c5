"""Helpers for tests of the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.cli.main import main
from engine.checkpoints import write_model
from engine.generators.eg3d import FAMILY
from tests.generators.tiny_eg3d import CONFIG, pickled, tiny_network

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
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small EG3D checkpoint in the authors' format (64 px), alone in a folder."""
    folder = tmp_path_factory.mktemp("model")
    return Path(shutil.copy(GOLDEN / "checkpoint.pkl", folder / "face.pkl"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the smallest EG3D (64 px, the layers of the golden set), in Maquette's own format."""
    config = replace(
        CONFIG, plane_resolution=64, block_channels=(), img_resolution=64, neural_rendering_resolution=16,
        sr_module="SuperresolutionHybrid8XDC", sr_first_upsamples=None, sr_input_resolution=None,
        avg_camera_radius=2.7,
    )  # fmt: skip
    network = tiny_network(config)
    path = tmp_path_factory.mktemp("tiny") / "face"
    write_model(FAMILY.source(pickled(network)), path)
    return path.parent


@pytest.fixture
def checkpoint(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of it. What it costs to draw is not the point of these tests."""
    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(tiny, folder, dirs_exist_ok=True)
    return folder / "face.json"
