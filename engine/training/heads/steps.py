"""Where a head's latent changes its meaning by a step, for the generator's first layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.special import ndtri

from engine.generators.latent_features import LatentStep
from engine.training.heads import catalogue as cat
from engine.training.heads.attributes import AXES, FRAME_SHARES, LIPSTICK_FROM, age_quantile

_WOMEN, _MEN, _ALL = -1, 1, 0
#: Years at which the skin's texture changes, and grey hair may begin.
_AGES = (38.0, 45.0, 62.0)


def _edges(shares: Iterable[float]) -> list[float]:
    """Normal quantiles between neighbours of a list of shares."""
    sums = np.cumsum(np.fromiter(shares, dtype=float))
    return [float(ndtri(edge)) for edge in (sums / sums[-1])[:-1]]


def latent_steps() -> tuple[LatentStep, ...]:
    """The steps of :func:`~engine.training.heads.attributes.attributes_from_latent`.

    The colour of the eyes is not among them: it depends on two coordinates at once, and the
    mapping must learn it.
    """
    gate = AXES["gender"]

    def at(name: str, thresholds: Sequence[float], side: int = _ALL) -> list[LatentStep]:
        return [LatentStep(AXES[name], threshold, gate, side) for threshold in thresholds]

    steps = at("gender", [0.0])
    for gender, side in (("female", _WOMEN), ("male", _MEN)):
        steps += at("hair_style", _edges(cat.HAIR_SHARES[gender].values()), side)
        steps += at("garment", _edges(cat.GARMENT_SHARES[gender].values()), side)
        steps += at("hair_dye", _edges(cat.DYE_SHARES[gender]), side)
        steps += at("brow_model", _edges([1.0] * len(cat.BROW_MODELS[gender])), side)
    steps += at("hair_side", [0.0])
    steps += at("beard", _edges(cat.BEARD_SHARES), _MEN)
    steps += at("glasses", _edges(cat.GLASSES_SHARES))
    steps += at("frame_color", _edges(FRAME_SHARES))
    steps += at("lipstick", [LIPSTICK_FROM], _WOMEN)
    steps += at("expression", _edges(cat.EXPRESSION_SHARES.values()))
    steps += at("hat", _edges(cat.HAT_SHARES.values()))
    steps += at("hat_color", _edges(cat.HAT_COLOR_SHARES))
    steps += at("skin_texture", [float(ndtri(cat.FEMALE_TEXTURE_FROM))], _WOMEN)
    steps += at("skin_texture", [float(ndtri(u)) for u in cat.MALE_TEXTURES_FROM], _MEN)
    steps += at("age", [float(ndtri(age_quantile(years))) for years in _AGES])
    return tuple(steps)
