"""Options of a run as plain data, read back. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from engine.errors import UserError


def option_values(options: type[Any], plain: Mapping[str, Any], run: str) -> dict[str, Any]:
    """The arguments that make ``options``, a dataclass of whose fields each has a default, of plain data.

    A field takes what its default is: a number without a fraction for a whole one, any number
    for a fraction, and a list of names for a tuple. ``True`` and ``False`` are no numbers.

    Args:
        plain: values by name; what is left out keeps its default.
        run: whose options they are, for the message: "a training run".

    Raises:
        UserError: an unknown name, or a value of another kind.
    """
    known = {one.name: one.default for one in fields(options)}
    values: dict[str, Any] = {}
    for name, value in plain.items():
        default = known.get(name)
        if isinstance(default, tuple) and isinstance(value, list):
            value = tuple(value)
        kinds = (int, float) if isinstance(default, float) else (type(default),)
        boolean = isinstance(value, bool) and not isinstance(default, bool)
        if default is None or boolean or not isinstance(value, kinds):
            raise UserError(f"{name!r} is no option of {run}, or has a wrong value.")
        if isinstance(value, tuple) and not all(isinstance(one, str) for one in value):
            raise UserError(f"{name!r} of {run} must be names.")
        values[name] = value
    return values
