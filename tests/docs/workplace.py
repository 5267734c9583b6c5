"""The folder in which the commands of the documents are run: every file that they name is there."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

from PIL import Image
from safetensors.torch import save_file
from skimage import data

from app.cli.main import main
from app.document import Document
from app.project import Project, write_project
from engine.checkpoints import file_sha256
from engine.faces import Face, Identity
from engine.keyframe import Keyframe
from engine.recipe import ModelRef, Recipe
from engine.timeline import Timeline, save_timeline
from tests.docs.shown import ROOT
from tests.text.conftest import TINY, tiny_weights
from tests.training.gan.pictures import write_pictures

GOLDENS = ROOT / "tests" / "data" / "goldens"
#: What the pages call these checkpoints.
MODELS = {
    "face.pkl": "epigraf/checkpoint.pkl", "sdf.pt": "stylesdf/checkpoint.pt",
    "photos.pth": "cips3d/checkpoint.pth", "cartoons.pth": "cips3d/second.pth",
}  # fmt: skip
ARCHIVES = {"ffhq.zip": "cips3d/checkpoint.pth", "photo2cartoon.zip": "cips3d/second.pth"}
#: Drawn pictures that later commands take; all by the small model.
DRAWN = ("seed0007.png", "side.png", "head.png", "smiling.png", "a.png", "b.png", "face.png")
#: A run of a few seconds.
SHORT_RUN = (
    "--steps", "2", "--samples", "0", "--batch", "2", "--log-steps", "1", "--device", "cpu",
    "--snapshot-steps", "1",
)  # fmt: skip


def prepare() -> None:
    """Fill the present folder, which is empty, and the home in it."""
    for name, source in MODELS.items():
        shutil.copy(GOLDENS / source, name)
    for name, source in ARCHIVES.items():
        with zipfile.ZipFile(name, "w") as archive:
            archive.write(GOLDENS / source, "release/G_ema.pth")
    Path("tests").symlink_to(ROOT / "tests")
    _faces()
    Path("photos").mkdir()
    Image.fromarray(data.astronaut()).save("photos/astronaut.png")
    for folder in ("pictures", "elsewhere/pictures", "faces"):
        write_pictures(Path(folder))
    with zipfile.ZipFile("faces.zip", "w") as archive:
        for file in sorted(Path("faces").rglob("*.*")):
            archive.write(file, file.relative_to("faces"))
    points = {
        "eyes": [[195, 115], [245, 115]], "mouth": [[200, 165], [240, 165]], "yaw": 5, "pitch": 0, "certain": True,
    }  # fmt: skip
    for place in (".", "faces"):
        Path(place, "maquette-points.json").write_text(
            json.dumps({"format": 1, "faces": {"astronaut.png": [points]}})
        )
    _encoders()
    Path("theirs").mkdir()
    _done(
        "train",
        "pictures",
        "--out",
        "run",
        "--from-nothing",
        "eg3d",
        "--resolution",
        "16",
        *SHORT_RUN,
    )


def _faces() -> None:
    small = ("--model", "face.pkl", "--size", "32", "--neural-resolution", "16", "--seed", "7")
    for name in DRAWN:
        _done("render", *small, "--out", name)
    for name in ("anna.npz", "projected_w.npz"):
        _done("latents", "--model", "face.pkl", "--seed", "7", "--out", name)
    _done(
        "sheet", "--kind", "views", "--model", "face.pkl", "--cell", "16", "--neural-resolution", "16",
        "--out", "views.png",
    )  # fmt: skip
    model = ModelRef(str(Path("face.pkl").resolve()), file_sha256("face.pkl"), "face")
    recipe = Recipe(model=model, size=32, neural_resolution=16)
    keys = (
        Keyframe(0.0, recipe.pose, Identity(Face(1))),
        Keyframe(0.2, recipe.pose, Identity(Face(2))),
    )
    line = Timeline(keys, 0.2, 10.0)
    write_project("anna.maquette", Project(Document(recipe, recipe.pose, timeline=line)))
    save_timeline(line, "path.json")


def _encoders() -> None:
    """A CLIP network of a few thousand numbers, as folder and as file."""
    folder = Path("home/models/clip")
    folder.mkdir(parents=True)
    config = {"model_cfg": TINY, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(tiny_weights(), folder / "open_clip_model.safetensors")
    (Path("home") / "Downloads").mkdir()
    shutil.copy("face.pkl", "home/Downloads")


def _done(*words: str) -> None:
    status = main(words)
    assert status == 0, words
