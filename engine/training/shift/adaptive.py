"""Which layers a text needs: those whose rows of w it moves most.

StyleGAN-NADA (Gal et al. 2022, section 4.2) lets a text move w of a few people for a few steps, a row
for each layer, with the weights held still; the layers whose rows have moved most are then trained.
Theirs chooses anew at every step; here the choice is made once, at the start of a run, so
that its averages, snapshots and resuming are those of any other choice of layers. A step goes straight down
the slope, in standard deviations of w: Adam, which moves all numbers alike at first, would tell rows
apart by noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from engine.editing.sefa import reading_layers
from engine.errors import UserError
from engine.generators.base import Generator, latent_from_seed
from engine.generators.evaluation import gradients

#: People who are moved, their first seed, moves of each, and their length over all rows, in standard
#: deviations of w.
PEOPLE, FIRST, MOVES, LENGTH = 4, 4_000_000_000, 5, 0.3
#: People by whom the spread of w is measured.
_SAMPLES = 64
#: Rows of w -> what the picture that is drawn of them costs.
Cost = Callable[[Tensor, Tensor], Tensor]


def moved_rows(generator: Generator, cost: Cost) -> Tensor:
    """``[num_ws]``: how far a text moves each row, in standard deviations of w; the same on every call.

    Args:
        generator: whose weights are held still.
        cost: ``(w of a person, w moved)``, both ``[num_ws, w_dim]`` -> what is to fall.
    """
    z_dim = generator.capabilities.z_dim
    with torch.no_grad():
        people = torch.stack(
            [generator.map(latent_from_seed(FIRST + k, z_dim)) for k in range(_SAMPLES)]
        ).clone()
    spread = people.std(0)
    far = torch.zeros(len(spread), device=spread.device)
    for start in people[:PEOPLE]:
        with torch.inference_mode(False):
            u = torch.zeros_like(start).requires_grad_()
        for _ in range(MOVES):
            with gradients():
                (slope,) = torch.autograd.grad(cost(start, start + u * spread), u)
            if not bool(torch.isfinite(slope).all()):
                raise UserError("The model's pictures hold values that are no numbers.")
            with torch.no_grad():
                u -= LENGTH * slope / slope.norm().clamp(min=1e-20)
        far += u.detach().norm(dim=1) / PEOPLE
    return far


def chosen_layers(
    generator: Generator, far: Tensor, count: int, allowed: Iterable[str]
) -> list[str]:
    """The parameters of the layers that read the ``count`` rows of w that have moved most.

    Args:
        far: of :func:`moved_rows`.
        allowed: names of parameters that may train; rows that none of them reads do not count.

    Raises:
        UserError: no layer of this model reads w, as in pi-GAN, or none that may train.
    """
    names, layers = tuple(allowed), dict[int, set[str]]()
    for row, reader in reading_layers(generator):
        # What reads w is a part of the layer that it steers.
        layer = reader.rpartition(".")[0] + "."
        layers.setdefault(row, set()).update(n for n in names if n.startswith(layer))
    rows: Sequence[int] = sorted((r for r in layers if layers[r]), key=lambda r: -float(far[r]))
    if not rows:
        raise UserError(
            "No layer of this model that may train reads w, so that none can be chosen by a text; "
            "name groups of layers instead of 'adaptive'."
        )
    found = set().union(*(layers[row] for row in rows[:count]))
    return [name for name in names if name in found]
