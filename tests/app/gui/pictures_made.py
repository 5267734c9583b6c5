"""Pictures of the documentation that are no pictures of the window: what commands make.

Each is made by the real command line, as the page beside it says, and then laid out for the page.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from tests.app.gui.driver import ROOT
from tests.app.gui.pictures_acts import OTHERS, SEED

#: Side of one view of a mesh, pixels, and points that are drawn of it.
SIDE, POINTS = 320, 3_000_000


def maquette(folder: Path, *words: object) -> None:
    """Run a command as a user does, in ``folder``."""
    variables = {"PYTHONPATH": str(ROOT), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "app", *map(str, words)]
    subprocess.run(command, cwd=folder, env={**os.environ, **variables}, check=True)


def morph(folder: Path) -> Image.Image:
    """The way from one face to another."""
    seeds = f"{SEED},{OTHERS[1]}"
    maquette(
        folder, "sheet", "--kind", "morph", "--seed", seeds, "--steps", 6, "--per-line", 6,
        "--cell", 128, "--out", "strip.png",
    )  # fmt: skip
    return Image.open(folder / "strip.png").convert("RGB")


def mesh(folder: Path) -> Image.Image:
    """A head as a mesh: bare from the front and from the side, and with its colours."""
    maquette(folder, "mesh", "--seed", SEED, "--resolution", 256, "--out", "head.glb")
    head = trimesh.load_mesh(folder / "head.glb")
    views = ((0.0, False), (60.0, False), (0.0, True), (60.0, True))
    whole = np.concatenate([seen(head, yaw, coloured) for yaw, coloured in views], axis=1)
    return Image.fromarray(whole)


def seen(head: trimesh.Trimesh, yaw: float, coloured: bool) -> NDArray[np.uint8]:
    """``[SIDE, SIDE, 3]`` a mesh (+Y up, the face along +Z), drawn as a cloud of points.

    Args:
        head: what is drawn.
        yaw: the camera's, degrees; positive sees the face from its left.
        coloured: with the colours of its vertices, else like clay.
    """
    points, faces = trimesh.sample.sample_surface(head, POINTS, seed=0)
    corners = head.visual.vertex_colors[head.faces[faces]][..., :3].mean(axis=1)
    angle = np.radians(yaw)
    right = np.array([np.cos(angle), 0, -np.sin(angle)])
    towards = np.array([np.sin(angle), 0, np.cos(angle)])
    lamp = towards + 0.5 * right + [0, 0.7, 0]
    light = 0.35 + 0.65 * np.clip(head.face_normals[faces] @ (lamp / np.linalg.norm(lamp)), 0, 1)
    colour = (
        corners * (0.6 + 0.4 * light[:, None]) if coloured else 215 * np.outer(light, [1, 1, 1])
    )
    middle = head.bounds.mean(axis=0)
    scale = 0.94 * SIDE / np.ptp(head.bounds, axis=0).max()
    column = np.round(SIDE / 2 + (points - middle) @ right * scale).astype(int)
    row = np.round(SIDE / 2 - (points - middle)[:, 1] * scale).astype(int)
    inside = (column >= 0) & (column < SIDE) & (row >= 0) & (row < SIDE)
    order = np.flatnonzero(inside)[np.argsort(((points - middle) @ towards)[inside])]
    picture = np.full((SIDE, SIDE, 3), 38, np.uint8)
    # Later ones, which are nearer, stay.
    picture[row[order], column[order]] = np.clip(colour[order], 0, 255).astype(np.uint8)
    return picture


#: Name of the picture, and what makes it in an empty folder.
MADE: dict[str, Callable[[Path], Image.Image]] = {"morph": morph, "mesh": mesh}
