"""Losses and penalties that several families share, each as its paper states it.

Pictures are ``[N, C, H, W]`` in [-1, 1], logits ``[N]`` or ``[N, ...]``. All are differentiable
twice where a penalty needs it, and nothing is random but what a given generator draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def generator_logistic(fake: Tensor) -> Tensor:
    """Mean of ``softplus(-D(fake))`` of the logits ``[N]`` of drawn pictures: the non-saturating loss (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()


def discriminator_logistic(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Means of ``softplus(D(fake))`` and of ``softplus(-D(real))``, whose sum is minimised; logits are ``[N]``."""
    return F.softplus(fake).mean(), F.softplus(-real).mean()


def r1_penalty(logits: Tensor, inputs: Sequence[Tensor], gamma: float) -> Tensor:
    """``gamma / 2`` times the mean squared gradient at real pictures.

    Mescheder et al., "Which Training Methods for GANs do actually Converge?" (2018), equation 9.

    Args:
        logits: of the discriminator for ``inputs``, which must be leaves that require gradients.
        inputs: all that it was shown, ``[N, ...]`` each; the squares of all are added.
        gamma: weight.
    """
    gradients = torch.autograd.grad(logits.sum(), list(inputs), create_graph=True)
    squared = [gradient.square().flatten(1).sum(dim=1) for gradient in gradients]
    penalty: Tensor = torch.stack(squared).sum(dim=0).mean() * (gamma / 2.0)
    return penalty


def path_lengths(pictures: Tensor, ws: Tensor, random: torch.Generator) -> Tensor:
    """``[N]`` lengths of ``J^T y``: how far pictures move for a step in w.

    Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020), section 3.2:
    y is noise of the picture's shape divided by the square root of its pixels; the square of the
    gradient is summed over a row and averaged over rows.

    Args:
        pictures: ``[N, C, H, W]`` drawn from ``ws``.
        ws: ``[N, rows, w_dim]`` that require gradients.
        random: draws y.
    """
    shape, pixels = pictures.shape, pictures.shape[2] * pictures.shape[3]
    noise = torch.randn(shape, generator=random, device=pictures.device, dtype=pictures.dtype)
    product = (pictures * noise).sum() / math.sqrt(pixels)
    (gradient,) = torch.autograd.grad(product, ws, create_graph=True)
    lengths: Tensor = gradient.square().sum(dim=2).mean(dim=1).sqrt()
    return lengths


def path_penalty(
    lengths: Tensor, average: Tensor, decay: float, weight: float
) -> tuple[Tensor, Tensor]:
    """Squared distance of path lengths from their moving average.

    Args:
        lengths: ``[N]`` of :func:`path_lengths`.
        average: ``[]`` buffer; the caller stores the second result in it.
        decay: share by which the average follows a batch.
        weight: of the penalty.

    Returns:
        ``weight * mean((length - new average)^2)`` and the new average, detached.
    """
    moved = average.lerp(lengths.detach().mean(), decay)
    return (lengths - moved).square().mean() * weight, moved


def eikonal(gradients: Tensor) -> Tensor:
    """Mean of ``(|grad| - 1)^2`` over points: a distance grows by one a unit of length.

    Gropp et al., "Implicit Geometric Regularization" (2020), equation 2.

    Args:
        gradients: ``[..., 3]`` of the signed distance at points.
    """
    lengths: Tensor = torch.linalg.vector_norm(gradients, dim=-1)
    return (lengths - 1.0).square().mean()


def minimal_surface(distances: Tensor, sharpness: float = 100.0) -> Tensor:
    """Mean of ``exp(-sharpness |sdf|)``: surfaces that no picture needs shrink away.

    Or-El et al., "StyleSDF" (2022), equation 10.

    Args:
        distances: signed distances, any shape, world units.
        sharpness: a tenth of the penalty is left ``2.3 / sharpness`` from the surface.
    """
    return torch.exp(-sharpness * distances.abs()).mean()


def pose_alignment(predicted: Tensor, angles: Tensor) -> Tensor:
    """Smooth L1 between the angles that a discriminator reads and those that were drawn.

    Or-El et al., "StyleSDF" (2022), equation 8.

    Args:
        predicted, angles: ``[N, 2]`` azimuth and elevation, radians.
    """
    return F.smooth_l1_loss(predicted, angles)


def density_smoothness(densities: Tensor, nearby: Tensor) -> Tensor:
    """Mean absolute difference of raw densities ``[...]`` at points and beside them.

    Chan et al., "EG3D" (2022), section 4 and its supplement.
    """
    return (densities - nearby).abs().mean()


def scores(prefix: str, logits: Tensor) -> dict[str, Tensor]:
    """What is logged of logits ``[...]``: their mean and the mean of their signs, detached."""
    flat = logits.detach().float()
    return {f"score/{prefix}": flat.mean(), f"score/{prefix}_sign": flat.sign().mean()}


def gaussian_blur(pictures: Tensor, sigma: float) -> Tensor:
    """Blur along both sides by ``2^(-(x / sigma)^2)``, cut off at ``3 sigma``, with zeros outside.

    The kernel of StyleGAN3 and EG3D, whose ``sigma`` is 1.18 times the half width at half its
    height rather than a standard deviation.

    Args:
        pictures: ``[N, C, H, W]``.
        sigma: pixels; below a third nothing is changed.
    """
    reach = math.floor(3.0 * sigma)
    if reach < 1:
        return pictures
    # Further than the picture is wide there is nothing to read.
    reach = min(reach, pictures.shape[-1] - 1)
    at = torch.arange(-reach, reach + 1, device=pictures.device, dtype=pictures.dtype)
    taps = (-(at / sigma).square()).exp2()
    taps = taps / taps.sum()
    n, c, h, w = pictures.shape
    flat = pictures.reshape(n * c, 1, h, w)
    flat = F.conv2d(flat, taps[None, None, None, :], padding=(0, reach))
    flat = F.conv2d(flat, taps[None, None, :, None], padding=(reach, 0))
    return flat.reshape(n, c, h, w)


def resized(pictures: Tensor, side: int) -> Tensor:
    """``[N, C, H, H]`` -> ``[N, C, side, side]``, bilinear, antialiased where it shrinks."""
    if pictures.shape[-1] == side:
        return pictures
    return F.interpolate(
        pictures, (side, side), mode="bilinear", align_corners=False, antialias=True
    )
