"""Edits and directions that were kept before strengths were measured by people who fit a text: they
hold their numbers, so that they draw what they drew."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from app.document import Document
from engine.editing.directions import read_direction
from engine.latents import edited

NUMBERS = np.array([[0.25, -1.5, 0.125], [2.0, 0.0, -0.75]], "<f4")
SHA256 = "d7b003bf792fb1480e0e5e0d4653fb183d0acf645d3d98d4c8a45c6aefb41715"


def test_a_document_from_before_adds_what_it_added() -> None:
    data = Document().to_json({})
    edit = {
        "name": "smiling", "strength": 3.0, "model": "ab" * 32,
        "direction": {"sha256": SHA256, "shape": [2, 3],
                      "data": base64.b64encode(NUMBERS.tobytes()).decode()},
    }  # fmt: skip
    data["recipe"]["edits"] = [edit, {**edit, "strength": -1.0, "rows": [1]}]
    document = Document.from_json(json.loads(json.dumps(data)), {})
    w = torch.zeros(2, 3)
    added = edited(w, document.recipe.edits).numpy()
    assert np.array_equal(added, 3.0 * NUMBERS - np.array([[0.0], [1.0]]) * NUMBERS)


def test_a_saved_direction_from_before_is_the_same(tmp_path: Path) -> None:
    facts = {
        "format": "maquette-direction/1", "name": "smiling", "kind": "text", "family": "eg3d",
        "model": "ab" * 32, "shape": [2, 3], "sha256": SHA256,
        "details": {"text": "smiling", "neutral": "a face", "power": 1.25},
    }  # fmt: skip
    (tmp_path / "smile.json").write_text(json.dumps(facts))
    save_file({"offset": NUMBERS}, tmp_path / "smile.safetensors")
    direction = read_direction(tmp_path / "smile.json")
    assert np.array_equal(direction.offset.numbers, NUMBERS)
    added = edited(torch.zeros(2, 3), (direction.edit(3.0),)).numpy()
    assert np.array_equal(added, 3.0 * NUMBERS)
