"""Losses of the supervised stage, and the scores that judge it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def shrunk(image: Tensor, times: int = 2) -> Tensor:
    """``[N, C, H, W]`` -> a side ``times`` smaller, by the mean of so many pixels."""
    return F.avg_pool2d(image, times)


def shrunk_depth(depth: Tensor, times: int = 2) -> Tensor:
    """``[N, 1, H, W]`` depth (0 = nothing) -> a side ``times`` smaller, nothing unless all
    those pixels are hit and lie within 0.02 world units of each other: a mean across a
    silhouette is the depth of no surface."""
    nearest = -F.max_pool2d(-depth, times)
    farthest = F.max_pool2d(depth, times)
    solid = (nearest > 0) & (farthest - nearest < 0.02)
    return torch.where(solid, F.avg_pool2d(depth, times), torch.zeros_like(nearest))


#: Errors that count alike in absolute value and squared: of colours in [-1, 1], and of coverage.
COLOUR_UNIT, COVERAGE_UNIT = 0.175, 0.467


def partly_squared(error: Tensor, share: float, unit: float) -> Tensor:
    """Mean of ``(1 - share) |e| + share e^2 / unit``.

    An absolute error wants the median, which for a pixel that an outline crosses is all head or all
    backdrop, and cares for what is nearly right as much as for what is wrong. A square wants the
    mean, which is what pictures hold there and PSNR asks.

    Args:
        error: any shape. share: of the square, 0 to 1.
        unit: an error of this size counts alike both ways.
    """
    return (1.0 - share) * error.abs().mean() + share / unit * error.square().mean()


def weighted_error(
    predicted: Tensor, truth: Tensor, weight: Tensor, squares: float = 0.0
) -> Tensor:
    """Weighted mean of the error of pictures in ``[-1, 1]``, absolute but for the share ``squares``, see
    :func:`partly_squared`."""
    error = predicted - truth
    each = (1.0 - squares) * error.abs() + squares / COLOUR_UNIT * error.square()
    return (each * weight).mean() / weight.mean()


def gradient_l1(predicted: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """L1 between the pictures' finite differences in both directions, over two octaves.

    A plain L1 is content with the median of all plausible edges, which is a smear; the
    difference of differences keeps paying until an edge is as steep as the true one.
    """
    total = predicted.new_zeros(())
    for _ in range(2):
        across = (predicted - truth).diff(dim=-1).abs() * weight[..., 1:]
        along = (predicted - truth).diff(dim=-2).abs() * weight[..., 1:, :]
        total = total + (across.mean() + along.mean()) / weight.mean()
        predicted, truth, weight = shrunk(predicted), shrunk(truth), shrunk(weight)
    return total


def region_weight(segmentation: Tensor, labels: tuple[int, ...], gain: float) -> Tensor:
    """``[N, 1, H, W]`` float weights: ``gain`` within two pixels of the named labels, else 1."""
    marked = torch.zeros_like(segmentation, dtype=torch.float32)
    for label in labels:
        marked = torch.maximum(marked, (segmentation == label).float())
    marked = F.max_pool2d(marked, 5, stride=1, padding=2)
    return 1.0 + (gain - 1.0) * marked


#: How much more the outermost pixel of a picture counts. Enlarging pads with zeros, which darkens it by a quarter
#: of the backdrop: a single line, which would be left so for its small share of the error.
BORDER_GAIN = 8.0


def counted(corner: Tensor, side: int, resolution: int, edge: int = 0) -> Tensor:
    """How much the pixels of crops count for where they lie, ``[N, 1, side, side]``.

    Within ``edge`` pixels of a crop's border nothing does, because a convolution sees zeros there where the picture
    goes on. At the borders of the picture itself, of ``resolution`` pixels, it will always see them: there all pixels
    count, and the outermost one :data:`BORDER_GAIN` times. Elsewhere 1.

    Args:
        corner: ``[N, 2]`` row and column of each crop's first pixel.
    """
    place = corner[..., None] + torch.arange(side, device=corner.device)
    start, end = corner[..., None], corner[..., None] + side
    first = torch.where(start > 0, start + edge, 0)
    last = torch.where(end < resolution, end - edge, resolution)
    seen = ((place >= first) & (place < last)).float()
    outer = ((place == 0) | (place == resolution - 1)).float()
    rows, columns = seen.unbind(1)
    outer_rows, outer_columns = outer.unbind(1)
    outermost = torch.maximum(outer_rows[:, :, None], outer_columns[:, None, :])
    weight = rows[:, :, None] * columns[:, None, :] * (1.0 + (BORDER_GAIN - 1.0) * outermost)
    return weight[:, None]


def non_saturating(logits: Tensor) -> Tensor:
    """Mean of ``softplus(-logits)`` (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-logits).mean()


def r1_penalty(logits: Tensor, real: Tensor) -> Tensor:
    """Mean squared gradient of the summed logits at real samples (Mescheder et al. 2018)."""
    (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def psnr(predicted: Tensor, truth: Tensor) -> Tensor:
    """``[N]`` peak signal-to-noise ratio in dB of pictures ``[N, C, H, W]`` in ``[-1, 1]``."""
    error = ((predicted.clamp(-1, 1) - truth) * 0.5).square().flatten(1).mean(1)
    return -10.0 * torch.log10(error.clamp(min=1e-10))


def mask_iou(alpha: Tensor, truth: Tensor) -> Tensor:
    """``[N]`` intersection over union of two opacities ``[N, 1, H, W]`` cut at one half."""
    a, b = (alpha > 0.5).flatten(1), (truth > 0.5).flatten(1)
    return (a & b).sum(1) / (a | b).sum(1).clamp(min=1)


def depth_error(depth: Tensor, truth: Tensor, alpha: Tensor) -> Tensor:
    """``[N]`` median absolute depth error, world units, where both are solid."""
    errors = []
    for ours, theirs, opacity in zip(depth, truth, alpha, strict=True):
        solid = (theirs > 0) & (opacity > 0.5)
        errors.append(
            (ours - theirs)[solid].abs().median() if bool(solid.any()) else ours.sum() * 0
        )
    return torch.stack(errors)


def gradient_energy(predicted: Tensor, truth: Tensor, region: Tensor) -> Tensor:
    """Mean squared finite difference inside ``region`` as a share of the truth's: sharpness.

    1 is as sharp as the truth, 0 is flat; above 1 is noise.
    """
    energies = []
    for image in (predicted, truth):
        across = image.diff(dim=-1)[..., :-1, :].square()
        along = image.diff(dim=-2)[..., :-1].square()
        energies.append(((across + along) * region[..., :-1, :-1]).sum())
    return energies[0] / energies[1].clamp(min=1e-12)
