"""A fixed layer before a mapping network: what a latent says about a person, spelt out.

Where a model was trained on data whose latents have a known meaning (a glasses coordinate, a
beard coordinate that counts for men only), the steps in that meaning are hard to learn from
pictures: a multilayer perceptron blurs them, and in between pictures are averages. Given to
the mapping as ready features they cost nothing, and z stays a standard normal vector.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engine.errors import UserError


class LatentStep(NamedTuple):
    """One yes or no that a latent says.

    Attributes:
        axis: the coordinate that says it.
        threshold: yes above it.
        gate: another coordinate, which says whether the question arises.
        side: 1: it arises where the gate is above 0; -1: where it is not; 0: always.
    """

    axis: int
    threshold: float
    gate: int = 0
    side: int = 0


def steps_from_json(data: Iterable[Sequence[Any]], z_dim: int) -> tuple[LatentStep, ...]:
    """Read rows of four numbers.

    Raises:
        UserError: a row is not a step of a latent of ``z_dim`` numbers.
    """
    steps = []
    for row in data:
        if len(row) != 4 or not all(isinstance(x, (int, float)) for x in row):
            raise UserError(f"A step of the latent must be four numbers, not {row!r}.")
        axis, threshold, gate, side = row
        step = LatentStep(int(axis), float(threshold), int(gate), int(side))
        inside = 0 <= step.axis < z_dim and 0 <= step.gate < z_dim
        if tuple(row) != step or not inside or step.side not in (-1, 0, 1):
            raise UserError(
                f"A step of the latent names coordinates below {z_dim} and a side of -1, 0 or 1, "
                f"not {row!r}."
            )
        if not math.isfinite(step.threshold):
            raise UserError(f"The threshold of a latent's step must be finite, not {threshold!r}.")
        steps.append(step)
    return tuple(steps)


class LatentFeatures(nn.Module):
    """z, its quantiles, and the steps: ``[N, z_dim]`` -> ``[N, 2 * z_dim + steps]``.

    Nothing in it is learned or stored: it follows from the steps.

    Args:
        z_dim: length of the latent.
        steps: see :class:`LatentStep`.
    """

    def __init__(self, z_dim: int, steps: Sequence[LatentStep]) -> None:
        super().__init__()
        self.out_features = 2 * z_dim + len(steps)
        self._axis = [step.axis for step in steps]
        self._threshold = [step.threshold for step in steps]
        self._gate = [step.gate for step in steps]
        self._side = [step.side for step in steps]

    def forward(self, z: Tensor) -> Tensor:
        """Features of about unit size; a step is 1.5 for yes and -0.5 for no or not asked."""
        quantiles = math.sqrt(3.0) * (2.0 * torch.special.ndtr(z) - 1.0)
        side = torch.tensor(self._side, device=z.device)
        gate = torch.where(z[:, self._gate] > 0, 1, -1)
        yes = z[:, self._axis] > torch.tensor(self._threshold, dtype=z.dtype, device=z.device)
        yes = yes & ((side == 0) | (gate == side))
        return torch.cat([z, quantiles, 2.0 * yes.to(z.dtype) - 0.5], dim=1)
