"""``maquette latents`` and ``--latent``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from app import face_edits as faces
from app.document import Document
from app.project import Project, write_project
from engine.identity import Latent
from engine.recipe import Recipe
from tests.cli.conftest import Run


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).copy()


def test_a_latent_that_was_written_draws_the_same_pixels(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    model = ("--model", checkpoint)
    assert run("latents", *model, "--seed", 3, "--psi", 0.6, "--out", "anna.npz").status == 0
    with np.load(tmp_path / "anna.npz", allow_pickle=False) as file:
        assert file["w"].ndim == 3 and file["w"].shape[0] == 1
    assert run("render", *model, "--seed", 3, "--psi", 0.6, "--out", "seed.png").status == 0
    drawn = run("render", *model, "--latent", "anna.npz", "--psi", 1.0, "--json")
    assert drawn.status == 0
    assert json.loads(drawn.out)[0]["path"] == "anna.png"
    assert (pixels(tmp_path / "anna.png") == pixels(tmp_path / "seed.png")).all()
    # The picture holds the latent itself: the file is needed no more.
    (tmp_path / "anna.npz").unlink()
    assert run("render", "--from", "anna.png", "--out", "again.png").status == 0
    assert (pixels(tmp_path / "again.png") == pixels(tmp_path / "seed.png")).all()
    # A seed takes the place of what the picture holds.
    assert run("render", "--from", "anna.png", "--seed", 4, "--out", "other.png").status == 0
    assert (pixels(tmp_path / "other.png") != pixels(tmp_path / "seed.png")).any()


def test_several_go_into_a_folder(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    done = run("latents", "--model", checkpoint, "--seed", "1-3", "--out", "faces", "--json")
    assert done.status == 0 and len(json.loads(done.out)) == 3
    assert sorted(p.name for p in (tmp_path / "faces").iterdir()) == [
        "seed0001.npz", "seed0002.npz", "seed0003.npz",
    ]  # fmt: skip
    told = run("latents", "--model", checkpoint, "--seed", "1-3", "--out", "faces.npz")
    assert told.status == 2 and "folder" in told.err


def test_video_and_mesh_take_a_latent(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    model = ("--model", checkpoint)
    assert run("latents", *model, "--seed", 3, "--out", "w.npz").status == 0
    film = run(
        "video", *model, "--latent", "w.npz", "--seconds", 0.1, "--fps", 10, "--out", "v.gif"
    )
    assert film.status == 0 and (tmp_path / "v.gif").exists()
    mesh = run("mesh", *model, "--latent", "w.npz", "--resolution", 32, "--out", "m.ply")
    assert mesh.status == 0 or "surface" in mesh.err


def test_mistakes_are_told_in_one_sentence(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "small.npz", w=np.zeros((2, 5), np.float32))
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    for words, says in (
        (("--latent", "small.npz"), "but this model takes"),
        (("--latent", "bad.npz"), "cannot be read"),
        (("--latent", "none.npz"), "no latent at"),
        (("--latent", "small.npz", "--seed", 3), "give one of them"),
        (("--latent", "small.npz", "--blend", "3", "4"), "give one of them"),
    ):
        for command in ("render", "video", "mesh", "latents"):
            told = run(command, "--model", checkpoint, *words)
            assert told.status == 2 and says in told.err and told.err.count("\n") == 1, told
    assert not list(tmp_path.glob("*.png"))


def test_inspect_tells_of_latents_and_favourites(run: Run, tmp_path: Path) -> None:
    recipe = Recipe(latent=Latent.of(np.zeros((8, 6)), "w", "projected_w"))
    document = faces.pin(faces.pin(Document(recipe), "Anna"), "Zoë", Recipe(seed=3))
    write_project(tmp_path / "a.maquette", Project(document))
    told = run("inspect", "a.maquette")
    assert told.status == 0
    assert "latent       8 x 6 numbers in w (projected_w) instead" in told.out
    assert "favourites   Anna, Zoë" in told.out
