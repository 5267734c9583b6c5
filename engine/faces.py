"""Who is drawn, as a record of its own: the part of a recipe that w depends on, and what lies
between such parts.

A :class:`Face` is what a person chose: seed, truncation, blend, mixed layers. An
:class:`Identity` lies between faces: a straight sum in w of one face and of others that it fades
towards. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

from engine.capabilities import Capabilities
from engine.edits import Edit, check_edits, edits_between, edits_for
from engine.errors import UserError
from engine.identity import (
    MAX_PARTS,
    MAX_SEED,
    MAX_WEIGHT,
    Blend,
    Latent,
    StyleSource,
    within_rows,
)

#: Shares smaller than this are rounding errors.
_NOTHING = 1e-12


@dataclass(frozen=True)
class Face:
    """One chosen face; the fields are those of :class:`~engine.recipe.Recipe`.

    Raises:
        UserError: on making one whose numbers are out of range.
    """

    seed: int = 0
    psi: float = 0.7
    cutoff: int | None = None
    blend: Blend | None = None
    mixes: tuple[StyleSource, ...] = ()
    latent: Latent | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MAX_SEED:
            raise UserError(f"The seed must be 0 to {MAX_SEED}, not {self.seed}.")
        if not (math.isfinite(self.psi) and -1.0 <= self.psi <= 2.0):
            raise UserError(f"Truncation psi must be -1 to 2, not {self.psi:g}.")
        if self.cutoff is not None and self.cutoff < 0:
            raise UserError(f"The truncation cutoff must be 0 or more layers, not {self.cutoff}.")
        if len(self.mixes) > MAX_PARTS:
            raise UserError(f"At most {MAX_PARTS} faces can be mixed, not {len(self.mixes)}.")

    def for_model(self, facts: Capabilities) -> Self:
        """This face without what a model lacks: rows, or a latent's place."""
        latent = self.latent
        if latent is not None and latent.why_not(facts.num_ws, facts.w_dim, facts.z_dim):
            latent = None
        return replace(self, mixes=within_rows(self.mixes, facts.num_ws), latent=latent)

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        data: dict[str, Any] = {"seed": self.seed, "psi": self.psi, "cutoff": self.cutoff}
        if self.blend is not None:
            data["blend"] = self.blend.to_json()
        if self.mixes:
            data["mixes"] = [source.to_json() for source in self.mixes]
        if self.latent is not None:
            data["latent"] = self.latent.to_json()
        return data

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read :meth:`to_json`'s form. Raises ``KeyError``, ``TypeError`` or ``ValueError`` where
        it is damaged, and :class:`~engine.errors.UserError` where a number is out of range."""
        return cls(
            int(data["seed"]),
            float(data["psi"]),
            None if data.get("cutoff") is None else int(data["cutoff"]),
            None if data.get("blend") is None else Blend.from_json(data["blend"]),
            tuple(StyleSource.from_json(item) for item in data.get("mixes", ())),
            None if data.get("latent") is None else Latent.from_json(data["latent"]),
        )


@dataclass(frozen=True)
class Fade:
    """A face that is faded towards.

    Attributes:
        face: the other one.
        weight: its share of w; 0.5 is half-way, below 0 leads away from it.

    Raises:
        UserError: the weight is not -8 to 8.
    """

    face: Face
    weight: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and abs(self.weight) <= MAX_WEIGHT):
            raise UserError(
                f"The weight of a face must be -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}, "
                f"not {self.weight:g}."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        return {"face": self.face.to_json(), "weight": self.weight}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read :meth:`to_json`'s form; errors as those of :meth:`Face.from_json`."""
        return cls(Face.from_json(data["face"]), float(data["weight"]))


@dataclass(frozen=True)
class Identity:
    """A face between faces: ``w = (1 - sum of the weights) w(face) + sum of weight w(other)``,
    and what edits add to that.

    Attributes:
        face: the one with the remaining share.
        fades: the others, at most 64.
        edits: the stack of edits, at most 64.

    Raises:
        UserError: on making one with too many others or edits.
    """

    face: Face
    fades: tuple[Fade, ...] = ()
    edits: tuple[Edit, ...] = ()

    def __post_init__(self) -> None:
        check_fades(self.fades)
        check_edits(self.edits)

    @property
    def shares(self) -> dict[Face, float]:
        """Every face with its share of w; they sum to one."""
        parts = {self.face: 1.0 - sum(fade.weight for fade in self.fades)}
        for fade in self.fades:
            parts[fade.face] = parts.get(fade.face, 0.0) + fade.weight
        return parts

    def for_model(self, facts: Capabilities) -> Self:
        """This identity without what a model lacks."""
        return replace(
            self,
            face=self.face.for_model(facts),
            fades=fades_for(self.fades, facts),
            edits=edits_for(self.edits, facts),
        )


def check_fades(fades: tuple[Fade, ...]) -> None:
    """Raises :class:`~engine.errors.UserError` where there are too many."""
    if len(fades) > MAX_PARTS:
        raise UserError(f"At most {MAX_PARTS} faces can be faded into one, not {len(fades)}.")


def fades_for(fades: tuple[Fade, ...], facts: Capabilities) -> tuple[Fade, ...]:
    """``fades`` without what a model lacks."""
    return tuple(replace(fade, face=fade.face.for_model(facts)) for fade in fades)


def between(parts: Iterable[tuple[Identity, float]]) -> Identity:
    """The identity at some shares of others: a straight sum in w.

    Args:
        parts: identities and their shares, which sum to one.

    Returns:
        Each face once; the one with the largest share (the first of equals) is the base. Edits
        have their strengths at those shares.
    """
    parts = list(parts)
    total: dict[Face, float] = {}
    for identity, share in parts:
        for face, inner in identity.shares.items():
            total[face] = total.get(face, 0.0) + share * inner
    base = max(total, key=lambda face: total[face])
    rest = (
        Fade(face, weight)
        for face, weight in total.items()
        if face != base and abs(weight) > _NOTHING
    )
    edits = edits_between((identity.edits, share) for identity, share in parts)
    return Identity(base, tuple(rest), edits)
