"""What lies behind the picture: a vertical gradient, left out where the picture covers it.

Without a graphics card the window is painted by the processor, where every pixel costs, seen or not.
"""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from app import theme
from app.geometry import Rect
from app.palettes import Color


def strips(width: float, height: float, hole: Rect | None) -> list[Rect]:
    """An area less a hole, as rectangles that do not overlap: above, below, left, right."""
    if hole is None:
        return [Rect(0, 0, width, height)]
    left, right = (min(max(v, 0.0), width) for v in (hole.x, hole.right))
    top, foot = (min(max(v, 0.0), height) for v in (hole.y, hole.bottom))
    found = [
        Rect(0, 0, width, top),
        Rect(0, foot, width, height - foot),
        Rect(0, top, left, foot - top),
        Rect(right, top, width - right, foot - top),
    ]
    return [part for part in found if part.width > 0 and part.height > 0]


class Backdrop:
    """Draws into a layer.

    Args:
        layer: of the viewport's drawlist, behind everything.
    """

    def __init__(self, layer: int) -> None:
        self._layer = layer
        self._drawn: object = None

    def draw(self, width: float, height: float, hole: Rect | None) -> None:
        """Fill ``width`` by ``height`` pixels but for a hole, which something opaque covers."""
        if hole is not None:
            # Edges of pixels, well below the picture's own: no seam shows.
            x, y = int(hole.x) + 1, int(hole.y) + 1
            hole = Rect(x, y, max(int(hole.right) - 1 - x, 0), max(int(hole.bottom) - 1 - y, 0))
        state = (width, height, hole)
        if state == self._drawn:
            return
        self._drawn = state
        dpg.delete_item(self._layer, children_only=True)
        for part in strips(width, height, hole):
            top, foot = (_shade(y / max(height, 1.0)) for y in (part.y, part.bottom))
            dpg.draw_rectangle(
                (part.x, part.y), (part.right, part.bottom), parent=self._layer, multicolor=True,
                thickness=0, color=(0, 0, 0, 0), fill=top, corner_colors=[top, top, foot, foot],
            )  # fmt: skip


def _shade(share: float) -> Color:
    """The colour so far down."""
    return theme.mixed(theme.BACKDROP_TOP, theme.BACKDROP_BOTTOM, share)
