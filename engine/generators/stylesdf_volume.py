"""StyleSDF's volume rendering: the field of one identity, and rays through it.

Or-El et al., "StyleSDF" (2022), sections 3.1 and 3.2. The signed distance becomes a density,
``sigma = sigmoid(-d / beta) / beta``, which NeRF's quadrature integrates over even samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.stylesdf_network import FilmLayer, StyleSDFNetwork
from engine.kernels.field import PackedLayers, PointLayers, packed_once, try_evaluate
from engine.kernels.graphs import replayed
from engine.kernels.launch import reaches
from engine.kernels.lazy import LazySamples, available
from engine.kernels.products import product
from engine.kernels.recording import unless_recording
from engine.kernels.sine import sine_
from engine.rendering.compositing import alpha_weights, blend, close_last, step_alphas
from engine.rendering.lazy_march import RAYS
from engine.rendering.occupancy import EVERYWHERE, LEAST_SEEN, Occupancy
from engine.rendering.rays import centred_grid, grid_rays

#: Samples that are held at once, by kind of device: on a CPU as many as stay in its cache.
CHUNK_SAMPLES: dict[str, int] = {"cpu": 1 << 12, "cuda": 1 << 19}
#: Length of the step behind the last sample, which stands for the background.
ENDLESS = 1e10
#: Least distance of the first sample, in units of the half depth, for cameras among the rays'
#: samples.
_NEAREST = 0.01


class FilmField:
    """The field of one identity: its style folded into the FiLM layers, world units outside.

    Args:
        network: the model.
        rows: ``[depth + 1, >= style_dim]``: one style for each layer, the last for the view's.
    """

    def __init__(self, network: StyleSDFNetwork, rows: Tensor) -> None:
        config, field = network.config, network.renderer.network
        styles = rows[:, : config.style_dim]
        self.width = config.width
        self._layers: list[tuple[Tensor, Tensor]] = []
        for layer, style in zip(field.pts_linears, styles, strict=False):
            assert isinstance(layer, FilmLayer)
            self._layers.append(layer.folded(style))
        # Points reach the network in units of the half depth.
        first, bias = self._layers[0]
        self._layers[0] = (first / config.half_depth, bias)
        view, self._view_bias = field.views_linears.folded(styles[config.depth])
        self._view, self._view_direction = view[:, : self.width], view[:, self.width :]
        self._distance, self._colour = field.sigma_linear, field.rgb_linear
        self.beta = network.renderer.sigmoid_beta

    def hidden(self, points: Tensor) -> Tensor:
        """``[N, 3]`` world points -> ``[N, width]`` what distance and features are read from."""
        x = points
        for weight, bias in self._layers:
            x = sine_(product(x, weight, bias))
        return x

    def distance(self, hidden: Tensor) -> Tensor:
        """``[N, width]`` -> ``[N]`` signed distance in world units, negative inside."""
        distance: Tensor = self._distance(hidden)[:, 0]
        return distance

    def features(self, hidden: Tensor, directions: Tensor) -> Tensor:
        """``[R, S, width]`` hidden values of S points each seen along ``[R, 3]`` unit view
        directions -> ``[R, S, width]`` features."""
        seen = F.linear(directions, self._view_direction, self._view_bias)
        x = product(hidden.reshape(-1, self.width), self._view).reshape(*hidden.shape[:-1], -1)
        x = x + seen[:, None] if torch.is_grad_enabled() else x.add_(seen[:, None])
        return sine_(x)

    def look(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``[R, S, 3]`` world points of rays seen along ``[R, 3]`` unit view directions -> ``[R, S]``
        signed distance, ``[R, S, width]`` features and ``[R, S, 3]`` RGB."""
        shape = points.shape[:2]
        if reaches(points.device):
            wanted = ("density", "view", "colour")
            quick = try_evaluate(
                self._packed(), points.reshape(-1, 3), directions, shape[1], wanted
            )  # fmt: skip
            if quick is not None:
                distance, _, seen, colour = quick
                assert distance is not None and seen is not None and colour is not None
                return distance.reshape(shape), seen.reshape(*shape, -1), colour.reshape(*shape, 3)
        hidden = self.hidden(points.reshape(-1, 3))
        seen = self.features(hidden.reshape(*shape, -1), directions)
        return self.distance(hidden).reshape(shape), seen, self.colour(seen)

    def distances(self, points: Tensor) -> Tensor:
        """``[N, 3]`` world points -> ``[N]`` signed distance in world units."""
        if reaches(points.device):
            quick = try_evaluate(self._packed(), points)
            if quick is not None and quick.density is not None:
                return quick.density
        return self.distance(self.hidden(points))

    def _packed(self) -> PackedLayers | None:
        return packed_once(
            self._view,
            lambda: PointLayers(
                tuple(self._layers),
                (self._distance.weight, self._distance.bias),
                view=(self._view, self._view_bias),
                turn=self._view_direction,
                colour=(self._colour.weight, self._colour.bias),
            ),
        )

    def colour(self, features: Tensor) -> Tensor:
        """``[..., width]`` features -> ``[..., 3]`` RGB in ``[0, 1]``."""
        logits: Tensor = self._colour(features)
        return logits.sigmoid()


@dataclass(frozen=True)
class Rays:
    """The rays of one picture. Directions have length one along the camera's axis.

    Attributes:
        origin: ``[3]`` world.
        directions: ``[R, 3]`` world; ``origin + z * direction`` lies z in front of the camera.
        view: ``[R, 3]`` unit view directions that the network is shown.
        depths: ``[S]`` distances z of the samples along the camera's axis.
        side: R is ``side * side``.
    """

    origin: Tensor
    directions: Tensor
    view: Tensor
    depths: Tensor
    side: int

    @property
    def unit(self) -> Tensor:
        """``[R, 3]`` unit directions, world."""
        return F.normalize(self.directions, dim=-1)

    @property
    def lengths(self) -> Tensor:
        """``[R]`` lengths of ``directions``: distance along the ray for each unit of z."""
        lengths: Tensor = torch.linalg.vector_norm(self.directions, dim=-1)
        return lengths


def depth_limits(cam2world: Tensor, half_depth: float) -> tuple[float, float]:
    """Nearest and farthest z of the samples: the half depth before the world's origin and behind
    it, wherever the camera stands (0.88 and 1.12 from the training distance of 1).

    Args:
        cam2world: ``[4, 4]``, OpenGL axes.
    """
    centre = float(cam2world[:3, 3].double() @ cam2world[:3, 2].double())
    near = max(centre - half_depth, _NEAREST * half_depth)
    return near, near + 2.0 * half_depth


def picture_rays(
    cam2world: Tensor,
    fov_y: float,
    side: int,
    limits: tuple[float, float],
    samples: int,
    static_view: bool = True,
) -> Rays:
    """Rays through the middles of a picture's pixels, row by row from the top left.

    Args:
        cam2world: ``[4, 4]`` float32, OpenGL axes, on the device to compute on.
        fov_y: full angle of view between the picture's edges, degrees.
        side: pixels.
        limits: near and far z. Sample k of S lies at ``near + (far - near) k / S``: the last is
            one step short of far.
        samples: S.
        static_view: show the network directions in the camera's own axes, as the authors do
            when they draw, so that the light moves with the camera; else the world's, as in
            their training.
    """
    x, y = centred_grid(side, side, cam2world.device)
    origin, directions = grid_rays(cam2world, x, y, fov_y)
    own = grid_rays(torch.eye(4, device=cam2world.device), x, y, fov_y)[1]
    view = F.normalize(own if static_view else directions, dim=-1)
    share = torch.arange(samples, dtype=torch.float32, device=cam2world.device) / samples
    near, far = limits
    return Rays(origin, directions, view, near * (1.0 - share) + far * share, side)


class Volume(NamedTuple):
    """A volume rendering.

    Attributes:
        rgb: ``[3, h, w]`` in ``[-1, 1]``.
        features: ``[1, width, h, w]`` for the decoder (channels innermost in memory), or
            ``None`` where they were not asked for.
        z: ``[h, w]`` mean z of what is seen, the background included.
        background: ``[h, w]`` weight of the last sample, which stands for the background.
    """

    rgb: Tensor
    features: Tensor | None
    z: Tensor
    background: Tensor


def render(
    field: FilmField,
    rays: Rays,
    with_features: bool,
    check: Callable[[], None] | None = None,
    grid: Occupancy = EVERYWHERE,
) -> Volume:
    """Integrate a field along rays, a chunk of them at a time. On a CPU samples that are not seen are
    left out (:mod:`engine.rendering.lazy_march`).

    Whatever passes all other samples is given to the last one ("forced background").

    Args:
        field: of one identity.
        rays: of one picture.
        with_features: also integrate the features.
        check: called before every chunk; raises to stop (``CancelToken.check``).
        grid: where the field is empty.
    """
    asked = None if check is None else unless_recording(check)

    def drawn(origin: Tensor, directions: Tensor, view: Tensor, depths: Tensor) -> Volume:
        same = Rays(origin, directions, view, depths, rays.side)
        return _integrated(field, same, with_features, asked, grid)

    inputs = (rays.origin, rays.directions, rays.view, rays.depths)
    return replayed("stylesdf volume", field, drawn, inputs, (rays.side, with_features))


def _integrated(
    field: FilmField,
    rays: Rays,
    with_features: bool,
    check: Callable[[], None] | None,
    grid: Occupancy,
) -> Volume:
    count, rows, side = len(rays.depths), len(rays.directions), rays.side
    lazy = available(rays.origin, rays.directions) and not reaches(rays.origin.device)
    size = max(1, CHUNK_SAMPLES.get(rays.origin.device.type, 1 << 16) // count)
    rgb = rays.directions.new_empty(rows, 3)
    z, background = rgb.new_empty(rows), rgb.new_empty(rows)
    features = rgb.new_empty(rows, field.width) if with_features else None
    for chunk in _slices(rows, RAYS if lazy else size):
        if lazy:
            weights, colours, seen = _seen(field, rays, chunk, with_features, check, grid)
            rgb[chunk] = colours * 2.0 - 1.0
        else:
            if check is not None:
                check()
            points = rays.origin + rays.directions[chunk, None] * rays.depths[:, None]
            distance, each, colours = field.look(points, rays.view[chunk])
            depths = rays.depths * rays.lengths[chunk, None]
            weights = _weights(_density(distance, field.beta), depths)
            rgb[chunk] = blend(weights, colours) * 2.0 - 1.0
            seen = blend(weights, each) if with_features else None
        z[chunk], background[chunk] = weights @ rays.depths, weights[:, -1]
        if features is not None:
            assert seen is not None
            features[chunk] = seen
    square = (side, side)
    return Volume(
        rgb.reshape(*square, 3).permute(2, 0, 1),
        None if features is None else features.reshape(1, *square, -1).permute(0, 3, 1, 2),
        z.reshape(square),
        background.reshape(square),
    )


def _slices(count: int, size: int) -> Iterator[slice]:
    for first in range(0, count, size):
        yield slice(first, first + size)


def _seen(
    field: FilmField,
    rays: Rays,
    chunk: slice,
    with_features: bool,
    check: Callable[[], None] | None,
    grid: Occupancy,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Some of a picture's rays, but for what is not seen: their weights ``[R, S]``, and sums of
    colours ``[R, 3]`` and of features ``[R, width]``."""
    directions, view = rays.directions[chunk], rays.view[chunk]
    count, columns = len(directions), len(rays.depths)

    def evaluate(index: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        points = rays.origin + directions[index] * rays.depths[columns, None]
        distance, seen, colours = field.look(points[:, None], view[index])
        density = _density(distance[:, 0], field.beta)
        if not with_features:
            return density, colours[:, 0]
        return density, torch.cat([colours[:, 0], seen[:, 0]], dim=1)

    samples = LazySamples(count, columns, evaluate, CHUNK_SAMPLES["cpu"], check)
    samples.skip_empty(grid, rays.origin, directions, rays.depths.expand(count, -1))
    order = torch.arange(columns).expand(count, -1)
    samples.keep(order[:, -1], columns)
    depths = rays.depths * rays.lengths[chunk, None]
    samples.settle(depths, order, ENDLESS)
    weights = _weights(samples.solid, depths)
    sums = samples.blend(weights, 3 + (field.width if with_features else 0))
    return weights, sums[:, :3], sums[:, 3:] if with_features else None


def _density(distance: Tensor, beta: Tensor) -> Tensor:
    """Signed distances -> densities."""
    return torch.sigmoid(-distance / beta) / beta


def empty_beyond(beta: float, length: float) -> float:
    """The signed distance at which ``length`` of a ray is hidden by
    :data:`~engine.rendering.occupancy.LEAST_SEEN` at most."""
    least = LEAST_SEEN / length
    return beta * math.log(max(1.0 / (beta * least) - 1.0, 1e-30))


def _weights(density: Tensor, depths: Tensor) -> Tensor:
    """``[R, S]`` densities at ``[R, S]`` depths along unit rays -> ``[R, S]`` weights that add up to
    one."""
    return close_last(alpha_weights(step_alphas(depths, density, last=ENDLESS))[0])
