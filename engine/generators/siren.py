"""FiLM-conditioned sine layers: the fields of pi-GAN, CIPS-3D and StyleSDF.

Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions" (2020);
Chan et al., "pi-GAN" (2021), equation 3: ``sin(gamma * (W x + b) + beta)``, where the frequency
``gamma`` and the phase ``beta`` come from the latent.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.kernels.products import product
from engine.kernels.sine import sine_

#: Frequencies lie around 30, as a SIREN's do, and the latent moves them by 15 times its output.
FREQUENCY_SCALE, FREQUENCY_OFFSET = 15.0, 30.0


def film_frequencies(raw: Tensor) -> Tensor:
    """What a mapping puts out -> frequencies of sine layers, ``[...]`` both."""
    return raw * FREQUENCY_SCALE + FREQUENCY_OFFSET


def fold_film(
    weight: Tensor, bias: Tensor, frequency: Tensor, phase: Tensor
) -> tuple[Tensor, Tensor]:
    """One identity's modulation in the layer itself: ``sin(frequency * (x W^T + b) + phase)`` is
    ``sin(x V^T + c)``.

    Args:
        weight, bias: ``[O, I]``, ``[O]``.
        frequency, phase: ``[..., O]``.

    Returns:
        ``[..., O, I]`` V and ``[..., O]`` c.
    """
    return weight * frequency[..., None], bias * frequency + phase


def film_sine(x: Tensor, weight: Tensor, bias: Tensor, frequency: Tensor, phase: Tensor) -> Tensor:
    """``sin(frequency * (x W^T + b) + phase)``.

    Args:
        x: ``[N, I]``, or ``[B, N, I]`` of several identities.
        weight, bias: ``[O, I]``, ``[O]``.
        frequency, phase: ``[O]`` of one identity, or ``[N, O]``; ``[B, O]`` of several.

    Returns:
        ``[N, O]`` or ``[B, N, O]``.
    """
    if x.ndim == 3:
        folded, shift = fold_film(weight, bias, frequency, phase)
        return torch.baddbmm(shift[:, None], x, folded.transpose(1, 2)).sin()
    if frequency.ndim == 1:
        # One identity: the modulation folds into the layer, which leaves a single product.
        return sine_(product(x, *fold_film(weight, bias, frequency, phase), keep=False))
    return sine_(frequency * F.linear(x, weight, bias) + phase)
