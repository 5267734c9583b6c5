"""The recipe of a picture: everything needed to draw it again, bit for bit.

A recipe is what the window's document holds, what the command line builds from its flags,
what travels to the engine process, and what is stored in every exported PNG. It needs no
torch; :mod:`engine.draw` turns it into a frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from engine.camera import OrbitPose
from engine.capabilities import VIEW_MODES, Capabilities, SettingValue, ViewMode
from engine.edits import Edit, check_edits
from engine.errors import UserError
from engine.faces import Face, Fade, Identity, check_fades
from engine.identity import MAX_PARTS, Blend, Latent, StyleSource
from engine.layer_swap import LayerSwap
from engine.model_ref import ModelRef as ModelRef

RECIPE_FORMAT = "maquette-recipe/1"
MIN_SIZE, MAX_SIZE = 16, 8192
#: Entries that came after the format's first version and are left out where they say nothing.
_LATER = ("settings", "blend", "mixes", "latent", "fades", "swap", "edits")


@dataclass(frozen=True)
class Recipe:
    """What to draw.

    Attributes:
        model: the generator.
        seed: 0 to 2^32 - 1; z is its standard normal vector.
        psi: truncation psi, -1 to 2: 1 is the sample itself, 0 the average identity.
        cutoff: truncate only the first so many rows of w; ``None`` means all.
        pose: the camera.
        view: which picture of the rendering.
        size: side of the picture in pixels; ``None`` is the model's own.
        neural_resolution: side of the volume rendering; ``None`` is the model's own.
        samples: multiplier on the samples per ray.
        transparent: cut the background away where the model knows its opacity.
        blend: a face between several instead of the seed's own, or ``None``.
        latent: a face given by its numbers instead of the seed's own, or ``None``. With a
            blend, too, it stands for the blend's first face, whose seed is then not used.
        mixes: rows of w taken from others, in this order.
        fades: faces that the one above is faded towards, in w; see
            :class:`~engine.faces.Identity`.
        settings: the model's own settings (:class:`~engine.capabilities.ModelSetting`) that
            differ from their defaults, by name and sorted; see :meth:`with_settings`.
        edits: what is added to w at last, in this order; they stay when the face changes.
        swap: layers that a second model lends to ``model``, or ``None``.
    """

    model: ModelRef = field(default_factory=ModelRef)
    seed: int = 0
    psi: float = 0.7
    cutoff: int | None = None
    pose: OrbitPose = field(default_factory=OrbitPose)
    view: ViewMode = "picture"
    size: int | None = None
    neural_resolution: int | None = None
    samples: float = 1.0
    transparent: bool = False
    blend: Blend | None = None
    mixes: tuple[StyleSource, ...] = ()
    latent: Latent | None = None
    fades: tuple[Fade, ...] = ()
    settings: tuple[tuple[str, SettingValue], ...] = ()
    swap: LayerSwap | None = None
    edits: tuple[Edit, ...] = ()

    def of_seed(self, seed: int) -> Self:
        """This recipe with the face of a seed alone."""
        return replace(self, seed=seed, blend=None, latent=None, fades=())

    def of_blend(self, blend: Blend) -> Self:
        """This recipe with a face between seeds."""
        return replace(self, seed=blend.seeds[0], blend=blend, latent=None, fades=())

    def truncated(self, psi: float, cutoff: int | None) -> Self:
        """This recipe with another truncation, of the faces that it is faded towards, too."""
        fades = (replace(f, face=replace(f.face, psi=psi, cutoff=cutoff)) for f in self.fades)
        return replace(self, psi=psi, cutoff=cutoff, fades=tuple(fades))

    @property
    def identity(self) -> Identity:
        """Who is drawn."""
        face = Face(**{f.name: getattr(self, f.name) for f in fields(Face)})
        return Identity(face, self.fades, self.edits)

    def with_identity(self, identity: Identity, pose: OrbitPose | None = None) -> Self:
        """This recipe with somebody else, and seen by another camera if one is given."""
        face = {f.name: getattr(identity.face, f.name) for f in fields(Face)}
        return replace(
            self, pose=pose or self.pose, fades=identity.fades, edits=identity.edits, **face
        )

    def with_settings(self, values: Mapping[str, SettingValue]) -> Self:
        """This recipe with exactly these settings of the model."""
        return replace(self, settings=tuple(sorted(values.items())))

    def checked(self) -> Self:
        """This recipe, if every value is in range.

        Raises:
            UserError: naming the value and the range.
        """
        if not 0 <= self.seed < 2**32:
            raise UserError(f"The seed must be 0 to 4294967295, not {self.seed}.")
        if not (math.isfinite(self.psi) and -1.0 <= self.psi <= 2.0):
            raise UserError(f"Truncation psi must be -1 to 2, not {self.psi:g}.")
        if self.cutoff is not None and self.cutoff < 0:
            raise UserError(f"The truncation cutoff must be 0 or more layers, not {self.cutoff}.")
        in_w = self.latent is not None and self.latent.space == "w"
        if in_w and self.blend is not None and self.blend.space == "z":
            raise UserError(
                "A face that is given in w has no place in z; blend it along a straight line."
            )
        if len(self.mixes) > MAX_PARTS:
            raise UserError(f"At most {MAX_PARTS} faces can be mixed, not {len(self.mixes)}.")
        check_fades(self.fades)
        check_edits(self.edits)
        for name, side in (("size", self.size), ("neural resolution", self.neural_resolution)):
            if side is not None and not MIN_SIZE <= side <= MAX_SIZE:
                raise UserError(f"The {name} must be {MIN_SIZE} to {MAX_SIZE} pixels, not {side}.")
        if not 0.0 < self.samples <= 8.0:
            raise UserError(
                f"The sample multiplier must be above 0 and at most 8, not {self.samples:g}."
            )
        if self.view not in VIEW_MODES:
            raise UserError(f"Unknown view {self.view!r}; use one of {', '.join(VIEW_MODES)}.")
        self.pose.camera()
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["model"] = {f.name: getattr(self.model, f.name) for f in fields(ModelRef)}
        plain["pose"] = self.pose.to_json()
        plain["settings"] = dict(self.settings)
        plain["blend"] = None if self.blend is None else self.blend.to_json()
        plain["latent"] = None if self.latent is None else self.latent.to_json()
        plain["fades"] = [fade.to_json() for fade in self.fades]
        plain["edits"] = [edit.to_json() for edit in self.edits]
        plain["mixes"] = [source.to_json() for source in self.mixes]
        plain["swap"] = None if self.swap is None else self.swap.to_json()
        for name in _LATER:
            # Earlier versions know recipes without these, and read those.
            if not plain[name]:
                del plain[name]
        return {"format": RECIPE_FORMAT, **plain}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read :meth:`to_json`'s form, checked.

        Raises:
            UserError: not a recipe, a newer format, or a value out of range.
        """
        if not isinstance(data, dict) or not str(data.get("format", "")).startswith(
            "maquette-recipe/"
        ):
            raise UserError("This picture holds no Maquette recipe.")
        if data["format"] != RECIPE_FORMAT:
            raise UserError(
                f"This recipe is of the format {data['format']!r}, which this version of Maquette "
                "cannot read; install a newer one."
            )
        known = {f.name for f in fields(cls)}
        try:
            model = ModelRef(**{k: str(v) for k, v in data["model"].items()})
            cutoff, size, neural = (
                None if data.get(k) is None else int(data[k])
                for k in ("cutoff", "size", "neural_resolution")
            )
            recipe = cls(
                model=model,
                seed=int(data["seed"]),
                psi=float(data["psi"]),
                cutoff=cutoff,
                pose=OrbitPose.from_json(data["pose"]),
                view=data["view"],
                size=size,
                neural_resolution=neural,
                samples=float(data["samples"]),
                transparent=bool(data["transparent"]),
                blend=None if data.get("blend") is None else Blend.from_json(data["blend"]),
                mixes=tuple(StyleSource.from_json(item) for item in data.get("mixes", ())),
                latent=None if data.get("latent") is None else Latent.from_json(data["latent"]),
                fades=tuple(Fade.from_json(item) for item in data.get("fades", ())),
                settings=_settings(data.get("settings", {})),
                edits=tuple(Edit.from_json(item) for item in data.get("edits", ())),
                swap=None if data.get("swap") is None else LayerSwap.from_json(data["swap"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"This recipe is damaged ({type(error).__name__}: {error}).") from error
        if extra := set(data) - known - {"format"}:
            raise UserError(f"This recipe holds unknown entries: {', '.join(sorted(extra))}.")
        return recipe.checked()

    def with_defaults_of(self, capabilities: Capabilities) -> Self:
        """This recipe with its camera set to the model's frontal default."""
        return replace(self, pose=capabilities.default_pose)


def _settings(data: Any) -> tuple[tuple[str, SettingValue], ...]:
    """Names and plain values; whether the model has them is seen once it is open."""
    if not isinstance(data, dict) or not all(
        isinstance(name, str) and isinstance(value, (bool, int, float, str))
        for name, value in data.items()
    ):
        raise ValueError("its settings are not names and values")
    return tuple(sorted(data.items()))
