"""Colours of people as functions of quantiles; linear RGB in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.training.heads import catalogue as cat

Rgb = tuple[float, float, float]


def quantile_bin(u: float, shares: Sequence[float]) -> int:
    """The index of the share that holds ``u`` in [0, 1]; shares need not sum to 1."""
    edges = np.cumsum(np.asarray(shares, dtype=float))
    return min(int(np.searchsorted(edges / edges[-1], u, side="right")), len(shares) - 1)


def as_rgb(color: NDArray[np.float64]) -> Rgb:
    r, g, b = (float(v) for v in color)
    return (r, g, b)


def ramp(colors: Sequence[NDArray[np.float64]], position: float) -> NDArray[np.float64]:
    """Geometric interpolation in a list of colours, ``position`` in [0, 1]."""
    x = min(max(position, 0.0), 1.0) * (len(colors) - 1)
    i = min(int(x), len(colors) - 2)
    mixed: NDArray[np.float64] = np.exp(
        np.log(colors[i]) * (1 - (x - i)) + np.log(colors[i + 1]) * (x - i)
    )
    return mixed


def skin_tone(lightness: float, warmth: float) -> Rgb:
    tone = ramp([color for _, color in cat.SKIN_TONES], 1.0 - lightness) * 0.76
    tone = tone * 0.89 + 0.11 * tone.mean()
    return as_rgb(tone * np.exp(0.035 * warmth * np.array([1.0, 0.0, -1.0])))


def skin_texture(male: bool, age: float, lightness: float, u: float) -> str:
    """Women of every tone share the women's textures, which are re-toned when drawn.

    ``u`` in [0, 1] chooses among the textures of the gender and the age.
    """
    if not male:
        number = 3 if age <= 45 and u > cat.FEMALE_TEXTURE_FROM else 2
        return f"skin_{'middleage' if age > 45 else 'young'}_lightskinned_female{number}.jpg"
    if lightness < 0.38:
        kind = "old" if age > 62 else "middleage" if age > 45 else "young"
        return f"skin_{kind}_darkskinned_male.jpg"
    second, third = (u > edge for edge in cat.MALE_TEXTURES_FROM)
    if age > 45:
        return f"skin_middleage_lightskinned_male{'2' if second else ''}.jpg"
    return f"skin_young_lightskinned_male{'3' if third else '2' if second else ''}.jpg"


def natural_hair(
    lightness: float, red: float, grey: float, european: float
) -> tuple[NDArray[np.float64], str]:
    position = lightness * (0.12 + 0.84 * european**1.2)
    color = ramp([c for _, c in cat.HAIR_RAMP], position)
    word = cat.HAIR_RAMP[round(position * (len(cat.HAIR_RAMP) - 1))][0]
    redness = max(0.0, red - 0.84) / 0.16 * european**1.5
    color = color * (1 - redness) + redness * cat.HAIR_RED
    # Geometric, so that the first grey strands leave dark hair dark.
    silver = cat.HAIR_GREY * (1.0 + 0.9 * max(0.0, grey - 0.6))
    color = np.exp(np.log(color) * (1 - grey) + np.log(silver) * grey)
    if grey > 0.9:
        word = "white"
    elif grey > 0.5:
        word = "grey"
    elif redness > 0.45:
        word = "red"
    color = color * 0.9
    return color * min(1.0, 0.45 / float(color.max())), word


def dyed_hair(gender: str, u: float) -> tuple[NDArray[np.float64], str] | None:
    """The colour of dyed hair and its word, or None for the natural one."""
    word = cat.DYES[quantile_bin(u, cat.DYE_SHARES[gender])]
    return None if word == "none" else (cat.DYE_COLORS[word], word)


def hat_color(u: float, tone: float) -> tuple[NDArray[np.float64], str]:
    """A hat's colour and its word; ``tone`` is a standard normal, darker to lighter."""
    word, color = cat.HAT_COLORS[quantile_bin(u, cat.HAT_COLOR_SHARES)]
    return np.clip(color * np.exp(0.22 * np.clip(tone, -2.0, 2.0)), 0.006, 0.8), word
