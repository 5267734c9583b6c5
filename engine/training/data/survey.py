"""What a data set holds and which of it would be trained on, without torch: for the window, the
commands, and :class:`engine.training.data.training_data.TrainingData`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import UserError
from engine.training.data import choices
from engine.training.data.cameras import Label
from engine.training.data.decode import Pixels, decode, square
from engine.training.data.files import Files, open_files
from engine.training.data.labels import read_labels
from engine.training.data.scan import Progress, Seen, scan
from engine.training.data.summary import (
    DataSummary,
    DataWarning,
    Skipped,
    find_warnings,
    middle_angles,
)


@dataclass(frozen=True)
class Survey:
    """A data set that was looked through.

    Attributes:
        files: where the pictures lie.
        seen: name -> what was seen, of every picture, those that take no part among them.
        names: of those that take part, sorted. labels: their cameras, if they have any.
        dropped: names that a person ticked off. skipped: the others that take no part.
        summary: in numbers. warnings: what to know before training.
    """

    files: Files
    seen: Mapping[str, Seen]
    names: tuple[str, ...]
    labels: tuple[Label, ...] | None
    dropped: frozenset[str]
    skipped: tuple[Skipped, ...]
    summary: DataSummary
    warnings: tuple[DataWarning, ...]

    def thumbnail(self, name: str, side: int) -> Pixels:
        """``[side, side, 3]`` a small picture, whether it takes part or not.

        Raises:
            Unreadable: it is damaged. OSError: it is gone.
        """
        return square(decode(self.files.read(name)), side)

    def drop(self, names: Sequence[str]) -> None:
        """Store which pictures are ticked off, all others are kept; holds from the next look on.

        Raises:
            ExportError: that cannot be written.
        """
        choices.write_dropped(self.files.beside(choices.NAME), names)


def survey(
    path: Path | str,
    resolution: int,
    mirror: bool = True,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Survey:
    """Look through a folder of pictures, or a zip archive or folder in StyleGAN's and EG3D's layout.

    Every picture is decoded once, or was at an earlier look (see ``scan``). Those that cannot be read
    and, where ``dataset.json`` has cameras, those without one are skipped.

    Args:
        resolution: side that is trained on, pixels. mirror: whether each is also shown mirrored.
        progress: told (done, of how many). cancelled: asked now and then.

    Raises:
        UserError: nothing is there, or it is not such a thing. No usable picture is no error here.
        Cancelled: ``cancelled`` said so.
    """
    if resolution < 1:
        raise UserError(f"The resolution must be at least 1 pixel, not {resolution}.")
    files = open_files(Path(path))
    labels = read_labels(files)
    dropped = choices.read_dropped(files.beside(choices.NAME))
    looked = scan(files, progress, cancelled)
    cameras = {} if labels is None else labels.cameras
    bad = {} if labels is None else labels.bad
    posed = any(name in cameras for name in looked)
    skipped = [Skipped(*pair) for pair in files.refused]
    kept: list[tuple[str, Seen]] = []
    unposed: list[str] = []
    for name, seen in looked.items():
        if name in dropped:
            continue
        reason = seen.trouble
        if not reason and posed:
            reason = _no_camera(name, seen, cameras, bad)
            unposed += [name] if reason else []
        if reason:
            skipped.append(Skipped(name, reason))
        else:
            kept.append((name, seen))
    own = tuple(cameras[name] for name, _ in kept) if posed and kept else None
    sides = [min(seen.width, seen.height) for _, seen in kept] or [0]
    yaw, pitch = middle_angles(own or ())
    summary = DataSummary(
        name=files.path.name or str(files.path),
        pictures=len(kept),
        dropped=len(dropped & set(looked)),
        skipped=len(skipped),
        resolution=resolution,
        smallest=min(sides),
        largest=max(sides),
        posed=own is not None,
        yaw=yaw,
        pitch=pitch,
        mirrored=mirror,
        fingerprint=_fingerprint(kept, own, mirror),
    )
    foreign = 0 if labels is None else labels.foreign
    warnings = find_warnings(kept, skipped, resolution, own is not None, unposed, foreign)
    names = tuple(name for name, _ in kept)
    return Survey(files, looked, names, own, dropped, tuple(skipped), summary, warnings)


def nothing_usable(found: Survey) -> str:
    """The sentence for a data set of which no picture takes part."""
    path = found.files.path
    if found.dropped & set(found.seen):
        return f"Every usable picture of {path} is ticked off; keep some."
    if found.skipped:
        first = found.skipped[0]
        return (
            f"No picture of {path} can be used ({first.name}: {first.reason}); choose another "
            "folder or archive."
        )
    return f"{path} holds no pictures (PNG, JPEG, WebP, BMP or TIFF); choose another folder or archive."


def _no_camera(name: str, seen: Seen, cameras: Mapping[str, Label], bad: Mapping[str, str]) -> str:
    """Why a picture of a data set with cameras cannot take part, or nothing."""
    if name in bad:
        return f"its camera {bad[name]}"
    if name not in cameras:
        return "dataset.json has no camera for it"
    if seen.width != seen.height:
        return "it has a camera but is not square"
    return ""


def _fingerprint(
    kept: Sequence[tuple[str, Seen]], labels: Sequence[Label] | None, mirror: bool
) -> str:
    digest = hashlib.sha256(b"mirrored" if mirror else b"plain")
    for index, (name, seen) in enumerate(kept):
        digest.update(json.dumps([name, seen.sha256]).encode())
        if labels is not None:
            digest.update(np.ascontiguousarray(labels[index], "<f4").tobytes())
    return digest.hexdigest()
