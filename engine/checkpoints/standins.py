"""Answers a pickle machine with plain data: nothing that a file names is ever imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.checkpoints.budget import Budget
from engine.checkpoints.constructors import CONSTRUCTORS
from engine.checkpoints.faults import Damaged, Refused
from engine.checkpoints.names import REFERENCES, canonical_name, is_name, shown
from engine.checkpoints.numpy_values import set_array_state, set_dtype_state
from engine.checkpoints.plain import ClassRef, LazyTensor, Node
from engine.checkpoints.source import Source
from engine.checkpoints.tensors import Storage


class StandIns:
    """Answers a pickle machine with plain data.

    Args:
        budget: what the file may still ask for.
        load_nested: reads the legacy torch stream inside a pickle (source, start, length) and
            returns its storage.
        persistent: answers persistent ids; ``None`` refuses them.
    """

    def __init__(
        self,
        budget: Budget,
        load_nested: Callable[[Source, int, int], Storage],
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.budget = budget
        self.load_nested = load_nested
        self._persistent = persistent
        self._known: dict[tuple[str, str], ClassRef] = {}

    def find(self, module: str, name: str) -> ClassRef:
        """See :class:`~engine.checkpoints.pickle_vm.Builder`."""
        known = self._known.get((module, name))
        if known is None:
            if not is_name(module) or not is_name(name):
                raise Damaged(f"it asks for {shown(f'{module} {name}')!r}, which is not a name")
            full = canonical_name(module, name, CONSTRUCTORS)
            if full is None:
                raise Refused(
                    f"it asks for {shown(f'{module}.{name}')!r}, which is no part of "
                    "a model and could run code on this computer"
                )
            known = self._known[module, name] = ClassRef(full)
        return known

    def construct(self, ref: ClassRef, args: tuple[Any, ...], kwargs: dict[Any, Any]) -> Any:
        """See :class:`~engine.checkpoints.pickle_vm.Builder`."""
        # Both are copied, and a file can give the same long ones again and again.
        self.budget.step(len(args) + len(kwargs))
        constructor = CONSTRUCTORS.get(ref.name)
        if constructor is not None:
            if kwargs:
                raise Damaged(f"{shown(ref.name)} is given named arguments")
            try:
                return constructor(self, *args)
            except TypeError as error:
                raise Damaged(f"{shown(ref.name)} is given arguments that do not fit") from error
        if ref.name in REFERENCES or ref.name.startswith("torch.nn.functional."):
            raise Refused(f"it tries to call {shown(ref.name)!r}, which no model file needs")
        return Node(ref.name, args, dict(kwargs))

    def set_state(self, target: Any, state: Any) -> None:
        """See :class:`~engine.checkpoints.pickle_vm.Builder`."""
        if isinstance(target, Node):
            if target.kind == "numpy.dtype":
                set_dtype_state(target, state)
            elif target.kind == "numpy.ndarray":
                set_array_state(self, target, state)
            else:
                self._update(target, state)
        elif isinstance(target, (ClassRef, Storage)) or not isinstance(target, (dict, LazyTensor)):
            raise Refused(f"it tries to alter a {type(target).__name__}, as no model file does")
        # Attributes of dictionaries (such as a state dict's _metadata) and of tensors are dropped.

    def persistent(self, pid: Any) -> Any:
        """See :class:`~engine.checkpoints.pickle_vm.Builder`."""
        if self._persistent is None:
            raise Refused("it refers to objects outside of the file")
        return self._persistent(pid)

    def _update(self, node: Node, state: Any) -> None:
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
        if not all(part is None or isinstance(part, dict) for part in parts):
            node.state["[state]"] = state
            return
        for part in parts:
            if part:
                self.budget.step(len(part))
                node.state.update(part)
