"""What an EpiGRAF identity is made of, and its radiance field; parts of its picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from engine.camera import FAMILY_AXES
from engine.errors import UserError
from engine.generators.base import Field
from engine.generators.epigraf_network import Layer, SphereLayers, run_folded
from engine.generators.evaluation import by_chunks
from engine.rendering.plane_lookup import PlaneTable

AXES = FAMILY_AXES["epigraf"]


class Identity(NamedTuple):
    """All that depends on w alone.

    Attributes:
        planes: the tri-planes, ready to be read.
        picture: ``[3, R, R]`` background of models with a plane one.
        sphere: styled layers of models with a sphere background.
    """

    planes: PlaneTable
    picture: Tensor | None
    sphere: SphereLayers | None


class EpiGRAFField(Field):
    """The radiance field of one identity, without its background."""

    def __init__(self, planes: PlaneTable, layers: list[Layer], cube_scale: float) -> None:
        self._planes, self._layers = planes, layers
        self._turn = torch.from_numpy(AXES.world_rotation).to(planes.device, torch.float32)
        corner = torch.full((3,), cube_scale, device=planes.device)
        self.bounds = (-corner, corner)

    def density(self, points: Tensor) -> Tensor:
        """``[N, 3]`` -> ``[N]`` raw density (before shift and activation), on the points' device."""
        weight, bias = self._layers[-1]
        layers = [*self._layers[:-1], (weight[3:], bias[3:])]
        return self._evaluated(points, layers)[:, 0]

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """``[N, 3]`` -> ``[N, 3]`` in ``[0, 1]``; the field does not depend on directions."""
        return (self._evaluated(points, self._layers)[:, :3] * 0.5 + 0.5).clamp_(0.0, 1.0)

    def _evaluated(self, points: Tensor, layers: list[Layer]) -> Tensor:
        return by_chunks(
            points,
            self._planes.device,
            lambda part: run_folded(layers, self._planes.read(part @ self._turn)),
        )


@dataclass(frozen=True)
class Patch:
    """A square part of a picture, as EpiGRAF's training takes them.

    Attributes:
        scale: side of the part, in ``(0, 1]`` of the picture's.
        offset_x: from the picture's left edge to the part's.
        offset_y: from the picture's **lower** edge to the part's.

    Edges are the middles of the outermost pixels.

    Raises:
        UserError: it is empty or reaches beyond the picture.
    """

    scale: float = 1.0
    offset_x: float = 0.0
    offset_y: float = 0.0

    def __post_init__(self) -> None:
        ends = [offset + self.scale for offset in (self.offset_x, self.offset_y)]
        inside = min(self.offset_x, self.offset_y) >= 0.0 and max(ends) <= 1.0 + 1e-6
        if not 0.0 < self.scale <= 1.0 or not inside:
            raise UserError(
                f"A part of {self.scale:g} of the picture at {self.offset_x:g}, {self.offset_y:g} "
                "is not inside it."
            )

    @classmethod
    def pixels(cls, resolution: int, left: int, top: int, side: int) -> Patch:
        """The part that holds ``side`` x ``side`` pixels of a picture of ``resolution`` pixels,
        from column ``left`` and row ``top`` on."""
        step = 1.0 / (resolution - 1)
        return cls((side - 1) * step, left * step, (resolution - top - side) * step)

    def place(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Positions in the part, -1 to 1, as positions in the picture."""
        return (
            (x + 1.0) * self.scale - 1.0 + 2.0 * self.offset_x,
            (y + 1.0) * self.scale - 1.0 + 2.0 * self.offset_y,
        )
