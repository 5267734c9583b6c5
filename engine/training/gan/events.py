"""What a training run tells whoever listens: the window, the command line, the logs.

Plain values without torch, so that they travel between processes and into JSON lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class StepDone:
    """One step is over.

    Attributes:
        step: steps done. images: real pictures shown so far.
        losses: name -> mean over the batch; ``score/...`` are what the discriminator said.
        rates: learning rate of each network, as used (before lazy regularisation's scaling).
        augmentation: strength, 0 to 1.
        images_per_second: lately. seconds: of training so far, pauses left out.
        seconds_left: until the budget is used up, as far as that can be told.
    """

    step: int
    images: int
    losses: Mapping[str, float]
    rates: Mapping[str, float]
    augmentation: float = 0.0
    images_per_second: float = 0.0
    seconds: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True)
class Notice:
    """Something a person should know, in one sentence."""

    step: int
    text: str


@dataclass(frozen=True)
class SnapshotWritten:
    """A snapshot lies at ``path``; ``run.back_to(step)`` returns to it."""

    step: int
    path: str


@dataclass(frozen=True)
class SamplesDrawn:
    """A picture of the fixed seeds lies at ``path``."""

    step: int
    path: str


@dataclass(frozen=True)
class ScoresMeasured:
    """Scores of the average generator.

    Attributes:
        values: ``{"fid": 31.2, "kid": 0.014}``. features: which feature network.
    """

    step: int
    values: Mapping[str, float]
    features: str


@dataclass(frozen=True)
class Returned:
    """Training went to a snapshot, and on from there; what came after it does not count.

    Attributes:
        step: of the snapshot.
        line: the line that begins there (:mod:`.lines`), since what came after is set aside; ``None`` where
            the same line goes on.
        parent: the line that the snapshot was taken on.
    """

    step: int
    line: int | None = None
    parent: int = 0


@dataclass(frozen=True)
class Finished:
    """The run is over.

    Attributes:
        why: ``"budget"``, ``"stopped"`` or ``"failed"``. model: path of the kept model's JSON,
            empty if none was written.
    """

    step: int
    why: str
    model: str = ""


Event = StepDone | Notice | SnapshotWritten | SamplesDrawn | ScoresMeasured | Returned | Finished
Listener = Callable[[Event], None]

_KINDS: dict[str, type[Any]] = {
    "step": StepDone,
    "notice": Notice,
    "snapshot": SnapshotWritten,
    "samples": SamplesDrawn,
    "scores": ScoresMeasured,
    "returned": Returned,
    "finished": Finished,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_line(event: Event) -> dict[str, Any]:
    """Plain data with the event's ``kind``; :func:`from_line` is its inverse."""
    return {"kind": _NAMES[type(event)], **asdict(event)}


def from_line(line: Mapping[str, Any]) -> Event | None:
    """The event of a line; ``None`` where it is none that this version knows."""
    kind = _KINDS.get(str(line.get("kind")))
    if kind is None:
        return None
    try:
        event: Event = kind(**{name: value for name, value in line.items() if name != "kind"})
    except TypeError:
        return None
    return event


@dataclass
class Everybody:
    """Several listeners as one."""

    listeners: list[Listener] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)
