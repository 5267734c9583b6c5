"""A small folder of pictures with cameras, as EG3D has them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from engine.camera import OrbitPose
from engine.generators.eg3d import camera_label


def write_pictures(folder: Path, count: int = 6, side: int = 32, posed: bool = True) -> Path:
    """Coloured discs on grey, each seen from another side."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    labels = []
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    for number in range(count):
        disc = (rows**2 + columns**2 < random.uniform(0.05, 0.15))[..., None]
        picture = np.where(disc, random.uniform(0, 255, 3), 190.0)
        name = f"img{number:04d}.png"
        Image.fromarray(picture.astype(np.uint8)).save(folder / name)
        pose = OrbitPose(yaw=float(random.uniform(-30, 30)), radius=2.7).camera()
        labels.append([name, [float(value) for value in camera_label(pose)]])
    if posed:
        (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder
