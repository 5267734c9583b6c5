"""Where along a ray to look: even steps, and more where the first look found something.

Hierarchical sampling follows Mildenhall et al., "NeRF" (2020), section 5.2, with the
smoothing of Barron et al., "Mip-NeRF" (2021), as EG3D combines them.

With a ``torch.Generator`` the samples are random (training); without one they are fixed:
each even step is taken in its middle and the importance samples at evenly spaced quantiles.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Weights and probability masses below these are lifted, so that no bin is ever empty.
WEIGHT_FLOOR, PDF_FLOOR = 0.01, 1e-5


def stratified_depths(
    start: Tensor,
    end: Tensor,
    count: int,
    disparity: bool = False,
    jitter: torch.Generator | None = None,
) -> Tensor:
    """Evenly spaced depths, one in each of ``count`` steps.

    Depth i is ``start + (i + U) * delta`` with ``delta = (end - start) / (count - 1)`` and U
    uniform in [0, 1), or 0.5 without ``jitter``. The last one may lie beyond ``end``, as in
    EG3D's release.

    Args:
        start, end: ``[N, R]`` limits of each ray.
        count: samples, 2 or more.
        disparity: space them evenly in inverse depth instead.
        jitter: random numbers, on the device of ``start``.

    Returns:
        ``[N, R, count]``.
    """
    steps = torch.arange(count, dtype=start.dtype, device=start.device) / (count - 1)
    if jitter is None:
        fraction = (steps + 0.5 / (count - 1)).expand(*start.shape, count)
    else:
        noise = torch.rand(
            (*start.shape, count), generator=jitter, device=start.device, dtype=start.dtype
        )
        fraction = steps + noise / (count - 1)
    start, end = start[..., None], end[..., None]
    if disparity:
        return 1.0 / ((1.0 - fraction) / start + fraction / end)
    return start + fraction * (end - start)


def smooth_weights(weights: Tensor) -> Tensor:
    """``[B, S]`` ray weights -> ``[B, S]``: the larger of neighbours, averaged, plus a floor
    (the blur of Mip-NeRF, which keeps samples near a thin surface)."""
    blurred = F.max_pool1d(weights[:, None], 2, stride=1, padding=1)
    return F.avg_pool1d(blurred, 2, stride=1)[:, 0] + WEIGHT_FLOOR


def sample_histogram(
    edges: Tensor,
    masses: Tensor,
    count: int,
    jitter: torch.Generator | None = None,
    right: bool = True,
) -> Tensor:
    """Draw from a piecewise constant density by inverting its cumulative distribution.

    Args:
        edges: ``[B, K + 1]`` ascending bin edges.
        masses: ``[B, K]`` weight of each bin, not negative.
        count: samples per row.
        jitter: random numbers; without them the quantiles 0 ... 1 in equal steps.
        right: a quantile that falls on an edge belongs to the bin behind it (else to the one
            in front, as the authors of NeRF have it).

    Returns:
        ``[B, count]``, ascending without ``jitter``.
    """
    bins = masses.shape[-1]
    # In float64: a bin of hardly more than the floor lies between two sums that float32 rounds by
    # as much as a hundredth of it, and the last quantile, 1, often falls into such a bin.
    shares = masses.double() + PDF_FLOOR
    cdf = torch.cumsum(shares / shares.sum(dim=-1, keepdim=True), dim=-1).to(edges.dtype)
    cdf = F.pad(cdf, (1, 0))
    if jitter is None:
        u = torch.linspace(0.0, 1.0, count, dtype=edges.dtype, device=edges.device)
        u = u.expand(edges.shape[0], count).contiguous()
    else:
        u = torch.rand(
            (edges.shape[0], count), generator=jitter, dtype=edges.dtype, device=edges.device
        )
    index = torch.searchsorted(cdf, u, right=right)
    below, above = (index - 1).clamp(min=0), index.clamp(max=bins)
    cdf_below, cdf_above = cdf.gather(-1, below), cdf.gather(-1, above)
    edge_below, edge_above = edges.gather(-1, below), edges.gather(-1, above)
    width = cdf_above - cdf_below
    width = torch.where(width < PDF_FLOOR, torch.ones_like(width), width)
    return edge_below + (u - cdf_below) / width * (edge_above - edge_below)


def importance_depths(
    depths: Tensor, weights: Tensor, count: int, jitter: torch.Generator | None = None
) -> Tensor:
    """Depths drawn where a first march put its weight. No gradient flows through them.

    Args:
        depths: ``[N, R, S]`` ascending sample depths of the first march, S at least 4.
        weights: ``[N, R, S - 1]`` its weights.
        count: samples per ray.
        jitter: see :func:`sample_histogram`.

    Returns:
        ``[N, R, count]``.
    """
    n, r, s = depths.shape
    with torch.no_grad():
        flat = depths.reshape(n * r, s)
        middles = 0.5 * (flat[:, :-1] + flat[:, 1:])
        smooth = smooth_weights(weights.detach().reshape(n * r, s - 1))
        drawn = sample_histogram(middles, smooth[:, 1:-1], count, jitter)
    return drawn.reshape(n, r, count)


def nerf_importance_depths(
    depths: Tensor,
    weights: Tensor,
    count: int,
    lift: float = PDF_FLOOR,
    jitter: torch.Generator | None = None,
) -> Tensor:
    """Depths drawn where a first march put its weight, as NeRF and pi-GAN do it.

    The bins lie between the middles of neighbouring samples and carry the weights of the
    samples inside, without the first and the last. No gradient flows through the result.

    Args:
        depths: ``[..., S]`` ascending (or any monotonous parameter of them), S at least 3.
        weights: ``[..., S]`` weights of the samples.
        count: samples per ray.
        lift: added to every weight, besides the floor that every bin is given (pi-GAN's
            lineage adds 1e-5 twice, StyleNeRF once: ``lift=0``).
        jitter: see :func:`sample_histogram`.

    Returns:
        ``[..., count]``, ascending without ``jitter``.
    """
    with torch.no_grad():
        middles = 0.5 * (depths[..., 1:] + depths[..., :-1])
        inner = weights.detach()[..., 1:-1] + lift
        drawn = sample_histogram(
            middles.reshape(-1, middles.shape[-1]),
            inner.reshape(-1, inner.shape[-1]),
            count,
            jitter,
            right=False,
        )
    return drawn.reshape(*depths.shape[:-1], count)


def guided_depths(
    guide: Tensor,
    start: Tensor,
    end: Tensor,
    count: int,
    width: float,
    jitter: torch.Generator | None = None,
) -> Tensor:
    """Depths around a known surface, for supervised training.

    Args:
        guide: ``[N, R]`` distance of the surface; not finite or not positive where the ray
            hits nothing, and there the samples are spread evenly instead.
        start, end: ``[N, R]`` limits, to which the samples are clamped.
        count: samples per ray.
        width: standard deviation around the guide, as a fraction of ``end - start``.

    Returns:
        ``[N, R, count]``. Without ``jitter`` the samples are the normal distribution's
        evenly spaced quantiles.
    """
    n, r = guide.shape
    if jitter is None:
        u = (torch.arange(count, dtype=start.dtype, device=start.device) + 0.5) / count
        u = u.expand(n, r, count)
    else:
        u = torch.rand((n, r, count), generator=jitter, dtype=start.dtype, device=start.device)
    low, high = start[..., None], end[..., None]
    hit = (torch.isfinite(guide) & (guide > 0))[..., None]
    centre = torch.where(hit, guide[..., None], low)
    normal = torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6))
    near = centre + normal * width * (high - low)
    depths = torch.where(hit, near, low + u * (high - low))
    return torch.minimum(torch.maximum(depths, low), high)
