"""Bounds on what a file may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.checkpoints.faults import Refused
from engine.checkpoints.plain import ClassRef, LazyTensor, Node
from engine.checkpoints.source import LazyBytes
from engine.checkpoints.tensors import Storage

#: Most entries of a tuple that is a dictionary key.
MAX_KEY_ITEMS = 64


@dataclass
class Budget:
    """How much a file may still ask for; shared by all the pickles in it.

    The largest files that the families' authors published need a few hundred thousand steps.

    Attributes:
        steps: opcodes, and items copied by them.
        containers: lists, dictionaries, sets, objects.
        inline: bytes of text and short byte strings kept in memory.
        tensor_bytes: sum of the sizes of all tensors described.
    """

    steps: int = 3_000_000
    containers: int = 1_000_000
    inline: int = 128 << 20
    tensor_bytes: int = 1 << 50

    def step(self, count: int = 1) -> None:
        """Spend ``count`` steps."""
        self.steps -= count
        if self.steps < 0:
            raise Refused("its pickle program is far longer than any model file needs")

    def container(self, count: int = 1) -> None:
        """Spend ``count`` containers."""
        self.containers -= count
        if self.containers < 0:
            raise Refused("it builds far more objects than any model file needs")

    def text(self, count: int) -> None:
        """Spend ``count`` bytes kept in memory."""
        self.inline -= count
        if self.inline < 0:
            raise Refused("it holds far more text than any model file needs")

    def tensor(self, nbytes: int) -> None:
        """Spend one tensor of ``nbytes``."""
        self.container(5)
        self.tensor_bytes -= nbytes
        if self.tensor_bytes < 0:
            raise Refused("its tensors would be many times larger than the file")


_PLAIN_KEYS = (str, float, bytes, ClassRef, Node, LazyBytes, LazyTensor, Storage)


def checked_key(key: Any, budget: Budget) -> Any:
    """``key`` if hashing it is safe, else ``Refused``.

    Nested tuples would be hashed recursively, without a limit, and very long whole numbers can
    be made to collide.
    """
    if isinstance(key, int):
        if not -(1 << 63) <= key < 1 << 64:
            raise Refused("a dictionary in it has an absurdly large number as a key")
        return key
    if key is None or isinstance(key, _PLAIN_KEYS):
        return key
    if isinstance(key, tuple) and len(key) <= MAX_KEY_ITEMS:
        budget.step(300)  # hashes of tuples can be made to collide: only a few thousand
        if not any(isinstance(item, (tuple, frozenset)) for item in key):
            for item in key:
                checked_key(item, budget)
            return key
    raise Refused(f"a dictionary or set in it has a {type_of(key)} as a key")


def type_of(value: Any) -> str:
    """``value``'s type for a sentence; never its content, which may be endless."""
    return f"value of type {type(value).__name__}"
