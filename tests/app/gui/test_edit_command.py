"""The window and the command make the same picture of the same text: both are run, on a real model
and a real text encoder. What the command has found of the text lies in the window's cache, where
the window's own process for edits finds it again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from engine.checkpoints.native import write_model
from engine.checkpoints.plain import ModelSource
from engine.export.picture import read_recipe
from tests.app.gui.driver import ROOT, App
from tests.generators.tiny_eg3d import lazy, tiny_network
from tests.text.conftest import TINY, tiny_weights

pytestmark = [pytest.mark.gui, pytest.mark.slow]
TEXT, STRENGTH, SEED = "a smiling person", 3.0, 7


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a tiny EG3D and a tiny CLIP model."""
    network = tiny_network()
    tensors = {name: lazy(tensor) for name, tensor in network.state_dict().items()}
    write_model(
        ModelSource("eg3d", "Face", network.config.to_json(), tensors), tmp_path / "face.json"
    )
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    (encoder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY}))
    save_file(tiny_weights(), encoder / "open_clip_model.safetensors")
    return tmp_path


def windows_picture(place: Path, display: str) -> Path:
    """Open the model, type the text, which makes a slider, and export."""
    folder = place / "window"
    (folder / "config").mkdir(parents=True)
    settings = {
        "format": "maquette-settings/1", "window_size": [1280, 940], "window_position": [40, 40],
        "export_folder": str(folder), "text_encoder": str(place / "encoder"),
    }  # fmt: skip
    shutil.copytree(place / "command" / "cache", folder / "config" / "cache")
    (folder / "config" / "settings.json").write_text(json.dumps(settings))
    target = folder / "w.png"
    with App(folder, display, place / "face.json", cwd=folder) as app:
        app.fill("seed", str(SEED))
        app.wait("the seed", lambda s: s["recipe"]["seed"] == SEED)
        app.point(*app.middle())
        app.settled()
        app.key("e")
        app.wait("the keyboard in the text", lambda s: "edit_text" in s["active"])
        app.type(TEXT)
        app.wait("the text", lambda s: s["texts"]["edit_text"] == TEXT)
        app.key("Return")
        app.wait("the slider", lambda s: len(s["recipe"].get("edits", [])) == 1, 500)
        assert app.state["recipe"]["edits"][0]["strength"] == STRENGTH
        app.point(*app.middle())
        app.settled()
        app.click("tab_picture")
        app.fill("picture_path", target.name)  # where it starts
        done = {"state": "finished", "path": str(target)}
        app.wait(
            "the picture", lambda s: done.items() <= s["exports"].get("picture", {}).items(), 120
        )
    return target


def commands_picture(place: Path) -> Path:
    """``maquette edit`` in a process of its own."""
    target = place / "command.png"
    words = ["edit", "--model", "face.json", "--seed", SEED, "--text", TEXT, "--strength", STRENGTH,
             "--encoder", "encoder", "--out", target]  # fmt: skip
    environment = {**os.environ, "MAQUETTE_CONFIG_DIR": str(place / "command"),
                   "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "app", *map(str, words)], cwd=place, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


def test_the_window_and_the_command_make_the_same_picture(place: Path, display: str) -> None:
    command, window = commands_picture(place), windows_picture(place, display)
    with Image.open(command) as one, Image.open(window) as other:
        assert one.size == other.size
        assert np.array_equal(np.asarray(one), np.asarray(other))
    recipes = [read_recipe(path) for path in (command, window)]
    assert recipes[0].edits == recipes[1].edits
    # It is an edit that shows, and no accident of an empty one.
    (edit,) = recipes[0].edits
    assert edit.strength == STRENGTH and float(np.abs(edit.offset.numbers).max()) > 1e-4
