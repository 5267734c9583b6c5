"""CUDA graphs on a CPU, in place of the GPU that :mod:`engine.kernels.graphs` records on.

A recording is the list of torch's operators, with the very tensors that they read and wrote, and of
the kernels that were launched. A replay does them again on what the same memory holds then. As on a GPU,

- what a recording made has no values before it is replayed (they are NaN);
- to ask for a value while recording, for random numbers, or to make a tensor of Python's numbers (a copy from
  the processor's memory, which is waited for), ends it with an error;
- a recording does not keep alive what it reads of others: once that has gone, replays end with an error (on a GPU they
  would read whatever lies there by then);
- Python runs once: what it chose then stays chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from engine.generators import pigan_network, stylegan2_ops
from engine.kernels import graphs, launch, products, sine
from engine.kernels.launch import Runner
from tests.kernels.emulator import EmulationError

Step = Callable[[], None]
#: Operators that need an answer of the card.
_ASKING = (
    "_local_scalar_dense", "nonzero", "equal", "is_nonzero", "item", "masked_select",
    "_linalg_check_errors", "_unique2", "bincount",
)  # fmt: skip
#: What ``torch.tensor`` and its like end with. Single numbers are let through: ``x[0] = 1.0`` makes one, and fills.
_COPYING = ("lift_fresh", "lift_fresh_copy")
_RANDOM = ("rand", "randn", "normal_", "uniform_", "bernoulli", "randint", "randperm")


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _asks(func: Any, args: Any) -> bool:
    """Whether what an operator gives depends on values: places that are true, numbers of copies."""
    if str(func) == "aten.repeat_interleave.Tensor":
        return True
    places = args[1] if func.overloadpacket.__name__ in ("index", "index_put_", "index_put") else ()
    return any(x is not None and x.dtype == torch.bool for x in places)


class _Lent:
    """A tensor whose memory others keep."""

    def __init__(self, tensor: Tensor) -> None:
        self._memory = StorageWeakRef(tensor.untyped_storage())
        self._place = tensor.storage_offset(), tensor.size(), tensor.stride()
        self._dtype = tensor.dtype

    def tensor(self) -> Tensor:
        """As long as it is there."""
        if self._memory.expired():
            raise EmulationError("A recording reads memory that has been given back.")
        memory = torch.UntypedStorage._new_with_weak_ptr(self._memory.cdata)
        return torch.empty(0, dtype=self._dtype).set_(memory, *self._place)


class _Operators(TorchDispatchMode):
    """Writes every operator down."""

    def __init__(self, steps: list[Step], made: list[Tensor]) -> None:
        super().__init__()
        self._steps, self._made = steps, made
        self._own: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, more = func.overloadpacket.__name__, dict(kwargs or {})
        if name in _COPYING and not args[0].ndim:
            self._own.add(args[0].untyped_storage().data_ptr())
        elif name in _ASKING or name in _RANDOM or name in _COPYING or _asks(func, args):
            raise RuntimeError(f"CUDA error: {name} is not permitted when stream is capturing")
        with self:
            parts = func.decompose(*args, **more)  # in inference mode operators come whole
        if parts is not NotImplemented:
            return parts
        if any(x.device.type not in ("cpu",) for x in _tensors((args, more))):
            raise RuntimeError("the emulation records on the CPU only")
        given = {x.untyped_storage().data_ptr() for x in _tensors((args, more))}
        outcome = func(*args, **more)
        results = _tensors(outcome)
        fresh = [x for x in results if x.untyped_storage().data_ptr() not in given]
        self._made += fresh
        self._own |= {x.untyped_storage().data_ptr() for x in fresh}
        kept = tree_map(self._keep, (args, more))
        olds = [self._keep(x) for x in results]

        def again() -> None:
            args, more = tree_map(_found, kept)
            for old, new in zip(olds, _tensors(func(*args, **more)), strict=True):
                if isinstance(old, Tensor) and new.data_ptr() != old.data_ptr():
                    old.copy_(new)

        self._steps.append(again)
        return outcome

    def _keep(self, leaf: Any) -> Any:
        """What the recording made stays; the rest is others'."""
        if not isinstance(leaf, Tensor) or leaf.untyped_storage().data_ptr() in self._own:
            return leaf
        return _Lent(leaf)


def _found(leaf: Any) -> Any:
    return leaf.tensor() if isinstance(leaf, _Lent) else leaf


class _Launches:
    """Writes every launch down, in place of the emulation that does it."""

    def __init__(self, inner: Runner, steps: list[Step]) -> None:
        self._inner, self._steps = inner, steps

    def reaches(self, device: torch.device) -> bool:
        return self._inner.reaches(device)

    def processors(self, device: torch.device) -> int:
        return self._inner.processors(device)

    def launch(self, source: str, entry: str, parameters: np.ndarray, **more: Any) -> None:
        record = parameters.copy()
        self._steps.append(lambda: self._inner.launch(source, entry, record, **more))
        self._steps[-1]()


class Tape:
    """One recording."""

    def __init__(self, steps: list[Step], keep: list[Tensor]) -> None:
        self._steps, self._keep = steps, keep
        self.replays = 0

    def replay(self) -> None:
        """Do it again."""
        self.replays += 1
        for step in self._steps:
            step()


class GraphEmulator:
    """See :class:`engine.kernels.graphs.Recorder`.

    Attributes:
        tapes: what was recorded, in order.
        room: whether there is memory for more.
    """

    def __init__(self) -> None:
        self.tapes: list[Tape] = []
        self.room = True

    def has_room(self) -> bool:
        """As :attr:`room` says."""
        return self.room

    def record(self, work: Callable[[], Tensor]) -> tuple[Tape, Tensor]:
        """Record ``work``."""
        work()
        steps: list[Step] = []
        made: list[Tensor] = []
        runner = launch._runners[-1] if launch._runners else None
        with _Operators(steps, made):
            if runner is None:
                result = work()
            else:
                with launch.standing_in(_Launches(runner, steps)):
                    result = work()
        for tensor in made:
            if tensor.is_floating_point():
                tensor.fill_(torch.nan)
        tape = Tape(steps, made)
        self.tapes.append(tape)
        return tape, result


def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch does there, without our kernels: on a CPU filters are looked at, and some of the work is not torch's."""
    monkeypatch.setenv("MAQUETTE_KERNELS", "graphs")
    monkeypatch.setattr(stylegan2_ops, "is_tent", lambda kernel: False)
    monkeypatch.setattr(stylegan2_ops, "separable_taps", lambda x, kernel, gain: None)
    for module in (products, pigan_network):
        monkeypatch.setattr(module, "quick", lambda x, weight: False)
    monkeypatch.setattr(sine, "_compiled", lambda x: False)


@contextmanager
def recorded() -> Iterator[GraphEmulator]:
    """Parts that are asked for within are recorded; none is left behind."""
    recorder = GraphEmulator()
    graphs.forget()
    try:
        with graphs.recording_with(recorder):
            yield recorder
    finally:
        graphs.forget()
