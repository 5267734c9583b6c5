"""Pictures and the recipes inside them."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from analytic import AnalyticField, AnalyticGenerator
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from torch import Tensor

from engine.camera import OrbitPose
from engine.draw import Painter
from engine.errors import ExportError, UserError
from engine.export.picture import MAX_RECIPE_BYTES, RECIPE_KEY, read_recipe, save_picture
from engine.recipe import ModelRef, Recipe

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)


def png_with_text(path: Path, **texts: str) -> Path:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_itxt(key.replace("_", "-"), text)
    Image.fromarray(PIXELS).save(path, pnginfo=info)
    return path


def png_chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg", ".jpeg", ".PNG"])
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    recipe = Recipe(
        ModelRef('/home/zoë/my "model"\n.pkl', "ab" * 32, "Köpfe"),
        seed=4294967295,
        psi=0.1 + 0.2,
        cutoff=8,
        pose=OrbitPose(12.3456789, -7.1, 0.5, 2.71, 18.837, (0.1, 0, 0), (0, 0, 0.2)),
        view="normals",
        size=20,
        neural_resolution=64,
        samples=1.5,
    )
    path = tmp_path / f"a{suffix}"
    save_picture(PIXELS, path, recipe)
    assert read_recipe(path) == recipe
    with Image.open(path) as image:
        exact = np.array_equal(np.asarray(image.convert("RGB")), PIXELS)
    assert exact == (suffix not in (".jpg", ".jpeg"))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    psi=st.floats(-1, 2),
    yaw=st.floats(-1e6, 1e6),
    name=st.text(st.characters(), max_size=30),
)
def test_any_recipe_round_trips(
    tmp_path_factory: pytest.TempPathFactory, seed: int, psi: float, yaw: float, name: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.png"
    recipe = Recipe(ModelRef(name=name), seed=seed, psi=psi, pose=OrbitPose(yaw=yaw))
    save_picture(PIXELS, path, recipe)
    assert read_recipe(path) == recipe


def test_drawing_again_gives_identical_pixels(tmp_path: Path) -> None:
    recipe = Recipe(
        seed=3, psi=0.9, pose=OrbitPose(yaw=20, pitch=-5, radius=2.5, fov_y=25), size=40
    )
    for transparent in (False, True):
        wanted = replace(recipe, transparent=transparent)
        first = Painter(AnalyticGenerator()).picture(wanted)
        save_picture(first, tmp_path / "a.png", wanted)
        again = Painter(AnalyticGenerator()).picture(read_recipe(tmp_path / "a.png")).numpy()
        with Image.open(tmp_path / "a.png") as image:
            assert image.mode == ("RGBA" if transparent else "RGB")
            stored = np.asarray(image)
        assert stored.shape == (40, 40, 4 if transparent else 3)
        assert len(np.unique(stored.reshape(-1, stored.shape[2]), axis=0)) > 4
        assert np.array_equal(stored, again)


def test_nan_in_a_picture_is_told() -> None:
    class Broken(AnalyticField):
        def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
            return super().color(points, directions) * torch.nan

    painter = Painter(AnalyticGenerator(Broken()))
    recipe = Recipe().with_defaults_of(painter.generator.capabilities)
    with pytest.raises(UserError, match="NaN"):
        painter.picture(recipe)


def test_files_are_reproducible(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_picture(PIXELS, tmp_path / name, Recipe())
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_text_is_for_people_too(tmp_path: Path) -> None:
    save_picture(PIXELS, tmp_path / "a.png", Recipe(seed=12))
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["Software"] == "Maquette"
        assert "seed 12" in image.info["Title"]
        assert json.loads(image.info[RECIPE_KEY])["seed"] == 12


def test_bad_suffix_and_transparent_jpeg(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"use one of \.png"):
        save_picture(PIXELS, tmp_path / "a.bmp", Recipe())
    clear = np.zeros((8, 8, 4), np.uint8)
    with pytest.raises(ExportError, match="JPEG cannot be transparent"):
        save_picture(clear, tmp_path / "a.jpg", Recipe())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 5)])
def test_wrong_pixels_are_our_fault(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        save_picture(np.zeros(shape, np.uint8), tmp_path / "a.png", Recipe())
    with pytest.raises(ValueError, match="uint8"):
        save_picture(np.zeros((8, 8, 3), np.float32), tmp_path / "a.png", Recipe())  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_full_disk(tmp_path: Path, full_disk: None, suffix: str) -> None:
    with pytest.raises(ExportError, match="the disk is full"):
        save_picture(PIXELS, tmp_path / f"a{suffix}", Recipe())
    assert list(tmp_path.iterdir()) == []


def test_no_recipe(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.webp"):
        Image.fromarray(PIXELS).save(tmp_path / name)
        with pytest.raises(UserError, match="holds no Maquette recipe"):
            read_recipe(tmp_path / name)


def test_not_a_picture(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no picture"):
        read_recipe(tmp_path / "missing.png")
    (tmp_path / "a.png").write_bytes(b"hello")
    with pytest.raises(UserError, match="not a PNG, JPEG or WebP"):
        read_recipe(tmp_path / "a.png")
    with pytest.raises(UserError, match="cannot be read"):
        read_recipe(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '{"format": "maquette-recipe/1"}',
        '{"format": "maquette-recipe/9"}',
        "[" * 50_000,
        json.dumps(Recipe().to_json()).replace('"seed": 0', '"seed": 1e999'),
        json.dumps(Recipe().to_json()).replace('"seed": 0', '"seed": NaN'),
        json.dumps(Recipe().to_json()).replace('"psi": 0.7', '"psi": 1e999'),
        json.dumps(Recipe().to_json()).replace('"seed": 0', '"seed": -1'),
        json.dumps(Recipe().to_json()).replace('"seed": 0', '"seed": 0, "run": "rm"'),
        json.dumps(Recipe().to_json()).replace('"seed": 0', '"seed": ' + "9" * 6000),
        "x" * (MAX_RECIPE_BYTES + 1),
    ],
)
def test_damaged_recipes(tmp_path: Path, text: str) -> None:
    path = png_with_text(tmp_path / "a.png", maquette_recipe=text)
    with pytest.raises(UserError) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32-be"])
def test_a_recipe_is_in_one_encoding(tmp_path: Path, suffix: str, encoding: str) -> None:
    """Python's reader of JSON would guess another one, and load a codec for it."""
    text = json.dumps(Recipe(ModelRef("model.pkl", "", "model")).to_json())
    exif = Image.Exif()
    target = tmp_path / f"odd{suffix}"
    for written in ("utf-8", encoding):
        exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + text.encode(written)
        Image.fromarray(PIXELS).save(target, exif=exif)
        if written == "utf-8":
            assert read_recipe(target).model.path == "model.pkl"
    with pytest.raises(UserError, match="damaged"):
        read_recipe(target)


@pytest.mark.parametrize("kind", ["iTXt", "zTXt", "iCCP", "many iTXt"])
def test_text_bomb(tmp_path: Path, kind: str) -> None:
    """A compressed chunk that unpacks to 200 MB is refused, and so are many of a megabyte."""
    save_picture(PIXELS, tmp_path / "a.png", Recipe())
    data = (tmp_path / "a.png").read_bytes()
    many = kind.startswith("many")
    packed = zlib.compress(b" " * (1_000_000 if many else 200_000_000))
    flags = b"\0\0" if kind in ("zTXt", "iCCP") else b"\0\1\0\0\0"
    bomb = png_chunk(kind[-4:].encode(), b"maquette-recipe" + flags + packed) * (100 if many else 1)
    (tmp_path / "b.png").write_bytes(data[:33] + bomb + data[33:])
    with pytest.raises(UserError, match="damaged"):
        read_recipe(tmp_path / "b.png")


def test_pixel_bomb(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 2_000_000, 2_000_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"x")
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(UserError, match="enormous"):
        read_recipe(tmp_path / "a.png")


def test_truncated_and_flipped_files_never_crash(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for suffix in (".png", ".jpg", ".webp"):
        save_picture(PIXELS, tmp_path / f"a{suffix}", Recipe(seed=5))
        data = (tmp_path / f"a{suffix}").read_bytes()
        broken = [data[:n] for n in range(0, min(len(data), 900), 13)]
        for _ in range(200):
            flipped = bytearray(data)
            flipped[int(rng.integers(min(len(data), 900)))] ^= 1 << int(rng.integers(8))
            broken.append(bytes(flipped))
        for candidate in broken:
            (tmp_path / "b.png").write_bytes(candidate)
            try:
                read_recipe(tmp_path / "b.png")
            except UserError as error:
                assert "\n" not in str(error)


def test_the_window_needs_no_torch_for_these() -> None:
    code = (
        "import sys, engine.export.options, engine.export.picture, engine.export.files, "
        "engine.trajectories; sys.exit('torch' in sys.modules or 'av' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
