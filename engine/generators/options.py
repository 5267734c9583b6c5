"""Reading options out of authors' files: typed, with a sentence for what does not fit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from engine.checkpoints.plain import LazyTensor, Node
from engine.errors import CheckpointError, UserError

#: Largest whole number that an option may state (a guard against nonsense in files).
MAX_OPTION = 1 << 20

C = TypeVar("C")


def plain_dict(value: Any) -> dict[Any, Any]:
    """A dictionary, whether the file stored a plain one or some class's (``EasyDict``).

    A class derived from ``dict`` keeps its entries under ``"[items]"``; any other object gives
    its attributes; what is no dictionary at all gives an empty one.
    """
    if isinstance(value, Node):
        items = value.state.get("[items]")
        value = items if isinstance(items, dict) else value.state
    return value if isinstance(value, dict) else {}


def submodule_state(node: Node, path: str) -> dict[Any, Any]:
    """Attributes of a submodule (``"backbone.mapping"``), empty where there is none."""
    state = node.state
    for name in path.split("."):
        state = plain_dict(plain_dict(state.get("_modules")).get(name))
    return state


def shape_of(
    family: str, tensors: Mapping[str, LazyTensor], name: str, sides: int
) -> tuple[int, ...]:
    """Shape of a tensor that must be there and have so many dimensions.

    Raises:
        CheckpointError: it is missing or has another number of dimensions.
    """
    tensor = tensors.get(name)
    if tensor is None or len(tensor.shape) != sides:
        found = "missing" if tensor is None else f"of {len(tensor.shape)} dimensions"
        raise CheckpointError(f"This is not a whole {family} model: its tensor {name} is {found}.")
    return tensor.shape


class FileOptions:
    """Typed access to options that may be missing, and the sentences about those.

    Args:
        path: the file, for messages.
        values: plain options.

    Every method raises :class:`~engine.errors.CheckpointError` where the value has another kind.
    """

    def __init__(self, path: Any, values: Mapping[Any, Any]) -> None:
        self._path, self._values = path, values

    def get(self, key: str, default: Any = None) -> Any:
        """The value as it stands."""
        return self._values.get(key, default)

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        value = self._values.get(key, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
        ):
            raise CheckpointError(f"{self._path} states {key} = {value!r}, which is not a number.")
        return float(value)

    def integer(self, key: str, default: int) -> int:
        """A whole number."""
        value = self.number(key, default)
        if value != int(value):
            raise CheckpointError(f"{self._path} states {key} = {value!r}, not a whole number.")
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        """Any value's truth."""
        return bool(self._values.get(key, default))

    def text(self, key: str, default: str) -> str:
        """A string."""
        return str(self._values.get(key, default))

    def section(self, key: str) -> FileOptions:
        """The options below ``key``; none where there is no such section."""
        return FileOptions(self._path, plain_dict(self._values.get(key)))

    def has(self, key: str) -> bool:
        """Whether the file states it."""
        return key in self._values


# A family's config: a dataclass of plain options -------------------------------------------


def config_from_json(cls: type[C], data: Mapping[str, Any], title: str) -> C:
    """A config dataclass from plain JSON data; absent options take their defaults.

    Args:
        cls: the dataclass.
        data: option -> value; lists become tuples.
        title: the family's name in messages, ``"EG3D"``.

    Raises:
        UserError: an option is unknown, of the wrong kind or contradicts another.
    """
    known = {item.name for item in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(str(name) for name in set(data) - known)
    if unknown:
        raise UserError(f"The model has options that {title} does not know: {', '.join(unknown)}.")
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    try:
        return cls(**values)
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"The options of the {title} model cannot be read ({error}).") from error


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
    return "" if passed else f"{wanted}, not {value!r}"
