"""From samples along a ray to one colour, one depth and one opacity.

The quadrature is Mip-NeRF's as EG3D uses it: densities, colours and depths are averaged
over neighbouring samples, and each interval between two samples is one slab.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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


def sample_weights(weights: Tensor) -> Tensor:
    """Weights of the samples from the weights of the intervals between them.

    ``sum_i w_i (c_i + c_(i+1)) / 2`` with the halves moved onto the samples: the same sum as
    over midpoint colours, without a second tensor of all of those.

    Args:
        weights: ``[N, R, S - 1]`` from :func:`march_weights`.

    Returns:
        ``[N, R, S]``.
    """
    return 0.5 * (F.pad(weights, (0, 1)) + F.pad(weights, (1, 0)))


def blend(weights: Tensor, features: Tensor) -> Tensor:
    """``sum(w * c)`` along rays: ``[N, R, S]`` and ``[N, R, S, C]`` -> ``[N, R, C]``."""
    return torch.matmul(weights[..., None, :], features)[..., 0, :]


def mean_depth(depths: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean distance and opacity of rays.

    Args:
        depths: ``[N, R, S]`` ascending.
        weights: ``[N, R, S - 1]`` from :func:`march_weights`.

    Returns:
        ``[N, R]`` distance of the interval middles in the weighted mean, infinite where the
        ray has no weight at all, and ``[N, R]`` sum of the weights.
    """
    total = weights.sum(dim=-1)
    middles = 0.5 * (depths[..., :-1] + depths[..., 1:])
    # Dividing by a stand-in keeps the gradient finite on rays that see nothing.
    seen = total > 0
    depth = (weights * middles).sum(dim=-1) / torch.where(seen, total, 1.0)
    return torch.where(seen, depth, torch.inf), total


# The quadrature of NeRF itself, which the other families keep to ----------------------------


def step_alphas(depths: Tensor, densities: Tensor, last: float) -> Tensor:
    """Opacity of each sample: ``alpha_i = 1 - exp(-sigma_i (t_(i+1) - t_i))``.

    Mildenhall et al., "NeRF" (2020), equation 3.

    Args:
        depths: ``[..., S]`` ascending.
        densities: ``[..., S]`` after their activation, not negative.
        last: length of the step behind the last sample (1e10: whatever is there is opaque).

    Returns:
        ``[..., S]``.
    """
    deltas = F.pad(depths[..., 1:] - depths[..., :-1], (0, 1), value=last)
    return 1.0 - torch.exp(-densities * deltas)


def alpha_weights(alphas: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the samples, and how much light passes all but the last of them.

    ``w_i = alpha_i T_i`` with ``T_i = prod_(j<i) (1 - alpha_j + 1e-10)``.

    Args:
        alphas: ``[..., S]`` from :func:`step_alphas`.

    Returns:
        ``[..., S]`` weights and ``[...]`` ``T_(S-1)``, the share of what lies behind (NeRF++).
    """
    clear = F.pad(1.0 - alphas[..., :-1] + 1e-10, (1, 0), value=1.0)
    transmittance = torch.cumprod(clear, dim=-1)
    return alphas * transmittance, transmittance[..., -1]


def close_last(weights: Tensor) -> Tensor:
    """``[..., S]`` weights with whatever is missing from one given to the last sample."""
    rest = 1.0 - weights.sum(dim=-1, keepdim=True)
    return torch.cat([weights[..., :-1], weights[..., -1:] + rest], dim=-1)
