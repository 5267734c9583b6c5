"""Plain data that a checkpoint is read into.

A pickle may ask for any class. The restricted reader never gives it one: it gives
:class:`Node`, a record of the name that was asked for and the state that came with it.
Tensors become :class:`LazyTensor`, which knows where its bytes lie and reads them only when
asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import CheckpointError

#: Most modules of a network, and deepest nesting, that :func:`module_tensors` follows.
MAX_MODULES = 20_000
MAX_MODULE_DEPTH = 60
#: Most tensors of a network, and longest name of a part.
MAX_TENSORS, MAX_TENSOR_NAME = 200_000, 500
_TENSOR_GROUPS = ("_parameters", "_buffers")


@dataclass(frozen=True)
class ClassRef:
    """A class or function that a file names without making anything of it.

    Attributes:
        name: dotted name, ``"builtins.int"``.
    """

    name: str


@dataclass(eq=False)
class Node:
    """Stand-in for an object of a class that we do not import.

    Attributes:
        kind: dotted name that the file gave (``"torch.nn.modules.activation.Softplus"``, or
            for StyleGAN's persistent objects the class name in the embedded module, such as
            ``"TriPlaneGenerator"``).
        args: positional arguments it was constructed with, plain data.
        state: its ``__dict__``, plain data; empty if none came. The entries of an object that
            is a dictionary or list of a class of its own stand under ``"[items]"`` and
            ``"[list]"``; a state that is not a dictionary stands under ``"[state]"``.
        persistent: it was one of StyleGAN's persistent objects (source in the file, unread).
    """

    kind: str
    # What a file holds may refer to itself or be endless to write out: not part of the repr.
    args: tuple[Any, ...] = field(default=(), repr=False)
    state: dict[Any, Any] = field(default_factory=dict, repr=False)
    persistent: bool = False


@dataclass(frozen=True, eq=False)
class LazyTensor:
    """A tensor in a file that has not been read yet.

    Attributes:
        shape: its size.
        dtype: its element type.
        load: reads it: a fresh CPU tensor of that shape and dtype (contiguous). Raises
            :class:`~engine.errors.CheckpointError` if the file has changed meanwhile or the
            memory does not suffice.
        device_tag: where it lived when it was saved (``"cuda:0"``); it always loads to CPU.
        stored_dtype: element type in the file where it differs from ``dtype`` (converted models
            may store half precision, which loads as float32), else ``None``.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], Tensor] = field(repr=False)
    device_tag: str = "cpu"
    stored_dtype: torch.dtype | None = None

    @property
    def nbytes(self) -> int:
        """Size of its elements in bytes."""
        count = 1
        for side in self.shape:
            count *= side
        return count * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A file that has been read into plain data.

    Attributes:
        path: where it came from.
        container: ``"torch-zip"``, ``"torch-legacy"``, ``"pickle"`` or ``"maquette"``.
        root: dict, list, tuple, set, str, int, float, bool, None, bytes, :class:`Node`,
            :class:`ClassRef`, :class:`LazyTensor` and (for long byte strings)
            :class:`~engine.checkpoints.source.LazyBytes`, nested; parts may refer to each other
            in circles.
        native_family, native_config, native_tensors, title, native_assumptions: set for
            ``"maquette"`` models (safetensors + JSON); ``native_family`` is ``None`` for
            everything else.
    """

    path: Path
    container: str
    root: Any
    native_family: str | None = None
    native_config: dict[str, Any] = field(default_factory=dict)
    native_tensors: Mapping[str, LazyTensor] = field(default_factory=dict)
    title: str = ""
    native_assumptions: tuple[str, ...] = ()


def module_tensors(module: Node, prefix: str = "") -> Iterator[tuple[str, LazyTensor]]:
    """State-dict names and tensors of a pickled ``torch.nn.Module``.

    Walks ``_parameters``, ``_buffers`` and ``_modules`` as ``state_dict()`` does (without
    leaving out non-persistent buffers, which a pickle does not mark reliably).

    Raises:
        CheckpointError: the modules contain each other, or there are absurdly many.
    """
    modules_left, tensors_left = MAX_MODULES, MAX_TENSORS

    def walk(node: Node, prefix: str, parents: tuple[int, ...]) -> Iterator[tuple[str, LazyTensor]]:
        nonlocal modules_left, tensors_left
        modules_left -= 1
        tensors_left -= sum(1 for group in _TENSOR_GROUPS for _ in _entries(node, group))
        if (
            min(modules_left, tensors_left) < 0
            or len(parents) > MAX_MODULE_DEPTH
            or len(prefix) > 4 * MAX_TENSOR_NAME
            or id(node) in parents
        ):
            raise CheckpointError(
                f"The network in the file is not a sound one (near {prefix[:60] or 'its root'!r}): its "
                "parts contain each other or repeat without end; use another copy of the file."
            )
        for group in _TENSOR_GROUPS:
            for name, value in _entries(node, group):
                if isinstance(value, LazyTensor):
                    yield f"{prefix}{name}", value
        for name, child in _entries(node, "_modules"):
            if isinstance(child, Node):
                yield from walk(child, f"{prefix}{name}.", (*parents, id(node)))

    yield from walk(module, prefix, ())


def _entries(node: Node, group: str) -> Iterator[tuple[str | int, Any]]:
    """What a module holds by name. Names that are none of a module's are left out: each would be
    written out again in the name of every tensor below it."""
    value = node.state.get(group)
    for name, item in value.items() if isinstance(value, dict) else ():
        if isinstance(name, int) or (isinstance(name, str) and len(name) <= MAX_TENSOR_NAME):
            yield name, item


@dataclass(frozen=True)
class ModelSource:
    """A checkpoint reduced to what its family needs: options and named tensors.

    This is also exactly what a converted model (safetensors + JSON) stores, so that opening
    an authors' file and opening its conversion run the same code.

    Attributes:
        family: registry name.
        name: a title for people.
        config: plain JSON options, complete (every default made explicit).
        tensors: the authors' state-dict name -> tensor that is read when asked for.
        assumptions: sentences on what the file could not tell and we assumed.
    """

    family: str
    name: str
    config: dict[str, Any]
    tensors: Mapping[str, LazyTensor]
    assumptions: tuple[str, ...] = ()
