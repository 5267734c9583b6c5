"""What an EpiGRAF identity is made of, and its radiance field; parts of its picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.camera import FAMILY_AXES
from engine.errors import UserError
from engine.generators.base import Field
from engine.generators.epigraf_network import Layer, SphereLayers, run_folded
from engine.generators.evaluation import by_chunks
from engine.generators.stylegan2_ops import LRELU_SLOPE
from engine.kernels.folded import FoldedPlanes, try_march, try_values
from engine.kernels.launch import reaches
from engine.rendering.nerf_march import March, Marched, march_in_chunks
from engine.rendering.plane_lookup import PlaneTable

AXES = FAMILY_AXES["epigraf"]
#: Samples that torch evaluates at once on a CPU: enough to share among its cores.
_CPU_CHUNK = 1 << 16


class DecodedPlanes:
    """Raw colours and densities of one identity at any point.

    On a CPU the decoder's first layer, which is linear in what is read, is applied to the planes
    themselves: once for each texel instead of once for each sample, of which a picture has many
    more. Then compiled code reads them (:mod:`engine.kernels.folded`).

    Args:
        planes: ``[3, C, R, R]``, row 0 at -1.
        layers: from ``TriPlaneMLP.folded``.
        extent: half the side of the cube that the planes span, world units.
    """

    def __init__(self, planes: Tensor, layers: list[Layer], extent: float) -> None:
        self._layers = layers
        # A table of many more channels would cost more to read than it saves.
        fits = len(layers) == 2 and len(layers[0][0]) <= 2 * planes.shape[1]
        if planes.device.type == "cpu" and fits and not reaches(planes.device):
            self.table = PlaneTable(planes, extent, layers[0][0])
            self.folded: FoldedPlanes | None = FoldedPlanes(
                self.table.table, self.table.side, extent, layers[0][1], *layers[1]
            )
        else:
            self.table, self.folded = PlaneTable(planes, extent), None

    @property
    def device(self) -> torch.device:
        """Where the planes are."""
        return self.table.device

    def values(self, points: Tensor) -> Tensor:
        """``[M, 3]`` -> ``[M, 4]`` raw colour, then raw density."""
        if self.folded is None:
            return run_folded(self._layers, self.table.read(points))
        quick = try_values(self.folded, points)
        if quick is not None:
            return quick
        hidden = F.leaky_relu_(self.table.read(points) + self.folded.bias, LRELU_SLOPE)
        return F.linear(hidden, self.folded.weight, self.folded.last)

    def march(
        self,
        origin: Tensor,
        directions: Tensor,
        march: March,
        shift: float,
        check: Callable[[], None],
    ) -> Marched:
        """Rays from one origin.

        Args:
            origin: ``[3]``.
            directions: ``[R, 3]`` unit; neighbours should stand side by side.
            march: how.
            shift: added to the density before its activation.
            check: called between chunks; raises to stop.
        """
        if self.folded is not None:
            quick = try_march(self.folded, origin, directions, march, shift, check)
            if quick is not None:
                return quick

        def look(points: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
            values = self.values(points)
            return values[:, 3] + shift, values[:, :3]

        chunk = _CPU_CHUNK if self.device.type == "cpu" else None
        return march_in_chunks(look, origin, directions, march, check, chunk, owner=self, key=shift)


class Identity(NamedTuple):
    """All that depends on w alone.

    Attributes:
        planes: the tri-planes, ready to be read.
        picture: ``[3, R, R]`` background of models with a plane one.
        sphere: styled layers of models with a sphere background.
    """

    planes: DecodedPlanes
    picture: Tensor | None
    sphere: SphereLayers | None


class EpiGRAFField(Field):
    """The radiance field of one identity, without its background."""

    def __init__(self, planes: DecodedPlanes, cube_scale: float) -> None:
        self._planes = planes
        self._turn = torch.from_numpy(AXES.world_rotation).to(planes.device, torch.float32)
        corner = torch.full((3,), cube_scale, device=planes.device)
        self.bounds = (-corner, corner)

    def density(self, points: Tensor) -> Tensor:
        """``[N, 3]`` -> ``[N]`` raw density (before shift and activation), on the points' device."""
        return self._values(points)[:, 3]

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """``[N, 3]`` -> ``[N, 3]`` in ``[0, 1]``; the field does not depend on directions."""
        return (self._values(points)[:, :3] * 0.5 + 0.5).clamp_(0.0, 1.0)

    def _values(self, points: Tensor) -> Tensor:
        return by_chunks(
            points, self._planes.device, lambda part: self._planes.values(part @ self._turn)
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
        """Positions ``[...]`` in the part, -1 to 1 (x to the right, y up), as positions in the picture."""
        return (
            (x + 1.0) * self.scale - 1.0 + 2.0 * self.offset_x,
            (y + 1.0) * self.scale - 1.0 + 2.0 * self.offset_y,
        )
