"""Edits of a face: offsets in w with a strength, one after another in a stack.

Plain records that recipes hold; :func:`engine.latents.edited` adds them to w. How directions are
found and kept as files is in :mod:`engine.editing`. Needs numpy only, so that the window can hold
and interpolate them.
"""

from __future__ import annotations

import base64
import hashlib
import math
import unicodedata
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.identity import MAX_LATENT

#: Most edits of a face that a person makes, and of one that lies between four others.
MAX_STACK, MAX_EDITS = 16, 64
#: Strengths lie within plus and minus this.
MAX_STRENGTH = 20.0
MAX_NAME = 60
#: Unicode's categories of control characters and of halves of surrogate pairs.
_NO_LETTERS = ("Cc", "Cs")


@dataclass(frozen=True)
class Offset:
    """What an edit of strength 1 adds to w.

    Attributes:
        shape: rows and columns. One row stands for all rows of w.
        data: the numbers row by row, float32, the low byte first.

    Raises:
        UserError: on making one that is too large, has no such shape, or holds what is no number.
    """

    shape: tuple[int, int]
    data: bytes = field(repr=False)

    def __post_init__(self) -> None:
        rows, columns = self.shape
        if min(rows, columns) < 1 or rows * columns > MAX_LATENT:
            raise UserError(
                f"A direction has 1 to {MAX_LATENT} numbers in rows and columns, not {rows} x "
                f"{columns}."
            )
        if len(self.data) != 4 * rows * columns:
            raise UserError("A direction does not hold as many numbers as its shape says.")
        if not bool(np.isfinite(self.numbers).all()):
            raise UserError("A direction holds values that are not finite numbers.")

    @classmethod
    def of(cls, numbers: NDArray[Any]) -> Self:
        """Of ``[rows, columns]`` numbers. Where all rows are equal, one is kept for all."""
        with np.errstate(over="ignore"):
            plain = np.ascontiguousarray(numbers, dtype="<f4")
        if plain.ndim == 2 and len(plain) > 1 and bool((plain == plain[:1]).all()):
            plain = plain[:1]
        rows, columns = plain.shape
        return cls((int(rows), int(columns)), plain.tobytes())

    @property
    def numbers(self) -> NDArray[np.float32]:
        """``[rows, columns]``, read only."""
        return np.frombuffer(self.data, "<f4").reshape(self.shape)

    @property
    def sha256(self) -> str:
        """Hash of the shape and the numbers, by which the direction is named."""
        return _sha256(self.shape, self.data)

    def why_not(self, num_ws: int, w_dim: int) -> str:
        """Why it cannot be added to a w of these sizes, in one sentence; empty if it can."""
        rows, columns = self.shape
        if rows in (1, num_ws) and columns == w_dim:
            return ""
        return (
            f"it is made for a w of {rows} x {columns} numbers, but this model's has {num_ws} x "
            f"{w_dim}; open the model that it was found with"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data, the numbers as base64; :meth:`from_json` is its inverse."""
        return {"sha256": self.sha256, "shape": list(self.shape), "data": _text(self.data)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read :meth:`to_json`'s form. Raises ``KeyError``, ``TypeError`` or ``ValueError`` where
        it is damaged, and :class:`~engine.errors.UserError` where it cannot be a direction."""
        rows, columns = (int(side) for side in data["shape"])
        text = data["data"]
        if not isinstance(text, str) or len(text) > 6 * MAX_LATENT:
            raise ValueError("its direction is no text of a direction's length")
        offset = cls((rows, columns), base64.b64decode(text, validate=True))
        if offset.sha256 != data["sha256"]:
            raise ValueError("its direction has not the hash that it should have")
        return offset


@lru_cache(maxsize=256)
def _sha256(shape: tuple[int, int], data: bytes) -> str:
    return hashlib.sha256(f"{shape[0]}x{shape[1]}:".encode() + data).hexdigest()


@lru_cache(maxsize=256)
def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@dataclass(frozen=True)
class Edit:
    """One change of a face: ``w + strength * offset``, on some rows of w.

    Attributes:
        name: for people, 1 to 60 printable letters.
        offset: what strength 1 adds.
        strength: -20 to 20; below 0 it does the opposite.
        muted: it is kept but adds nothing.
        rows: which rows of w it may touch, ascending and each once; ``None`` means all.
        model: the hash of the model that its direction was found with; empty if not known.

    Raises:
        UserError: on making one with a value out of range.
    """

    name: str
    offset: Offset
    strength: float = 1.0
    muted: bool = False
    rows: tuple[int, ...] | None = None
    model: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if not (math.isfinite(self.strength) and abs(self.strength) <= MAX_STRENGTH):
            raise UserError(
                f"The strength of an edit must be -{MAX_STRENGTH:g} to {MAX_STRENGTH:g}, not "
                f"{self.strength:g}."
            )
        rows = self.rows
        if rows is not None and (list(rows) != sorted(set(rows)) or any(r < 0 for r in rows)):
            raise UserError(
                f"The layers of an edit must be ascending numbers from 0 on, not {list(rows)}."
            )
        if len(self.model) > 64:
            raise UserError("The hash of an edit's model is too long to be one.")

    @property
    def effect(self) -> float:
        """The strength with which it counts: 0 while it is muted."""
        return 0.0 if self.muted else self.strength

    def to_json(self, places: Mapping[Offset, int] | None = None) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse.

        Args:
            places: offset -> its number in a list that is kept beside; without it the data holds
                the numbers.
        """
        kept = self.offset.to_json() if places is None else places[self.offset]
        data: dict[str, Any] = {"name": self.name, "direction": kept, "strength": self.strength}
        if self.muted:
            data["muted"] = True
        if self.rows is not None:
            data["rows"] = list(self.rows)
        if self.model:
            data["model"] = self.model
        return data

    @classmethod
    def from_json(cls, data: Any, offsets: tuple[Offset, ...] | None = None) -> Self:
        """Read :meth:`to_json`'s form; errors as those of :meth:`Offset.from_json`, and
        ``IndexError`` where it names none of ``offsets``."""
        kept, rows = data["direction"], data.get("rows")
        if offsets is None:
            offset = Offset.from_json(kept)
        elif isinstance(kept, int) and kept >= 0:
            offset = offsets[kept]
        else:
            raise ValueError("an edit names no direction")
        return cls(
            str(data["name"]),
            offset,
            float(data["strength"]),
            bool(data.get("muted", False)),
            None if rows is None else tuple(int(row) for row in rows),
            str(data.get("model", "")),
        )


def check_name(name: str) -> None:
    """Raises :class:`~engine.errors.UserError` where an edit or direction cannot be called so."""
    if not (name.strip() and len(name) <= MAX_NAME and name.isprintable()):
        raise UserError(f"The name of an edit must be 1 to {MAX_NAME} ordinary letters.")


def tidy(text: str) -> str:
    """A text with single spaces, and without control characters and halves of letters."""
    return "".join(c for c in " ".join(text.split()) if unicodedata.category(c) not in _NO_LETTERS)


def name_of(text: str) -> str:
    """What to call an edit that a text led to: the text's letters that can be shown, 60 at most.
    Joiners between letters (of Persian, or of pictures made of several) cannot; empty where no
    letter is left."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:MAX_NAME].strip()


def check_edits(edits: tuple[Edit, ...]) -> None:
    """Raises :class:`~engine.errors.UserError` where there are too many."""
    if len(edits) > MAX_EDITS:
        raise UserError(f"At most {MAX_EDITS} edits can be made of a face, not {len(edits)}.")


def edits_for(edits: tuple[Edit, ...], facts: Capabilities) -> tuple[Edit, ...]:
    """``edits`` without what a model lacks: rows, and directions of another size."""
    return tuple(
        edit if edit.rows is None else replace(edit, rows=_below(edit.rows, facts.num_ws))
        for edit in edits
        if not edit.offset.why_not(facts.num_ws, facts.w_dim)
    )


def _below(rows: tuple[int, ...], count: int) -> tuple[int, ...]:
    return tuple(row for row in rows if row < count)


def edits_between(parts: Iterable[tuple[tuple[Edit, ...], float]]) -> tuple[Edit, ...]:
    """The stack at some shares of others: of every edit the sum of its strengths times the shares,
    so that w moves along a straight line. What a stack lacks, or has muted, counts as 0.

    Args:
        parts: stacks and their shares, which sum to one.

    Returns:
        Every edit once, in the order in which the first stack that has it has it; muted where it
        is in all that have it.
    """
    total: dict[tuple[Offset, tuple[int, ...] | None, int], tuple[Edit, float, bool]] = {}
    for edits, share in parts:
        seen: dict[tuple[Offset, tuple[int, ...] | None], int] = {}
        for edit in edits:
            same = (edit.offset, edit.rows)
            seen[same] = seen.get(same, 0) + 1
            first, strength, muted = total.get((*same, seen[same]), (edit, 0.0, True))
            sum_so_far = strength + share * edit.effect
            total[(*same, seen[same])] = (first, sum_so_far, muted and edit.muted)
    return tuple(
        first
        if muted
        else replace(first, strength=min(max(s, -MAX_STRENGTH), MAX_STRENGTH), muted=False)
        for first, s, muted in total.values()
    )


# Directions in bulk -------------------------------------------------------------------------

_LIFTED = {"sha256", "shape"}


def lifted(data: Any, arrays: MutableMapping[str, NDArray[Any]]) -> Any:
    """Plain data without the numbers of its directions, which go into ``arrays``, each once, by
    their hash; :func:`lowered` is the inverse."""
    if isinstance(data, dict):
        if set(data) == {*_LIFTED, "data"}:
            arrays[f"direction-{data['sha256']}"] = Offset.from_json(data).numbers
            return {"sha256": data["sha256"], "shape": data["shape"]}
        return {key: lifted(value, arrays) for key, value in data.items()}
    return [lifted(item, arrays) for item in data] if isinstance(data, list) else data


def lowered(data: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Inverse of :func:`lifted`. Raises ``KeyError`` or ``ValueError`` where numbers are missing
    or are none."""
    if isinstance(data, dict):
        if set(data) == _LIFTED:
            numbers = arrays[f"direction-{data['sha256']}"]
            if numbers.ndim != 2 or numbers.dtype.kind != "f" or numbers.size > MAX_LATENT:
                raise ValueError("a direction is no table of numbers")
            text = _text(np.ascontiguousarray(numbers, dtype="<f4").tobytes())
            return {**data, "data": text}
        return {key: lowered(value, arrays) for key, value in data.items()}
    return [lowered(item, arrays) for item in data] if isinstance(data, list) else data
