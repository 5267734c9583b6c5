"""Faces that are given by numbers: records, files, drawings."""

from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.camera import OrbitPose
from engine.draw import Painter
from engine.errors import ExportError, UserError
from engine.export.picture import read_recipe, save_picture
from engine.generators.base import latent_from_seed
from engine.identity import MAX_LATENT, Blend, Latent, StyleSource
from engine.latent_files import read_latent, write_latent
from engine.recipe import Recipe
from tests.app.gui.head_generator import HeadGenerator

W = np.arange(48, dtype=np.float32).reshape(8, 6) / 7


@pytest.fixture
def painter() -> Painter:
    """A head with 8 x 6 numbers in w, and 6 in z."""
    return Painter(HeadGenerator())


def test_a_latent_travels_in_a_recipe_to_the_last_bit() -> None:
    recipe = replace(Recipe(), latent=Latent.of(W, "w", "Anna"))
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe and hash(again) == hash(recipe)
    assert again.latent is not None and (again.latent.numbers == W).all()
    assert "latent" not in Recipe().to_json()
    assert recipe.of_seed(3) == Recipe(seed=3)
    assert recipe.of_blend(Blend((3, 4), (0.5, 0.5))).latent is None


@pytest.mark.parametrize(
    "change",
    [
        {"space": "x"}, {"shape": [8, 7]}, {"shape": [0, 6]}, {"shape": [-8, -6]},
        {"shape": [8]}, {"shape": [2**40, 2**40]}, {"data": "????"}, {"data": 7},
        {"data": "A" * (6 * MAX_LATENT + 1)}, {"space": "z"}, {"name": "x" * 121},
        {"name": "a\nb"},
        {"data": "AADAfwAAAAA=", "shape": [1, 2]},
    ],
)  # fmt: skip
def test_damaged_latents_are_refused(change: dict[str, object]) -> None:
    plain = Latent.of(W).to_json() | change
    with pytest.raises(UserError):
        Recipe.from_json(Recipe().to_json() | {"latent": plain})


def test_w_is_drawn_as_it_is_and_psi_leaves_it_alone(painter: Painter) -> None:
    recipe = Recipe(seed=5, psi=0.1, latent=Latent.of(W))
    assert torch.equal(painter.latent(recipe), torch.from_numpy(W))
    one = replace(recipe, latent=Latent.of(W[:1]))
    assert torch.equal(painter.latent(one), torch.from_numpy(np.repeat(W[:1], 8, axis=0)))
    z = np.asarray(latent_from_seed(5, 6))[None]
    in_z = replace(recipe, latent=Latent.of(z, "z"))
    assert torch.equal(painter.latent(in_z), painter.latent(Recipe(seed=5, psi=0.1)))


def test_it_is_mixed_and_is_the_first_face_of_a_blend(painter: Painter) -> None:
    recipe = Recipe(seed=5, psi=1.0, latent=Latent.of(W))
    other = latent_from_seed(9, 6)
    blended = replace(recipe, blend=Blend((5, 9), (0.25, 0.75)))
    expected = 0.25 * torch.from_numpy(W) + 0.75 * other
    assert torch.allclose(painter.latent(blended), expected)
    mixed = painter.latent(replace(recipe, mixes=(StyleSource(9, (2,)),)))
    assert torch.equal(mixed[2], other) and torch.equal(mixed[3], torch.from_numpy(W[3]))
    with pytest.raises(UserError, match="straight line"):
        replace(recipe, blend=Blend((5, 9), (0.5, 0.5), "z")).checked()
    in_z = Recipe(psi=1.0, latent=Latent.of(np.ones((1, 6), np.float32), "z"))
    along = painter.latent(replace(in_z, blend=Blend((0, 9), (1.0, 0.0), "z")))
    assert torch.allclose(along, torch.ones(8, 6))


@pytest.mark.parametrize(
    "latent", [Latent.of(W[:7]), Latent.of(W[:, :5]), Latent.of(W[:1, :5], "z")]
)
def test_a_latent_of_another_model_is_told_in_one_sentence(
    painter: Painter, latent: Latent
) -> None:
    with pytest.raises(UserError, match="but this model takes"):
        painter.latent(Recipe(latent=latent))


@pytest.mark.parametrize("shape", [(1, 8, 6), (8, 6)])
def test_files_are_read_as_the_authors_write_them(tmp_path: Path, shape: tuple[int, ...]) -> None:
    for kind in (np.float32, np.float64):
        np.savez(tmp_path / "projected_w.npz", w=W.reshape(shape).astype(kind))
        assert read_latent(tmp_path / "projected_w.npz") == Latent.of(W, "w", "projected_w")
    np.savez(tmp_path / "one.npz", w=W[:1][None])
    assert read_latent(tmp_path / "one.npz").shape == (1, 6)
    np.savez(tmp_path / "z.npz", z=W[0])
    assert read_latent(tmp_path / "z.npz") == Latent.of(W[:1], "z", "z")


def test_what_is_written_is_read_by_numpy_and_by_us(tmp_path: Path) -> None:
    write_latent(tmp_path / "anna.npz", W)
    with np.load(tmp_path / "anna.npz", allow_pickle=False) as file:
        assert file.files == ["w"] and file["w"].shape == (1, 8, 6)
        assert file["w"].dtype == np.float32
    assert read_latent(tmp_path / "anna.npz") == Latent.of(W, "w", "anna")
    with pytest.raises(ExportError, match=r"\.npz"):
        write_latent(tmp_path / "anna.zip", W)


def packed(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in parts.items():
            archive.writestr(f"{name}.npy", data)
    return out.getvalue()


def header(descr: str, shape: str, body: bytes = b"") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def saved(**arrays: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


HOSTILE = {
    "nothing": b"",
    "text": b"w = 1",
    "no latent": saved(x=W),
    "several faces": saved(w=np.zeros((3, 8, 6), np.float32)),
    "whole numbers": saved(w=np.zeros((8, 6), np.int32)),
    "one number": saved(w=np.float32(1)),
    "none at all": saved(w=np.zeros((0, 6), np.float32)),
    "not finite": saved(w=np.full((8, 6), math.inf, np.float32)),
    "beyond float32": saved(w=np.full((8, 6), 1e300)),
    "objects": packed(w=header("'|O'", "(1,)", b"cos\nsystem\n(S'false'\ntR.")),
    "code in the header": packed(w=header("__import__('os').abort()", "(1, 1)", bytes(4))),
    "more than there is": packed(w=header("'<f4'", f"({2**40}, 512)")),
    "too large": saved(w=np.zeros((MAX_LATENT + 1, 1), np.float32)),
    "far too large": saved(w=np.zeros((4 * MAX_LATENT, 1), np.float64)),
    "cut off": saved(w=W)[:-30],
    "another name": saved(w=W).replace(b"w.npy", b"w.npx"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("error")
def test_hostile_files_are_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / "w.npz"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(UserError) as caught:
        read_latent(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_ones_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.npz", tmp_path / ("n" * 300), "a\0b"):
        with pytest.raises(UserError):
            read_latent(path)


def test_pictures_carry_large_latents_but_a_jpeg_cannot(painter: Painter, tmp_path: Path) -> None:
    big = np.random.default_rng(0).standard_normal((18, 1024)).astype(np.float32)
    recipe = Recipe(pose=OrbitPose(radius=2.4), latent=Latent.of(big, "w", "Anna"))
    pixels = np.zeros((16, 16, 3), np.uint8)
    for name in ("a.png", "a.webp"):
        save_picture(pixels, tmp_path / name, recipe)
        assert read_recipe(tmp_path / name) == recipe
    with pytest.raises(ExportError, match=r"\.png"):
        save_picture(pixels, tmp_path / "a.jpg", recipe)
