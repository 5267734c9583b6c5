"""The records that travel through the pipes between the window, the engine and the exporter.

Only :mod:`app.client`, :mod:`app.jobs` and the two processes use them; the window sees
:mod:`app.messages`. Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.frames import RingInfo, SlotRef
from app.jobs import Job
from app.messages import ModelFailed, ModelLoaded, Part, SecondFailed, SecondRead
from engine.recipe import Recipe


@dataclass(frozen=True)
class ProcessOptions:
    """How a process is started.

    Attributes:
        device: ``"auto"``, ``"cpu"``, ...
        opener: ``"module:function"`` in place of the registry's ``open_model``; empty for it.
        target_fps: as in ``EngineClient``.
        settle_seconds: rest after which a preview is followed by the full-quality frame.
        frugal: how much smaller than asked the engine's pictures are at first, see
            :data:`app.frugality.STEPS`.
    """

    device: str
    opener: str = ""
    target_fps: float | None = None
    settle_seconds: float = 0.2
    frugal: int = 0


# To the engine ------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenModel:
    """Open ``path``; the answer carries ``serial``."""

    serial: int
    path: str


@dataclass(frozen=True)
class Draw:
    """Draw a recipe, and one to compare it with. The newest one wins.

    Attributes:
        generation: of the present picture. Where only the reference changed it stays, and
            nothing but the reference is drawn.
        recipe: the present picture.
        moving: previews are wanted, until it rests.
        reference: what it is compared with, or ``None``.
        seen: whether the reference is on the screen, and shall follow while things move;
            otherwise it is drawn once they rest.
    """

    generation: int
    recipe: Recipe
    moving: bool
    reference: Recipe | None = None
    seen: bool = False

    def asks_the_same_as(self, other: Draw) -> bool:
        """Whether nothing but the motion differs: a drag that ended where it was."""
        return replace(self, moving=other.moving) == other


@dataclass(frozen=True)
class UseRing:
    """Write frames here from now on."""

    info: RingInfo


@dataclass(frozen=True)
class ReleaseSlot:
    """The window has copied this slot; it may be written again."""

    ring: int
    slot: int


@dataclass(frozen=True)
class SetTarget:
    """Hold this many pictures a second while moving (``None``: by device)."""

    fps: float | None


@dataclass(frozen=True)
class DrawThumbnail:
    """Draw a small picture, ``side`` pixels wide and high, once nothing else is to be drawn."""

    key: str
    recipe: Recipe
    side: int


@dataclass(frozen=True)
class DropThumbnails:
    """Forget every :class:`DrawThumbnail` so far."""


@dataclass(frozen=True)
class ReadSecond:
    """Look whether the model at ``path`` can lend layers to the open one; the answer carries
    ``serial``. The newest wish wins."""

    serial: int
    path: str


# From the engine ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The process runs and listens."""


@dataclass(frozen=True)
class Taken:
    """A :class:`Draw` has arrived; the next may be sent. Without this the window could fill
    the pipe of an engine that is busy and would then block."""

    generation: int


@dataclass(frozen=True)
class NeedRing:
    """The next picture needs slots of so many bytes."""

    capacity: int


@dataclass(frozen=True)
class FrameInSlot:
    """A picture lies in a slot; the fields are those of ``messages.FrameReady``."""

    ref: SlotRef
    recipe: Recipe
    resolution: tuple[int, int]
    milliseconds: float
    full_quality: bool
    generation: int
    part: Part = "present"


@dataclass(frozen=True)
class ThumbnailDrawn:
    """Answer to :class:`DrawThumbnail`: RGB bytes row by row, or ``None`` where it cannot be
    drawn (``tried``) or belongs to a model that is not open."""

    key: str
    pixels: bytes | None
    tried: bool = True


@dataclass(frozen=True)
class Opened:
    """Answer to :class:`OpenModel`."""

    serial: int
    result: ModelLoaded | ModelFailed


@dataclass(frozen=True)
class SecondAnswer:
    """Answer to :class:`ReadSecond`."""

    serial: int
    result: SecondRead | SecondFailed


# To the exporter ----------------------------------------------------------------------------


@dataclass(frozen=True)
class RunJob:
    """Do this export, writing everything into the folder ``staging`` first."""

    number: int
    job: Job
    staging: str


@dataclass(frozen=True)
class CancelJob:
    """Stop the export with this number, if it is the one that runs."""

    number: int
