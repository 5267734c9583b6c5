"""Both sets of colours can be read: contrast as WCAG 2.1 defines it (section 1.4.3)."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from app import theme
from app.palettes import PALETTES, Palette, rgb
from app.settings import THEMES

#: Linear RGB as it is seen where one kind of cones is missing: Machado, Oliveira and Fernandes, "A
#: physiologically-based model for simulation of color vision deficiency", 2009, severity 1.
SIGHT = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip


def luminance(value: int) -> float:
    """Relative luminance of an sRGB colour, WCAG 2.1."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in rgb(value)[:3])
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: int, two: int) -> float:
    bright, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_is_measured_as_defined() -> None:
    assert contrast(0xFFFFFF, 0x000000) == pytest.approx(21)
    # The grey that is known to pass on white by a hair.
    assert contrast(0x767676, 0xFFFFFF) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_text_can_be_read(palette: Palette) -> None:
    p = palette
    surfaces = (p.background, p.panel, p.bar, p.popup)
    for ground in (*surfaces, p.field, p.button, p.button_hover):
        assert contrast(p.text, ground) >= 7
    for ground in surfaces:
        assert contrast(p.muted, ground) >= 4.5
        for color in (p.accent, p.good, p.warning, p.error):
            assert contrast(color, ground) >= 4.5
        # Hints and what is switched off.
        assert contrast(p.faint, ground) >= 2.5
    for fill in (p.accent, p.accent_hover, p.accent_active):
        assert contrast(p.on_accent, fill) >= 4.5
    assert contrast(p.accent_hover, p.field_active) >= 4.5
    for face in p.faces:
        assert contrast(p.on_accent, face) >= 4 and contrast(face, p.field) >= 3.5


def seen(value: int, sight: str) -> NDArray[np.float64]:
    """A colour in CIELAB, as people of that sight see it."""
    srgb = np.array(rgb(value)[:3]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    known = np.clip(SIGHT[sight] @ linear, 0, 1)
    back = np.where(known <= 0.0031308, known * 12.92, 1.055 * known ** (1 / 2.4) - 0.055)
    return np.asarray(rgb2lab(back))


def nearest(colors: tuple[int, ...], sight: str) -> float:
    """The least difference (CIEDE2000) between two of these colours."""
    labs = [seen(color, sight) for color in colors]
    return min(float(deltaE_ciede2000(one, two)) for one, two in combinations(labs, 2))


def test_sight_is_simulated() -> None:
    # Red and green that are worlds apart for most, and next to nothing for a deuteranope.
    assert nearest((0xC0504D, 0x6B8E3A), "usual") > 50
    assert nearest((0xC0504D, 0x6B8E3A), "deuteranopia") < 5


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_curves_can_be_told_apart_whatever_colours_one_sees(palette: Palette, sight: str) -> None:
    assert len(palette.curves) == 6
    assert nearest(palette.curves, sight) >= 14
    # Lines on what is behind a plot: WCAG 2.1, section 1.4.11.
    for curve in palette.curves:
        assert contrast(curve, palette.popup) >= 3


def test_both_sets_name_every_colour_and_can_be_chosen() -> None:
    assert set(THEMES) == set(PALETTES)
    try:
        for name, palette in PALETTES.items():
            theme.use(name)
            assert rgb(palette.panel) == theme.PANEL and rgb(palette.text) == theme.TEXT
            assert len(theme.FACES) == 9
            for part in vars(palette):
                assert hasattr(theme, part.upper()), part
    finally:
        theme.use("dark")


def test_no_module_keeps_a_colour_from_its_import() -> None:
    # Such a colour would stay dark in the light theme; those of the axes are alike in both.
    app = Path(theme.__file__).parent
    kept = [
        f"{path.name}: {line}"
        for path in app.rglob("*.py")
        for line in path.read_text().splitlines()
        if re.match(r"[A-Z_]+(: .+)? = .*theme\.(?!AXIS_)[A-Z]", line)
        or re.match(r"from app\.theme import .*[A-Z]{3,}", line)
    ]
    assert kept == []
