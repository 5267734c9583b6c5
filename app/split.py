"""Where the two halves of a split picture lie: pure arithmetic, in pixels, y down."""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.geometry import Rect

UV = tuple[float, float]
#: How near the mouse takes hold of the divider, on either side, and the radius of its handle, at
#: a scale of 1, pixels.
GRAB, HANDLE = 8, 14


@dataclass(frozen=True)
class Piece:
    """A part of a picture: where it lies, and its upper left and lower right corner in the
    texture."""

    box: Rect
    uv_min: UV
    uv_max: UV


def divider_x(box: Rect, share: float) -> float:
    """Where the divider stands: a whole pixel, so that its line is sharp."""
    return float(round(box.x + box.width * share))


def share_at(box: Rect, x: float) -> float:
    """The inverse: a share of the picture's width, not clamped."""
    return (x - box.x) / box.width


def left_piece(box: Rect, corners: tuple[UV, UV], x: float) -> Piece:
    """What of a picture in ``box`` lies left of ``x``."""
    (u, v), (u_end, v_end) = corners
    cut = u + (u_end - u) * share_at(box, x)
    return Piece(Rect(box.x, box.y, x - box.x, box.height), (u, v), (cut, v_end))


def right_piece(box: Rect, corners: tuple[UV, UV], x: float) -> Piece:
    """What of a picture in ``box`` lies right of ``x``."""
    (u, v), (u_end, v_end) = corners
    cut = u + (u_end - u) * share_at(box, x)
    return Piece(Rect(x, box.y, box.right - x, box.height), (cut, v), (u_end, v_end))


def grabs(box: Rect, share: float, x: float, y: float, scale: float = 1.0) -> bool:
    """Whether a point is on the divider: near its line within the picture, or on its handle."""
    line = divider_x(box, share)
    middle = box.center[1]
    if math.hypot(x - line, y - middle) <= HANDLE * scale:
        return True
    return abs(x - line) <= GRAB * scale and box.y <= y < box.bottom


def grip(box: Rect, share: float, scale: float = 1.0) -> Rect:
    """The square around the handle."""
    reach = HANDLE * scale
    return Rect(divider_x(box, share) - reach, box.center[1] - reach, 2 * reach, 2 * reach)
