"""The live picture on the graphics card.

A Dear PyGui ``raw_texture`` keeps a pointer to an array of ours, never checks its size and is
sent anew with every frame. So the array belongs to this class and changes only here, and
pictures of changing size go into a few square sizes instead of a texture of their own.
"""

from __future__ import annotations

from typing import NamedTuple

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
    """One texture that takes pictures of any size.

    The toolkit leaks a raw texture's memory when the texture is deleted, ours and that on the graphics card, and
    sends every one that lies in a registry with each frame, seen or not. So there is one of each size, as long as
    the window lives, and those that are not shown lie on a stage, where the toolkit leaves them alone.
    """

    def __init__(self) -> None:
        self._registry, self._stage = int(dpg.add_texture_registry()), int(dpg.add_stage())
        #: Side -> texture, and the array that it points at.
        self._made: dict[int, tuple[int, Image]] = {}
        #: Sides of the textures that are in the registry.
        self._present: set[int] = set()
        self._use(BUCKETS[0])
        self.corners: tuple[UV, UV] = (0.0, 0.0), (1.0, 1.0)
        # Sides that are shown no more: they may go only after a frame was drawn without them.
        self._old: dict[int, int] = {}

    def show(self, image: Image) -> None:
        """Take over a picture ``[H, W, 4]`` float32 RGBA. ``item`` and ``corners`` may change."""
        side = bucket_for(*image.shape[:2])
        if side != self._pixels.shape[0]:
            self._old[self._pixels.shape[0]] = 2
            self._old.pop(side, None)
            self._use(side)
        self.corners = place_image(image, self._pixels)

    def after_frame(self) -> None:
        """Put away textures that nothing shows any more; call once after each frame."""
        for side, frames in list(self._old.items()):
            if frames > 0:
                self._old[side] = frames - 1
            else:
                del self._old[side]
                self._present.discard(side)
                dpg.move_item(self._made[side][0], parent=self._stage)

    def _use(self, side: int) -> None:
        """Show the texture of a size from now on."""
        if side not in self._made:
            pixels = np.zeros((side, side, 4), np.float32)
            item = dpg.add_raw_texture(
                side, side, pixels, format=dpg.mvFormat_Float_rgba, parent=self._registry
            )
            self._made[side] = int(item), pixels
        elif side not in self._present:
            dpg.move_item(self._made[side][0], parent=self._registry)
        self._present.add(side)
        self.item, self._pixels = self._made[side]


class LiveTextures(NamedTuple):
    """Those of a window, for as long as there is one: none is ever made anew.

    Attributes:
        present: the picture of the document.
        reference: what it is compared with.
    """

    present: LiveTexture
    reference: LiveTexture
