"""Hair: the sweep that frees the eyes, and the shells of beards and cropped heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.training.heads.mesh import Label, Material, Mesh
from engine.training.heads.pack import Body, Surface
from engine.training.heads.world import UNIT_DM, to_world

Floats = NDArray[np.float32]

#: Styles whose own fringe hangs over one eye, and the turn (radians) that sweeps it aside.
SWEPT = {"bob02": 0.62, "braid01": 0.36}


@dataclass(frozen=True)
class Sweep:
    """Sweeps a fringe aside by turning it about the head's vertical axis.

    The turn grows smoothly from the parting and from the top, so that the hair is stretched
    and never torn. Hair on the other side of the parting stays.

    Attributes (dm, head frame; angles in radians about +Y from +Z towards +X):
        top, bottom: heights between which the turn grows.
        turn: the largest turn, towards -X. parting: angle where the fringe begins.
        depth: z of the axis.
    """

    top: float
    bottom: float
    turn: float
    parting: float = 0.55
    depth: float = -0.05

    def __call__(self, points: Floats) -> Floats:
        """Points ``[N, 3]`` moved on an ellipse around the head."""
        x, y, z = points[:, 0], points[:, 1], points[:, 2] - self.depth
        angle, radius = np.arctan2(x, z), np.hypot(x, z)
        fall = np.clip((self.top - y) / (self.top - self.bottom), 0.0, 1.0)
        fall = fall * fall * (3 - 2 * fall)
        near = np.clip((self.parting - angle) / 0.5, 0.0, 1.0)
        near = near * near * (3 - 2 * near)
        # Behind the ear nothing moves; in between the strands close up.
        behind = np.clip((angle + 1.9) / 1.2, 0.0, 1.0)
        turned = angle - self.turn * fall * near * behind

        def ellipse(a: NDArray[np.floating]) -> NDArray[np.floating]:
            return np.asarray(1.0 / np.hypot(np.sin(a) / 0.80, np.cos(a) / 1.12))

        # Following the head's ellipse keeps the hair near the cheeks instead of off them.
        radius = radius * np.clip(ellipse(turned) / ellipse(angle), 0.7, 1.1)
        bent = points.copy()
        bent[:, 0] = np.sin(turned) * radius
        bent[:, 2] = self.depth + np.cos(turned) * radius
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
