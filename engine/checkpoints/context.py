"""What a constructor of ours may use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from engine.checkpoints.budget import Budget
from engine.checkpoints.plain import ClassRef, LazyTensor
from engine.checkpoints.source import Source
from engine.checkpoints.tensors import Storage


class Context(Protocol):
    """What the stand-ins offer to the functions that answer a file's calls.

    Attributes:
        budget: what the file may still ask for.
        load_nested: reads the legacy torch stream inside a pickle (source, start, length) and
            returns its storage.
    """

    budget: Budget
    load_nested: Callable[[Source, int, int], Storage]

    def construct(self, ref: ClassRef, args: tuple[Any, ...], kwargs: dict[Any, Any]) -> Any:
        """What calling ``ref`` stands for."""


def counted(context: Context, tensor: LazyTensor) -> LazyTensor:
    """``tensor``, after its size was taken from the budget."""
    context.budget.tensor(tensor.nbytes)
    return tensor
