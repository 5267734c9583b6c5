"""StyleNeRF's volume rendering: rays through the head, and NeRF++'s background behind it.

Gu et al., "StyleNeRF" (2022), section 3.1; Mildenhall et al., "NeRF" (2020), section 5, for the
quadrature and the two passes; Zhang et al., "NeRF++" (2020) for the background.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.stylenerf_config import MAX_SAMPLES, MIN_SAMPLES, StyleNeRFConfig
from engine.generators.stylenerf_field import PointNetwork
from engine.kernels.rays import RaySamples
from engine.rendering.compositing import alpha_weights, step_alphas
from engine.rendering.inverted_sphere import inverted_sphere_points
from engine.rendering.rays import centred_grid, grid_rays
from engine.rendering.sampling import nerf_importance_depths

#: Samples that are evaluated at once, by kind of device: on a CPU, what stays in its cache.
CHUNK_SAMPLES: dict[str, int] = {"cpu": 1 << 12, "cuda": 1 << 20}
#: Length of the step behind the last sample, which makes it opaque.
ENDLESS = 1e10
#: Share of the light that counts as arriving from the far end where depths are averaged, so that
#: a ray that hits nothing has that depth.
_DEPTH_FLOOR = 1e-3


@dataclass(frozen=True)
class March:
    """How rays are marched; see :class:`~engine.generators.stylenerf_config.StyleNeRFConfig`.

    Attributes:
        near, far: distances along the viewing axis.
        samples, bg_samples: even samples.
        hierarchical: as many again where the first found something.
        dists_normalized: steps count as shares of the ray, not as lengths.
        bg_start: inverse distance of the first background sample.
        native: side of the pictures that the model was trained on.
        across_columns: see :meth:`PointNetwork.blended`.
    """

    near: float
    far: float
    samples: int
    bg_samples: int
    hierarchical: bool
    dists_normalized: bool
    bg_start: float
    native: int
    across_columns: bool = True

    @classmethod
    def of(cls, config: StyleNeRFConfig) -> Self:
        """As a model was trained."""
        return cls(
            config.depth_near,
            config.depth_far,
            config.n_ray_samples,
            config.n_bg_samples,
            config.hierarchical,
            config.dists_normalized,
            config.bg_start,
            config.resolution_vol,
        )

    def scaled(self, samples: float) -> Self:
        """The same with every sample count multiplied (and rounded)."""

        def count(own: int, least: int) -> int:
            return min(max(round(own * samples), least), MAX_SAMPLES)

        return replace(
            self, samples=count(self.samples, MIN_SAMPLES), bg_samples=count(self.bg_samples, 2)
        )

    def seen_from(self, distance: float, trained: float) -> Self:
        """The same slab of the world for a camera at another distance along its viewing axis.
        Rays begin in front of the camera at the earliest."""
        shift = distance - trained
        near = max(self.near + shift, 1e-3)
        return replace(self, near=near, far=max(self.far + shift, near + 1e-3))


class Rays(NamedTuple):
    """A camera's rays, in the authors' world.

    Attributes:
        origin: ``[3]``.
        directions: ``[h, w, 3]``, of length 1 along the viewing axis.
    """

    origin: Tensor
    directions: Tensor


class Volume(NamedTuple):
    """A volume rendering.

    Attributes:
        rgb: ``[3, h, w]``, about -1 to 1.
        features: ``[F, h, w]``.
        depth: ``[h, w]`` distance along the unit rays.
        alpha: ``[h, w]`` the head's opacity.
    """

    rgb: Tensor
    features: Tensor
    depth: Tensor
    alpha: Tensor


def camera_rays(config: StyleNeRFConfig, cam2world: Tensor, fov: float, side: int) -> Rays:
    """Rays of a camera with OpenGL axes.

    Without ``ray_align_corner`` they pass the middles of the pixels. With it, the model was
    trained on every (img_resolution / side)-th of the final picture's pixels from the first on,
    whose outermost middles lie on the edges: off the centre by half a pixel of the small picture.
    Other sides show the same view as the model's own.

    Args:
        config: the model.
        cam2world: ``[4, 4]``.
        fov: full angle of view, degrees.
        side: pixels.
    """
    x, y = centred_grid(side, side, cam2world.device)
    if config.ray_align_corner:
        # Pixel i of R lies at -1 + 2 i / (R - 1), and pixel k of the model's own s is i = k R / s.
        full, native = config.img_resolution, config.resolution_vol
        stretch, offset = full / (full - 1), full / native / (full - 1)
        x, y = ((axis + sign) * stretch - sign - sign * offset for axis, sign in ((x, 1), (y, -1)))
    origin, directions = grid_rays(cam2world, x.to(cam2world), y.to(cam2world), fov)
    return Rays(origin, directions.reshape(side, side, 3))


def render_volume(
    head: PointNetwork,
    background: PointNetwork | None,
    rays: Rays,
    background_rays: Rays,
    march: March,
    check: Callable[[], None],
) -> Volume:
    """Draw a head in front of its background, some rows of the picture at a time.

    Args:
        head: its field.
        background: the field beyond the unit sphere, or ``None``.
        rays: of the camera.
        background_rays: the rays that meet the background; the same unless it is held still.
        march: how.
        check: called before every chunk; raises to stop.
    """
    height, width = rays.directions.shape[:2]
    budget = CHUNK_SAMPLES.get(rays.directions.device.type, 1 << 14)
    rows = max(1, budget // (width * march.samples))
    parts: list[tuple[Tensor, ...]] = []
    for first in range(0, height, rows):
        check()
        directions = rays.directions[first : first + rows]
        features, rgb, depth, clear = _march_head(
            head, rays.origin, directions, march, background is not None
        )
        if background is not None:
            behind = background_rays.directions[first : first + rows]
            far_features, far_rgb = _march_background(
                background, background_rays.origin, behind, march
            )
            features = torch.addcmul(features, clear[..., None], far_features)
            rgb = torch.addcmul(rgb, clear[..., None], far_rgb)
        parts.append((rgb, features, depth, 1.0 - clear))
    rgb, features, depth, alpha = (torch.cat(part) for part in zip(*parts, strict=True))
    return Volume(
        rgb.movedim(-1, 0), features.movedim(-1, 0).contiguous(), depth, alpha.clamp(0.0, 1.0)
    )


def _march_head(
    head: PointNetwork, origin: Tensor, directions: Tensor, march: March, closed: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rays ``[h, w, 3]`` through the head -> features ``[h, w, F]``, colours ``[h, w, 3]``,
    distances ``[h, w]``, and the share ``[h, w]`` of light from behind the last sample.

    Args:
        closed: a background follows; the last sample, which has no step behind it, then counts
            for nothing. Else it is opaque.
    """
    length = directions.norm(dim=-1)
    even = torch.linspace(0.0, 1.0, march.samples, device=directions.device)
    if not torch.is_grad_enabled():
        rays = RaySamples(
            even,
            origin,
            directions.reshape(-1, 3),
            march.near,
            march.far,
            march.samples if march.hierarchical else 0,
            lengths=length.reshape(-1),
            stretched=not march.dists_normalized,
            closed=closed,
        )
        quick = head.aggregated(rays)
        if quick is not None:
            square = directions.shape[:2]
            features, rgb = head.of_sums(quick.hidden, quick.share)
            share = _mean_share(quick.front, quick.place).reshape(square)
            depth = (march.near * (1.0 - share) + march.far * share) * length
            pictures = (part.reshape(*square, -1) for part in (features, rgb))
            return *pictures, depth, quick.clear.reshape(square)

    def look(shares: Tensor) -> tuple[Tensor, Tensor]:
        depths = march.near * (1.0 - shares) + march.far * shares
        points = torch.addcmul(origin, depths[..., None], directions[..., None, :])
        hidden = head.hidden(points.reshape(-1, 3)).reshape(*shares.shape, -1)
        return hidden, head.raw_density(hidden)

    def weigh(shares: Tensor, densities: Tensor) -> tuple[Tensor, Tensor]:
        steps = shares
        if not march.dists_normalized:
            steps = march.near * (1.0 - shares) + march.far * shares
        solid = F.relu(densities) * length[..., None]
        alphas = step_alphas(steps, solid, 0.0 if closed else ENDLESS)
        if not closed:
            alphas[..., -1] = 1.0
        return alpha_weights(alphas)

    shares = even.expand(*directions.shape[:2], -1)
    hidden, densities = look(shares)
    weights, clear = weigh(shares, densities)
    ordered, own = shares, weights
    blends = [(hidden, own)]
    if march.hierarchical:
        count = march.samples
        drawn = nerf_importance_depths(shares, weights, count, lift=0.0)
        more, more_densities = look(drawn)
        # Stable, so that neither device nor chunks decide which of two equal samples is first.
        ordered, order = torch.cat([shares, drawn], dim=-1).sort(dim=-1, stable=True)
        merged = torch.cat([densities, more_densities], dim=-1).gather(-1, order)
        weights, clear = weigh(ordered, merged)
        # The weights go back to the order of the activations, which are many times larger.
        own = torch.zeros_like(weights).scatter(-1, order, weights)
        blends = [(hidden, own[..., :count]), (more, own[..., count:])]
    sums = [head.blended(x, w, march.native, march.across_columns) for x, w in blends]
    features, rgb = (torch.stack(part).sum(dim=0) for part in zip(*sums, strict=True))
    # What is seen is the surface, so the last sample, which stands for all behind, stays out.
    front = weights[..., :-1]
    share = _mean_share(front.sum(dim=-1), (front * ordered[..., :-1]).sum(dim=-1))
    depth = (march.near * (1.0 - share) + march.far * share) * length
    return features, rgb, depth, clear


def _mean_share(front: Tensor, places: Tensor) -> Tensor:
    """The mean place of what is seen, of its weights' sum and its weighted places' sum."""
    return (places + _DEPTH_FLOOR) / (front + _DEPTH_FLOOR)


def _march_background(
    background: PointNetwork, origin: Tensor, directions: Tensor, march: March
) -> tuple[Tensor, Tensor]:
    """Rays ``[h, w, 3]`` beyond the unit sphere -> features ``[h, w, F]``, colours
    ``[h, w, 3]``."""
    inverse = -torch.linspace(-1.0, 0.0, march.bg_samples, device=origin.device) * march.bg_start
    unit = F.normalize(directions, dim=-1)
    inverse = inverse.expand(*unit.shape[:2], -1)
    points = inverted_sphere_points(origin.expand_as(unit), unit, inverse)
    if not torch.is_grad_enabled():
        steps = -inverse[0, 0].contiguous()
        at = points.reshape(-1, *points.shape[-2:])
        rays = RaySamples(steps, origin, directions.reshape(-1, 3), points=at)
        quick = background.aggregated(rays)
        if quick is not None:
            far_features, far_rgb = background.of_sums(quick.hidden, quick.share)
            square = directions.shape[:2]
            return far_features.reshape(*square, -1), far_rgb.reshape(*square, 3)
    hidden = background.hidden(points.reshape(-1, 4)).reshape(*inverse.shape, -1)
    solid = F.relu(background.raw_density(hidden))
    alphas = step_alphas(-inverse, solid, ENDLESS)
    alphas[..., -1] = 1.0
    weights, _ = alpha_weights(alphas)
    return background.blended(hidden, weights, march.native, march.across_columns)
