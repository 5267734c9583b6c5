"""The divider's arithmetic, and two pictures in one file."""

from __future__ import annotations

import numpy as np
import pytest

from app.geometry import Rect
from app.split import GRAB, HANDLE, divider_x, grabs, grip, left_piece, right_piece, share_at
from engine.export.comparison import joined

BOX = Rect(100, 50, 400, 400)
#: A picture that fills the left upper half of its texture.
CORNERS = (0.0, 0.0), (0.5, 0.5)


def test_the_pieces_meet_at_the_divider_and_show_what_lies_there() -> None:
    x = divider_x(BOX, 0.25)
    assert x == 200
    left, right = left_piece(BOX, CORNERS, x), right_piece(BOX, CORNERS, x)
    assert left.box == Rect(100, 50, 100, 400) and right.box == Rect(200, 50, 300, 400)
    assert left.uv_min == (0, 0) and left.uv_max == (0.125, 0.5)
    assert right.uv_min == (0.125, 0) and right.uv_max == (0.5, 0.5)
    # The whole picture on either side.
    assert left_piece(BOX, CORNERS, BOX.right).uv_max == CORNERS[1]
    assert right_piece(BOX, CORNERS, BOX.x).uv_min == CORNERS[0]


def test_the_divider_stands_on_a_whole_pixel() -> None:
    assert divider_x(BOX, 0.33333) == 233
    assert share_at(BOX, 200) == 0.25 and share_at(BOX, 0) == -0.25


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_divider_is_easy_to_take_hold_of(scale: float) -> None:
    assert 2 * GRAB >= 10 and HANDLE > GRAB
    x, (_, middle) = divider_x(BOX, 0.5), BOX.center
    for y in (BOX.y, BOX.y + 20, BOX.bottom - 1):
        assert grabs(BOX, 0.5, x - GRAB * scale, y, scale)
        assert grabs(BOX, 0.5, x + GRAB * scale, y, scale)
        assert not grabs(BOX, 0.5, x + GRAB * scale + 1, y, scale)
    # The handle reaches further, and the line ends with the picture.
    assert grabs(BOX, 0.5, x + HANDLE * scale, middle, scale)
    assert not grabs(BOX, 0.5, x, BOX.y - 1, scale) and not grabs(BOX, 0.5, x, BOX.bottom, scale)
    assert grip(BOX, 0.5, scale).center == (x, middle)


def test_two_pictures_are_split_by_a_line_or_stand_side_by_side() -> None:
    first, second = np.full((4, 8, 3), 10, np.uint8), np.full((4, 8, 3), 20, np.uint8)
    split = joined(first, second, split=True, share=0.5)
    assert split[0, :, 0].tolist() == [10, 10, 10, 255, 255, 20, 20, 20]
    assert (split == split[:1]).all() and (first == 10).all()
    both = joined(first, second, split=False)
    assert both[3, :, 1].tolist() == [10] * 8 + [255] * 2 + [20] * 8
    clear = np.zeros((4, 8, 4), np.uint8)
    assert joined(clear, clear, split=False).shape == (4, 18, 4)
