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


@dataclass
class Node:
    """Stand-in for an object of a class that we do not import.

    Attributes:
        kind: dotted name that the file gave (``"torch.nn.modules.activation.Softplus"``, or
            for StyleGAN's persistent objects the class name in the embedded module, such as
            ``"TriPlaneGenerator"``).
        args: positional arguments it was constructed with, plain data.
        state: its ``__dict__``, plain data; empty if none came.
        persistent: it was one of StyleGAN's persistent objects (source in the file, unread).
    """

    kind: str
    args: tuple[Any, ...] = ()
    state: dict[Any, Any] = field(default_factory=dict)
    persistent: bool = False


@dataclass(frozen=True, eq=False)
class LazyTensor:
    """A tensor in a file that has not been read yet.

    Attributes:
        shape: its size.
        dtype: its element type.
        load: reads it: a fresh CPU tensor of that shape and dtype (contiguous).
        device_tag: where it lived when it was saved (``"cuda:0"``); it always loads to CPU.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], Tensor]
    device_tag: str = "cpu"

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
        root: dict, list, tuple, str, int, float, bool, None, bytes, :class:`Node` and
            :class:`LazyTensor`, nested.
        native_family, native_config, native_tensors, title: set for ``"maquette"`` models
            (safetensors + JSON); ``native_family`` is ``None`` for everything else.
    """

    path: Path
    container: str
    root: Any
    native_family: str | None = None
    native_config: dict[str, Any] = field(default_factory=dict)
    native_tensors: Mapping[str, LazyTensor] = field(default_factory=dict)
    title: str = ""


def module_tensors(module: Node, prefix: str = "") -> Iterator[tuple[str, LazyTensor]]:
    """State-dict names and tensors of a pickled ``torch.nn.Module``.

    Walks ``_parameters``, ``_buffers`` and ``_modules`` as ``state_dict()`` does (without
    leaving out non-persistent buffers, which a pickle does not mark reliably).
    """
    for group in ("_parameters", "_buffers"):
        for name, value in (module.state.get(group) or {}).items():
            if isinstance(value, LazyTensor):
                yield f"{prefix}{name}", value
    for name, child in (module.state.get("_modules") or {}).items():
        if isinstance(child, Node):
            yield from module_tensors(child, f"{prefix}{name}.")
