"""The options that several commands share: which model, whose face, from where.

Every value that a recipe has is ``None`` here unless it was given, so that a recipe read from
a picture can be changed in one place and kept in all others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from app.cli.parsing import finite
from engine.camera import OrbitPose
from engine.recipe import ModelRef, Recipe

if TYPE_CHECKING:
    from engine.generators.base import Generator

BUNDLED = "bundled"

_FRONT = "(default: the model's front view)"
_OWN = "(default: the model's own)"


def _number(unit: str, default: str) -> object:
    return tyro.conf.arg(metavar=unit, help_behavior_hint=default)


@dataclass(frozen=True)
class ModelOptions:
    """Which generator, and where it runs."""

    model: Annotated[
        str | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: the bundled one)")
    ] = None
    """A checkpoint (the authors' file or a converted model), or the word 'bundled'."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where to compute; 'cuda:1' names the second GPU."""


@dataclass(frozen=True)
class FaceOptions:
    """Truncation, which trades variety for quality."""

    psi: Annotated[float | None, _number("NUMBER", "(default: 0.7)")] = None
    """Truncation psi, -1 to 2: 1 is the sample itself, 0 the average face."""
    cutoff: Annotated[int | None, _number("LAYERS", "(default: all)")] = None
    """Truncate only the first so many layers."""

    def apply(self, recipe: Recipe) -> Recipe:
        """``recipe`` with what was given here."""
        finite(psi=self.psi)
        changes = {"psi": self.psi, "cutoff": self.cutoff}
        return replace(recipe, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]


@dataclass(frozen=True)
class CameraOptions:
    """Where the camera stands, on a sphere around the head."""

    yaw: Annotated[float | None, _number("DEGREES", _FRONT)] = None
    """Positive moves the camera to the person's left."""
    pitch: Annotated[float | None, _number("DEGREES", _FRONT)] = None
    """Positive lifts the camera; -89 to 89."""
    roll: Annotated[float | None, _number("DEGREES", _FRONT)] = None
    """About the viewing direction."""
    radius: Annotated[float | None, _number("UNITS", _OWN)] = None
    """Distance of the camera, in the model's world units."""
    fov: Annotated[float | None, _number("DEGREES", _OWN)] = None
    """Full vertical angle of view, 1 to 120."""

    def apply(self, pose: OrbitPose) -> OrbitPose:
        """``pose`` with what was given here.

        Raises:
            UserError: a value that is no number or out of range.
        """
        given = {"yaw": self.yaw, "pitch": self.pitch, "roll": self.roll, "radius": self.radius}
        finite(**given, fov=self.fov)
        given["fov_y"] = self.fov
        changed = replace(pose, **{k: v for k, v in given.items() if v is not None})
        changed.camera()
        return changed


ViewName = Literal["picture", "raw", "depth", "normals", "opacity"]


@dataclass(frozen=True)
class QualityOptions:
    """How finely the volume is rendered."""

    neural_resolution: Annotated[int | None, _number("PIXELS", _OWN)] = None
    """Side of the volume rendering before the upsampler."""
    samples: Annotated[float | None, _number("FACTOR", "(default: 1)")] = None
    """Multiplies the samples per ray; above 0, at most 8."""

    def apply(self, recipe: Recipe) -> Recipe:
        """``recipe`` with what was given here."""
        finite(samples=self.samples)
        changes = {"neural_resolution": self.neural_resolution, "samples": self.samples}
        return replace(recipe, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]


def model_file(path: str) -> Path:
    """The file that holds a model's tensors: what a recipe's hash is of.

    For a converted model that is the ``.safetensors`` beside its ``.json``.

    Args:
        path: ``"bundled"`` or a file.

    Raises:
        CheckpointError: there is no such file.
    """
    from engine.assets import bundled_generator
    from engine.errors import CheckpointError

    where = bundled_generator() if path == BUNDLED else Path(path).expanduser()
    if where.suffix == ".json" and where.with_suffix(".safetensors").is_file():
        where = where.with_suffix(".safetensors")
    if where.is_dir():
        raise CheckpointError(f"{where} is a folder; name the model file in it.")
    if not where.is_file():
        raise CheckpointError(f"There is no model at {where}; check the path.")
    return where


def open_generator(options: ModelOptions, fallback: str = BUNDLED) -> tuple[Generator, ModelRef]:
    """Open the model that was asked for.

    Args:
        options: what was given.
        fallback: the model to open if none was given.

    Returns:
        The generator, and the reference that recipes hold.

    Raises:
        CheckpointError: the file is missing, damaged or foreign.
    """
    path = options.model or fallback
    where = model_file(path)
    from engine.checkpoints import file_sha256
    from engine.generators.registry import open_model

    generator = open_model(path if path == BUNDLED else Path(path).expanduser(), options.device)
    kept = path if path == BUNDLED else str(Path(path).expanduser().resolve())
    return generator, ModelRef(kept, file_sha256(where), where.stem)
