"""The volume rendering of :mod:`engine.rendering.nerf_march` with most samples left out, on a CPU.

A ray is looked at from the front to the back. What lies in an empty cell
(:mod:`engine.rendering.occupancy`) is not evaluated, and neither is what hardly any light reaches (less than
:data:`~engine.rendering.occupancy.LEAST_LIGHT`). Both count as no density at all.

- The even samples' weights decide where the others lie. An even sample that was too far behind for them may
  be seen by the finer steps: it is asked again there, and evaluated then.
- The last sample, whose step is endless, is never taken for empty.

The weights of what is left out add up to ``LEAST_SEEN + LEAST_LIGHT`` at most, so that no feature in
``[-1, 1]`` changes by more than twice that; samples move by that share of the floor that every bin has
(:func:`~engine.rendering.sampling.nerf_importance_depths`), where nothing is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.kernels.lazy import LazySamples
from engine.rendering.compositing import alpha_weights, close_last, step_alphas
from engine.rendering.nerf_march import (
    CHUNK_SAMPLES,
    March,
    Marched,
    PointField,
    gathered,
    solid_of,
)
from engine.rendering.occupancy import Occupancy
from engine.rendering.sampling import PDF_FLOOR, nerf_importance_depths

#: Rays that are marched side by side: enough for products of matrices once most samples are left out.
RAYS = 1 << 12


def march_lazily(
    field: PointField,
    origin: Tensor,
    directions: Tensor,
    march: March,
    grid: Occupancy,
    check: Callable[[], None] | None = None,
) -> Marched:
    """:func:`~engine.rendering.nerf_march.march_rays` from one origin, but for what is not seen.

    Args:
        field, directions, march: see there.
        origin: ``[3]``.
        grid: where the field is empty, in its own world
            (:data:`~engine.rendering.occupancy.EVERYWHERE` something may be where that is not known).
        check: called before every chunk; raises to stop.
    """
    parts = [
        _some(field, origin, rays, march, grid, check) for rays in torch.split(directions, RAYS)
    ]
    return Marched(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _some(
    field: PointField,
    origin: Tensor,
    directions: Tensor,
    march: March,
    grid: Occupancy,
    check: Callable[[], None] | None,
) -> Marched:
    count, coarse, fine = len(directions), march.coarse, march.fine
    # The importance samples' columns come first, as among equal depths.
    places = directions.new_empty(count, fine + coarse)
    even = torch.linspace(march.near, march.far, coarse)
    places[:, fine:] = even
    width = 0

    def evaluate(rays: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal width
        along = directions[rays]
        raw, features = field(torch.addcmul(origin, places[rays, columns, None], along), along)
        width = features.shape[1]
        return solid_of(march, raw), features

    samples = LazySamples(count, fine + coarse, evaluate, CHUNK_SAMPLES["cpu"], check)
    samples.skip_empty(grid, origin, directions, places[:, fine:], fine)
    order = torch.arange(fine, fine + coarse).expand(count, -1)
    samples.keep(order[:, -1], fine + coarse)
    depths = places[:, fine:].contiguous()
    samples.settle(depths, order, march.last_step)
    if fine:
        alphas = step_alphas(depths, samples.solid[:, fine:], march.last_step)
        drawn = nerf_importance_depths(depths, alpha_weights(alphas)[0], fine, lift=PDF_FLOOR)
        places[:, :fine] = drawn
        samples.skip_empty(grid, origin, directions, drawn)
        depths, order = places.sort(dim=-1, stable=True)
        samples.keep(order[:, -1], fine)
        samples.settle(depths, order, march.last_step)
    solid = samples.solid.gather(-1, order)
    weights, behind = alpha_weights(step_alphas(depths, solid, march.last_step))
    weights = close_last(weights) if march.last_back else weights
    own = torch.zeros_like(places).scatter(-1, order, weights)
    return gathered(march, depths, weights, behind, samples.blend(own, width))
