"""The volume rendering of pi-GAN and what grew from it: CIPS-3D, EpiGRAF.

Chan et al., "pi-GAN" (2021), on the quadrature and the two passes of Mildenhall et
al., "NeRF" (2020). Rays pass the middles of the pixels with the outermost ones on the edges of
the field of view, depths are distances along **unit** rays, evenly spaced from ``near`` to ``far``
inclusive, and a second set of samples lies where the first found something. Nothing is random.

A family brings a function from points to densities and features; all else is here::

    origin, directions = unit_rays(cam2world, fov_y, side, side)
    marched = march_in_chunks(field, origin, directions, March(0.88, 1.12, 12, 12), cancel.check)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import UserError
from engine.kernels.graphs import replayed
from engine.kernels.launch import reaches
from engine.kernels.lazy import available
from engine.rendering.compositing import alpha_weights, blend, close_last, step_alphas
from engine.rendering.occupancy import Occupancy
from engine.rendering.rays import framed_grid, grid_rays, inclusive_grid
from engine.rendering.sampling import (
    PDF_FLOOR,
    guided_depths,
    nerf_importance_depths,
    stratified_depths,
)

#: Fewest even samples that importance sampling can work from.
MIN_SAMPLES = 4
#: Most samples of either kind on one ray.
MAX_SAMPLES = 1 << 12
#: Samples of one pass that are held at once, by kind of device: on a CPU as many as stay in its
#: cache, elsewhere as many as keep it busy.
CHUNK_SAMPLES: dict[str, int] = {"cpu": 1 << 12, "cuda": 1 << 20}


#: Points ``[M, 3]`` and the unit directions ``[M, 3]`` of their rays (away from the camera) ->
#: density ``[M]`` before its activation, and features ``[M, C]``.
PointField = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class March:
    """How rays are marched. Lengths are in units of the field's world.

    Attributes:
        near, far: distances of a ray's first and last sample.
        coarse: even samples.
        fine: further samples where the first found something; 0 for none.
        last_back: what light is left belongs to the last sample.
        white_back: what light is left is white: it is added to every feature.
        activation: of the density, ``"relu"`` or ``"softplus"``.
        last_step: length of the step behind the last sample. The customary 1e10 makes it opaque
            where its density is above zero; EpiGRAF takes 1e-3 where a background follows.

    Raises:
        UserError: limits or counts that no ray can be marched with.
    """

    near: float
    far: float
    coarse: int
    fine: int
    last_back: bool = False
    white_back: bool = False
    activation: Literal["relu", "softplus"] = "relu"
    last_step: float = 1e10

    def __post_init__(self) -> None:
        if not 0.0 <= self.near < self.far < math.inf:
            raise UserError(
                f"The rays must start at 0 or beyond and end behind their start, not run from "
                f"{self.near:g} to {self.far:g}."
            )
        if not (MIN_SAMPLES <= self.coarse <= MAX_SAMPLES and 0 <= self.fine <= MAX_SAMPLES):
            raise UserError(
                f"A ray needs {MIN_SAMPLES} or more even samples and 0 or more importance samples, "
                f"up to {MAX_SAMPLES} each, not {self.coarse} and {self.fine}."
            )
        if self.activation not in ("relu", "softplus"):
            raise UserError(
                f"The density activation {self.activation!r} is unknown; it is 'relu' or 'softplus'."
            )

    def scaled(self, samples: float) -> Self:
        """The same with both sample counts multiplied (and rounded)."""
        return replace(
            self,
            coarse=max(MIN_SAMPLES, round(self.coarse * samples)),
            fine=max(1, round(self.fine * samples)) if self.fine else 0,
        )

    def shifted(self, by: float) -> Self:
        """The same region seen from a camera that is ``by`` farther away. Rays start at the
        camera at the earliest."""
        return replace(self, near=max(self.near + by, 0.0), far=max(self.far + by, 1e-3))


class Marched(NamedTuple):
    """What rays bring back.

    Attributes:
        features: ``[R, C]`` ``sum(w f)``, with what ``white_back`` adds.
        depth: ``[R]`` ``sum(w t)``, **not** divided by the weights' sum.
        weight_sum: ``[R]`` ``sum(w)``; 1 with ``last_back``.
        behind: ``[R]`` share of the light that passes all samples but the last, which stands for
            everything behind it: a background's weight, and one less the head's opacity.
    """

    features: Tensor
    depth: Tensor
    weight_sum: Tensor
    behind: Tensor

    def expected_depth(self, far: float) -> Tensor:
        """``[R]`` mean distance, with the light that hits nothing travelling to ``far``."""
        return self.depth + (1.0 - self.weight_sum) * far

    @property
    def opacity(self) -> Tensor:
        """``[R]`` in ``[0, 1]``: what the samples but for the last hold back."""
        return (1.0 - self.behind).clamp(0.0, 1.0)


def unit_rays(
    cam2world: Tensor, fov_y: float, height: int, width: int, native: int | None = None
) -> tuple[Tensor, Tensor]:
    """Rays of a camera with OpenGL axes (x right, y up, z backward).

    Args:
        cam2world: ``[4, 4]``.
        fov_y: full angle in degrees between the middles of the outermost rows of a picture of
            ``native`` pixels.
        height, width: pixels.
        native: the model's own side, for a square picture of another one that shall show the same
            view (see :func:`~engine.rendering.rays.framed_grid`). ``None`` is the picture's own.

    Returns:
        ``[3]`` origin and ``[height * width, 3]`` unit directions, in world axes, row by row.
    """
    if native is None or height != width:
        grid = inclusive_grid(height, width, cam2world.device)
    else:
        grid = framed_grid(height, native, cam2world.device)
    x, y = (part.to(cam2world.dtype) for part in grid)
    origin, directions = grid_rays(cam2world, x, y, fov_y)
    return origin, F.normalize(directions, dim=-1)


def march_rays(field: PointField, origin: Tensor, directions: Tensor, march: March) -> Marched:
    """March rays all at once; differentiable, but for where the samples lie.

    Args:
        field: densities and features.
        origin: ``[3]``, or ``[R, 3]`` one for every ray.
        directions: ``[R, 3]`` unit.
        march: how.
    """
    return march_from(field, origin, directions, even_depths(march, directions), march)


def even_depths(march: March, like: Tensor) -> Tensor:
    """``[S]`` where the even samples of every ray lie, in the kind of numbers of ``like``."""
    return torch.linspace(march.near, march.far, march.coarse, dtype=like.dtype, device=like.device)


def march_from(
    field: PointField, origin: Tensor, directions: Tensor, even: Tensor, march: March
) -> Marched:
    """:func:`march_rays` with its even samples at ``even`` ``[S]``, whatever ``march`` says of near and far."""
    depths = even.expand(directions.shape[0], -1)
    if not march.fine:
        return _march_at(field, origin, directions, march, depths)
    densities, features = _look(field, origin, directions, depths)
    found = _weigh(march, depths, densities.detach())[0]
    more = nerf_importance_depths(depths, found, march.fine, lift=PDF_FLOOR)
    more_densities, more_features = _look(field, origin, directions, more)
    # Stable, so that neither the device nor the chunks decide which of two equal depths is first.
    depths, order = torch.cat([more, depths], dim=-1).sort(dim=-1, stable=True)
    densities = torch.cat([more_densities, densities], dim=-1).gather(-1, order)
    weights, behind = _weigh(march, depths, densities)
    weights = close_last(weights) if march.last_back else weights
    # The weights go back to the order of the features, which are many times larger.
    each = torch.zeros_like(weights).scatter(-1, order, weights)
    total = blend(each[:, : march.fine], more_features) + blend(each[:, march.fine :], features)
    return gathered(march, depths, weights, behind, total)


def march_guided(
    field: PointField,
    origin: Tensor,
    directions: Tensor,
    march: March,
    guide: Tensor,
    width: float,
    jitter: torch.Generator | None = None,
) -> Marched:
    """March rays whose surfaces are known, for supervised training: one pass, differentiable.

    The even samples are moved about by ``jitter``, each within its step, and the others lie around
    the surface (:func:`~engine.rendering.sampling.guided_depths`) instead of where a first pass
    found something.

    Args:
        field, origin, directions, march: see :func:`march_rays`.
        guide: ``[R]`` distance of the surface; 0 where the ray hits nothing.
        width: standard deviation around it, as a fraction of ``far - near``.
        jitter: random numbers; without them the samples are fixed.
    """
    near, far = (directions.new_full((1, len(directions)), x) for x in (march.near, march.far))
    depths = stratified_depths(near, far, march.coarse, jitter=jitter)
    if march.fine:
        around = guided_depths(guide[None], near, far, march.fine, width, jitter)
        depths = torch.cat([depths, around], dim=-1).sort(dim=-1).values
    return _march_at(field, origin, directions, march, depths[0])


def _march_at(
    field: PointField, origin: Tensor, directions: Tensor, march: March, depths: Tensor
) -> Marched:
    """One pass with samples at ``depths`` ``[R, S]``, ascending."""
    densities, features = _look(field, origin, directions, depths)
    weights, behind = _weigh(march, depths, densities)
    weights = close_last(weights) if march.last_back else weights
    return gathered(march, depths, weights, behind, blend(weights, features))


def _look(
    field: PointField, origin: Tensor, directions: Tensor, depths: Tensor
) -> tuple[Tensor, Tensor]:
    """Densities ``[R, S]`` and features ``[R, S, C]`` at ``depths`` ``[R, S]``."""
    start, each = origin.reshape(-1, 1, 3), directions[:, None, :]
    points = torch.addcmul(start, depths[..., None], each).reshape(-1, 3)
    along = each.expand(-1, depths.shape[1], -1).reshape(-1, 3)
    densities, features = field(points, along)
    return densities.reshape(depths.shape), features.reshape(*depths.shape, -1)


def _weigh(march: March, depths: Tensor, densities: Tensor) -> tuple[Tensor, Tensor]:
    return alpha_weights(step_alphas(depths, solid_of(march, densities), march.last_step))


def solid_of(march: March, densities: Tensor) -> Tensor:
    """Raw densities ``[...]`` after their activation: light absorbed in a unit of length."""
    return F.relu(densities) if march.activation == "relu" else F.softplus(densities)


def gathered(
    march: March, depths: Tensor, weights: Tensor, behind: Tensor, features: Tensor
) -> Marched:
    """What rays bring back, of their samples' weights ``[R, S]`` and their summed features."""
    weight_sum = weights.sum(dim=-1)
    if march.white_back:
        features = features + (1.0 - weight_sum)[:, None]
    return Marched(features, (weights * depths).sum(dim=-1), weight_sum, behind)


def march_in_chunks(
    field: PointField,
    origin: Tensor,
    directions: Tensor,
    march: March,
    check: Callable[[], None] | None = None,
    chunk_samples: int | None = None,
    grid: Occupancy | None = None,
    owner: object | None = None,
    key: Hashable = (),
) -> Marched:
    """:func:`march_rays` in little memory.

    Args:
        check: called before every chunk; raises to stop (``CancelToken.check``).
        chunk_samples: samples that a pass evaluates at once, about; by default what suits the
            device.
        grid: where the field is empty, in its own world, if that is known: on a CPU what is not seen is
            left out then (:mod:`engine.rendering.lazy_march`).
        owner: what holds all tensors that the field reads, if chunks are to be recorded on a GPU
            (:func:`engine.kernels.graphs.replayed`); one recording serves all chunks of a size.
        key: all else that the field depends on, for recordings.
    """
    on_cpu = available(origin, directions) and not reaches(directions.device)
    if grid is not None and origin.ndim == 1 and on_cpu:
        from engine.rendering.lazy_march import march_lazily

        return march_lazily(field, origin, directions, march, grid, check)
    wanted = chunk_samples or CHUNK_SAMPLES.get(directions.device.type, 1 << 18)
    size = max(1, wanted // max(march.coarse, march.fine))
    # Its ends enter with the even samples: a turning head changes their last digits.
    even, how = even_depths(march, directions), replace(march, near=0.0, far=1.0)

    def work(start: Tensor, ways: Tensor, even: Tensor) -> Marched:
        return march_from(field, start, ways, even, how)

    parts: list[Marched] = []
    for first in range(0, directions.shape[0], size):
        if check is not None:
            check()
        rows = slice(first, first + size)
        inputs = (origin if origin.ndim == 1 else origin[rows], directions[rows], even)
        part = (
            work(*inputs) if owner is None else replayed("march", owner, work, inputs, (how, key))
        )
        parts.append(part)
    return Marched(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
