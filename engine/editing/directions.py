"""Directions in w: what an edit adds, where it came from, and its two files.

A direction is kept as ``NAME.json`` (what it is) beside ``NAME.safetensors`` (its numbers), so
that people can share it. Needs no torch, and executes nothing that a file holds.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from engine.edits import MAX_NAME, MAX_STRENGTH, Edit, Offset, check_name
from engine.errors import ExportError, UserError
from engine.export.files import atomic_paths
from engine.identity import MAX_LATENT
from engine.json_text import json_text

FORMAT = "maquette-direction/1"
SUFFIX, NUMBERS_SUFFIX = ".json", ".safetensors"
#: Largest JSON and largest file of numbers that are read, bytes.
MAX_JSON, MAX_NUMBERS = 64 << 10, 4 * MAX_LATENT + (64 << 10)
_MAX_TEXT, _MAX_DETAILS = 300, 40
_TENSOR = "offset"
_SHA256 = re.compile(r"^([0-9a-f]{64})?$")

#: The strength that an edit has at first along a text's direction, which says the text in half of the
#: model's people, and along any other.
TEXT_STRENGTH, STRENGTH = 3.0, 1.0
#: The detail that holds the strength of an edit whose direction was saved.
_USUAL = "strength"

#: How a direction was found.
Kind = Literal["text", "pca", "sefa", "optimised", "other"]
KINDS: tuple[Kind, ...] = ("text", "pca", "sefa", "optimised", "other")
#: What else is known of it: plain values by name.
Details = tuple[tuple[str, str | float], ...]


@dataclass(frozen=True)
class Direction:
    """A way to change faces.

    Attributes:
        name: for people, 1 to 60 printable letters.
        offset: what an edit of strength 1 adds to w.
        kind: how it was found.
        family: of the model that it was found with.
        model: that model's hash; empty if not known.
        details: what else is known: the texts, the number of the component, a share.

    Raises:
        UserError: on making one with a value out of range.
    """

    name: str
    offset: Offset
    kind: Kind = "other"
    family: str = ""
    model: str = ""
    details: Details = field(default=())

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.kind not in KINDS:
            raise UserError(f"A direction is one of {', '.join(KINDS)}, not {self.kind!r}.")
        if len(self.family) > MAX_NAME or not self.family.isprintable():
            raise UserError("The family of a direction must be a short name.")
        if not _SHA256.match(self.model):
            raise UserError("The hash of a direction's model must be 64 hexadecimal digits.")
        if len(self.details) > _MAX_DETAILS:
            raise UserError(f"A direction has at most {_MAX_DETAILS} details.")
        for name, value in self.details:
            short = len(name) <= _MAX_TEXT and (
                len(value) <= _MAX_TEXT if isinstance(value, str) else math.isfinite(value)
            )
            if not short:
                raise UserError(
                    f"The detail {name[:40]!r} of a direction is too long, or no number."
                )

    @property
    def usual(self) -> float:
        """The strength that an edit along it has at first, in the window and in the commands: the
        one that it was saved with, else :data:`TEXT_STRENGTH` or :data:`STRENGTH`."""
        kept = dict(self.details).get(_USUAL)
        if isinstance(kept, float) and 0.0 < abs(kept) <= MAX_STRENGTH:
            return kept
        return TEXT_STRENGTH if self.kind == "text" else STRENGTH

    def edit(self, strength: float = 1.0, rows: tuple[int, ...] | None = None) -> Edit:
        """An edit along this direction."""
        return Edit(self.name, self.offset, strength, rows=rows, model=self.model)

    @classmethod
    def of_edit(cls, edit: Edit, family: str = "") -> Self:
        """What an edit adds, as a direction of its own that remembers the edit's strength."""
        details: Details = ((_USUAL, edit.strength),) if edit.strength else ()
        return cls(edit.name, edit.offset, "other", family, edit.model, details)

    def warning(self, family: str, model: str, num_ws: int, w_dim: int, joined: str = "") -> str:
        """What to say before it is applied to a model, in one sentence; empty where it is at home.

        Args:
            family, model: the model's family and hash.
            joined: its hash with the layers that it borrows (:func:`~engine.layer_swap.joined_sha256`).
            num_ws, w_dim: of its w.

        Raises:
            UserError: it cannot be applied.
        """
        if why := self.offset.why_not(num_ws, w_dim):
            raise UserError(f"The direction {self.name!r} cannot be applied: {why}.")
        if self.model and model and self.model not in (model, joined):
            other = f" ({self.family})" if self.family and self.family != family else ""
            return (
                f"The direction {self.name!r} was found with another model{other} of the same size; "
                "it may mean something else here."
            )
        return ""

    def to_json(self) -> dict[str, Any]:
        """Plain data without the numbers, which :attr:`Offset.sha256` names."""
        return {
            "format": FORMAT,
            "name": self.name,
            "kind": self.kind,
            "family": self.family,
            "model": self.model,
            "shape": list(self.offset.shape),
            "sha256": self.offset.sha256,
            "details": dict(self.details),
        }


def direction_paths(path: str | Path) -> tuple[Path, Path]:
    """The two files of a direction, from either of their names or what they have in common.

    Raises:
        UserError: the path ends in no name.
    """
    where = Path(path).expanduser()
    if not where.name:
        raise UserError(f"{str(path)!r} is no name for a direction; give it one.")
    if where.suffix.lower() in (SUFFIX, NUMBERS_SUFFIX):
        where = where.with_suffix("")
    return where.with_name(where.name + SUFFIX), where.with_name(where.name + NUMBERS_SUFFIX)


def write_direction(path: str | Path, direction: Direction) -> Path:
    """Write both files, whole or not at all; the path of the JSON.

    Raises:
        ExportError: they cannot be written.
    """
    from safetensors.numpy import save

    facts, numbers = direction_paths(path)
    if not facts.stem:
        raise ExportError(f"{path} is no name for a direction; give it one.")
    text = json_text(direction.to_json(), 1)
    # The numbers first: a JSON without them is refused, numbers without a JSON are overlooked.
    with atomic_paths(numbers, facts) as (new_numbers, new_facts):
        new_numbers.write_bytes(save({_TENSOR: direction.offset.numbers.copy()}))
        new_facts.write_text(text + "\n", encoding="utf-8")
    return facts


def read_direction(path: str | Path) -> Direction:
    """Read what :func:`write_direction` wrote. Nothing is taken for granted about the files.

    Raises:
        UserError: one is missing, foreign, damaged, hostile or of a newer version.
    """
    facts, numbers = direction_paths(path)
    try:
        for where, most in ((facts, MAX_JSON), (numbers, MAX_NUMBERS)):
            if not where.is_file():
                raise UserError(
                    f"There is no direction at {where}; a direction is {facts.name} and "
                    f"{numbers.name} in one folder."
                )
            if where.stat().st_size > most:
                raise UserError(f"{where} is far too large to be a direction.")
        plain = json.loads(facts.read_text(encoding="utf-8"))
        offset = _read_offset(numbers)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is not a Maquette direction"
        raise UserError(f"The direction {facts} cannot be read ({reason}).") from error
    if not isinstance(plain, dict) or not str(plain.get("format", "")).startswith(
        "maquette-direction/"
    ):
        raise UserError(f"The direction {facts} cannot be read (it is not a Maquette direction).")
    if plain["format"] != FORMAT:
        raise UserError(
            f"The direction {facts} is of a format that this version of Maquette cannot read; "
            "install a newer one."
        )
    try:
        if plain["sha256"] != offset.sha256:
            raise UserError(f"{numbers} does not belong to {facts.name}; copy both files again.")
        return Direction(
            str(plain["name"]), offset, plain["kind"], str(plain["family"]), str(plain["model"]),
            _details(plain["details"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"The direction {facts} is damaged ({error}).") from error
    except UserError as error:
        raise UserError(f"The direction {facts} cannot be used. {error}") from error


def _details(data: Any) -> Details:
    if not isinstance(data, dict):
        raise ValueError("its details are no object")
    found: list[tuple[str, str | float]] = []
    for name, value in data.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError("its details are not plain values")
        found.append((str(name), value if isinstance(value, str) else float(value)))
    return tuple(found)


def _read_offset(path: Path) -> Offset:
    """The numbers in a safetensors file, which holds one tensor of 32-bit floats."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(path.read_bytes())
    except (SafetensorError, KeyError, MemoryError) as error:
        raise ValueError("it is not sound safetensors") from error
    numbers = tensors.get(_TENSOR)
    if set(tensors) != {_TENSOR} or numbers is None:
        raise ValueError("it does not hold one direction")
    if numbers.ndim != 2 or numbers.dtype.kind != "f" or numbers.dtype.itemsize != 4:
        raise ValueError("its numbers are no table of 32-bit floats")
    return Offset((int(numbers.shape[0]), int(numbers.shape[1])), numbers.astype("<f4").tobytes())
