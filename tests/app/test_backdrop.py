"""What lies behind the picture."""

from __future__ import annotations

import pytest

from app.backdrop import strips
from app.geometry import Rect


@pytest.mark.parametrize(
    "hole",
    [
        None,
        Rect(10, 20, 50, 40),
        Rect(0, 0, 100, 80),
        Rect(0, 20, 100, 40),
        Rect(-5, -5, 30, 30),
        Rect(90, 70, 30, 30),
        Rect(10, 20, 0, 40),
    ],
)
def test_every_pixel_outside_the_hole_is_painted_once_and_none_inside(hole: Rect | None) -> None:
    parts = strips(100, 80, hole)
    for y in range(80):
        for x in range(100):
            inside = hole is not None and hole.contains(x + 0.5, y + 0.5)
            assert sum(p.contains(x + 0.5, y + 0.5) for p in parts) == (0 if inside else 1)


def test_no_part_is_empty() -> None:
    assert strips(100, 80, Rect(0, 0, 100, 80)) == []
    assert len(strips(100, 80, Rect(10, 20, 50, 40))) == 4
