"""Reading options out of authors' files: typed, with a sentence for what does not fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.checkpoints.modules import network_of
from engine.checkpoints.plain import Checkpoint, LazyTensor, Node
from engine.errors import CheckpointError, UserError, in_words


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


def snapshot_generators(checkpoint: Checkpoint) -> Iterator[Node]:
    """Pickled networks of a file that may be its generator, the most wanted first: the averaged
    and the present one of a training snapshot, or what was saved alone. Those that were trained
    here may be no pickles (:mod:`engine.checkpoints.modules`)."""
    root = checkpoint.root
    found: tuple[Any, ...] = (root,)
    if isinstance(root, dict):
        found = (root.get("G_ema"), root.get("G"))
    for value in found:
        node = network_of(value)
        if node is not None:
            yield node


@contextmanager
def blamed_on(path: Path) -> Iterator[None]:
    """Options that contradict themselves are the fault of the file that states them.

    Raises:
        CheckpointError: for a ``UserError`` inside, with the file in front of its sentence.
    """
    try:
        yield
    except CheckpointError:
        raise
    except UserError as error:
        raise CheckpointError(f"{path}: {error}") from error


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
            raise CheckpointError(
                f"{self._path} states {key} = {in_words(value)}, which is not a number."
            )
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
        """A string; a plain value that is none as it is written."""
        value = self._values.get(key, default)
        if isinstance(value, str):
            return value
        if value is None or isinstance(value, (bool, int, float)):
            return str(value)
        raise CheckpointError(f"{self._path} states {key} = {in_words(value)}, not a word.")

    def section(self, key: str) -> FileOptions:
        """The options below ``key``; none where there is no such section."""
        return FileOptions(self._path, plain_dict(self._values.get(key)))

    def has(self, key: str) -> bool:
        """Whether the file states it."""
        return key in self._values
