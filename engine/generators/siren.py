"""FiLM-conditioned sine layers: the fields of pi-GAN, CIPS-3D and StyleSDF.

Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions" (2020);
Chan et al., "pi-GAN" (2021), equation 3: ``sin(gamma * (W x + b) + beta)``, where the frequency
``gamma`` and the phase ``beta`` come from the latent.
"""

from __future__ import annotations

import weakref

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.kernels.products import product, quick
from engine.kernels.sine import sine_

#: Frequencies lie around 30, as a SIREN's do, and the latent moves them by 15 times its output.
FREQUENCY_SCALE, FREQUENCY_OFFSET = 15.0, 30.0

#: By the identity of frequencies: themselves, what was folded and when, and the folded layer.
_folds: dict[
    int, tuple[weakref.ref[Tensor], tuple[tuple[int, int], ...], tuple[Tensor, Tensor]]
] = {}


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


def _folded_once(
    weight: Tensor, bias: Tensor, frequency: Tensor, phase: Tensor
) -> tuple[Tensor, Tensor]:
    """:func:`fold_film` from the last time, as long as ``frequency``, which stands for the identity, lives and
    nothing has changed since: a picture has hundreds of chunks, and oneDNN's order of a kept matrix is kept, too."""
    key = id(frequency)
    stamp = tuple(
        (-1 if x.is_inference() else x._version, x.data_ptr())
        for x in (weight, bias, frequency, phase)
    )
    known = _folds.get(key)
    if known is not None and known[0]() is frequency and known[1] == stamp:
        return known[2]
    made = fold_film(weight, bias, frequency, phase)
    _folds[key] = (weakref.ref(frequency, lambda _: _folds.pop(key, None)), stamp, made)
    return made


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
        if quick(x, weight):
            return sine_(product(x, *_folded_once(weight, bias, frequency, phase)))
        return sine_(product(x, *fold_film(weight, bias, frequency, phase), keep=False))
    return sine_(frequency * F.linear(x, weight, bias) + phase)
