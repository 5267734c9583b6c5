"""pi-GAN's lineage drawn for training: rays of many identities at once, with their noise.

The quadrature and the two passes are those of :mod:`engine.rendering.nerf_march`; what training adds
is random: where the even samples lie, where the second pass looks, and noise on densities.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.rendering.compositing import alpha_weights, blend, close_last, step_alphas
from engine.rendering.nerf_march import March
from engine.rendering.sampling import PDF_FLOOR, nerf_importance_depths

#: Points ``[N, M, 3]`` and the unit directions of their rays ``[N, M, 3]`` -> density ``[N, M]``
#: before its activation, and features ``[N, M, C]``.
BatchField = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class MarchedBatch(NamedTuple):
    """What R rays of each of N identities bring back; see
    :class:`~engine.rendering.nerf_march.Marched`.

    Attributes:
        features: ``[N, R, C]``. depth, weight_sum, behind: ``[N, R]``.
    """

    features: Tensor
    depth: Tensor
    weight_sum: Tensor
    behind: Tensor

    @property
    def opacity(self) -> Tensor:
        """``[N, R]`` what the samples but for the last hold back."""
        return (1.0 - self.behind).clamp(0.0, 1.0)


def march_batch(
    field: BatchField,
    origins: Tensor,
    directions: Tensor,
    march: March,
    random: torch.Generator | None = None,
    noise: float = 0.0,
) -> MarchedBatch:
    """March rays, differentiable but for where the samples lie.

    Args:
        field: densities and features.
        origins, directions: ``[N, 3]`` and ``[N, R, 3]``, unit.
        march: how.
        random: moves even samples by up to half a step and draws the second pass's; without it
            nothing is random, as pictures are drawn.
        noise: standard deviation that is added to raw densities.
    """
    n, r, _ = directions.shape

    def look(depths: Tensor) -> tuple[Tensor, Tensor]:
        points = origins[:, None, None] + depths[..., None] * directions[:, :, None]
        along = directions[:, :, None].expand_as(points)
        density, features = field(points.reshape(n, -1, 3), along.reshape(n, -1, 3))
        density = density.reshape(depths.shape)
        if random is not None and noise:
            draw = torch.randn(density.shape, generator=random, device=density.device)
            density = density + noise * draw
        return density, features.reshape(*depths.shape, -1)

    def weigh(depths: Tensor, densities: Tensor) -> tuple[Tensor, Tensor]:
        relu = march.activation == "relu"
        solid = F.relu(densities) if relu else F.softplus(densities)
        return alpha_weights(step_alphas(depths, solid, march.last_step))

    even = torch.linspace(march.near, march.far, march.coarse, device=directions.device)
    depths = even.expand(n, r, -1)
    if random is not None:
        step = (march.far - march.near) / (march.coarse - 1)
        draw = torch.rand(depths.shape, generator=random, device=depths.device)
        depths = depths + (draw - 0.5) * step
    densities, features = look(depths)
    parts = [features]
    order: Tensor | None = None
    if march.fine:
        found = weigh(depths, densities.detach())[0]
        more = nerf_importance_depths(depths, found, march.fine, lift=PDF_FLOOR, jitter=random)
        more_densities, more_features = look(more)
        depths, order = torch.cat([more, depths], dim=-1).sort(dim=-1, stable=True)
        densities = torch.cat([more_densities, densities], dim=-1).gather(-1, order)
        parts = [more_features, features]
    weights, behind = weigh(depths, densities)
    weights = close_last(weights) if march.last_back else weights
    # The weights go back to the order of the features, which are many times larger.
    each = weights if order is None else torch.zeros_like(weights).scatter(-1, order, weights)
    shares = torch.split(each, [part.shape[2] for part in parts], dim=-1)
    total = torch.stack([blend(w, f) for w, f in zip(shares, parts, strict=True)]).sum(dim=0)
    weight_sum = weights.sum(dim=-1)
    if march.white_back:
        total = total + (1.0 - weight_sum)[..., None]
    return MarchedBatch(total, (weights * depths).sum(dim=-1), weight_sum, behind)
