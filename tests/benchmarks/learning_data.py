"""Small pictures of rendered heads to learn from, and the shape that these heads have on average.

Of shards of ``python -m engine.training.heads render`` become a folder in EG3D's layout, of views from
the front half only and before a white backdrop, which every family can be told to leave empty; and
of heads that nobody learns from the same, with ``front.npz``: their mean depth seen from the front.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import UserError
from engine.export.files import write_bytes
from engine.training.heads.dataset import read_shard
from engine.training.heads.layout import camera_label, picture_name
from engine.training.heads.world import FOV_Y, RADIUS

Numbers = NDArray[np.float64]

#: Views further from the front than this, degrees, are left out.
YAW, PITCH = 60.0, 30.0
#: What counts as seen from the front, degrees.
FRONT_YAW, FRONT_PITCH = 12.0, 8.0
#: A pixel is part of the mean head where this share of all heads cover it, above the neck, which
#: begins at this share of the picture's height.
COVERED, NECK = 0.9, 0.8
#: Height of what a picture shows at the head, world units.
SEEN_HEIGHT = 2.0 * RADIUS * float(np.tan(np.radians(FOV_Y) / 2.0))
FRONT = "front.npz"


class View(NamedTuple):
    """One view of a head: ``[R, R, 4]`` 8-bit colours multiplied by their opacity, ``[R, R]`` depth
    (0 where nothing is), the camera ``[4, 4]`` and its angle of view, degrees."""

    rgba: NDArray[np.uint8]
    depth: NDArray[np.float16]
    pose: NDArray[np.float32]
    fov_y: float

    @property
    def angles(self) -> tuple[float, float]:
        """Yaw and pitch of the camera, degrees."""
        place = self.pose[:3, 3] / np.linalg.norm(self.pose[:3, 3])
        yaw, pitch = np.arctan2(place[0], place[2]), np.arcsin(place[1])
        return float(np.degrees(yaw)), float(np.degrees(pitch))


@dataclass(frozen=True)
class Front:
    """The mean head from the front.

    Attributes:
        depth: ``[S, S]`` mean distance of its surface, in heights of what the picture shows, 0
            being the mean over ``covered``.
        covered: ``[S, S]`` which pixels nearly every head covers.
        spread: standard deviation of depths within a head, in the same unit: mean over heads.
    """

    depth: Numbers
    covered: NDArray[np.bool_]
    spread: float

    @classmethod
    def read(cls, folder: Path) -> Front:
        """What :func:`write_pictures` left in ``folder``."""
        with np.load(folder / FRONT) as archive:
            return cls(archive["depth"], archive["covered"], float(archive["spread"]))


def views(shards: Path) -> Iterator[View]:
    """All views of a folder of shards.

    Raises:
        UserError: there are none, or one cannot be read.
    """
    paths = sorted(shards.glob("*.npz"))
    if not paths:
        raise UserError(f"{shards} holds no shards of heads.")
    for path in paths:
        shard = read_shard(path)
        for head in range(len(shard["index"])):
            for view in range(shard["rgba"].shape[1]):
                pose = np.eye(4, dtype=np.float32)
                pose[: shard["cam2world"].shape[-2]] = shard["cam2world"][head, view]
                yield View(
                    shard["rgba"][head, view],
                    shard["depth"][head, view],
                    pose,
                    float(shard["fov_y"]),
                )


def blocks(values: NDArray[np.floating], side: int) -> Numbers:
    """``[R, R, ...]`` -> ``[side, side, n, ...]``: what each of fewer pixels is the mean of."""
    step = values.shape[0] // side
    cut = values.reshape(side, step, side, step, *values.shape[2:]).swapaxes(1, 2)
    return cut.reshape(side, side, step * step, *values.shape[2:]).astype(np.float64)


def write_pictures(shards: Path, out: Path, side: int, most: int = 0) -> int:
    """Write ``out``; with :data:`FRONT` where there are views from the front.

    Args:
        side: of the pictures, a divisor of the shards'. most: pictures; 0 is all.

    Returns:
        how many pictures there are.

    Raises:
        UserError: there are no shards, or their pictures cannot be made so small.
    """
    labels: list[tuple[str, list[float]]] = []
    depths: list[Numbers] = []
    for view in views(shards):
        if view.depth.shape[0] % side:
            raise UserError(f"Pictures of {view.depth.shape[0]} pixels make none of {side}.")
        yaw, pitch = view.angles
        if abs(yaw) > YAW or abs(pitch) > PITCH:
            continue
        name = picture_name(len(labels))
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        rgba = view.rgba.astype(np.float64)
        white = rgba[..., :3] + (255.0 - rgba[..., 3:])
        small = blocks(white, side).mean(axis=2)
        Image.fromarray((small + 0.5).clip(0, 255).astype(np.uint8)).save(out / name)
        labels.append((name, camera_label(view.pose, view.fov_y)))
        if abs(yaw) <= FRONT_YAW and abs(pitch) <= FRONT_PITCH:
            each = blocks(view.depth.astype(np.float32), side)
            depths.append(np.where((each > 0.0).all(axis=2), each.mean(axis=2), np.nan))
        if len(labels) == most:
            break
    if depths:
        _write_front(np.stack(depths), out / FRONT)
    # Last: where it is, the folder is whole.
    write_bytes(out / "dataset.json", json.dumps({"labels": labels}).encode())
    return len(labels)


def _write_front(depths: Numbers, path: Path) -> None:
    side = depths.shape[-1]
    covered = np.isfinite(depths).mean(axis=0) >= COVERED
    covered[(np.arange(side) + 0.5) / side > NECK] = False
    heads = depths[:, covered] / SEEN_HEIGHT
    mean = np.zeros(covered.shape)
    mean[covered] = np.nanmean(heads, axis=0)
    mean[covered] -= mean[covered].mean()
    spread = float(np.nanstd(heads, axis=1).mean())
    np.savez(path, depth=mean, covered=covered, spread=np.array(spread))
