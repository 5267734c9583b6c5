"""Options as plain data, read back: what fits a field and what does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from engine.errors import UserError
from engine.training.plain import option_values


@dataclass(frozen=True)
class Options:
    names: tuple[str, ...] = ()
    count: int = 3
    share: float = 0.5
    firm: bool = False


def test_values_take_the_kinds_of_their_defaults() -> None:
    plain = {"names": ["a", "b"], "count": 4, "share": 1, "firm": True}
    assert option_values(Options, plain, "a run") == plain | {"names": ("a", "b")}
    assert option_values(Options, {}, "a run") == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [("other", 1), ("count", 1.5), ("count", True), ("share", True), ("share", "1"), ("firm", 1),
     ("names", "a"), ("names", [1]), ("count", None)],
)  # fmt: skip
def test_other_values_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"'{name}'.* a run"):
        option_values(Options, {name: value}, "a run")
