"""A small encoder, and few people to find directions by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from engine.editing import optimise, pca, refine, samples, sefa, strength
from engine.editing.encoders import OpenEncoder, open_encoder
from tests.text.conftest import TINY, tiny_weights


@pytest.fixture
def opened(tmp_path: Path) -> OpenEncoder:
    """An encoder with random weights."""
    path = tmp_path / "tiny"
    path.mkdir()
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY}))
    save_file(tiny_weights(), path / "open_clip_model.safetensors")
    return open_encoder(str(path))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few people and small pictures, so that everything is found in moments."""
    for module, name, number in (
        (samples, "COUNT", 40), (samples, "SIDE", 16), (pca, "SAMPLES", 60),
        (sefa, "SAMPLES", 40), (optimise, "SPREAD_SAMPLES", 40), (optimise, "SIDE", 12),
        (refine, "STEPS", 3), (strength, "PEOPLE", 3),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, number)
