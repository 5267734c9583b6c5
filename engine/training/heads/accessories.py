"""Glasses: frames as tubes, clear or dark lenses as fans. Lengths in dm, head frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.training.heads.mesh import Label, Material, Mesh, joined, plain_occluder
from engine.training.heads.pack import Surface, flat_uv
from engine.training.heads.world import UNIT_DM, to_world

Floats = NDArray[np.float32]
_RIM_POINTS = 36


def tube(path: NDArray[np.floating], radius: float, sides: int, *, closed: bool) -> Surface:
    """A round tube along ``path [N, 3]``, joined end to end when ``closed``."""
    points = np.asarray(path, dtype=np.float64)
    count = len(points)
    along = (
        np.roll(points, -1, 0) - np.roll(points, 1, 0) if closed else np.gradient(points, axis=0)
    )
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    up = np.where(np.abs(along[:, 2:]) > 0.8, [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    side = np.cross(along, up)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(side, along)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)[None, :, None]
    ring = np.cos(turn) * side[:, None] + np.sin(turn) * other[:, None]
    position = (points[:, None] + ring * radius).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(count if closed else count - 1), np.arange(sides), indexing="ij")
    a, b = i * sides + j, i * sides + (j + 1) % sides
    k = ((i + 1) % count) * sides
    c, d = k + j, k + (j + 1) % sides
    triangles = np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)]).reshape(-1, 3)
    return Surface(
        position.astype(np.float32),
        ring.reshape(-1, 3).astype(np.float32),
        flat_uv(count * sides),
        triangles.astype(np.int32),
    )


def _lens(rim: NDArray[np.floating], center: NDArray[np.floating]) -> Surface:
    """A slightly bulging fan inside a rim ``[N, 3]``."""
    position = np.concatenate([center[None], rim])
    n = len(rim)
    i = np.arange(n)
    triangles = np.stack([np.zeros_like(i), 1 + i, 1 + (i + 1) % n], 1)
    normal = np.zeros_like(position)
    normal[:, :2] = (position[:, :2] - center[:2]) * 0.25
    normal[:, 2] = 1.0
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return Surface(
        position.astype(np.float32),
        normal.astype(np.float32),
        flat_uv(n + 1),
        triangles.astype(np.int32),
    )


@dataclass(frozen=True)
class GlassesStyle:
    """``kind`` of the catalogue's glasses; ``size`` in 0..1; linear RGB ``color``."""

    kind: str
    size: float
    color: tuple[float, float, float]


def glasses(
    style: GlassesStyle, eyes: tuple[Floats, Floats], ear: Floats, skin: Floats
) -> list[Mesh]:
    """Frame and lenses that sit in front of this face.

    Args:
        eyes: centres of the left and right eye. ear: a point where the left ear meets the
            head. skin: ``[N, 3]`` refined skin vertices.
    """
    span = float(eyes[0][0] - eyes[1][0])
    height0 = float(eyes[0][1] + eyes[1][1]) / 2 - 0.035
    dark = style.kind == "sunglasses"
    half_w = span * (0.44 if dark else 0.40) * (0.96 + 0.16 * style.size)
    tall, power = {
        "round": (1.0, 2.0),
        "rectangular": (0.64 + 0.12 * style.size, 4.5),
        "sunglasses": (0.74 + 0.10 * style.size, 3.0),
    }[style.kind]
    half_h = half_w * tall
    thick = 0.018 + (0.004 if dark else 0.012) * style.size
    ax, ay = np.abs(skin[:, 0]), np.abs(skin[:, 1] - height0)
    near = skin[(ax < half_w * 1.9) & (ay < half_h * 0.9) & (ax > 0.13)]
    front = max(float(near[:, 2].max()) + 0.035, float(eyes[0][2]) + 0.30)

    def bow(x: NDArray[np.floating]) -> NDArray[np.floating]:
        return np.asarray(front - 0.10 * (np.abs(x) / span) ** 2)

    turn = np.linspace(0, 2 * np.pi, _RIM_POINTS, endpoint=False)
    cos, sin = np.cos(turn), np.sin(turn)
    parts, lenses = [], []
    for sign in (1.0, -1.0):
        middle = sign * span / 2 * 1.03
        x = middle + np.sign(cos) * np.abs(cos) ** (2 / power) * half_w
        y = height0 + np.sign(sin) * np.abs(sin) ** (2 / power) * half_h
        rim = np.stack([x, y, bow(x)], 1)
        parts.append(tube(rim, thick, 8, closed=True))
        lenses.append(_lens(rim, np.array([middle, height0, bow(np.array(middle))])))
        outer = middle + sign * half_w
        z, side = float(bow(np.array(outer))), abs(float(ear[0]))
        temple = [
            [outer, height0 + half_h * 0.35, z],
            [outer + sign * 0.05, height0 + half_h * 0.35, z - 0.08],
            [sign * side * 0.98, height0 + half_h * 0.3, ear[2] + 0.25],
            [sign * side * 0.97, height0 + half_h * 0.2, ear[2] - 0.12],
            [sign * side * 0.95, height0 - 0.18, ear[2] - 0.28],
        ]
        parts.append(tube(np.array(temple), thick * 0.8, 6, closed=False))
    gap = span / 2 * 1.03 - half_w
    t = np.linspace(-1.0, 1.0, 9)
    bridge = np.stack(
        [t * gap, height0 + half_h * 0.25 + 0.03 * (1 - t * t), front + 0.02 * (1 - t * t)], 1
    )
    parts.append(tube(bridge, thick * 0.8, 6, closed=False))
    frame, glass = _world(joined(parts)), _world(joined(lenses))
    return [
        Mesh(
            frame,
            Material.FRAME,
            Label.GLASSES,
            occluder=plain_occluder(frame),
            bias=0.05 / UNIT_DM,
            softness=0.08 / UNIT_DM,
            uniforms={"ink": style.color, "knobs": (0.25, 0.05, 0.0, 0.0)},
        ),
        Mesh(
            glass,
            Material.LENS,
            Label.GLASSES if dark else Label.NOTHING,
            occluder=plain_occluder(glass) if dark else None,
            bias=0.1 / UNIT_DM,
            softness=0.1 / UNIT_DM,
            uniforms={
                "ink": (0.035, 0.03, 0.028) if dark else (0.6, 0.65, 0.7),
                "knobs": (0.94 if dark else 0.05, 0.0, 0.0, 0.0),
            },
        ),
    ]


def _world(surface: Surface) -> Surface:
    return Surface(to_world(surface.position), surface.normal, surface.uv, surface.triangles)
