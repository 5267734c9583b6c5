"""A training run, for the pictures of the documentation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from engine.camera import OrbitPose
from engine.draw import Painter
from engine.generators.registry import open_model
from engine.recipe import Recipe
from engine.training.data.cameras import label_of
from tests.app.gui.driver import App


def training(app: App) -> None:
    """The bundled generator under way, on pictures of its own people."""
    write_people(app.folder / "faces", range(100, 124))
    app.click("train")
    app.wait("the window", lambda s: s["train"] is not None)
    app.fill("train_data", "faces")
    app.click("train_look")
    app.wait("both were looked at", lambda s: s["train"]["groups"], 120)
    app.fill("train_folder", "run")
    app.click("train_start")
    app.wait("a run", lambda s: s["train"]["state"] == "training", 120)
    app.click("train_watch")
    app.wait("curves", lambda s: s["train"]["step"] >= 12, 600)
    app.wait("samples", lambda s: s["train"]["samples"] == 8, 120)
    app.slide("train_samples", 0.6, 0.5, hold=0.5)
    time.sleep(6)


def stopped(app: App) -> None:
    """The run is over, and nothing of it is open."""
    app.click("train_stop")
    app.wait("the end", lambda s: s["train"]["state"] == "over", 120)


def write_people(folder: Path, seeds: Iterable[int]) -> None:
    """Pictures with cameras of the bundled generator's people, each from another side."""
    painter, labels = Painter(open_model("bundled", "cpu")), []
    folder.mkdir()
    for number, seed_ in enumerate(seeds):
        facts = painter.generator.capabilities
        turned_: OrbitPose = replace(facts.default_pose, yaw=float(number * 37 % 61 - 30))
        pixels = painter.picture(Recipe(seed=seed_, pose=turned_, psi=1.0)).numpy()
        Image.fromarray(pixels).save(folder / f"{seed_}.png")
        labels.append([f"{seed_}.png", [float(v) for v in label_of(turned_.camera())]])
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
