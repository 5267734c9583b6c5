"""From samples along a ray to one colour, one depth and one opacity.

The quadrature is Mip-NeRF's as EG3D uses it: densities, colours and depths are averaged
over neighbouring samples, and each interval between two samples is one slab.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Composite(NamedTuple):
    """What one march gives.

    Attributes:
        features: ``[N, R, C]``, ``sum(w * colour)`` in the decoder's range (no background).
        depth: ``[N, R]`` mean distance; infinite where the ray has no weight at all.
        weight_sum: ``[N, R]`` opacity.
    """

    features: Tensor
    depth: Tensor
    weight_sum: Tensor


def march_weights(depths: Tensor, densities: Tensor) -> Tensor:
    """Weight of each interval between neighbouring samples.

    ``alpha = 1 - exp(-softplus(sigma_mid - 1) * delta)``; ``T = prod(1 - alpha + 1e-10)`` over
    the intervals in front; ``w = alpha * T``.

    Args:
        depths: ``[N, R, S]`` ascending.
        densities: ``[N, R, S]`` raw (before softplus).

    Returns:
        ``[N, R, S - 1]``.
    """
    deltas = depths[..., 1:] - depths[..., :-1]
    middle = 0.5 * (densities[..., :-1] + densities[..., 1:])
    alpha = 1.0 - torch.exp(-F.softplus(middle - 1.0) * deltas)
    clear = F.pad(1.0 - alpha[..., :-1] + 1e-10, (1, 0), value=1.0)
    return alpha * torch.cumprod(clear, dim=-1)


def composite(depths: Tensor, features: Tensor, weights: Tensor) -> Composite:
    """Sum up a march.

    Args:
        depths: ``[N, R, S]`` ascending.
        features: ``[N, R, S, C]`` colours at the samples.
        weights: ``[N, R, S - 1]`` from :func:`march_weights`.
    """
    # sum_i w_i (c_i + c_{i+1}) / 2 with the halves moved onto the weights: the same sum
    # without a second tensor of all the midpoint colours.
    half = F.pad(weights, (0, 1)) + F.pad(weights, (1, 0))
    colour = 0.5 * torch.matmul(half[..., None, :], features)[..., 0, :]
    total = weights.sum(dim=-1)
    middles = 0.5 * (depths[..., :-1] + depths[..., 1:])
    # Dividing by a stand-in keeps the gradient finite on rays that see nothing.
    seen = total > 0
    depth = (weights * middles).sum(dim=-1) / torch.where(seen, total, 1.0)
    return Composite(colour, torch.where(seen, depth, torch.inf), total)
