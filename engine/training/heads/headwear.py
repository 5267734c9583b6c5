"""Hats, fitted to the skull, and the hair that they press down. Lengths in dm, head frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.training.heads.mesh import Label, Material, Mesh, joined, plain_occluder
from engine.training.heads.pack import HeadPack, Surface, flat_uv
from engine.training.heads.regions import smoothstep
from engine.training.heads.world import UNIT_DM, to_world

Floats = NDArray[np.float32]
Array = NDArray[np.floating]
#: Heights of the rim in front, at the sides and behind.
_RIMS = {"beanie": (0.56, 0.36, 0.02), "fedora": (0.66, 0.58, 0.52), "cap": (0.60, 0.44, 0.22)}
_COLUMNS = 160


class Skull:
    """The head without face and ears as a distance from its middle, by direction."""

    center = np.array([0.0, 0.2, 0.19])

    def __init__(self, skin: Floats) -> None:
        """``skin``: ``[N, 3]`` refined vertices."""
        near = skin[((skin[:, 1] > 0.36) | (skin[:, 2] < -0.3)) & (skin[:, 1] > -0.3)]
        offset = near - self.center
        self._radius = np.linalg.norm(offset, axis=1)
        self._tree = cKDTree(offset / self._radius[:, None])

    def __call__(self, direction: Array) -> Array:
        """Radii ``[...]`` of unit directions ``[..., 3]``."""
        flat = direction.reshape(-1, 3)
        distance, index = self._tree.query(flat, k=8)
        weight = 1.0 / (distance**2 + 2e-3)
        mean = (weight * self._radius[index]).sum(1) / weight.sum(1)
        return np.asarray(mean.reshape(direction.shape[:-1]))


def rim_height(hat: str, azimuth: Array) -> Array:
    """Height of a hat's rim; the azimuth is 0 in front and grows towards the left."""
    front, side, back = _RIMS[hat]
    cos = np.cos(azimuth)
    # Straight across the forehead, then down around the ears.
    ahead, behind = np.clip(cos, 0.0, 1.0) ** 1.3, np.clip(-cos, 0.0, 1.0) ** 1.3
    return np.asarray(side + (front - side) * ahead + (back - side) * behind)


@dataclass(frozen=True)
class Tuck:
    """Presses hair under a hat; points are ``[N, 3]``."""

    hat: str
    skull: Skull

    def _above(self, points: Floats) -> Array:
        azimuth = np.arctan2(points[:, 0], points[:, 2] - self.skull.center[2])
        return np.asarray(points[:, 1] - rim_height(self.hat, azimuth))

    def hides(self, points: Floats) -> NDArray[np.bool_]:
        """Which points lie well under the hat."""
        return np.asarray(self._above(points) > 0.08)

    def __call__(self, points: Floats) -> Floats:
        """Above the rim to the skull, below it less and less."""
        offset = points - self.skull.center
        radius = np.linalg.norm(offset, axis=1) + 1e-9
        direction = offset / radius[:, None]
        press = smoothstep(-0.40, -0.02, self._above(points))
        limit = np.minimum(radius, self.skull(direction) + 0.015)
        radius = radius * (1 - press) + limit * press
        pressed: Floats = (self.skull.center + direction * radius[:, None]).astype(np.float32)
        return pressed


def _grid(points: Array) -> Surface:
    """A closed ring of columns ``[rows, columns, 3]`` from the rim to the top."""
    rows, columns = points.shape[:2]
    across = np.roll(points, -1, 1) - np.roll(points, 1, 1)
    along = np.gradient(points, axis=0)
    normal = np.cross(across, along)
    normal[-1] = (0.0, 1.0, 0.0)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    a, b = i * columns + j, i * columns + (j + 1) % columns
    faces = [np.stack([a, b, b + columns], -1), np.stack([a, b + columns, a + columns], -1)]
    return Surface(
        points.reshape(-1, 3).astype(np.float32),
        normal.reshape(-1, 3).astype(np.float32),
        flat_uv(rows * columns),
        np.concatenate(faces).reshape(-1, 3).astype(np.int32),
    )


def _dome(hat: str, skull: Skull, lift: Callable[[Array, Array], Array], rows: int) -> Array:
    """``[rows, columns, 3]`` a shell over the skull; ``lift(t, azimuth)`` is its distance,
    with t = 0 at the rim and 1 at the top."""
    azimuth = np.linspace(-np.pi, np.pi, _COLUMNS, endpoint=False)[None]
    t = np.linspace(0.0, 1.0, rows)[:, None]
    drop = rim_height(hat, azimuth) - skull.center[1]
    start = np.arcsin(np.clip(drop / 0.9, -0.9, 0.9))

    def toward(elevation: Array) -> Array:
        cos = np.cos(elevation)
        return np.stack([np.sin(azimuth) * cos, np.sin(elevation), np.cos(azimuth) * cos], -1)

    for _ in range(2):
        start = np.arcsin(np.clip(drop / (skull(toward(start)) + 0.06), -0.9, 0.9))
    direction = toward(start + (np.pi / 2 - start) * t)
    radius = skull(direction) + lift(t, azimuth)
    radius[-1] = radius[-1].mean()
    return np.asarray(skull.center + direction * radius[..., None])


def _beanie(skull: Skull) -> list[Surface]:
    def lift(t: Array, azimuth: Array) -> Array:
        band = smoothstep(0.0, 0.03, t) * (1 - smoothstep(0.24, 0.30, t))
        ribs = 0.010 * np.cos(40 * azimuth) * (1 - smoothstep(0.5, 0.9, t))
        return np.asarray(0.055 + 0.05 * band + 0.05 * smoothstep(0.55, 1.0, t) + ribs)

    return [_grid(_dome("beanie", skull, lift, 28))]


def _cap(skull: Skull) -> list[Surface]:
    def lift(t: Array, azimuth: Array) -> Array:
        # The front panels of a cap stand up.
        front = np.clip(np.cos(azimuth), 0.0, 1.0) ** 2
        return np.asarray(0.055 + 0.05 * front * smoothstep(0.0, 0.3, t) * (1 - t))

    dome = _dome("cap", skull, lift, 20)
    u, v = np.linspace(-1.0, 1.0, 33), np.linspace(0.0, 1.0, 9)
    column = np.interp(
        u * 0.95, np.linspace(-np.pi, np.pi, _COLUMNS, endpoint=False), np.arange(_COLUMNS)
    )
    low, share = np.floor(column).astype(int), (column % 1.0)[:, None]
    inner = dome[0, low] * (1 - share) + dome[0, low + 1] * share
    length = 0.44 * (1 - np.abs(u) ** 2.2) ** 0.8
    out = np.zeros((9, 33, 3))
    out[...] = inner
    out[..., 2] += v[:, None] * length
    out[..., 1] += 0.015 - v[:, None] * length * 0.30 - 0.10 * v[:, None] * u**2
    out[..., 0] *= 1 + 0.06 * v[:, None]
    parts = [_grid(dome)]
    for side in (1.0, -1.0):
        sheet = out + np.array([0.0, side * 0.012, 0.0])
        normal = np.cross(np.gradient(sheet, axis=0), np.gradient(sheet, axis=1)) * side
        normal *= np.sign((normal[..., 1] * side).sum())
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
        i, j = np.meshgrid(np.arange(8), np.arange(32), indexing="ij")
        a = i * 33 + j
        faces = [np.stack([a, a + 33, a + 34], -1), np.stack([a, a + 34, a + 1], -1)]
        parts.append(
            Surface(
                sheet.reshape(-1, 3).astype(np.float32),
                normal.reshape(-1, 3).astype(np.float32),
                flat_uv(9 * 33),
                np.concatenate(faces).reshape(-1, 3).astype(np.int32)[:, :: int(side)],
            )
        )
    return parts


def _band(points: Floats) -> Floats:
    """``[N]`` a fedora's height above the foot of its crown, 1 there and 2 at the upper edge of
    its ribbon; 0 on the brim."""
    x, y, z = points.T
    middle, half = (z.max() + z.min()) / 2, (z.max() - z.min()) / 2
    crown = np.hypot(x / (0.79 * np.abs(x).max()), (z - middle + 0.1 * half) / (0.77 * half)) < 1
    foot = 0.69 + 0.12 * (z - 0.1)
    return np.asarray(crown * (1.0 + (y - foot) / 0.17), np.float32)


def make_hat(
    hat: str, color: tuple[float, float, float], skin: Floats, pack: HeadPack, base: Floats
) -> tuple[list[Mesh], Tuck]:
    """The hat on this head, and what it does to hair.

    Args:
        hat: ``"beanie"``, ``"fedora"`` or ``"cap"``. color: linear RGB.
        skin: ``[N, 3]`` refined skin vertices. base: ``[B, 3]`` base vertices.
    """
    skull = Skull(skin)
    mask: Floats | None = None
    if hat == "fedora":
        proxy = pack.proxy("hat_fedora")
        surface = proxy.surface(proxy.fit(base) * np.array([1.05, 1.0, 1.0], np.float32))
        mask = np.zeros((len(surface.position), 4), np.float32)
        mask[:, 0] = _band(surface.position)
    else:
        surface = joined(_beanie(skull) if hat == "beanie" else _cap(skull))
    placed = Surface(to_world(surface.position), surface.normal, surface.uv, surface.triangles)
    mesh = Mesh(
        placed,
        Material.CLOTH,
        Label.HAT,
        mask=mask,
        occluder=plain_occluder(placed),
        bias=0.05 / UNIT_DM,
        softness=0.10 / UNIT_DM,
        lift=0.02 / UNIT_DM,
        uniforms={
            "ink": color,
            "ink2": tuple(0.25 * c for c in color),
            "cap": color,
            "knobs": (1.0, 1.0, 1.0, 0.0),
        },
    )
    return [mesh], Tuck(hat, skull)
