"""A CLIP network of a few thousand numbers, as folder and as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engine.text.spec import build

TINY: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
    "text_cfg": {
        "context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1,
    },
}  # fmt: skip


def tiny_weights() -> dict[str, torch.Tensor]:
    """The network's tensors, the same every time."""
    torch.manual_seed(0)
    return build(TINY, "tiny").state_dict()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as open_clip and the Hugging Face hub lay it out."""
    path = tmp_path / "tiny"
    path.mkdir()
    config = {"model_cfg": TINY, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (path / "open_clip_config.json").write_text(json.dumps(config))
    save_file(tiny_weights(), path / "open_clip_model.safetensors")
    return path
