"""Whose face: one seed, a blend of several, and layers taken from others.

Plain records that recipes hold; :class:`engine.draw.Painter` turns them into latents. Needs
numpy only, so that the window can plan a morph.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError

MAX_SEED = 2**32 - 1
#: Most seeds of a blend, and most people that layers are taken from.
MAX_PARTS = 64
#: Weights beyond this exaggerate far beyond anything that a generator was trained on.
MAX_WEIGHT = 8.0
#: Most numbers of an explicit latent: an order of magnitude above any model's.
MAX_LATENT = 1 << 17
_MAX_NAME = 120

BlendSpace = Literal["w", "z"]
MorphMode = Literal["linear", "spherical", "spline"]
MORPH_MODES: dict[str, str] = {
    "linear": "straight lines between the extended latents w",
    "spherical": "along great circles between the input latents z, as their distribution lies",
    "spline": "a smooth curve in w through all of them (Catmull-Rom)",
}


def _check_seed(seed: int) -> None:
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"A seed must be 0 to {MAX_SEED}, not {seed}.")


def _check_weight(weight: float) -> None:
    if not (math.isfinite(weight) and abs(weight) <= MAX_WEIGHT):
        raise UserError(
            f"The weight of a face must be -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}, not {weight:g}."
        )


@dataclass(frozen=True)
class Latent:
    """A face that is given by its numbers, not by a seed.

    Attributes:
        space: ``"w"``, the extended latent as the generator takes it (psi leaves it alone), or
            ``"z"``, the input latent.
        shape: rows and columns. One row of w stands for all rows; z has one row.
        data: the numbers row by row, float32, the low byte first.
        name: what to call it.

    Raises:
        UserError: on making one that is too large, has no such shape, or holds what is no number.
    """

    space: BlendSpace
    shape: tuple[int, int]
    data: bytes = field(repr=False)
    name: str = ""

    def __post_init__(self) -> None:
        rows, columns = self.shape
        if self.space not in ("w", "z"):
            raise UserError(f"A latent lies in 'w' or 'z', not in {self.space!r}.")
        if min(rows, columns) < 1 or rows * columns > MAX_LATENT:
            raise UserError(
                f"A latent has 1 to {MAX_LATENT} numbers in rows and columns, not {rows} x "
                f"{columns}."
            )
        if self.space == "z" and rows != 1:
            raise UserError(f"A latent in z has one row of numbers, not {rows}.")
        if len(self.data) != 4 * rows * columns:
            raise UserError("A latent does not hold as many numbers as its shape says.")
        if not bool(np.isfinite(self.numbers).all()):
            raise UserError("A latent holds values that are not finite numbers.")
        if len(self.name) > _MAX_NAME or not self.name.isprintable():
            raise UserError(f"The name of a face must be at most {_MAX_NAME} ordinary letters.")

    @classmethod
    def of(cls, numbers: NDArray[Any], space: BlendSpace = "w", name: str = "") -> Self:
        """A latent of ``[rows, columns]`` numbers (``[1, z_dim]`` in z)."""
        rows, columns = numbers.shape
        with np.errstate(over="ignore"):
            data = np.ascontiguousarray(numbers, dtype="<f4").tobytes()
        plain = "".join(c if c.isprintable() else "?" for c in name)
        return cls(space, (int(rows), int(columns)), data, plain[:_MAX_NAME])

    @property
    def numbers(self) -> NDArray[np.float32]:
        """``[rows, columns]``, read only."""
        return np.frombuffer(self.data, "<f4").reshape(self.shape)

    def why_not(self, num_ws: int, w_dim: int, z_dim: int) -> str:
        """Why a model of these sizes cannot draw it, in one sentence; empty if it can."""
        rows, columns = self.shape
        known = self.name or "This face"
        if self.space == "z":
            if columns == z_dim:
                return ""
            return (
                f"{known} is a latent z of {columns} numbers, but this model takes {z_dim}; open "
                "the model that it was made with, or choose a seed."
            )
        if rows in (1, num_ws) and columns == w_dim:
            return ""
        return (
            f"{known} is a latent w of {rows} x {columns} numbers, but this model takes {num_ws} x "
            f"{w_dim}; open the model that it was made with, or choose a seed."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data, the numbers as base64; :meth:`from_json` is its inverse."""
        text = base64.b64encode(self.data).decode("ascii")
        return {"space": self.space, "shape": list(self.shape), "data": text, "name": self.name}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read :meth:`to_json`'s form; errors as those of :meth:`Blend.from_json`."""
        rows, columns = (int(side) for side in data["shape"])
        text = data["data"]
        if not isinstance(text, str) or len(text) > 6 * MAX_LATENT:
            raise ValueError("its latent is no text of a latent's length")
        numbers = base64.b64decode(text, validate=True)
        return cls(data["space"], (rows, columns), numbers, str(data.get("name", "")))


@dataclass(frozen=True)
class Blend:
    """A face between faces.

    Attributes:
        seeds: the faces, one or more.
        weights: as many shares. In ``"w"`` they are used as they are, and a face that is
            neither brighter nor duller than others has shares that sum to one; in ``"z"`` only
            their proportions count, and none is negative.
        space: ``"w"`` sums extended latents (a straight line between two); ``"z"`` walks
            along great circles between input latents, from the first face to each next one
            (Shoemake's slerp), which keeps the length that the mapping expects.

    Raises:
        UserError: on making one whose numbers are out of range.
    """

    seeds: tuple[int, ...]
    weights: tuple[float, ...]
    space: BlendSpace = "w"

    def __post_init__(self) -> None:
        if not 1 <= len(self.seeds) <= MAX_PARTS or len(self.seeds) != len(self.weights):
            raise UserError(
                f"A blend needs 1 to {MAX_PARTS} faces with a weight each, not {len(self.seeds)} "
                f"faces and {len(self.weights)} weights."
            )
        if self.space not in ("w", "z"):
            raise UserError(f"A blend is made in 'w' or 'z', not in {self.space!r}.")
        for seed, weight in zip(self.seeds, self.weights, strict=True):
            _check_seed(seed)
            _check_weight(weight)
            if self.space == "z" and weight < 0:
                raise UserError("A blend in z has no negative weights; blend in w instead.")
        if self.space == "z" and not sum(self.weights) > 0:
            raise UserError("A blend in z needs at least one weight above zero.")

    def starting(self, seed: int) -> Self:
        """This blend with another first face."""
        return replace(self, seeds=(seed, *self.seeds[1:]))

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        return {"seeds": list(self.seeds), "weights": list(self.weights), "space": self.space}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read :meth:`to_json`'s form. Raises ``KeyError``, ``TypeError`` or ``ValueError`` where
        it is damaged, and :class:`~engine.errors.UserError` where a number is out of range."""
        seeds = tuple(int(seed) for seed in data["seeds"])
        return cls(seeds, tuple(float(weight) for weight in data["weights"]), data["space"])


@dataclass(frozen=True)
class StyleSource:
    """Rows of w that are taken from somebody else (style mixing, Karras et al. 2019).

    Attributes:
        seed: the other face.
        rows: which rows of ``w``, ascending and each once; none while nothing is taken yet.
        weight: 1 replaces the rows, 0.5 meets half-way.

    Raises:
        UserError: on making one whose numbers are out of range.
    """

    seed: int
    rows: tuple[int, ...]
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_seed(self.seed)
        _check_weight(self.weight)
        if list(self.rows) != sorted(set(self.rows)) or any(row < 0 for row in self.rows):
            raise UserError(
                f"The layers to mix must be ascending numbers from 0 on, not {list(self.rows)}."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        return {"seed": self.seed, "rows": list(self.rows), "weight": self.weight}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read :meth:`to_json`'s form; errors as those of :meth:`Blend.from_json`."""
        rows = tuple(int(row) for row in data["rows"])
        return cls(int(data["seed"]), rows, float(data["weight"]))


def morph_at(seeds: tuple[int, ...], position: float, mode: str, loop: bool = False) -> Blend:
    """The face at one place of a morph.

    Args:
        seeds: the faces, two or more, passed at the positions 0, 1, 2, ...
        position: 0 to ``len(seeds) - 1``, or to ``len(seeds)`` (the first face again) in a loop.
        mode: a key of :data:`MORPH_MODES`.
        loop: the last face is followed by the first.

    Raises:
        UserError: fewer than two faces, or an unknown mode.
    """
    count = len(seeds)
    if not 2 <= count <= MAX_PARTS:
        raise UserError(f"A morph needs 2 to {MAX_PARTS} faces, not {count}.")
    if mode not in MORPH_MODES:
        raise UserError(f"Unknown morph {mode!r}; use one of {', '.join(MORPH_MODES)}.")
    last = count if loop else count - 1
    position = min(max(position, 0.0), float(last))
    index = min(int(position), last - 1)
    share = position - index

    def face(offset: int) -> int:
        place = index + offset
        return place % count if loop else min(max(place, 0), count - 1)

    if mode == "spline":
        parts = dict.fromkeys(range(count), 0.0)
        for offset, weight in zip((-1, 0, 1, 2), catmull_rom(share), strict=True):
            parts[face(offset)] += weight
    else:
        parts = {face(0): 1.0 - share, face(1): share}
    kept = {place: weight for place, weight in parts.items() if weight != 0.0}
    return Blend(
        tuple(seeds[place] for place in kept),
        tuple(kept.values()),
        "z" if mode == "spherical" else "w",
    )


def catmull_rom(t: float) -> tuple[float, float, float, float]:
    """Shares of four keys at ``t`` in [0, 1] between the middle two (Catmull and Rom 1974,
    tension 0.5); they sum to one."""
    return (
        0.5 * (-t + 2 * t**2 - t**3),
        0.5 * (2 - 5 * t**2 + 3 * t**3),
        0.5 * (t + 4 * t**2 - 3 * t**3),
        0.5 * (-(t**2) + t**3),
    )


def morph(
    seeds: tuple[int, ...], frames: int, mode: str = "linear", loop: bool = False
) -> list[Blend]:
    """The faces of a video that passes through all seeds at an even pace.

    Args:
        seeds, mode, loop: see :func:`morph_at`. Not in a loop, the first frame is the first
            face and the last frame the last; in a loop the frame after the last one would be
            the first face again.
        frames: 1 or more.
    """
    last = len(seeds) if loop else len(seeds) - 1
    steps = frames if loop else max(frames - 1, 1)
    # Divided last, so that the keys are met exactly.
    return [morph_at(seeds, float(p), mode, loop) for p in np.arange(frames) * last / steps]


def give_rows(
    sources: tuple[StyleSource, ...], owner: int | None, rows: Iterable[int]
) -> tuple[StyleSource, ...]:
    """``sources`` with ``rows`` taken from one of them and from nobody else.

    Args:
        sources: in their order; none is added or dropped.
        owner: which of them; ``None`` gives the rows back to the base face.
        rows: any rows, in any order.
    """
    given = set(rows)
    painted = []
    for index, source in enumerate(sources):
        kept = set(source.rows) - given
        painted.append(
            replace(source, rows=tuple(sorted(kept | given if index == owner else kept)))
        )
    return tuple(painted)


def within_rows(sources: tuple[StyleSource, ...], count: int) -> tuple[StyleSource, ...]:
    """``sources`` for a model with ``count`` rows: those that it lacks are dropped, the sources
    stay."""
    return tuple(replace(s, rows=tuple(row for row in s.rows if row < count)) for s in sources)
