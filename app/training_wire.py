"""The records that travel between the window and the training process. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.training.gan.events import Event
from engine.training.shift.options import DEFAULTS, ShiftOptions

#: Side of a picture of the data as the window shows it, pixels: that of a thumbnail.
SMALL = 128
Order = Literal["pause", "go on", "stop"]


@dataclass(frozen=True)
class TrainingPlan:
    """What is to be trained, on what, and where the run is kept.

    Attributes:
        data: folder or archive of pictures.
        model: a checkpoint, or what stands for a model that ships.
        folder: of the run; made if it is not there.
        preset: a name of :data:`engine.training.gan.options.PRESETS`.
        layers: groups of layers that train; empty for those of the preset.
        minutes: length; 0 is until somebody stops it.
        mirror: show every picture mirrored, too.
        score_samples: pictures drawn for FID and KID at each snapshot; 0 measures neither.
        by_text: a text leads instead of the pictures; preset, length in minutes, mirroring and
            scores do not count then.
        shift: what is asked for then. steps: length then; 0 is until somebody stops it.
    """

    data: str
    model: str
    folder: str
    preset: str = "quick"
    layers: tuple[str, ...] = ()
    minutes: float = 20.0
    mirror: bool = True
    score_samples: int = 0
    by_text: bool = False
    shift: ShiftOptions = field(default_factory=ShiftOptions)
    steps: int = DEFAULTS.steps

    @property
    def looked_at(self) -> tuple[str, str]:
        """Pictures, none where a text leads, and model."""
        return "" if self.by_text else self.data, self.model


# To the training process --------------------------------------------------------------------


@dataclass(frozen=True)
class LookAt:
    """Open data and model, and tell what they are; nothing is trained. Without data it is the model
    alone."""

    data: str
    model: str


@dataclass(frozen=True)
class ShowPictures:
    """Small pictures of the data that was looked at last."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Drop:
    """Tick these pictures off, and no others; the answer is a new :class:`Seen`."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Begin:
    """Start a run."""

    plan: TrainingPlan


@dataclass(frozen=True)
class Resume:
    """Go on with a run that was stopped, or broke off."""

    folder: str


@dataclass(frozen=True)
class Obey:
    """To the run that trains."""

    order: Order


@dataclass(frozen=True)
class GoBack:
    """Go to the snapshot of a step, and train on from there; what comes after it is set aside.

    Attributes:
        step: of it. line: that it was taken on; ``None`` is the present one.
    """

    step: int
    line: int | None = None


@dataclass(frozen=True)
class DeleteAside:
    """Delete the snapshots that were set aside."""


@dataclass(frozen=True)
class Watch:
    """Write the average generator as it is now every few seconds, or no longer."""

    on: bool


# From it ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """The answer to :class:`LookAt`.

    Attributes:
        data, model: of the question.
        groups: the layers of the model that can be trained or frozen, by group.
        sentences: on the data. warnings: what to know before training.
        names: of all pictures that can be read. dropped: those that are ticked off.
        doubts: name of a picture -> what is doubtful about it.
    """

    data: str
    model: str
    groups: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    dropped: frozenset[str] = frozenset()
    doubts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SmallPicture:
    """``[SMALL, SMALL, 3]`` bytes of a picture of the data; ``None`` if it cannot be shown."""

    name: str
    pixels: bytes | None


@dataclass(frozen=True)
class Began:
    """A run trains.

    Attributes:
        folder: where it is kept.
        past: what had happened before it was resumed.
    """

    folder: str
    past: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Snapshots:
    """What can be gone to.

    Attributes:
        steps: of the present line. aside: step and line of those that were set aside.
    """

    steps: tuple[int, ...]
    aside: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Retold:
    """All that counts of the run, from its start, now that it goes along another line."""

    past: tuple[Event, ...]


@dataclass(frozen=True)
class Happened:
    """The run tells."""

    event: Event


@dataclass(frozen=True)
class LiveModel:
    """The average generator of a step lies at ``path``."""

    path: str
    step: int


@dataclass(frozen=True)
class Refused:
    """What was asked for cannot be done, or the run could not go on; one sentence."""

    message: str


Answer = Seen | SmallPicture | Began | Snapshots | Retold | Happened | LiveModel | Refused
