"""What the renderer draws: surfaces with a material, a label and a shadow."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.training.heads.pack import Surface, flat_uv

Floats = NDArray[np.float32]
Uniform = float | tuple[float, ...]


class Material(IntEnum):
    """How a surface is shaded; the numbers are the shader's."""

    SKIN = 0
    HAIR = 1
    EYE = 2
    CARD = 3
    MOUTH = 4
    CLOTH = 5
    FRAME = 6
    LENS = 7
    SHELL = 8


class Label(IntEnum):
    """The segmentation's values."""

    NOTHING = 0
    SKIN = 1
    HAIR = 2
    EYE = 3
    #: Eyebrows and eyelashes.
    BROW = 4
    #: Teeth and tongue.
    MOUTH = 5
    CLOTH = 6
    #: Frames and dark lenses; clear lenses are not seen by depth or segmentation.
    GLASSES = 7
    BEARD = 8
    LIPS = 9
    HAT = 10


#: Materials that are drawn after the solid ones, blended, in this order.
BLENDED = (Material.SHELL, Material.CARD, Material.HAIR, Material.LENS)


@dataclass(frozen=True)
class Occluder:
    """A coarse surface that casts a mesh's shadow; ``texture`` cuts it out by its alpha."""

    position: Floats
    uv: Floats
    triangles: NDArray[np.int32]
    texture: str | None = None


@dataclass(frozen=True)
class Mesh:
    """One surface of a head, in world units.

    Attributes:
        mask: ``[N, 4]`` for skin: lips, beard, scalp, blush; for shells: y is the cover.
        occluder: what casts its shadow; None casts none.
        bias, softness, lift: of the visibility test, world units: how far behind an
            occluder a point still counts as lit, over what depth it darkens, and how far
            it is moved along its normal first.
        uniforms: shader parameters by name.
    """

    surface: Surface
    material: Material
    label: Label
    texture: str | None = None
    mask: Floats | None = None
    occluder: Occluder | None = None
    bias: float = 0.01
    softness: float = 0.02
    lift: float = 0.0
    uniforms: dict[str, Uniform] = field(default_factory=dict)


@dataclass(frozen=True)
class Head:
    """A person's meshes; the first is the skin.

    Attributes:
        eye_centers, eye_axes: two ``[3]`` points and unit gaze directions (left, right).
    """

    meshes: list[Mesh]
    eye_centers: tuple[Floats, Floats]
    eye_axes: tuple[Floats, Floats]


def plain_occluder(surface: Surface) -> Occluder:
    """The surface itself as its occluder."""
    count = len(surface.position)
    return Occluder(surface.position, flat_uv(count), surface.triangles)


def joined(surfaces: list[Surface]) -> Surface:
    """Several surfaces as one."""
    starts = np.cumsum([0] + [len(s.position) for s in surfaces[:-1]])
    triangles = [s.triangles + start for s, start in zip(surfaces, starts, strict=True)]
    return Surface(
        np.concatenate([s.position for s in surfaces]),
        np.concatenate([s.normal for s in surfaces]),
        np.concatenate([s.uv for s in surfaces]),
        np.concatenate(triangles).astype(np.int32),
    )
