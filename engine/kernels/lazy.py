"""Samples that are evaluated only where they count, on a CPU: the launcher of
:mod:`engine.kernels.cpu_lazy`.

Compiled code is kept, and turned off, as :mod:`engine.kernels.cpu` says.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.rendering.occupancy import LEAST_LIGHT, Occupancy

Ints = NDArray[np.int32]

#: What evaluates samples: rays ``[N]`` and columns ``[N]`` -> densities ``[N]`` after their activation,
#: and features ``[N, K]``.
Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

#: Samples of a ray that are evaluated at once when it is begun; later twice as many each time.
FIRST = 1


def available(*tensors: Tensor) -> bool:
    """Whether rays of these tensors can be marched so."""
    return (
        os.environ.get("MAQUETTE_KERNELS", "") != "0"
        and all(x.device.type == "cpu" and x.dtype == torch.float32 for x in tensors)
        and not torch.is_grad_enabled()
    )


class LazySamples:
    """Densities and features of the samples of some rays, evaluated as they turn out to count.

    Args:
        rays: how many.
        columns: samples of a ray.
        evaluate: what evaluates them.
        chunk: samples that are evaluated at once.
        check: called before each chunk; raises to stop.
    """

    def __init__(
        self,
        rays: int,
        columns: int,
        evaluate: Evaluate,
        chunk: int,
        check: Callable[[], None] | None,
    ) -> None:
        self._evaluate, self._chunk, self._check = evaluate, chunk, check
        #: ``[R, C]`` densities, 0 where there is nothing or nothing is seen.
        self.solid = torch.zeros(rays, columns)
        self._open = np.ones((rays, columns), np.uint8)
        self._found: list[tuple[Ints, Ints, Tensor]] = []

    @property
    def evaluated(self) -> int:
        """Samples that were evaluated."""
        return sum(len(rays) for rays, _, _ in self._found)

    def skip_empty(
        self,
        grid: Occupancy,
        origin: Tensor,
        directions: Tensor,
        depths: Tensor,
        first: int = 0,
    ) -> None:
        """Leave out what lies in empty cells, of the samples at ``depths`` ``[R, S]``, whose columns
        begin with ``first``."""
        from engine.kernels.cpu_lazy import mark

        start, ways, places = (x.contiguous().numpy() for x in (origin, directions, depths))
        found = np.empty(tuple(depths.shape), np.uint8)
        mark(grid.cells, np.float32(grid.half), start, ways, places, found)
        self._open[:, first : first + depths.shape[1]] = found

    def keep(self, columns: Tensor, below: int) -> None:
        """Do not take for empty, whatever the grid says, one sample of each ray, as long as it has not been
        evaluated yet.

        Args:
            columns: ``[R]`` which one.
            below: only columns before this one.
        """
        rows = (columns < below).nonzero()[:, 0]
        self._open[rows.numpy(), columns[rows].numpy()] = 1

    def settle(self, depths: Tensor, order: Tensor, last_step: float) -> None:
        """Evaluate all samples that are open and that light reaches.

        Args:
            depths: ``[R, S]`` ascending.
            order: ``[R, S]`` the columns of these samples.
            last_step: length of the step behind the last one.
        """
        from engine.kernels.cpu_lazy import choose

        rays, most = len(depths), FIRST
        place, light = np.zeros(rays, np.int32), np.ones(rays, np.float32)
        where, columns = depths.contiguous().numpy(), order.to(torch.int32).contiguous().numpy()
        solid, limits = self.solid.numpy(), (np.float32(last_step), np.float32(LEAST_LIGHT))
        while True:
            of, at = (np.empty(rays * min(most, depths.shape[1]), np.int32) for _ in range(2))
            count = choose(where, columns, solid, self._open, *limits, most, place, light, of, at)
            if not count:
                return
            for first in range(0, count, self._chunk):
                if self._check is not None:
                    self._check()
                some = slice(first, min(first + self._chunk, count))
                index = torch.from_numpy(of[some]).long(), torch.from_numpy(at[some]).long()
                densities, features = self._evaluate(*index)
                self.solid[index] = densities
                self._found.append((of[some], at[some], features.contiguous()))
            most *= 2

    def blend(self, weights: Tensor, kinds: int) -> Tensor:
        """``[R, C]`` weights -> ``[R, kinds]`` weighted sums of the features."""
        from engine.kernels.cpu_lazy import blend

        out = np.zeros((len(weights), kinds), np.float32)
        shares = weights.contiguous().numpy()
        for rays, columns, features in self._found:
            blend(shares, rays, columns, features.numpy(), out)
        return torch.from_numpy(out)


def prepare() -> None:
    """Compile all functions, or load them where they were compiled before."""
    samples = LazySamples(1, 2, lambda r, _: (torch.ones(len(r)), torch.ones(len(r), 1)), 1, None)
    depths = torch.tensor([[0.0, 1.0]])
    grid = Occupancy(np.ones((1, 1, 1), np.uint8), 1.0)
    samples.skip_empty(grid, torch.zeros(3), torch.ones(1, 3), depths)
    samples.settle(depths, torch.arange(2)[None], 1.0)
    samples.blend(torch.ones(1, 2), 1)
