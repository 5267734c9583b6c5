"""StyleSDF drawn for training: many identities at once, with its jitter and noise.

Or-El et al., "StyleSDF" (2022), sections 3.1 to 3.3. In training a ray's samples share one random
shift, the field is shown directions in the world, and nothing is forced on the last sample.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.stylesdf_network import Decoder, FilmLayer, StyleSDFNetwork
from engine.generators.stylesdf_volume import depth_limits, picture_rays
from engine.rendering.compositing import alpha_weights, blend, close_last, step_alphas


class Films:
    """The fields of N identities; weights are folded, points are world units.

    Args:
        network: the model.
        styles: ``[N, style_dim]``.
    """

    def __init__(self, network: StyleSDFNetwork, styles: Tensor) -> None:
        field, self._half = network.renderer.network, network.config.half_depth
        self._layers = [_stacked(layer, styles) for layer in field.pts_linears]
        self._view = _stacked(field.views_linears, styles)
        self._distance, self._colour = field.sigma_linear, field.rgb_linear
        self.beta = network.renderer.sigmoid_beta

    def hidden(self, points: Tensor) -> Tensor:
        """``[N, M, 3]`` -> ``[N, M, width]``."""
        x = points / self._half
        for weight, bias in self._layers:
            x = torch.baddbmm(bias[:, None], x, weight.transpose(1, 2)).sin()
        return x

    def distance(self, hidden: Tensor) -> Tensor:
        """``[N, M, width]`` -> ``[N, M]`` signed distance, world units."""
        distance: Tensor = self._distance(hidden)[..., 0]
        return distance

    def features(self, hidden: Tensor, directions: Tensor) -> Tensor:
        """``[N, M, width]`` and unit ``[N, M, 3]`` -> ``[N, M, width]``."""
        weight, bias = self._view
        seen = torch.cat([hidden, directions], dim=-1)
        return torch.baddbmm(bias[:, None], seen, weight.transpose(1, 2)).sin()

    def colour(self, features: Tensor) -> Tensor:
        """``[..., width]`` -> ``[..., 3]`` in [0, 1]."""
        logits: Tensor = self._colour(features)
        return logits.sigmoid()


def _stacked(layer: torch.nn.Module, styles: Tensor) -> tuple[Tensor, Tensor]:
    assert isinstance(layer, FilmLayer)
    each = [layer.folded(style) for style in styles]
    return torch.stack([pair[0] for pair in each]), torch.stack([pair[1] for pair in each])


class VolumeBatch(NamedTuple):
    """Volume renderings of N identities.

    Attributes:
        rgb: ``[N, 3, s, s]`` in [-1, 1]. features: ``[N, width, s, s]``.
        distances: ``[N, M]`` signed distances at all samples.
        gradients: ``[N, M, 3]`` their gradients, or ``None`` where they were not asked for.
    """

    rgb: Tensor
    features: Tensor
    distances: Tensor
    gradients: Tensor | None


def volumes(
    network: StyleSDFNetwork,
    styles: Tensor,
    cameras: Tensor,
    random: torch.Generator | None,
    with_gradients: bool = False,
) -> VolumeBatch:
    """Draw identities' volumes.

    Args:
        network: the model.
        styles: ``[N, style_dim]``.
        cameras: ``[N, 4, 4]`` OpenGL.
        random: shifts the samples of each ray; without it nothing is random, and directions and
            last samples are as pictures are drawn.
        with_gradients: of the signed distance at the samples, themselves differentiable.
    """
    config = network.config
    side, count, still = config.render_size, config.samples_per_ray, random is None
    rays = [
        picture_rays(
            camera, config.fov_y, side, depth_limits(camera, config.half_depth), count, still
        )
        for camera in cameras
    ]
    directions = torch.stack([ray.directions for ray in rays])
    depths = torch.stack([ray.depths for ray in rays])[:, None].expand(-1, side * side, -1)
    if random is not None:
        step = 2.0 * config.half_depth / count
        shift = torch.rand(depths.shape[:2], generator=random, device=depths.device)
        depths = depths + shift[..., None] * step
    origins = torch.stack([ray.origin for ray in rays])
    points = origins[:, None, None] + depths[..., None] * directions[:, :, None]
    points = points.flatten(1, 2)
    gradients: Tensor | None = None
    films = Films(network, styles)
    if with_gradients:
        points = points.requires_grad_(True)
    hidden = films.hidden(points)
    distances = films.distance(hidden)
    if with_gradients:
        (gradients,) = torch.autograd.grad(distances.sum(), points, create_graph=True)
    lengths = torch.linalg.vector_norm(directions, dim=-1, keepdim=True)
    density = torch.sigmoid(-distances.reshape(depths.shape) / films.beta) / films.beta
    weights = alpha_weights(step_alphas(depths * lengths, density, last=1e10))[0]
    weights = close_last(weights) if still else weights
    view = torch.stack([ray.view for ray in rays])[:, :, None]
    view = view.expand(-1, -1, count, -1).flatten(1, 2)
    seen = films.features(hidden, view)

    def summed(values: Tensor) -> Tensor:
        total = blend(weights, values.reshape(*depths.shape, -1))
        return total.reshape(len(cameras), side, side, -1).movedim(-1, 1)

    return VolumeBatch(summed(films.colour(seen)) * 2.0 - 1.0, summed(seen), distances, gradients)


def decoded(
    decoder: Decoder, features: Tensor, rows: Tensor, random: torch.Generator | None
) -> Tensor:
    """Features to pictures.

    Args:
        features: ``[N, width, s, s]``.
        rows: ``[N, decoder_rows, decoder_style_dim]``.
        random: draws the noise; without it the stored one is added.
    """

    def noise(layer: int, x: Tensor, scale: int) -> Tensor | None:
        if random is None:
            return decoder.stored_noise(layer)
        shape = (x.shape[0], 1, x.shape[2] * scale, x.shape[3] * scale)
        return torch.randn(shape, generator=random, device=x.device)

    x = decoder.conv1(features, rows[:, 0], noise(0, features, 1))
    picture: Tensor = decoder.to_rgb1(x, rows[:, 1], None)
    for index, to_rgb in enumerate(decoder.to_rgbs):
        row = 2 * index + 1
        x = decoder.convs[row - 1](x, rows[:, row], noise(row, x, 2))
        x = decoder.convs[row](x, rows[:, row + 1], noise(row + 1, x, 1))
        picture = to_rgb(x, rows[:, row + 2], picture)
    return picture


def sphere_error(network: StyleSDFNetwork, styles: Tensor, points: Tensor, radius: float) -> Tensor:
    """Mean distance of the fields at ``[N, M, 3]`` points from a sphere's (sphere initialisation)."""
    films = Films(network, styles)
    truth = torch.linalg.vector_norm(points, dim=-1) - radius
    return F.l1_loss(films.distance(films.hidden(points)), truth)
