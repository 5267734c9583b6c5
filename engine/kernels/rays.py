"""Rays through a field of layers, composited before its last ones, ``cuda/rays.cu``: StyleNeRF's head and
background, with the torch reference.

StyleNeRF's features are linear in the last inner layer's activations, so the activations are summed along the ray
first ("early aggregation"). Torch writes those of every sample for it, 512 bytes each at 128 columns, and
reads them twice; the kernel gives one sum a ray. The layers are packed by :mod:`engine.kernels.field`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.kernels.field import (
    ROWS,
    THREADS,
    PackedLayers,
    PointLayers,
    evaluate_reference,
    example,
    pack_layers,
)
from engine.kernels.launch import launch, processors
from engine.kernels.use import Kernel, compare
from engine.rendering.compositing import alpha_weights, step_alphas
from engine.rendering.sampling import nerf_importance_depths

#: Shared memory that a block has on every GPU the kernels run on, bytes.
_MOST_SHARED = 99 * 1024
#: Fewest first samples that second ones can be drawn from.
_LEAST = 3

#: ``RaysParams`` of ``cuda/rays.cu``.
PARAMS_DTYPE = np.dtype(
    [
        *(
            (name, np.uint64)
            for name in (
                "points", "origin", "directions", "lengths", "even", "frequencies", "first",
                "layers_packed", "biases", "density", "out_hidden", "out_rays", "out_drawn",
            )
        ),
        ("count", np.int64),
        *((name, np.int32) for name in ("samples", "fine", "rays", "stretched", "closed", "layers")),
        *((name, np.float32) for name in ("near", "far", "slope")),
    ],
    align=True,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class RaySamples:
    """Where rays are looked at, and how what is found is weighed.

    Attributes:
        even: ``[S]`` places of the first samples, ascending. A place p lies at ``near (1 - p) + far p``.
        origin: ``[3]``. directions: ``[R, 3]``, from which places are measured; of no meaning with ``points``.
        near, far: see above.
        fine: second samples, drawn where the first found something; 0 for none.
        points: ``[R, S, D]`` the first samples' places in space, if they do not lie along the rays; then there are no
            second ones.
        lengths: ``[R]`` factors of the densities, or ``None`` for 1.
        stretched: whether steps are measured along the ray, not between places.
        closed: the last sample, which has no step behind it, counts for nothing. Else it is opaque.
    """

    even: Tensor
    origin: Tensor
    directions: Tensor
    near: float = 0.0
    far: float = 1.0
    fine: int = 0
    points: Tensor | None = None
    lengths: Tensor | None = None
    stretched: bool = False
    closed: bool = False


class Aggregated(NamedTuple):
    """What rays bring back.

    Attributes:
        hidden: ``[R, W]`` sums of weighted activations of the last inner layer.
        share: ``[R]`` sum of the weights.
        front: ``[R]`` the same without the last sample's.
        place: ``[R]`` sum of the places of all but the last sample, weighted.
        clear: ``[R]`` share of the light that passes all but the last sample.
        drawn: ``[R, fine]`` places of the second samples.
    """

    hidden: Tensor
    share: Tensor
    front: Tensor
    place: Tensor
    clear: Tensor
    drawn: Tensor


def aggregate_reference(
    field: PointLayers, rays: RaySamples, drawn: Tensor | None = None
) -> Aggregated:
    """All of it by torch, in the precision of its arguments.

    Args:
        field: with a density.
        rays: see there.
        drawn: ``[R, fine]`` places of the second samples, where they are given.
    """

    def look(places: Tensor) -> tuple[Tensor, Tensor]:
        points = rays.points
        if points is None:
            depths = rays.near * (1.0 - places) + rays.far * places
            points = rays.origin + depths[..., None] * rays.directions[:, None, :]
        found = evaluate_reference(field, points.reshape(-1, points.shape[-1]))
        assert found.density is not None and found.hidden is not None
        solid = F.relu(found.density.reshape(places.shape))
        if rays.lengths is not None:
            solid = solid * rays.lengths[:, None]
        return found.hidden.reshape(*places.shape, -1), solid

    def weigh(places: Tensor, solid: Tensor) -> tuple[Tensor, Tensor]:
        steps = rays.near * (1.0 - places) + rays.far * places if rays.stretched else places
        alphas = step_alphas(steps, solid, 0.0)
        if not rays.closed:
            alphas = torch.cat([alphas[:, :-1], torch.ones_like(alphas[:, -1:])], dim=1)
        return alpha_weights(alphas)

    places = rays.even.expand(len(rays.directions), -1)
    hidden, solid = look(places)
    weights, clear = weigh(places, solid)
    if rays.fine:
        if drawn is None:
            drawn = nerf_importance_depths(places, weights, rays.fine, lift=0.0)
        more, more_solid = look(drawn)
        places, order = torch.cat([places, drawn], dim=-1).sort(dim=-1, stable=True)
        solid = torch.cat([solid, more_solid], dim=-1).gather(-1, order)
        every = torch.cat([hidden, more], dim=1)
        hidden = every.gather(1, order[..., None].expand_as(every))
        weights, clear = weigh(places, solid)
    front = weights[:, :-1]
    return Aggregated(
        torch.matmul(weights[:, None, :], hidden)[:, 0, :],
        weights.sum(dim=-1),
        front.sum(dim=-1),
        (front * places[:, :-1]).sum(dim=-1),
        clear,
        places.new_empty(len(places), 0) if drawn is None else drawn,
    )


def rays_problem(field: PackedLayers, rays: RaySamples) -> str | None:
    """Why the kernel cannot march these, in one sentence, or ``None`` if it can."""
    samples, coordinates = len(rays.even), field.defines["MQ_INPUTS"]
    if not 1 <= max(samples, rays.fine) <= ROWS or (rays.fine and samples < _LEAST):
        return f"The kernel takes {_LEAST} to {ROWS} samples of a ray in each pass."
    if rays.points is None and coordinates != 3:
        return "Points along rays have three coordinates."
    if rays.points is not None and rays.fine:
        return "Second samples lie along the rays."
    if "density" not in field.tensors:
        return "Rays need a density."
    if _shared(field, rays) > _MOST_SHARED:
        return "The activations of two passes do not fit a block's memory."
    return None


def _shared(field: PackedLayers, rays: RaySamples) -> int:
    """Bytes of a block."""
    width, coordinates = field.defines["MQ_WIDTH"], field.defines["MQ_INPUTS"]
    encoded = -(-2 * field.defines["MQ_OCTAVES"] * coordinates // 8) * 8
    stride = max(width, encoded) + 4
    return 4 * ROWS * (stride * (2 if rays.fine else 1) + coordinates + 13)


def try_aggregate(field: PackedLayers | None, rays: RaySamples) -> Aggregated | None:
    """:func:`aggregate_reference` by the kernel where it can, else ``None``.

    Args:
        field: from :func:`~engine.kernels.field.packed_once` or ``pack_layers``.
        rays: float32.
    """
    given = (rays.even, rays.origin, rays.directions, rays.points, rays.lengths)
    if field is None or aggregating.problem(*given) is not None:
        return None
    if any(x is not None and x.dtype != torch.float32 for x in given):
        return None
    count, samples = len(rays.directions), len(rays.even)
    device = rays.directions.device
    if not count or rays_problem(field, rays) or field.tensors["first"].device != device:
        return None
    if rays.points is not None and rays.points.shape != (
        count,
        samples,
        field.defines["MQ_INPUTS"],
    ):
        return None
    held = {
        name: None if x is None else x.contiguous()
        for name, x in zip(
            ("even", "origin", "directions", "points", "lengths"), given, strict=True
        )
    }
    width = field.defines["MQ_WIDTH"]
    hidden = rays.directions.new_empty(count, width)
    each = rays.directions.new_empty(count, 4)
    drawn = rays.directions.new_empty(count, rays.fine)
    record = np.zeros((), PARAMS_DTYPE)
    for name in ("frequencies", "first", "layers_packed", "biases", "density"):
        record[name] = field.tensors[name].data_ptr() if name in field.tensors else 0
    for name, x in held.items():
        record[name] = 0 if x is None else x.data_ptr()
    record["out_hidden"], record["out_rays"] = hidden.data_ptr(), each.data_ptr()
    record["out_drawn"] = drawn.data_ptr() if rays.fine else 0
    whole = ROWS // max(samples, rays.fine)
    record["count"], record["samples"], record["fine"] = count, samples, rays.fine
    record["rays"], record["layers"], record["slope"] = whole, field.layers, field.slope
    record["stretched"], record["closed"] = rays.stretched, rays.closed
    record["near"], record["far"] = rays.near, rays.far

    def start() -> Aggregated:
        launch(
            "rays.cu",
            "field_rays",
            record,
            device=device,
            blocks=min(-(-count // whole), 4 * processors(device)),
            threads=THREADS,
            shared=_shared(field, rays),
            defines={k: v for k, v in field.defines.items() if k not in ("MQ_VIEW", "MQ_COLOURS")},
        )
        share, front, place, clear = each.unbind(dim=1)
        return Aggregated(hidden[:, : field.width], share, front, place, clear, drawn)

    return aggregating.run(start)


def _check(device: torch.device) -> None:
    cpu = torch.device("cpu")
    field, directions, _ = example(2, cpu)
    for fine, closed in ((0, False), (7, True)):
        rays = RaySamples(
            torch.linspace(0.0, 1.0, 6), torch.zeros(3), directions, 0.4, 1.7, fine, None,
            directions.norm(dim=1), True, closed,
        )  # fmt: skip
        moved = RaySamples(
            rays.even.to(device), rays.origin.to(device), directions.to(device), 0.4, 1.7, fine,
            None, directions.norm(dim=1).to(device), True, closed,
        )  # fmt: skip
        mine = try_aggregate(pack_layers(example(2, device)[0]), moved)
        drawn = None if mine is None or not fine else mine.drawn.cpu()
        expected = aggregate_reference(field, rays, drawn)
        for name in ("hidden", "share", "front", "place", "clear"):
            found = None if mine is None else getattr(mine, name)
            compare(f"the {name} of rays", found, getattr(expected, name), 1e-4)
        if fine:
            own = aggregate_reference(field, rays)
            compare("the second samples of rays", drawn, own.drawn, 1e-3)


aggregating = Kernel("rays", _check)
