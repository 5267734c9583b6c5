"""Hair: the curtain that frees the eyes, and the shells of beards and cropped heads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.training.heads.mesh import Label, Material, Mesh
from engine.training.heads.pack import Body, Surface
from engine.training.heads.world import UNIT_DM, to_world

Floats = NDArray[np.float32]

#: Styles whose own fringe hangs over the face; they are parted like a curtain.
CURTAINED = frozenset({"bob02", "braid01"})


@dataclass(frozen=True)
class Curtain:
    """Draws hair apart over the face by turning it about the head's vertical axis.

    Attributes (dm, head frame; angles in radians about +Y from +Z towards +X):
        top, bottom: heights between which the gap opens.
        side: angle of the parting at the top. opening: half the gap's angle at the bottom.
    """

    top: float
    bottom: float
    side: float
    opening: float
    depth: float = 0.05

    def half_gap(self, height: NDArray[np.floating]) -> NDArray[np.floating]:
        """Half the gap's angle at these heights."""
        t = np.clip((self.top - height) / (self.top - self.bottom), 0.0, 1.0)
        return self.opening * np.sqrt(t) ** 1.2

    def __call__(self, points: Floats) -> Floats:
        """Points ``[N, 3]`` moved out of the gap, on an ellipse around the head."""
        x, y, z = points[:, 0], points[:, 1], points[:, 2] - self.depth
        angle, radius = np.arctan2(x, z), np.hypot(x, z)
        t = np.clip((self.top - y) / (self.top - self.bottom), 0.0, 1.0)
        away = (angle - self.side * (1 - t) + math.pi) % (2 * math.pi) - math.pi
        turn = np.where(away >= 0, 1.0, -1.0) * self.half_gap(y) * (1 - np.abs(away) / math.pi)

        def ellipse(a: NDArray[np.floating]) -> NDArray[np.floating]:
            return 1.0 / np.sqrt((np.sin(a) / 0.80) ** 2 + (np.cos(a) / 1.12) ** 2)

        # Following the head's ellipse keeps the hair near the cheeks instead of off them.
        follow = np.clip(ellipse(angle + turn) / ellipse(angle) * (1 - 0.03 * t), 0.6, 1.1)
        front = np.clip((np.cos(angle) + 0.3) / 0.6, 0.0, 1.0)
        radius = radius * (1 + (follow - 1) * front)
        bent = points.copy()
        bent[:, 0] = np.sin(angle + turn) * radius
        bent[:, 2] = self.depth + np.cos(angle + turn) * radius
        return bent.astype(np.float32)


def shells(
    body: Body,
    position: Floats,
    normal: Floats,
    cover: Floats,
    *,
    length: float,
    layers: int,
    density: float,
    color: tuple[float, ...],
    label: Label,
) -> list[Mesh]:
    """Short hair as layers of noise above the skin.

    Args:
        position, normal: ``[K, 3]`` drawn vertices of the body, head frame, dm.
        cover: ``[K]`` how much hair grows where, 0..1.
        length: dm. layers: their number. density: 1 is ordinary.
    """
    chosen = body.triangles[(cover > 0.02)[body.triangles].any(1)]
    used, compact = np.unique(chosen.ravel(), return_inverse=True)
    triangles = compact.reshape(-1, 3).astype(np.int32)
    mask = np.zeros((len(used), 4), np.float32)
    mask[:, 1] = cover[used]
    comb = np.array([0.0, -0.5, 0.1], np.float32)
    meshes = []
    for k in range(layers):
        level = (k + 1) / layers
        lifted = (normal[used] + comb * level * 0.6) * (length * level)
        lifted *= np.clip(cover[used] * 1.3, 0.0, 1.0)[:, None]
        surface = Surface(to_world(position[used] + lifted), normal[used], body.uv[used], triangles)
        meshes.append(
            Mesh(
                surface,
                Material.SHELL,
                label,
                mask=mask,
                bias=(0.05 + length) / UNIT_DM,
                softness=0.12 / UNIT_DM,
                lift=0.02 / UNIT_DM,
                uniforms={"ink": color, "knobs": (level, density, 0.0, 900.0)},
            )
        )
    return meshes
