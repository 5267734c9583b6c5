"""Pictures of the documents come from scripts, and are cut as they should be."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.app.gui.pictures import IMAGES, LITTLE, PICTURES, trimmed
from tests.app.gui.pictures_boxes import EDGE
from tests.app.gui.pictures_made import MADE
from tests.docs.shown import ROOT

#: What benchmarks draw: name -> the file that writes it, and how that names it.
DRAWN = {
    "growth": ("tests/benchmarks/bench_growth.py", "growth.png"),
    "learning-curves": ("tests/benchmarks/bench_learning.py", "learning-curves.png"),
    "learning-samples": ("tests/benchmarks/bench_learning.py", "learning-samples.png"),
    # Two of its sheets, one below the other.
    "shift": ("tests/benchmarks/bench_shift.py", "RESULT.png"),
}


def test_every_picture_is_made_by_a_script() -> None:
    names = {path.stem for path in IMAGES.glob("*.png")}
    taken = {*MADE, *(picture.name for picture in PICTURES)}
    assert names == taken | set(DRAWN)
    assert len(taken) == len(MADE) + len(PICTURES)
    for name, (source, written) in DRAWN.items():
        assert written in (ROOT / source).read_text(encoding="utf-8"), name


def window(height: int, used: int, border: bool) -> Image.Image:
    """A dark picture with something in its first lines, and perhaps a border around."""
    pixels = np.full((height, 80, 3), 30, np.uint8)
    pixels[4:used, 20:60] = 200
    if border:
        pixels[[0, -1]], pixels[:, [0, -1]] = 90, 90
    return Image.fromarray(pixels)


def test_empty_lines_at_the_foot_are_cut() -> None:
    assert trimmed(window(200, 50, False)).height == 50 + EDGE
    assert trimmed(window(200, 50, True)).height == 50 + EDGE


def test_a_window_keeps_its_border_where_little_is_empty() -> None:
    whole = window(50 + EDGE + LITTLE - 1, 50, True)
    assert trimmed(whole).size == whole.size
    assert trimmed(window(50 + EDGE + LITTLE - 1, 50, False)).height == 50 + EDGE
