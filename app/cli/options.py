"""The options that several commands share: which model, whose face, from where.

Every value that a recipe has is ``None`` here unless it was given, so that a recipe read from
a picture can be changed in one place and kept in all others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from app.cli.parsing import finite
from engine.camera import MAX_PITCH, OrbitPose
from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.latent_files import read_latent
from engine.recipe import Recipe

_FRONT = "(default: the model's front view)"
_OWN = "(default: the model's own)"


def _number(unit: str, default: str) -> object:
    return tyro.conf.arg(metavar=unit, help_behavior_hint=default)


@dataclass(frozen=True)
class SubjectOptions:
    """Which generator, and where it runs."""

    source: Annotated[
        Path | None,
        tyro.conf.arg(name="from", metavar="PICTURE", help_behavior_hint="(default: none)"),
    ] = None
    """A picture made by Maquette, or a project: take its model, face and camera, unless given
    besides."""

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
    latent: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = None
    """A face given by its numbers instead of a seed: an .npz with w, such as projected_w.npz."""

    def apply(self, recipe: Recipe) -> Recipe:
        """``recipe`` with what was given here.

        Raises:
            UserError: the latent cannot be read, or psi is no number.
        """
        finite(psi=self.psi)
        if self.latent is not None:
            recipe = replace(recipe, latent=read_latent(self.latent), blend=None, fades=())
        psi = recipe.psi if self.psi is None else self.psi
        cutoff = recipe.cutoff if self.cutoff is None else self.cutoff
        return (
            recipe
            if (psi, cutoff) == (recipe.psi, recipe.cutoff)
            else recipe.truncated(psi, cutoff)
        )


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
        if self.pitch is not None and abs(self.pitch) > MAX_PITCH:
            raise UserError(f"--pitch must be -89 to 89 degrees, not {self.pitch:g}.")
        changes = {k: v for k, v in {**given, "fov_y": self.fov}.items() if v is not None}
        changed = replace(pose, **changes)  # type: ignore[arg-type]
        changed.camera()
        return changed


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


@dataclass(frozen=True)
class SettingOptions:
    """Choices that only some models have; 'maquette inspect' lists those of a file."""

    words: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(
            name="set", metavar="NAME=VALUE", help_behavior_hint="(default: the model's own)"
        ),
    ] = ()
    """One of the model's own settings, such as samples_per_ray=32; may be given several times."""

    def given(self) -> dict[str, str]:
        """What was given, by name, as it was typed.

        Raises:
            UserError: a word that is not NAME=VALUE.
        """
        values: dict[str, str] = {}
        for word in self.words:
            name, sign, value = word.partition("=")
            if not (sign and name.strip()):
                raise UserError(f"--set takes NAME=VALUE, not {word!r}.")
            values[name.strip().replace("-", "_")] = value.strip()
        return values

    def apply(self, recipe: Recipe, capabilities: Capabilities, foreign: bool = False) -> Recipe:
        """``recipe`` with what was given here, in the model's own terms.

        Args:
            recipe: it may hold settings already, from a picture.
            capabilities: the model's.
            foreign: the recipe was made with another model: what this one lacks is left out.

        Raises:
            UserError: no such setting, or not such a value; it names what there is.
        """
        before = dict(recipe.settings)
        if foreign:
            before = capabilities.fitting_settings(before)
        return recipe.with_settings(capabilities.changed_settings(before | self.given()))
