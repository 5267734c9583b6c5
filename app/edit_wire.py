"""The records that travel between the window and the process that finds edits. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.editing.directions import Direction
from engine.edits import Offset
from engine.recipe import Recipe

Ways = Literal["pca", "sefa"]


@dataclass(frozen=True)
class FindDirection:
    """A direction that a text stands for.

    Attributes:
        text, neutral: what should be seen, and against what (empty: a person).
        enough: also how far the face of the task's recipe has to go along it.
        rows: rows of w that may move then; ``None`` means all.
    """

    text: str
    neutral: str = ""
    enough: bool = False
    rows: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Optimise:
    """Move the face of the task's recipe until its pictures say a text.

    Attributes:
        text, neutral: what should be seen, and against what.
        rows: rows of w that may move; ``None`` means all.
        keep_pose, keep_background: the head's outline, and what lies behind it, shall stay.
    """

    text: str
    neutral: str = ""
    rows: tuple[int, ...] | None = None
    keep_pose: bool = True
    keep_background: bool = True


@dataclass(frozen=True)
class FindWays:
    """The first ``count`` ways in which the model's people differ (PCA), or to which its layers
    answer most (SeFa)."""

    kind: Ways
    count: int


@dataclass(frozen=True)
class OrderFaces:
    """Which of some faces fit a text best."""

    text: str
    faces: tuple[Recipe, ...]


@dataclass(frozen=True)
class TryEncoder:
    """Load the text encoder, and say what it is."""


Wish = FindDirection | Optimise | FindWays | OrderFaces | TryEncoder


@dataclass(frozen=True)
class EditTask:
    """Do this.

    Attributes:
        number: of the task.
        wish: what is to be found.
        recipe: model, settings and face.
        encoder: as in ``Settings.text_encoder``.
    """

    number: int
    wish: Wish
    recipe: Recipe
    encoder: str = ""


@dataclass(frozen=True)
class StopTask:
    """Stop the task with this number."""

    number: int


@dataclass(frozen=True)
class TaskEvent:
    """What the process tells of a task; ``number`` is the task's."""

    number: int


@dataclass(frozen=True)
class TaskProgress(TaskEvent):
    """How far a task is; ``total`` is 0 while that is not known. ``doing`` and ``note``, a sentence
    that is told at once, are for people."""

    done: int
    total: int
    doing: str = ""
    note: str = ""


@dataclass(frozen=True)
class TaskStep(TaskEvent):
    """Where an optimisation is: ``offset`` is what is added to w now, ``reached`` how much of the
    way to the text its picture has gone."""

    step: int
    steps: int
    offset: Offset
    reached: float


@dataclass(frozen=True)
class TaskDone(TaskEvent):
    """A task is complete.

    Attributes:
        directions: what was found.
        order: places of the faces that were to be ordered, the best first.
        note: a sentence for people.
        strength: how far the face has to go, where that was asked.
    """

    directions: tuple[Direction, ...] = ()
    order: tuple[int, ...] = ()
    note: str = ""
    strength: float | None = None


@dataclass(frozen=True)
class TaskStopped(TaskEvent):
    """A task was stopped as asked."""


@dataclass(frozen=True)
class TaskFailed(TaskEvent):
    """A task did not work; ``message`` is one sentence for people."""

    message: str
