"""From a folder of photographs to a data set in EG3D's layout.

=====================================  =========================================================
``00000/img00000012.png``              a face, cut and aligned, 8-bit sRGB; a thousand a folder
``dataset.json``                       its camera, see :mod:`engine.training.data.cameras`; left out
                                       where no picture has one
``maquette-prepared.json``             the report: which photograph each came from, its points and
                                       angles, what was skipped and why, what to know
``maquette-points.json``               guesses that a person has to confirm, if there are any
=====================================  =========================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from engine.camera import Camera
from engine.errors import Cancelled, UserError
from engine.export.files import atomic_folder
from engine.json_text import json_text
from engine.training.data.cameras import label_of, mirrored
from engine.training.data.decode import Unreadable
from engine.training.data.files import LABELS_NAME, Files, open_files
from engine.training.data.photos.align import Square, cut
from engine.training.data.photos.faces import Face
from engine.training.data.photos.finder import Finder
from engine.training.data.photos.look import read_photo
from engine.training.data.photos.points import write_points
from engine.training.data.photos.pose import MOST_PITCH, Angles, Framing, angles_of, framed
from engine.training.data.survey import survey

#: Pictures in one folder.
PER_FOLDER = 1000
REPORT_NAME, POINTS_NAME = "maquette-prepared.json", "maquette-points.json"
#: Warnings of the finished set that its own notes do not tell better.
_TOLD = ("few", "duplicates")
#: A square of which more lies beyond the photograph is mostly made up.
MOST_OUTSIDE = 0.35
#: A square of fewer pixels shows nobody.
_SMALLEST = 16

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class PrepareJob:
    """What to prepare.

    Attributes:
        photos: folder or zip archive. out: the folder to make.
        resolution: side of the pictures. framing: how they are cut.
        every_face: all faces of a photograph, instead of the largest.
        mirror: write every picture mirrored as well (training mirrors by itself).
        accept_guesses: use faces that were only guessed; without angles they have no camera.
        points: name of a photograph -> its faces as given by hand; goes before what is found.
    """

    photos: Path
    out: Path
    resolution: int = 512
    framing: Framing = "ffhq"
    every_face: bool = False
    mirror: bool = False
    accept_guesses: bool = False
    points: Mapping[str, tuple[Face, ...]] = field(default_factory=dict)

    def check(self) -> None:
        """Raises UserError where a number is out of range."""
        if not 16 <= self.resolution <= 4096:
            raise UserError(f"The resolution must be 16 to 4096 pixels, not {self.resolution}.")
        if self.framing not in ("ffhq", "bundled"):
            raise UserError(f"The framing is 'ffhq' or 'bundled', not {self.framing!r}.")


@dataclass(frozen=True)
class Made:
    """One picture of the data set.

    Attributes:
        name: in the data set. photo: where it came from.
        side: of the square in the photograph, pixels. outside: share of it beyond the photograph.
        face: in the photograph. angles: of the camera. label: 25 numbers, if there is a camera.
        mirrored: whether it was mirrored.
    """

    name: str
    photo: str
    side: float
    outside: float
    face: Face
    angles: Angles | None
    label: tuple[float, ...] | None
    mirrored: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data for the report."""
        return {
            "name": self.name,
            "photo": self.photo,
            "square_pixels": round(self.side, 1),
            "beyond_the_photo": round(self.outside, 3),
            "eyes": np.round(self.face.eyes, 1).tolist(),
            "mouth": np.round(self.face.mouth, 1).tolist(),
            "angles": None if self.angles is None else vars(self.angles),
            "mirrored": self.mirrored,
        }


@dataclass(frozen=True)
class Prepared:
    """What came of it.

    Attributes:
        made: the pictures. skipped: photograph -> why nothing came of it.
        notes: what to know, one sentence each. guesses: faces that wait to be confirmed.
    """

    made: tuple[Made, ...]
    skipped: Mapping[str, str]
    notes: tuple[str, ...]
    guesses: Mapping[str, tuple[Face, ...]]


def prepare(
    job: PrepareJob,
    finder: Finder | None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Prepared:
    """Make the data set. The folder appears when it is whole, and not at all after an error.

    Args:
        finder: ``None`` uses points given by hand alone.

    Raises:
        UserError: the photographs cannot be read, no usable face is among them, the finder died,
            or the folder cannot be written.
        Cancelled: ``cancelled`` said so.
    """
    job.check()
    files = open_files(job.photos)
    with atomic_folder(job.out) as folder:
        result = _Run(job, finder, files, folder).all(progress, cancelled)
        if not result.made and not result.guesses:
            raise UserError(_nothing(job, result.skipped))
        _write_labels(result, folder)
        if result.made:
            # What would be said when it is opened. The look is kept, so that opening is quick.
            warnings = survey(folder, job.resolution, mirror=not job.mirror).warnings
            told = tuple(w.text for w in warnings if w.kind in _TOLD)
            result = replace(result, notes=result.notes + told)
        _write_report(job, finder, result, folder)
    return result


class _Run:
    def __init__(self, job: PrepareJob, finder: Finder | None, files: Files, folder: Path) -> None:
        self._job, self._finder, self._files, self._folder = job, finder, files, folder
        self._made: list[Made] = []
        self._skipped: dict[str, str] = dict(files.refused)
        self._guesses: dict[str, tuple[Face, ...]] = {}
        self._crowded = 0

    def all(self, progress: Progress | None, cancelled: Callable[[], bool] | None) -> Prepared:
        entries = self._files.entries
        for number, entry in enumerate(entries):
            if cancelled is not None and cancelled():
                raise Cancelled
            if progress is not None:
                progress(number, len(entries))
            try:
                picture = read_photo(self._files, entry.name)
            except Unreadable as error:
                self._skipped[entry.name] = str(error)
            else:
                self._photo(entry.name, picture)
        return Prepared(
            tuple(self._made), dict(sorted(self._skipped.items())), self._notes(), self._guesses
        )

    def _photo(self, name: str, picture: Image.Image) -> None:
        by_hand = name in self._job.points
        if by_hand:
            faces = list(self._job.points[name])
        else:
            faces = [] if self._finder is None else self._finder.find(picture)
        if not faces:
            self._skipped[name] = "no face was found" if not by_hand else "it has no face"
            return
        self._crowded += len(faces) > 1
        if not self._job.every_face:
            faces = faces[:1]
        if not self._job.accept_guesses:
            unsure = tuple(face for face in faces if not face.certain)
            if unsure:
                self._guesses[name] = unsure
                self._skipped[name] = "its eyes and mouth are only guessed: confirm the points"
            faces = [face for face in faces if face.certain]
        for face in faces:
            reason = self._face(name, picture, face)
            if reason:
                self._skipped[name] = reason

    def _face(self, name: str, picture: Image.Image, face: Face) -> str:
        """Make one picture; why not, if not."""
        found = cutting(face, self._job.framing, picture.size)
        if isinstance(found, str):
            return found
        square, camera, angles, outside = found
        pixels = cut(picture, square, self._job.resolution)
        self._add(pixels, name, square, outside, face, angles, camera)
        return ""

    def _add(
        self, pixels: np.ndarray[Any, np.dtype[np.uint8]], photo: str, square: Square,
        outside: float, face: Face, angles: Angles | None, camera: Camera | None,
    ) -> None:  # fmt: skip
        label = None if camera is None else label_of(camera)
        made = Made("", photo, square.side, outside, face, angles, _numbers(label))
        self._write(made, pixels)
        if self._job.mirror:
            turned = None if label is None else mirrored(label)
            self._write(replace(made, label=_numbers(turned), mirrored=True), pixels[:, ::-1])

    def _write(self, made: Made, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        number = len(self._made)
        name = f"{number // PER_FOLDER:05d}/img{number:08d}.png"
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(path, "PNG")
        self._made.append(replace(made, name=name))

    def _notes(self) -> tuple[str, ...]:
        made, side = [m for m in self._made if not m.mirrored], self._job.resolution
        notes = []
        if small := sum(m.side < side for m in made):
            notes.append(
                f"{small} of {len(made)} faces are smaller than {side} pixels in their photographs "
                "and were enlarged."
            )
        if beyond := sum(m.outside > 0.02 for m in made):
            notes.append(
                f"{beyond} squares reach beyond their photographs; what is missing was mirrored and "
                "blurred."
            )
        if unposed := sum(m.label is None for m in made):
            notes.append(
                f"{unposed} pictures have no camera: their angles are unknown; give yaw and pitch "
                "with the points."
            )
        if self._crowded and not self._job.every_face:
            notes.append(
                f"{self._crowded} photographs show several faces, of which the largest was taken."
            )
        if self._guesses:
            notes.append(
                f"{len(self._guesses)} faces were only guessed and wait in "
                f'{self._job.out.name}/{POINTS_NAME}: correct the points, set "certain" to true, and '
                "prepare another folder with --points and this file."
            )
        return tuple(notes)


class Cutting(NamedTuple):
    """How a face is cut: its square, the camera that sees what it shows, from where that is, and
    the share of the square beyond the photograph."""

    square: Square
    camera: Camera | None
    angles: Angles | None
    outside: float


def cutting(face: Face, framing: Framing, size: tuple[int, int]) -> Cutting | str:
    """How to cut a face out of a photograph of ``size`` (width, height) pixels; if it cannot be used,
    why, in half a sentence."""
    angles = angles_of(face)
    if angles is None and framing == "bundled":
        return "its angles are unknown, which this framing needs"
    if angles is not None and abs(angles.pitch) > MOST_PITCH:
        return f"it is seen from {angles.pitch:.0f} degrees above or below"
    square, camera = framed(face, angles, framing)
    if square.side < _SMALLEST:
        return f"its face is too small ({square.side:.0f} pixels)"
    outside = square.outside(*size)
    if outside > MOST_OUTSIDE:
        return f"{outside:.0%} of its square lie beyond the photograph"
    return Cutting(square, camera, angles, outside)


def _numbers(label: np.ndarray[Any, np.dtype[np.float32]] | None) -> tuple[float, ...] | None:
    return None if label is None else tuple(float(v) for v in label)


def _write_labels(result: Prepared, folder: Path) -> None:
    labels = [[made.name, list(made.label)] for made in result.made if made.label is not None]
    if labels:
        (folder / LABELS_NAME).write_text(json.dumps({"labels": labels}), encoding="utf-8")


def _write_report(job: PrepareJob, finder: Finder | None, result: Prepared, folder: Path) -> None:
    report = {
        "format": 1,
        "photos": job.photos.name,
        "finder": None if finder is None else finder.name,
        "framing": job.framing,
        "resolution": job.resolution,
        "pictures": [made.to_json() for made in result.made],
        "skipped": dict(result.skipped),
        "notes": list(result.notes),
    }
    text = json_text(report, 1, allow_nan=True)
    (folder / REPORT_NAME).write_text(text + "\n", encoding="utf-8")
    if result.guesses:
        write_points(folder / POINTS_NAME, result.guesses)


def _nothing(job: PrepareJob, skipped: Mapping[str, str]) -> str:
    if not skipped:
        return f"{job.photos} holds no photographs (PNG, JPEG, WebP, BMP or TIFF)."
    name, reason = next(iter(skipped.items()))
    return (
        f"No usable face is in the {len(skipped)} photographs of {job.photos} ({name}: {reason}); "
        "choose others, or give eyes and mouths by hand."
    )
