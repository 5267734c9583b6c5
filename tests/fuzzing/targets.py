"""What is fuzzed: a module for each target, found by its name."""

from __future__ import annotations

import importlib
from pathlib import Path
from random import Random
from typing import Protocol, cast

from tests.fuzzing.values import Mutator

#: Name -> the module with its ``TARGET``.
TARGETS = {
    "checkpoint": "tests.fuzzing.target_checkpoint",
    "project": "tests.fuzzing.target_project",
    "picture": "tests.fuzzing.target_picture",
    "direction": "tests.fuzzing.target_direction",
    "dataset": "tests.fuzzing.target_dataset",
}


class Target(Protocol):
    """A reader, and inputs for it.

    Attributes:
        names: of the files that an input is.
        may_write: names of files that it may leave beside them.
        longest: bytes of an input.
    """

    names: tuple[str, ...]
    may_write: tuple[str, ...]
    longest: int

    def prepare(self) -> None:
        """Lower the readers' bounds to inputs of this size, and import what they import late.
        That the true bounds hold is tested beside the readers."""

    def seeds(self) -> list[bytes]:
        """Sound inputs, and some that do harm."""

    def place(self, data: bytes, folder: Path) -> None:
        """Write the files of an input."""

    def read(self, folder: Path) -> None:
        """Read what :meth:`place` wrote, as the program does."""

    def mutate(self, data: bytes, random: Random, other: Mutator) -> bytes:
        """Another input, mostly of the same structure."""


def target(name: str) -> Target:
    """The target of a name."""
    return cast(Target, importlib.import_module(TARGETS[name]).TARGET)
