"""Data sets made for tests: pictures that can be told apart, with cameras."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.camera import OrbitPose
from engine.training.data.cameras import label_of


def picture(number: int, width: int = 16, height: int | None = None) -> NDArray[np.uint8]:
    """Noise of its own, with the number in the red of the left half."""
    random = np.random.default_rng(number)
    pixels = random.integers(0, 256, (height or width, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = number
    pixels[:, width // 2 :, 0] = 255 - number
    return pixels


def png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def numbers_of(yaw: float, pitch: float = 0.0) -> list[float]:
    return [float(v) for v in label_of(OrbitPose(yaw=yaw, pitch=pitch).camera())]


def write_folder(
    folder: Path, count: int, posed: bool = True, width: int = 16, first: int = 0
) -> Path:
    """``count`` pictures in two sub-folders; picture n is seen from yaw n."""
    labels: list[list[Any]] = []
    for number in range(first, first + count):
        name = f"{number % 2:05d}/img{number:08d}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(picture(number, width)))
        labels.append([name, numbers_of(number)])
    if posed:
        (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def zip_of(folder: Path, path: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(file, inside + file.relative_to(folder).as_posix())
    return path
