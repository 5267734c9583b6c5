"""What a data set is told to be: for the window, the command line and a model's card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from engine.training.data.cameras import Label, angles_of
from engine.training.data.likeness import groups
from engine.training.data.scan import Seen

Kind = Literal[
    "few", "small", "no_pose", "part_posed", "duplicates", "unreadable", "labels", "text"
]

#: Fewer pictures than this hardly teach more than themselves, even with augmentation.
FEW = 100
#: Names that a sentence spells out.
_SPELT = 3


@dataclass(frozen=True)
class DataWarning:
    """Something to know before training; none of it stops anything.

    Attributes:
        kind: which. text: one sentence. names: pictures it is about, for the grid.
    """

    kind: Kind
    text: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """A picture that takes no part. ``reason`` completes "it is left out: ..."."""

    name: str
    reason: str


@dataclass(frozen=True)
class DataSummary:
    """A data set in numbers.

    Attributes:
        name: of the folder or archive, without where it lies.
        pictures: that take part, mirrored ones not counted. dropped: ticked off by a person.
        skipped: unreadable or without a camera that others have.
        resolution: side that is trained on, pixels. smallest, largest: shorter sides of the
            pictures, pixels (0 without pictures).
        posed: whether every picture has a camera. yaw, pitch: the middle 90 % of the cameras'
            angles, degrees.
        mirrored: whether each is also shown mirrored.
        fingerprint: SHA-256 over what is trained on (names, contents, cameras, mirroring).
    """

    name: str
    pictures: int
    dropped: int
    skipped: int
    resolution: int
    smallest: int
    largest: int
    posed: bool
    yaw: tuple[float, float] | None
    pitch: tuple[float, float] | None
    mirrored: bool
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """Plain data for snapshots and cards."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
        }

    def sentences(self) -> list[str]:
        """What a person wants to know first."""
        size = f"{self.smallest}" if self.smallest == self.largest else (
            f"{self.smallest} to {self.largest}"
        )  # fmt: skip
        lines = [f"{self.pictures} pictures of {size} pixels, trained at {self.resolution}."]
        if self.posed and self.yaw and self.pitch:
            lines.append(
                f"All have cameras: yaw {self.yaw[0]:.0f} to {self.yaw[1]:.0f}, pitch "
                f"{self.pitch[0]:.0f} to {self.pitch[1]:.0f} degrees (the middle 90 %)."
            )
        if self.dropped or self.skipped:
            lines.append(f"{self.dropped} are ticked off, {self.skipped} left out.")
        return lines


def middle_angles(
    labels: Sequence[Label],
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """5th and 95th percentile of the cameras' yaws and of their pitches, degrees."""
    if not labels:
        return None, None
    angles = np.array([angles_of(label) for label in labels])
    low, high = np.percentile(angles, [5, 95], axis=0)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def find_warnings(
    kept: Sequence[tuple[str, Seen]],
    skipped: Sequence[Skipped],
    resolution: int,
    posed: bool,
    unposed: Sequence[str],
    foreign_labels: int,
) -> tuple[DataWarning, ...]:
    """What to know of pictures that take part.

    Args:
        kept: name and what was seen of each. skipped: the others.
        unposed: names that were left out because only others have cameras.
        foreign_labels: labels of another kind than cameras.
    """
    found: list[DataWarning] = []
    unreadable = [s for s in skipped if s.name not in set(unposed)]
    if unreadable:
        first = unreadable[0]
        found.append(DataWarning(
            "unreadable", f"{_many(len(unreadable), 'file')} of no use and left out "
            f"({first.name}: {first.reason}).", tuple(s.name for s in unreadable),
        ))  # fmt: skip
    if len(kept) < FEW:
        found.append(DataWarning(
            "few", f"Only {_many(len(kept), 'picture')} there; with fewer than {FEW} a model "
            "learns them by heart: fine-tune for a short time, with augmentation.",
        ))  # fmt: skip
    small = [name for name, seen in kept if min(seen.width, seen.height) < resolution]
    if small:
        found.append(DataWarning(
            "small", f"{_many(len(small), 'picture')} smaller than {resolution} pixels and "
            f"enlarged, which looks soft ({_spelt(small)}).", tuple(small),
        ))  # fmt: skip
    if unposed:
        found.append(DataWarning(
            "part_posed", f"{_many(len(unposed), 'picture')} left out because dataset.json has no "
            f"usable camera for them ({_spelt(unposed)}).", tuple(unposed),
        ))  # fmt: skip
    if not posed:
        found.append(DataWarning(
            "no_pose", "No picture has a camera, which EG3D needs and the others can do without; "
            "prepare the pictures to have them estimated.",
        ))  # fmt: skip
    if foreign_labels:
        found.append(DataWarning(
            "labels", f"{_many(foreign_labels, 'label')} of dataset.json no camera of 25 numbers "
            "and ignored.",
        ))  # fmt: skip
    names = [name for name, _ in kept]
    same = groups([seen.sha256 for _, seen in kept], [seen.look for _, seen in kept])
    if same:
        again = tuple(names[index] for group in same for index in group[1:])
        found.append(DataWarning(
            "duplicates", f"{_many(len(again), 'picture')} there twice or nearly ({_spelt(again)}); "
            "they count double.", again,
        ))  # fmt: skip
    return tuple(found)


def _many(count: int, what: str) -> str:
    """``1 picture is``, ``3 pictures are``: how sentences here begin."""
    return f"{count} {what} is" if count == 1 else f"{count} {what}s are"


def _spelt(names: Sequence[str]) -> str:
    more = len(names) - _SPELT
    return ", ".join(names[:_SPELT]) + (f" and {more} more" if more > 0 else "")
