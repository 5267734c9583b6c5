"""The live picture on the graphics card.

A Dear PyGui ``raw_texture`` keeps a pointer to an array of ours, never checks its size and is
sent anew with every frame. So the array belongs to this class and changes only here, and
pictures of changing size go into a few square sizes instead of a texture of their own.
"""

from __future__ import annotations

import dearpygui.dearpygui as dpg
import numpy as np
from numpy.typing import NDArray

#: Sides of the textures, pixels.
BUCKETS = (64, 128, 256, 512, 1024, 2048, 4096, 8192)

Image = NDArray[np.float32]


def bucket_for(height: int, width: int) -> int:
    """The side of the smallest texture that holds a picture."""
    side = max(height, width)
    return next(bucket for bucket in BUCKETS if bucket >= side)


def place_image(image: Image, target: Image) -> tuple[float, float]:
    """Copy ``image`` ``[H, W, 4]`` into the corner of ``target`` ``[S, S, 4]``.

    The last row and column are repeated once beyond the edge, so that linear filtering mixes
    in nothing foreign.

    Returns:
        the texture coordinates ``(u, v)`` of the picture's lower right corner.
    """
    height, width = image.shape[:2]
    side = target.shape[0]
    target[:height, :width] = image
    if width < side:
        target[:height, width] = image[:, -1]
    if height < side:
        target[height, :width] = image[-1]
        if width < side:
            target[height, width] = image[-1, -1]
    return width / side, height / side


class LiveTexture:
    """One texture that takes pictures of any size."""

    def __init__(self) -> None:
        self._registry = int(dpg.add_texture_registry())
        self._pixels: Image = np.zeros((BUCKETS[0], BUCKETS[0], 4), np.float32)
        self.item = self._create()
        self.uv_max = (1.0, 1.0)
        # Textures that were replaced, with the arrays they point at: they may go only after a
        # frame was drawn without them.
        self._old: list[tuple[int, Image, int]] = []

    def show(self, image: Image) -> None:
        """Take over a picture ``[H, W, 4]`` float32 RGBA. ``item`` and ``uv_max`` may change."""
        side = bucket_for(*image.shape[:2])
        if side != self._pixels.shape[0]:
            self._old.append((self.item, self._pixels, 2))
            self._pixels = np.zeros((side, side, 4), np.float32)
            self.uv_max = place_image(image, self._pixels)
            self.item = self._create()
        else:
            self.uv_max = place_image(image, self._pixels)

    def after_frame(self) -> None:
        """Delete textures that nothing shows any more; call once after each frame."""
        waiting: list[tuple[int, Image, int]] = []
        for item, pixels, frames in self._old:
            if frames > 0:
                waiting.append((item, pixels, frames - 1))
            else:
                dpg.delete_item(item)
        self._old = waiting

    def _create(self) -> int:
        side = self._pixels.shape[0]
        return int(
            dpg.add_raw_texture(
                side, side, self._pixels, format=dpg.mvFormat_Float_rgba, parent=self._registry
            )
        )
