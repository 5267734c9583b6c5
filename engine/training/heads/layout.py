"""Rendered heads as a folder in EG3D's layout: what other trainers, ours among them, read.

=====================================  =========================================================
``00012/img00012345.png``              a view over the backdrop, 8-bit sRGB; a thousand a folder
``dataset.json``                       ``{"labels": [[name, [25 numbers]], ...]}``: the camera's
                                       16 numbers (camera-to-world, OpenCV axes, row by row), then
                                       the 9 of its intrinsics in units of a picture's side
``captions.json``                      ``{"captions": {name: [text, ...]}}``: several wordings a
                                       view, of what that view shows
``maquette.json``                      what the folder was made with, so that a later call can go on
=====================================  =========================================================

A picture's number is that of its head times the views of a head, plus the view's: it does not
depend on which shards are there. Depth, mask and segmentation stay in the shards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.camera import FAMILY_AXES
from engine.errors import UserError
from engine.export.files import atomic_path, make_folder, write_bytes
from engine.training.heads.attributes import attributes_from_latent
from engine.training.heads.captions import caption
from engine.training.heads.dataset import read_shard
from engine.training.heads.visible import turn, visible
from engine.training.heads.wording import facts

#: Pictures in one folder.
PER_FOLDER = 1000


@dataclass(frozen=True)
class LayoutJob:
    """What to write.

    Attributes:
        shards: folder of the renderer's shards. out: the folder to write.
        backdrop: grey behind the heads, 0 (black) to 1 (white), sRGB.
        wordings: captions of each view.
    """

    shards: Path
    out: Path
    backdrop: float = 0.75
    wordings: int = 3

    def check(self) -> None:
        """Raises UserError where a number is out of range."""
        if not 0.0 <= self.backdrop <= 1.0:
            raise UserError(f"--backdrop lies in 0 to 1, not {self.backdrop}.")
        if self.wordings < 0:
            raise UserError("--wordings must not be below 0.")


def picture_name(number: int) -> str:
    """Path of a picture inside the folder."""
    return f"{number // PER_FOLDER:05d}/img{number:08d}.png"


def camera_label(cam2world: NDArray[np.floating], fov_y: float) -> list[float]:
    """The 25 numbers of a camera ``[4, 4]`` of ours with ``fov_y`` degrees of view."""
    focal = 0.5 / np.tan(np.radians(fov_y) / 2.0)
    lens = np.array([[focal, 0.0, 0.5], [0.0, focal, 0.5], [0.0, 0.0, 1.0]])
    pose = FAMILY_AXES["eg3d"].from_ours(np.asarray(cam2world, np.float64))
    return [float(v) for v in (*pose.ravel(), *lens.ravel())]


def write_layout(job: LayoutJob, report: Callable[[str], None] = print) -> int:
    """Write the folder, or go on with one that was begun: pictures that are there stay.

    ``dataset.json`` is written last: where it is, the folder is whole.

    Returns:
        how many pictures the folder holds.

    Raises:
        UserError: there are no shards, one cannot be read, they do not belong together, the
            folder was begun in another way, or it cannot be written.
    """
    job.check()
    paths = sorted(job.shards.glob("*.npz"))
    if not paths:
        raise UserError(
            f"{job.shards} holds no shards; render some first with `python -m "
            "engine.training.heads render`."
        )
    labels: list[list[Any]] = []
    captions: dict[str, list[str]] = {}
    began = False
    for path in paths:
        shard = read_shard(path)
        if not began:
            _begin(job, shard["rgba"].shape)
            began = True
        for name, view in _views(job, path, shard):
            _write_picture(job.out / name, view.picture)
            labels.append([name, view.label])
            if view.captions:
                captions[name] = view.captions
        report(f"{len(labels)} pictures, {path.name} done.")
    if captions:
        _write_json(job.out / "captions.json", {"captions": captions})
    _write_json(job.out / "dataset.json", {"labels": labels})
    return len(labels)


@dataclass(frozen=True)
class _View:
    picture: NDArray[np.uint8]
    label: list[float]
    captions: list[str]


def _views(
    job: LayoutJob, path: Path, shard: dict[str, NDArray[Any]]
) -> Iterator[tuple[str, _View]]:
    """The views of a shard with their names."""
    settings = json.loads((job.out / "maquette.json").read_text(encoding="utf-8"))
    if list(shard["rgba"].shape[1:]) != settings["views"]:
        raise UserError(
            f"{path} holds views of another number or size than the shards before it; give each "
            "rendering a folder of its own."
        )
    fov_y, count = float(shard["fov_y"]), shard["rgba"].shape[1]
    for row, index in enumerate(shard["index"]):
        known = facts(attributes_from_latent(shard["z"][row]))
        for view in range(count):
            number = int(index) * count + view
            pose = shard["cam2world"][row, view]
            rgba = shard["rgba"][row, view].astype(np.float32)
            picture = rgba[..., :3] + job.backdrop * (255.0 - rgba[..., 3:])
            seen = visible(known, shard["seg"][row, view], turn(pose))
            random = np.random.default_rng([number, 3])
            texts = [caption(seen, random).text for _ in range(job.wordings)] if seen else []
            yield (
                picture_name(number),
                _View(
                    (picture + 0.5).clip(0, 255).astype(np.uint8), camera_label(pose, fov_y), texts
                ),
            )


def _begin(job: LayoutJob, shape: tuple[int, ...]) -> None:
    """Note how the folder is made, or compare with the note that is there."""
    note = {"backdrop": job.backdrop, "wordings": job.wordings, "views": list(shape[1:])}
    path = job.out / "maquette.json"
    try:
        job.out.mkdir(parents=True, exist_ok=True)
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError) as error:
        raise UserError(f"The folder {job.out} cannot be used ({error}).") from error
    if found is None:
        if any(job.out.iterdir()):
            raise UserError(f"{job.out} holds other files; choose a new folder.")
        _write_json(path, note)
    elif found != note:
        raise UserError(
            f"{job.out} was begun with other options or other shards ({found}); choose a new folder."
        )


def _write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    if path.exists():
        return
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def _write_json(path: Path, data: dict[str, Any]) -> None:
    write_bytes(path, json.dumps(data).encode())
