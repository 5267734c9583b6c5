"""A family's options as plain data: what a file or a converted model states about its network."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

from engine.errors import UserError, in_words

#: Largest whole number that an option may state (a guard against nonsense in files).
MAX_OPTION = 1 << 20


class FamilyConfig:
    """Base of the frozen dataclass that holds a family's options.

    Attributes:
        title: the family's name in messages, ``"EG3D"``.
    """

    title: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data, one entry an option; :meth:`from_json` is its inverse."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read :meth:`to_json`'s form; absent keys take their defaults.

        Raises:
            UserError: an option is unknown, of the wrong kind or contradicts another.
        """
        known = {item.name for item in fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(str(name) for name in set(data) - known)
        if unknown:
            raise UserError(
                f"The model has options that {cls.title} does not know: {', '.join(unknown)}."
            )
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        try:
            return cls(**values)
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"The options of the {cls.title} model cannot be read ({error})."
            ) from error


def check_kinds(config: Any) -> None:
    """Judge every field of a config dataclass by its annotation: numbers, whole numbers up to
    :data:`MAX_OPTION`, words, true or false, tuples of numbers; other kinds are left alone.

    Raises:
        UserError: naming the option and what it must be.
    """
    for item in fields(config):
        fault = _fault(str(item.type), getattr(config, item.name))
        if fault:
            raise UserError(f"The option {item.name} must be {fault}.")


def _fault(kind: str, value: Any) -> str:
    """What an option's value should have been; empty if it is."""

    def number(x: Any) -> bool:
        return isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x)

    def whole(x: Any) -> bool:
        return isinstance(x, int) and not isinstance(x, bool) and 0 <= x <= MAX_OPTION

    if value is None and kind.endswith("| None"):
        return ""
    numbers = value if isinstance(value, (tuple, list)) else ()
    tests: dict[str, tuple[bool, str]] = {
        "int": (whole(value), f"a whole number up to {MAX_OPTION}"),
        "float": (number(value), "a number"),
        "bool": (isinstance(value, bool), "true or false"),
        "str": (isinstance(value, str), "a word"),
        "tuple[int": (bool(numbers) and all(map(whole, numbers)), "whole numbers"),
        "tuple[float": (bool(numbers) and all(map(number, numbers)), "numbers"),
    }
    passed, wanted = tests.get(re.split(r"[,|]", kind)[0].strip(), (True, ""))
    if passed and kind.startswith("tuple") and "..." not in kind:
        sides = kind.removesuffix(" | None").count(",") + 1
        passed, wanted = len(numbers) == sides, f"{sides} numbers"
    return "" if passed else f"{wanted}, not {in_words(value)}"
