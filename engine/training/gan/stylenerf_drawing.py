"""StyleNeRF drawn for training: many identities at once, differentiable twice, with its noise.

Gu et al., "StyleNeRF" (2022). The generator that draws pictures folds each identity's weights and
works strip by strip; here the same network runs as the paper writes it, on batches. Tests compare
the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.stylegan2_ops import LRELU_SLOPE, modulated_conv2d, upfirdn2d, upsample2d
from engine.generators.stylenerf_config import StyleNeRFConfig
from engine.generators.stylenerf_field import Conv1x1, PointNetwork
from engine.generators.stylenerf_network import StyleNeRFNetwork
from engine.generators.stylenerf_upsampler import UpsamplerBlock, UpsamplerLayer
from engine.rendering.compositing import alpha_weights, step_alphas
from engine.rendering.inverted_sphere import inverted_sphere_points
from engine.rendering.rays import centred_grid, grid_rays
from engine.rendering.sampling import nerf_importance_depths

_GAIN = math.sqrt(2.0)
_ENDLESS = 1e10
_LENGTH_FLOOR = 1e-7


class Fields(NamedTuple):
    """Fields of N identities: :class:`PointNetwork` with one more dimension in front."""

    frequencies: Tensor
    layers: list[tuple[Tensor, Tensor]]
    slope: float
    density: tuple[Tensor, Tensor]
    features: tuple[Tensor, Tensor]
    rgb: tuple[Tensor, Tensor]
    unit_features: bool

    @classmethod
    def of(cls, each: Sequence[PointNetwork]) -> Fields:
        """Several identities' fields in one."""

        def joined(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
            return torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])

        first = each[0]
        layers = [joined([e.layers[i] for e in each]) for i in range(len(first.layers))]
        return cls(
            first.frequencies,
            layers,
            first.slope,
            joined([e.density for e in each]),
            joined([e.features for e in each]),
            joined([e.rgb for e in each]),
            first.unit_features,
        )

    def hidden(self, points: Tensor) -> Tensor:
        """``[N, M, D]`` points -> ``[N, M, H]``."""
        angles = (points[..., None, :] * self.frequencies[:, None]).flatten(2)
        x = torch.cat([angles.sin(), angles.cos()], dim=-1)
        for layer in self.layers:
            x = F.leaky_relu(_linear(x, layer), self.slope)
        return x

    def densities(self, points: Tensor) -> Tensor:
        """``[N, M, D]`` points -> ``[N, M]`` raw densities."""
        return _linear(self.hidden(points), self.density)[..., 0]


def _linear(x: Tensor, layer: tuple[Tensor, Tensor]) -> Tensor:
    """``[N, M, I]`` by ``[N, O, I]`` and ``[N, O]``."""
    return torch.baddbmm(layer[1][:, None], x, layer[0].transpose(1, 2))


class Marched(NamedTuple):
    """What P rays of each of N identities met.

    Attributes:
        hidden: ``[N, P, S, H]`` activations at the samples. weights: ``[N, P, S]`` of them.
        clear: ``[N, P]`` share of light from behind.
    """

    hidden: Tensor
    weights: Tensor
    clear: Tensor


def picture_rays(
    config: StyleNeRFConfig, cameras: Tensor, rows: Tensor, columns: Tensor, side: int
) -> tuple[Tensor, Tensor]:
    """Rays through some pixels of a picture of ``side`` pixels.

    Args:
        config: the model.
        cameras: ``[N, 4, 4]`` OpenGL.
        rows, columns: pixels' indices.

    Returns:
        ``[N, 3]`` origins and ``[N, rows * columns, 3]`` directions.
    """
    line = centred_grid(1, side, cameras.device)[0][0]
    if config.ray_align_corner:
        every = config.img_resolution // side
        line = torch.linspace(-1.0, 1.0, config.img_resolution, device=cameras.device)[::every]
    y, x = torch.meshgrid(-line[rows], line[columns], indexing="ij")
    rays = [grid_rays(camera, x, y, config.fov) for camera in cameras]
    return torch.stack([r[0] for r in rays]), torch.stack([r[1] for r in rays])


def march_heads(
    fields: Fields,
    config: StyleNeRFConfig,
    origins: Tensor,
    directions: Tensor,
    random: torch.Generator | None,
    noise: float = 0.0,
) -> Marched:
    """Rays through heads.

    Args:
        fields: of the heads.
        origins, directions: ``[N, 3]`` and ``[N, P, 3]``.
        random: draws where samples lie and the noise of densities; none: as pictures are drawn.
        noise: standard deviation that is added to raw densities.
    """
    length = torch.linalg.vector_norm(directions, dim=-1)
    n, p, _ = directions.shape

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        depths = config.depth_near * (1.0 - shares) + config.depth_far * shares
        points = origins[:, None, None] + depths[..., None] * directions[:, :, None]
        hidden = fields.hidden(points.reshape(n, -1, 3))
        density = _linear(hidden, fields.density).reshape(shares.shape)
        if random is not None and noise:
            draw = torch.randn(density.shape, generator=random, device=density.device)
            density = density + noise * draw
        return hidden.reshape(*shares.shape, -1), density

    def weigh(shares: Tensor, densities: Tensor) -> tuple[Tensor, Tensor]:
        steps = shares
        if not config.dists_normalized:
            steps = config.depth_near * (1.0 - shares) + config.depth_far * shares
        solid = F.relu(densities) * length[..., None]
        alphas = step_alphas(steps, solid, 0.0 if config.background else _ENDLESS)
        if not config.background:
            alphas = torch.cat([alphas[..., :-1], torch.ones_like(alphas[..., -1:])], dim=-1)
        return alpha_weights(alphas)

    count = config.n_ray_samples
    shares = torch.linspace(0.0, 1.0, count, device=directions.device).expand(n, p, -1)
    if random is not None:
        shares = _stratified(shares, random)
    hidden, densities = look(shares)
    weights, clear = weigh(shares, densities)
    if not config.hierarchical:
        return Marched(hidden, weights, clear)
    drawn = nerf_importance_depths(shares, weights, count, lift=0.0, jitter=random)
    more, more_densities = look(drawn)
    ordered, order = torch.cat([shares, drawn], dim=-1).sort(dim=-1, stable=True)
    merged = torch.cat([densities, more_densities], dim=-1).gather(-1, order)
    weights, clear = weigh(ordered, merged)
    own = torch.zeros_like(weights).scatter(-1, order, weights)
    return Marched(torch.cat([hidden, more], dim=2), own, clear)


def _stratified(shares: Tensor, random: torch.Generator) -> Tensor:
    """One random place in each interval between the middles of neighbours."""
    middles = 0.5 * (shares[..., 1:] + shares[..., :-1])
    low = torch.cat([shares[..., :1], middles], dim=-1)
    high = torch.cat([middles, shares[..., -1:]], dim=-1)
    draw = torch.rand(shares.shape, generator=random, device=shares.device)
    return low + (high - low) * draw


def march_backgrounds(
    fields: Fields, config: StyleNeRFConfig, origins: Tensor, directions: Tensor
) -> Marched:
    """Rays beyond the unit sphere."""
    inverse = -torch.linspace(-1.0, 0.0, config.n_bg_samples, device=origins.device)
    inverse = (inverse * config.bg_start).expand(*directions.shape[:2], -1)
    unit = F.normalize(directions, dim=-1)
    points = inverted_sphere_points(origins[:, None].expand_as(unit), unit, inverse)
    hidden = fields.hidden(points.reshape(unit.shape[0], -1, 4)).reshape(*inverse.shape, -1)
    solid = F.relu(_linear(hidden.flatten(1, 2), fields.density).reshape(inverse.shape))
    alphas = step_alphas(-inverse, solid, _ENDLESS)
    alphas = torch.cat([alphas[..., :-1], torch.ones_like(alphas[..., -1:])], dim=-1)
    weights, clear = alpha_weights(alphas)
    return Marched(hidden, weights, clear)


def features_of(
    fields: Fields, marched: Marched, columns: int, native: int
) -> tuple[Tensor, Tensor]:
    """``[N, P, S, F]`` features at the samples and ``[N, P, S, 3]`` their colours; rays come in
    rows of ``columns``, where pictures of the model have ``native``."""
    n, p, s, h = marched.hidden.shape
    each = _linear(marched.hidden.reshape(n, p * s, h), fields.features)
    rgb = _linear(each, fields.rgb).reshape(n, p, s, 3)
    each = each.reshape(n, p // columns, columns, s, -1)
    if fields.unit_features:
        # As the release has it: numbers of a picture's row in one channel share a unit length.
        gain = math.sqrt(columns / native)
        length = torch.linalg.vector_norm(each, dim=2, keepdim=True)
        each = each * (gain / (length + _LENGTH_FLOOR))
    return each.reshape(n, p, s, -1), rgb


def blended(fields: Fields, marched: Marched, columns: int, native: int) -> tuple[Tensor, Tensor]:
    """Features ``[N, P, F]`` and colours ``[N, P, 3]`` summed along rays."""
    features, rgb = features_of(fields, marched, columns, native)
    weights = marched.weights[..., None]
    return (weights * features).sum(dim=2), (weights * rgb).sum(dim=2)


# -------------------------------------------------------------------------- the upsampler


def _follow(layer: UpsamplerLayer, x: Tensor, decay: float) -> None:
    """Move a layer's stored magnitude of its inputs towards these."""
    if layer.magnitude_ema and decay:
        layer.w_avg.lerp_(x.detach().square().mean(), decay)


def _modulated(layer: UpsamplerLayer, x: Tensor, w: Tensor, flip: bool) -> Tensor:
    if layer.magnitude_ema:
        x = x * layer.w_avg.rsqrt()
    weight = layer.weight.flip([2, 3]) if flip else layer.weight
    return modulated_conv2d(x, weight, layer.affine(w), padding=weight.shape[-1] // 2)


def _finished(
    block: UpsamplerBlock, layer: UpsamplerLayer, x: Tensor, noise: Tensor | None
) -> Tensor:
    if noise is not None:
        x = x + noise * layer.noise_strength
    x = F.leaky_relu(x + layer.bias[:, None, None], LRELU_SLOPE) * _GAIN
    return x if block.clamp is None else x.clamp(-block.clamp, block.clamp)


def _adapted(layer: UpsamplerLayer, x: Tensor, index: int) -> Tensor:
    part = layer.adapter[index]
    assert isinstance(part, Conv1x1)
    return F.conv2d(x, part.matrix[:, :, None, None], part.bias)


def _doubled(block: UpsamplerBlock, layer: UpsamplerLayer, x: Tensor) -> Tensor:
    near = F.interpolate(x, scale_factor=2.0, mode="nearest")
    if block.shuffled:
        small = F.leaky_relu(_adapted(layer, x, 0), LRELU_SLOPE) * _GAIN
        out = near + F.pixel_shuffle(_adapted(layer, small, 1), 2)
    else:
        padded = F.pad(x, (1, 1, 1, 1))
        left, right = padded[:, :, 1:-1, :-2], padded[:, :, 1:-1, 2:]
        above, below = padded[:, :, :-2, 1:-1], padded[:, :, 2:, 1:-1]
        upper = torch.stack([left + above, above + right], dim=-1).flatten(3)
        lower = torch.stack([left + below, right + below], dim=-1).flatten(3)
        halves = torch.stack([upper, lower], dim=3).flatten(2, 3) * 0.5
        inside = F.leaky_relu(_adapted(layer, torch.cat([near, halves], dim=1), 0), LRELU_SLOPE)
        out = near + _adapted(layer, inside * _GAIN, 1)
    return upfirdn2d(out, layer.resample_filter, padding=(2, 1, 2, 1))


def run_block(
    block: UpsamplerBlock,
    x: Tensor,
    ws: Tensor,
    random: torch.Generator | None,
    decay: float = 0.0,
    upsampled: bool = True,
) -> tuple[Tensor, Tensor]:
    """Features ``[N, I, H, W]`` and styles ``[N, 3, w_dim]`` -> features and picture.

    Args:
        random: draws the noise of layers that have it; none takes the stored.
        decay: share by which stored magnitudes follow.
        upsampled: without it every pixel stays by itself (the NeRF path).
    """
    conv0, conv1 = block.conv0, block.conv1
    _follow(conv0, x, decay)
    x = _modulated(conv0, x, ws[:, 0], flip=True)
    if upsampled:
        x = _doubled(block, conv0, x)
    x = _finished(block, conv0, x, _noise(conv0, x, random) if upsampled else None)
    _follow(conv1, x, decay)
    x = _modulated(conv1, x, ws[:, 1], flip=False)
    x = _finished(block, conv1, x, _noise(conv1, x, random) if upsampled else None)
    own: Tensor = block.torgb(x, ws[:, 2])
    return x, own


def _noise(layer: UpsamplerLayer, x: Tensor, random: torch.Generator | None) -> Tensor | None:
    if not layer.use_noise:
        return None
    if random is None:
        return layer.noise_const
    return torch.randn((x.shape[0], 1, *x.shape[2:]), generator=random, device=x.device)


def upsampled(
    network: StyleNeRFNetwork,
    features: Tensor,
    rgb: Tensor,
    ws: Tensor,
    growth: float,
    random: torch.Generator | None,
    decay: float = 0.0,
    enlarge: bool = True,
) -> Tensor:
    """Features and colours ``[N, .., s, s]`` of the volume to the picture.

    Args:
        ws: ``[N, style_ws, w_dim]``.
        growth: how many blocks take part; a fraction fades the last one in.
        enlarge: else every pixel goes through the same layers without being enlarged.
    """
    config = network.config
    x, picture, before = features, rgb, rgb
    for index in range(math.ceil(growth)):
        side = config.block_resolutions[index]
        block = network.synthesis.get_submodule(f"b{side}")
        assert isinstance(block, UpsamplerBlock)
        first = config.field_ws + 2 * index
        x, own = run_block(block, x, ws[:, first : first + 3], random, decay, enlarge)
        before = picture
        if not config.no_residual_img:
            own = own + (upsample2d(picture, block.resample_filter) if enlarge else picture)
        picture = own
    fade = growth - math.floor(growth)
    if fade:
        if enlarge:
            before = F.interpolate(before, scale_factor=2.0, mode="bilinear")
        picture = before.lerp(picture, fade)
    return picture
