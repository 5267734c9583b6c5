"""The studio: one fixed light for all heads, and how it is gathered by vertices.

Light comes from a sphere of 26 even directions (sky to ground) and from three lamps (key,
fill, rim) of 6, 2 and 2 directions. For each direction the renderer draws a depth map of
the head; every vertex then sums the light that reaches it. Skin is at last diffused over
its mesh, red further than blue: a cheap stand-in for light that wanders below the skin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.training.heads.mesh import Material
from engine.training.heads.pack import Body

Floats = NDArray[np.float32]

#: Half the side of the square that a depth map covers, and its centre, world units.
REACH = 0.76
CENTER = np.array([0.0, -0.11, 0.0])
TILE = 160
COLUMNS = 6
_SKY_DIRECTIONS = 26


def _direction(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """Unit vector; azimuth in radians from +Z towards +X, elevation towards +Y."""
    c = math.cos(elevation)
    return np.array([math.sin(azimuth) * c, math.sin(elevation), math.cos(azimuth) * c])


@dataclass(frozen=True)
class Lamp:
    """A soft lamp: where it stands, its linear colour, its angular size, its samples."""

    direction: NDArray[np.float64]
    color: tuple[float, float, float]
    size: float
    samples: int


LAMPS = (
    Lamp(_direction(0.6, 0.55), (0.98, 0.95, 0.91), 0.3, 6),
    Lamp(_direction(-0.8, 0.2), (0.30, 0.31, 0.33), 0.5, 2),
    Lamp(_direction(2.6, 0.55), (0.45, 0.45, 0.47), 0.3, 2),
)
SKY = (0.52, 0.52, 0.53)
GROUND = (0.26, 0.25, 0.245)


@dataclass(frozen=True)
class Studio:
    """The light as arrays over its ``K`` directions.

    Attributes:
        directions: ``[K, 3]`` unit, towards the light. radiance: ``[K, 3]`` RGB.
        share: ``[K, 3]`` part of each lamp's samples; 0 for the sky.
        rows: ``[K, 3, 4]`` world point to depth-map coordinates in [-1, 1].
    """

    directions: Floats
    radiance: Floats
    share: Floats
    rows: Floats


def studio() -> Studio:
    """The light of every head; the same on every call."""
    i = np.arange(_SKY_DIRECTIONS) + 0.5
    polar, turn = np.arccos(1 - 2 * i / _SKY_DIRECTIONS), np.pi * (1 + 5**0.5) * i
    around = np.stack(
        [np.cos(turn) * np.sin(polar), np.cos(polar), np.sin(turn) * np.sin(polar)], 1
    )
    t = np.clip(around[:, 1] * 0.5 + 0.5, 0, 1)[:, None]
    t = t * t * (3 - 2 * t)
    even = (np.array(GROUND) * (1 - t) + np.array(SKY) * t) * 4 / _SKY_DIRECTIONS
    directions, radiance = list(around), list(even)
    share = [np.zeros(3)] * _SKY_DIRECTIONS
    for index, lamp in enumerate(LAMPS):
        side = np.cross(lamp.direction, (0.0, 1.0, 0.01))
        side /= np.linalg.norm(side)
        up = np.cross(lamp.direction, side)
        for k in range(lamp.samples):
            r, a = lamp.size * math.sqrt((k + 0.5) / lamp.samples), k * 2.39996
            d = lamp.direction + side * r * math.cos(a) + up * r * math.sin(a)
            directions.append(d / np.linalg.norm(d))
            radiance.append(np.array(lamp.color) / lamp.samples)
            share.append(np.eye(3)[index] / lamp.samples)
    d = np.array(directions)
    return Studio(
        d.astype(np.float32),
        np.array(radiance, np.float32),
        np.array(share, np.float32),
        np.stack([_light_rows(v) for v in d]).astype(np.float32),
    )


def _light_rows(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[3, 4]`` parallel projection along ``-direction``; nearer to the light is smaller z."""
    up = (0.0, 1.0, 0.0) if abs(direction[1]) < 0.9 else (1.0, 0.0, 0.0)
    right = np.cross(up, direction)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(direction, right), -direction]) / REACH
    return np.concatenate([axes, -(axes @ CENTER)[:, None]], axis=1)


#: How a material takes light from the side: ``max((cos + wrap) * gain, 0)`` for each of RGB.
def response(material: Material) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """``(wrap, gain, extra)`` of a material; ``extra`` is a share of the sky added everywhere."""
    wrap: tuple[float, float, float]
    if material in (Material.HAIR, Material.SHELL):
        return (1.0, 1.0, 1.0), (0.5, 0.5, 0.5), 0.05
    if material == Material.SKIN:
        wrap = (0.28, 0.12, 0.07)
        return wrap, tuple(1 / (1 + w) ** 1.5 for w in wrap), 0.0
    amount = {Material.EYE: 0.2, Material.CARD: 0.6}.get(material, 0.0)
    wrap = (amount, amount, amount)
    return wrap, tuple(1 / (1 + w) for w in wrap), 0.0


class SkinDiffusion:
    """Spreads light over the refined skin."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def __call__(self, irradiance: Floats) -> Floats:
        """``[K, 3]`` light of drawn skin vertices, diffused, with some bounce added."""
        body = self._body
        own = np.zeros((body.count, 3), np.float32)
        own[body.vertex] = irradiance
        red = _spread(body.smooth, own, 2)
        green = _spread(body.smooth, red[:, :2], 2)
        wide = _spread(body.smooth, green[:, :1], 5)
        spread = np.stack([wide[:, 0], green[:, 1], red[:, 2]], 1)
        mixed = (0.85 * spread + 0.15 * own)[body.vertex]
        result: Floats = (mixed + 0.04 * mixed.mean()).astype(np.float32)
        return result


def _spread(smooth: Any, values: Floats, steps: int) -> Floats:
    for _ in range(steps):
        values = 0.5 * values + 0.5 * (smooth @ values)
    return values
