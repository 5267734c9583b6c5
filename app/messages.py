"""What the engine tells the window: small frozen records, collected by ``EngineClient.poll``.

Nothing here needs torch: the window process holds these records and never loads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.edit_wire import TaskEvent
from engine.capabilities import Capabilities
from engine.recipe import ModelRef, Recipe

#: Which of two pictures: that of the document, or the one that it is compared with.
Part = Literal["present", "reference"]


@dataclass(frozen=True)
class ModelLoaded:
    """A model is open and draws from now on.

    Attributes:
        ref: where it came from, its hash and its title.
        capabilities: what it can do; the window shows its controls accordingly.
        device: ``"cpu"``, ``"cuda:0"``, ...
        seconds: how long opening took.
        assumptions: sentences on what the file could not tell and was assumed.
        layers: names of the layers that it can take from a second model, in the network's order.
    """

    ref: ModelRef
    capabilities: Capabilities
    device: str
    seconds: float
    assumptions: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelFailed:
    """A model could not be opened. The one that was open before stays open.

    Attributes:
        path: what was asked for.
        message: one sentence for people.
    """

    path: str
    message: str


@dataclass(frozen=True, eq=False)
class FrameReady:
    """A picture to show.

    Attributes:
        image: ``[H, W, 4]`` float32 RGBA in ``[0, 1]``, row 0 on top, straight alpha (1
            everywhere unless the recipe is transparent). It is a copy and belongs to the
            receiver. H and W change with the quality; the framing never does, so show it
            stretched over the same rectangle with linear filtering.
        recipe: what was asked for.
        resolution: ``(side of the volume rendering, side of the picture)`` in pixels.
        milliseconds: time the engine spent on drawing it.
        full_quality: ``False`` for a preview drawn while moving; the full-quality frame of
            the same generation follows by itself.
        generation: the number that ``EngineClient.request`` gave; of a reference, that of the
            request during which it was drawn.
        part: the present picture, or the reference beside it.
    """

    image: NDArray[np.float32]
    recipe: Recipe
    resolution: tuple[int, int]
    milliseconds: float
    full_quality: bool
    generation: int
    part: Part = "present"


@dataclass(frozen=True)
class RenderFailed:
    """A picture could not be drawn; the one shown before stays valid.

    Attributes:
        message: one sentence for people.
        generation: the number that ``EngineClient.request`` gave.
        part: of the present picture, or of the reference.
    """

    message: str
    generation: int = 0
    part: Part = "present"


@dataclass(frozen=True)
class MemoryShort:
    """Pictures are drawn smaller than asked because memory does not suffice.

    Attributes:
        message: one sentence for people; empty once it suffices again.
    """

    message: str


@dataclass(frozen=True)
class EngineDied:
    """The engine process ended by itself or was killed.

    Attributes:
        message: one sentence for people; it says whether a new one is being started.
        restarting: ``False`` after it died too often; ``EngineClient.restart`` tries again.
    """

    message: str
    restarting: bool = True


@dataclass(frozen=True)
class EngineRestored:
    """A new engine process has the model open again; the picture follows by itself.

    Attributes:
        message: one sentence for people. severity: how the notice looks.
    """

    message: str = "The engine is back; your work is as it was."
    severity: Literal["good", "warning"] = "good"


@dataclass(frozen=True)
class JobProgress:
    """How far an export is.

    Attributes:
        job: its number.
        title: what it makes, for people.
        done, total: steps; ``total`` is 0 while it is not known yet (starting, loading).
        seconds_left: an estimate, or ``None`` while there is none.
    """

    job: int
    title: str
    done: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True)
class JobFinished:
    """An export is complete and lies at ``path`` (a folder for a sequence of pictures)."""

    job: int
    title: str
    path: str


@dataclass(frozen=True)
class JobFailed:
    """An export did not work; no file was left. ``message`` is one sentence for people."""

    job: int
    title: str
    message: str


@dataclass(frozen=True)
class JobCancelled:
    """An export was stopped as asked; no file was left."""

    job: int
    title: str


@dataclass(frozen=True, eq=False)
class ThumbnailReady:
    """A small picture that was asked for.

    Attributes:
        key: which.
        image: ``[S, S, 3]`` uint8, row 0 on top; ``None`` where there is none.
        tried: without a picture: it cannot be drawn, and asking again is of no use.
    """

    key: str
    image: NDArray[np.uint8] | None
    tried: bool = True


@dataclass(frozen=True)
class SecondRead:
    """A second model can lend layers to the open one.

    Attributes:
        ref: where it came from, its hash and its title.
        layers: those of the open model's layers that it can lend.
    """

    ref: ModelRef
    layers: tuple[str, ...]


@dataclass(frozen=True)
class SecondFailed:
    """A second model cannot lend layers. ``message`` is one sentence for people."""

    path: str
    message: str


JobEvent = JobProgress | JobFinished | JobFailed | JobCancelled
Event = (
    ModelLoaded
    | ModelFailed
    | FrameReady
    | RenderFailed
    | MemoryShort
    | EngineDied
    | EngineRestored
    | ThumbnailReady
    | SecondRead
    | SecondFailed
    | TaskEvent
    | JobEvent
)
