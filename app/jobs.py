"""Exports: the records in which the window asks for pictures, videos, meshes and sheets.

They need no torch. Options are plain dicts with the field names of
``engine.export.options.VideoOptions`` and ``MeshOptions`` and of
``engine.export.sheet_options.SheetOptions``; they become those classes inside the export process (:mod:`app.exporter`). The queue is
:class:`app.export_queue.ExportQueue`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from engine.recipe import Recipe
from engine.timeline import Timeline


@dataclass(frozen=True)
class ExportPicture:
    """One picture of a recipe (its ``size`` and ``transparent`` apply)."""

    recipe: Recipe
    path: str

    @property
    def title(self) -> str:
        """What is shown in the list of jobs."""
        return f"Picture {Path(self.path).name}"


#: How two pictures become one: side by side, or the one left and the other right of a line.
ComparisonLayout = Literal["split", "side by side"]
LAYOUTS: tuple[ComparisonLayout, ...] = get_args(ComparisonLayout)


@dataclass(frozen=True)
class ExportComparison:
    """Two pictures in one.

    Attributes:
        recipe: what is left; its ``size`` and ``transparent`` apply to both.
        reference: what is right.
        path: ``.png`` file.
        layout: how they become one.
        share: where the line of a split stands, as a share of the width.
    """

    recipe: Recipe
    reference: Recipe
    path: str
    layout: ComparisonLayout
    share: float = 0.5

    @property
    def title(self) -> str:
        """What is shown in the list of jobs."""
        return f"Comparison {Path(self.path).name}"


@dataclass(frozen=True)
class ExportVideo:
    """A camera's way around a recipe's head.

    Attributes:
        recipe: what to film.
        path: ``.mp4`` or ``.gif`` file, or a folder for a PNG sequence.
        options: field name -> value of ``VideoOptions``; what is missing has its default.
        timeline: cameras, faces, length and rate, in place of the options' path and morph.
    """

    recipe: Recipe
    path: str
    options: Mapping[str, Any] = field(default_factory=dict)
    timeline: Timeline | None = None

    @property
    def title(self) -> str:
        """What is shown in the list of jobs."""
        return f"Video {Path(self.path).name}"


@dataclass(frozen=True)
class ExportMesh:
    """A recipe's head as a mesh.

    Attributes:
        recipe: model and identity.
        path: ``.glb``, ``.ply``, ``.obj`` or ``.stl`` file.
        options: field name -> value of ``MeshOptions``; what is missing has its default.
    """

    recipe: Recipe
    path: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What is shown in the list of jobs."""
        return f"Mesh {Path(self.path).name}"


@dataclass(frozen=True)
class ExportSheet:
    """Several pictures in one.

    Attributes:
        recipe: model, camera and quality, and whose face it is where the sheet names none.
        path: ``.png`` file.
        options: field name -> value of ``SheetOptions``; what is missing has its default.
    """

    recipe: Recipe
    path: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What is shown in the list of jobs."""
        return f"Sheet {Path(self.path).name}"


@dataclass(frozen=True)
class ExportLatent:
    """The extended latent w of a recipe's face (``.npz`` file)."""

    recipe: Recipe
    path: str

    @property
    def title(self) -> str:
        """What is shown in the list of jobs."""
        return f"Latent {Path(self.path).name}"


@dataclass(frozen=True)
class ExportModel:
    """A recipe's model with the layers that a second one lends, as a converted model.

    Attributes:
        recipe: both models, the layers and the share; the rest is of no account.
        path: the ``.json`` file; the ``.safetensors`` file lies beside it.
    """

    recipe: Recipe
    path: str

    @property
    def title(self) -> str:
        """What is shown in the list of jobs."""
        return f"Model {Path(self.path).name}"


Job = (
    ExportPicture
    | ExportComparison
    | ExportVideo
    | ExportMesh
    | ExportSheet
    | ExportLatent
    | ExportModel
)


@dataclass(frozen=True)
class JobState:
    """One line of the list of jobs.

    Attributes:
        job: its number.
        title: what it makes.
        path: where to.
        state: ``"waiting"``, ``"running"`` or ``"cancelling"``.
        done, total, seconds_left: as in ``messages.JobProgress``.
    """

    job: int
    title: str
    path: str
    state: Literal["waiting", "running", "cancelling"]
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
