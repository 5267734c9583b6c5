"""Both sets of colours can be read: contrast as WCAG 2.1 defines it (section 1.4.3)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import theme
from app.palettes import PALETTES, Palette, rgb
from app.settings import THEMES


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
