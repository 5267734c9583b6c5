"""Parts of the skin, told on the unmorphed face: lips, scalp, cheeks, beards."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.training.heads.pack import HeadPack

Floats = NDArray[np.float32]


def smoothstep(low: float, high: float, x: NDArray[np.floating]) -> NDArray[np.floating]:
    """A smooth step from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


class SkinRegions:
    """How much each of the ``K`` drawn vertices of the body belongs to a part."""

    def __init__(self, pack: HeadPack) -> None:
        self.pack = pack
        body = pack.body
        self._rest: Floats = (body.refine @ pack.base)[body.vertex].astype(np.float32)

    @cached_property
    def lips(self) -> Floats:
        """The lips, ``[K]`` in 0..1."""
        size = np.zeros(len(self.pack.base))
        for name in ("mouth-upperlip-volume-incr", "mouth-lowerlip-volume-incr"):
            size = np.maximum(size, np.linalg.norm(self.pack.target_offsets(name), axis=1))
        fine = self.pack.body.refine @ size
        fine = np.clip(fine / np.percentile(fine[fine > 0], 80), 0, 1)
        lips: Floats = fine[self.pack.body.vertex].astype(np.float32)
        return lips

    @cached_property
    def scalp(self) -> Floats:
        """Where hair grows on the head, ``[K]`` in 0..1."""
        mask = self.pack.image("mask_scalp.png").astype(np.float32) / 255.0
        height, width = mask.shape
        uv = self.pack.body.uv
        column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
        row = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
        grows = mask[row, column] * (self._rest[:, 1] > 6.2)
        # The picture's hairline is not the same on both sides; take the fuller one.
        mirrored = cKDTree(self._rest).query(self._rest * np.array([-1.0, 1.0, 1.0]))[1]
        both: Floats = np.maximum(grows, grows[mirrored]).astype(np.float32)
        return both

    @cached_property
    def blush(self) -> Floats:
        """The cheeks, ``[K]`` in 0..1."""
        x, y, z = self._rest.T
        distance = np.hypot((np.abs(x) - 0.45) / 0.28, (y - 6.98) / 0.22)
        blush: Floats = (np.exp(-(distance**2)) * (z > 0.6)).astype(np.float32)
        return blush

    @cached_property
    def beards(self) -> dict[str, Floats]:
        """Where each beard grows, ``[K]`` in 0..1, drawn on the unmorphed face."""
        x, y, z = self._rest.T
        side = np.abs(x)
        top = np.interp(
            side,
            [0, 0.22, 0.32, 0.5, 0.60, 0.68, 0.9],
            [6.60, 6.66, 6.74, 6.74, 6.88, 7.15, 7.25],
        )
        jaw = (
            smoothstep(0.10, -0.10, y - top)
            * smoothstep(6.08, 6.36, y + np.clip(0.9 - z, 0, 1) * 0.1)
            * smoothstep(0.28, 0.48, z)
            * smoothstep(0.80, 0.72, side)
        )
        lip = (
            smoothstep(0.45, 0.33, side)
            * smoothstep(6.96, 6.87, y + side * 0.25)
            * smoothstep(6.62, 6.72, y + side * 0.05)
            * smoothstep(0.95, 1.15, z)
        )
        bare = 1 - np.clip(self.lips * 1.6, 0, 1)
        jaw, lip = jaw * bare, lip * bare
        full = np.maximum(jaw, lip)
        chin = full * smoothstep(0.38, 0.27, side)
        none = np.zeros_like(full)
        named = {
            "none": none,
            "stubble": full,
            "full beard": full,
            "goatee": chin,
            "moustache": lip,
        }
        return {name: values.astype(np.float32) for name, values in named.items()}
