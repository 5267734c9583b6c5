"""The colours of the window, by what they are for: a dark set and a light one.

Calm in both: greys with a slight blue, one warm accent (the clay of a sculptor's maquette), and
colour only where it means something.
"""

from __future__ import annotations

from dataclasses import dataclass

Color = tuple[int, int, int, int]


def rgb(value: int, alpha: int = 255) -> Color:
    """``0xRRGGBB`` and an alpha as a colour."""
    return (value >> 16 & 255, value >> 8 & 255, value & 255, alpha)


@dataclass(frozen=True)
class Palette:
    """One set of colours, ``0xRRGGBB``; ``faces`` are those of a mix, A (the document's own)
    and then B to I.
    ``curves`` are those of plots, which people who see colours differently can tell apart, too."""

    background: int
    panel: int
    bar: int
    popup: int
    field: int
    field_hover: int
    field_active: int
    button: int
    button_hover: int
    button_active: int
    line: int
    text: int
    muted: int
    faint: int
    accent: int
    accent_hover: int
    accent_active: int
    on_accent: int
    good: int
    warning: int
    error: int
    axis_x: int
    axis_y: int
    axis_z: int
    faces: tuple[int, ...]
    curves: tuple[int, ...]


DARK = Palette(
    background=0x121417, panel=0x1A1D21, bar=0x16191C, popup=0x23272D,
    field=0x282C33, field_hover=0x30353D, field_active=0x383E48,
    button=0x2E333B, button_hover=0x3A404A, button_active=0x454C58,
    line=0x2B2F36, text=0xE4E7EB, muted=0x969EAA, faint=0x646C78,
    accent=0xD9925F, accent_hover=0xE6A474, accent_active=0xC47F4E, on_accent=0x1B130D,
    good=0x7FB58A, warning=0xE0B45C, error=0xE0736A,
    axis_x=0xE2635C, axis_y=0x7DBB63, axis_z=0x5B93E6,
    faces=(
        0xA7ADB6, 0xD9925F, 0x6FA3DB, 0x86B96B, 0xC987C4, 0xD9BC5A, 0x5FBFB4, 0xDE7D7D, 0x9A8FE0,
    ),
    curves=(0xD9925F, 0x4A84F5, 0x7BE6F2, 0xF2E75C, 0x7A7F86, 0xA9C9BE),
)  # fmt: skip

LIGHT = Palette(
    background=0xE4E7EB, panel=0xF4F5F7, bar=0xECEEF1, popup=0xFDFDFE,
    field=0xE2E5EA, field_hover=0xD8DCE2, field_active=0xCBD1D9,
    button=0xDCE0E6, button_hover=0xCFD5DC, button_active=0xC1C8D1,
    line=0xD0D5DB, text=0x1E2328, muted=0x525B68, faint=0x757E8B,
    accent=0x9C4B1B, accent_hover=0x833D14, accent_active=0x8F4418, on_accent=0xFFFFFF,
    good=0x2A7040, warning=0x805700, error=0xAE3128,
    axis_x=0xCF4A43, axis_y=0x5A9A40, axis_z=0x3F79D0,
    faces=(
        0x626A75, 0xA85523, 0x2C69AB, 0x467C2A, 0x92478C, 0x846700, 0x1B776E, 0xB04040, 0x5E52B8,
    ),
    curves=(0x9C4B1B, 0x1C3FD6, 0x8C8C8C, 0x2E3238, 0x5C93CE, 0xC9821F),
)  # fmt: skip

PALETTES = {"dark": DARK, "light": LIGHT}
