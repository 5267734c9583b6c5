"""CUDA graphs on a CPU, in place of the GPU that :mod:`engine.kernels.graphs` records on.

A recording is the list of torch's operators, with the very tensors that they read and wrote, and of
the kernels that were launched. A replay does them again on what the same memory holds then. As on a GPU,

- what a recording made has no values before it is replayed (they are NaN);
- to ask for a value while recording, or for random numbers, ends it with an error;
- Python runs once: what it chose then stays chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.kernels import graphs, launch
from engine.kernels.launch import Runner

Step = Callable[[], None]
#: Operators that need an answer of the card.
_ASKING = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "item", "masked_select")
_RANDOM = ("rand", "randn", "normal_", "uniform_", "bernoulli", "randint", "randperm")


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class _Operators(TorchDispatchMode):
    """Writes every operator down."""

    def __init__(self, steps: list[Step], made: list[Tensor]) -> None:
        super().__init__()
        self._steps, self._made = steps, made

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, more = func.overloadpacket.__name__, dict(kwargs or {})
        if name in _ASKING or name in _RANDOM:
            raise RuntimeError(f"CUDA error: {name} is not permitted when stream is capturing")
        if any(x.device.type not in ("cpu",) for x in _tensors((args, more))):
            raise RuntimeError("the emulation records on the CPU only")
        given = {x.untyped_storage().data_ptr() for x in _tensors((args, more))}
        outcome = func(*args, **more)
        results = _tensors(outcome)
        self._made += [x for x in results if x.untyped_storage().data_ptr() not in given]

        def again() -> None:
            for old, new in zip(results, _tensors(func(*args, **more)), strict=True):
                if new.data_ptr() != old.data_ptr():
                    old.copy_(new)

        self._steps.append(again)
        return outcome


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
