"""The live picture on the graphics card.

A Dear PyGui ``raw_texture`` keeps a pointer to an array of ours, never checks its size and is
sent anew with every frame. So the array belongs to this class and changes only here, and
pictures of changing size go into a few square sizes instead of a texture of their own.
"""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

#: Pixels around the picture that repeat its edge. Linear filtering reaches half a pixel beyond
#: the edge, where a texture would show what an earlier picture left, or its own far side.
BORDER = 1
#: Sides of the textures, pixels.
BUCKETS = tuple(side + 2 * BORDER for side in (64, 128, 256, 512, 1024, 2048, 4096, 8192))

Image = NDArray[np.float32]
UV = tuple[float, float]


def bucket_for(height: int, width: int) -> int:
    """The side of the smallest texture that holds a picture and its border."""
    side = max(height, width) + 2 * BORDER
    return next(bucket for bucket in BUCKETS if bucket >= side)


def place_image(image: Image, target: Image) -> tuple[UV, UV]:
    """Copy ``image`` ``[H, W, 4]`` and its border into a corner of ``target`` ``[S, S, 4]``, ``S``
    at least two more than each side.

    Returns:
        the texture coordinates ``(u, v)`` of the picture's upper left and lower right corner.
    """
    height, width = image.shape[:2]
    side = target.shape[0]
    bottom, right = BORDER + height, BORDER + width
    target[BORDER:bottom, BORDER:right] = image
    target[BORDER:bottom, 0] = image[:, 0]
    target[BORDER:bottom, right] = image[:, -1]
    target[0, : right + 1] = target[BORDER, : right + 1]
    target[bottom, : right + 1] = target[bottom - 1, : right + 1]
    return (BORDER / side, BORDER / side), (right / side, bottom / side)


class LiveTexture:
    """One texture that takes pictures of any size."""

    def __init__(self) -> None:
        self._registry = int(dpg.add_texture_registry())
        self._pixels: Image = np.zeros((BUCKETS[0], BUCKETS[0], 4), np.float32)
        self.item = self._create()
        self.corners: tuple[UV, UV] = (0.0, 0.0), (1.0, 1.0)
        # Textures that were replaced, with the arrays they point at: they may go only after a
        # frame was drawn without them.
        self._old: list[tuple[int, Image, int]] = []

    def show(self, image: Image) -> None:
        """Take over a picture ``[H, W, 4]`` float32 RGBA. ``item`` and ``corners`` may change."""
        side = bucket_for(*image.shape[:2])
        if side != self._pixels.shape[0]:
            self._old.append((self.item, self._pixels, 2))
            self._pixels = np.zeros((side, side, 4), np.float32)
            self.corners = place_image(image, self._pixels)
            self.item = self._create()
        else:
            self.corners = place_image(image, self._pixels)

    def after_frame(self) -> None:
        """Delete textures that nothing shows any more; call once after each frame."""
        waiting: list[tuple[int, Image, int]] = []
        for item, pixels, frames in self._old:
            if frames > 0:
                waiting.append((item, pixels, frames - 1))
            else:
                dpg.delete_item(item)
        self._old = waiting

    def delete(self) -> None:
        """Take everything off the graphics card; nothing may show it any more."""
        dpg.delete_item(self._registry)
        self._old.clear()

    def _create(self) -> int:
        side = self._pixels.shape[0]
        return int(
            dpg.add_raw_texture(
                side, side, self._pixels, format=dpg.mvFormat_Float_rgba, parent=self._registry
            )
        )
