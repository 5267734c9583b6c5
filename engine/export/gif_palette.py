"""One palette for a whole GIF, and pictures in its terms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

#: So many pixels are enough to choose 255 colours.
_SAMPLE_PIXELS = 1 << 20
#: The last entry is kept for transparency.
_COLORS, _CLEAR = 255, 255


class PaletteBuilder:
    """Collects a sample of the pixels of every frame.

    Args:
        frames: how many frames will be added.
    """

    def __init__(self, frames: int) -> None:
        self._budget = max(64, _SAMPLE_PIXELS // max(1, frames))
        self._samples: list[Pixels] = []

    def add(self, pixels: Pixels) -> None:
        """Take evenly spaced pixels of ``[H, W, 3 or 4]`` uint8, clear ones left out."""
        flat = pixels.reshape(-1, pixels.shape[2])
        # An odd stride walks over all columns instead of sampling the same few.
        stride = max(1, len(flat) // self._budget) | 1
        chosen = flat[::stride]
        if pixels.shape[2] == 4:
            chosen = chosen[chosen[:, 3] >= 128]
        self._samples.append(chosen[:, :3].copy())

    def build(self) -> Quantizer:
        """The 255 colours that serve all frames best (median cut, then k-means)."""
        sample = np.concatenate(self._samples)
        if not len(sample):
            sample = np.zeros((1, 3), np.uint8)
        strip = Image.fromarray(np.ascontiguousarray(sample[None]))
        chosen = strip.quantize(_COLORS, method=Image.Quantize.MEDIANCUT, kmeans=1)
        colors = np.zeros((256, 3), np.uint8)
        palette = np.array(chosen.getpalette() or [], np.uint8).reshape(-1, 3)[:_COLORS]
        colors[: len(palette)] = palette
        # Unused entries repeat a used colour: black ones would attract dark pixels.
        colors[len(palette) :] = palette[0] if len(palette) else 0
        return Quantizer(colors)


class Quantizer:
    """Maps pictures to palette indices with Floyd-Steinberg dithering.

    Args:
        colors: ``[256, 3]`` uint8; the last entry is never used for a visible pixel.
    """

    def __init__(self, colors: Pixels) -> None:
        self._palette = Image.new("P", (1, 1))
        # Pillow always matches against 256 entries; the last one repeats the first here.
        matched = colors.copy()
        matched[_CLEAR] = colors[0]
        self._palette.putpalette(matched.tobytes())
        argb = np.full((256, 4), 255, np.uint8)
        argb[:, 1:] = colors
        argb[_CLEAR] = 0
        #: ``[256, 4]`` uint8 alpha, red, green, blue: the last entry is clear.
        self.argb: Pixels = argb

    def indices(self, pixels: Pixels) -> Pixels:
        """``[H, W, 3 or 4]`` uint8 -> ``[H, W]`` uint8 indices; alpha below one half is 255."""
        image = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
        dithered = image.quantize(palette=self._palette, dither=Image.Dither.FLOYDSTEINBERG)
        found = np.asarray(dithered, dtype=np.uint8)
        found = np.where(found == _CLEAR, np.uint8(0), found)
        if pixels.shape[2] == 4:
            found = np.where(pixels[..., 3] < 128, np.uint8(_CLEAR), found)
        return np.ascontiguousarray(found)
