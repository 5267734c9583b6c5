"""Preparing photographs and a training run, for the pictures of the documentation."""

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
    app.choose("train_leads", 0, "Pictures")
    app.fill("train_data", "faces")
    app.fill("train_model", "bundled")
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


def photographed(app: App) -> None:
    """Photographs of which two are confirmed, and one of two people on the screen."""
    write_photographs(app.folder / "album")
    app.click("train")
    app.click("train_prepare")
    app.wait("the finder", lambda s: s["prepare"] and s["prepare"]["finder"] is not None)
    app.fill("prepare_photos", "album")
    app.fill("prepare_out", "album-faces")
    app.click("prepare_find")
    for after in ("bela.png", "couple.png"):
        app.wait("a face", lambda s: s["prepare"]["looked"] and s["prepare"]["shown"], 120)
        app.click("prepare_right")
        app.wait(after, lambda s, name=after: s["prepare"]["chosen"] == name, 60)  # type: ignore[misc]
    app.wait("both people", lambda s: s["prepare"]["shown"])


def write_photographs(folder: Path) -> None:
    """Heads of the bundled generator in place of people: two alone, two together, and a wall."""
    painter = Painter(open_model("bundled", "cpu"))
    front = painter.generator.capabilities.default_pose
    heads = {}
    for seed_, yaw in ((12, 8.0), (27, -6.0), (88, 9.0), (7, -7.0)):
        recipe = Recipe(seed=seed_, pose=replace(front, yaw=yaw), psi=0.8)
        heads[seed_] = Image.fromarray(painter.picture(recipe).numpy())
    folder.mkdir()
    heads[12].save(folder / "anna.png")
    heads[27].save(folder / "bela.png")
    # Shoulder to shoulder, without the edges of their pictures.
    couple = Image.new("RGB", (420, 250))
    for left, seed_ in ((-16, 88), (204, 7)):
        couple.paste(heads[seed_].crop((3, 3, 253, 253)), (left, 0))
    couple.save(folder / "couple.png")
    Image.new("RGB", (300, 200), (168, 160, 148)).save(folder / "wall.png")


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
