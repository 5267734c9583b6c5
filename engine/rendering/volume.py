"""Volume rendering of tri-planes: settings, one chunk of rays, whole pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol, Self

import torch
from torch import Tensor

from engine.errors import UserError
from engine.generators.triplane import EG3D_AXES, Axes, sample_planes
from engine.kernels.launch import reaches
from engine.rendering.compositing import blend, march_weights, mean_depth, sample_weights
from engine.rendering.occupancy import Occupancy
from engine.rendering.rays import box_limits
from engine.rendering.sampling import guided_depths, importance_depths, stratified_depths

#: Fewest coarse samples that importance sampling can work from.
MIN_SAMPLES = 4
#: Most samples of either kind on one ray.
MAX_SAMPLES = 1 << 14
#: Samples that are held at once when a picture is drawn in chunks, by kind of device: on a
#: CPU as many as stay in its cache, elsewhere as many as keep it busy.
CHUNK_SAMPLES: dict[str, int] = {"cpu": 1 << 15, "cuda": 1 << 21}


class Decoder(Protocol):
    """Features of the planes ``[N, 3, M, C]`` -> raw density ``[N, M]``, colour ``[N, M, F]``."""

    def __call__(self, features: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class RenderSettings:
    """How rays are marched. Lengths are world units.

    Attributes:
        depth_resolution: even ("coarse") samples per ray.
        depth_resolution_importance: further samples where the first found something.
        ray_start, ray_end: limits of every ray, or both ``"auto"`` for the cube's faces.
        box_warp: side of the cube that the planes span.
        disparity_space_sampling: even samples in inverse depth.
        white_back: a backdrop behind the field (else black).
        backdrop: its brightness in ``[0, 1]``: 1 is white, as in the authors' models.
        clamp_mode: activation of the density; ``"softplus"`` is the only one there is.
        plane_axes: ``3 x 3 x 3`` axes of the planes (a property of each trained model).
        guide_width: standard deviation of the samples around ``depth_guide``, as a fraction
            of the ray's length.
    """

    depth_resolution: int = 48
    depth_resolution_importance: int = 48
    ray_start: float | Literal["auto"] = 2.25
    ray_end: float | Literal["auto"] = 3.3
    box_warp: float = 1.0
    disparity_space_sampling: bool = False
    white_back: bool = False
    backdrop: float = 1.0
    clamp_mode: str = "softplus"
    plane_axes: Axes = EG3D_AXES
    guide_width: float = 0.03

    def __post_init__(self) -> None:
        auto = [self.ray_start == "auto", self.ray_end == "auto"]
        if any(auto) and not all(auto):
            raise UserError("The ray limits must both be numbers or both be 'auto'.")
        if not any(auto) and not (0.0 <= float(self.ray_start) < float(self.ray_end) < math.inf):
            raise UserError(
                f"The rays must start at 0 or beyond and end behind their start, not run from "
                f"{self.ray_start} to {self.ray_end}."
            )
        if self.disparity_space_sampling and not any(auto) and not float(self.ray_start) > 0.0:
            raise UserError("Sampling in inverse depth needs rays that start beyond 0.")
        counts = (self.depth_resolution, self.depth_resolution_importance)
        if counts[0] < MIN_SAMPLES or counts[1] < 0 or max(counts) > MAX_SAMPLES:
            raise UserError(
                f"A ray needs {MIN_SAMPLES} or more even samples and 0 or more importance "
                f"samples, up to {MAX_SAMPLES} each, not {self.depth_resolution} and {self.depth_resolution_importance}."
            )
        if not 0.0 < self.box_warp < math.inf:
            raise UserError(f"The side of the model's box must be above 0, not {self.box_warp}.")
        if not 0.0 <= self.backdrop <= 1.0:
            raise UserError(f"The backdrop's brightness lies in 0 to 1, not {self.backdrop}.")
        if self.clamp_mode != "softplus":
            raise UserError(
                f"The density activation {self.clamp_mode!r} is unknown; 'softplus' is the only one."
            )
        axes = tuple(
            tuple(tuple(float(x) for x in row) for row in plane) for plane in self.plane_axes
        )
        if [len(p) for p in axes] != [3] * 3 or any(len(row) != 3 for p in axes for row in p):
            raise UserError("The axes of the planes must be 3 x 3 x 3 numbers.")
        if any(abs(_determinant(plane)) < 1e-6 for plane in axes):
            raise UserError("The axes of a plane must be three independent directions.")
        object.__setattr__(self, "plane_axes", axes)

    @property
    def longest(self) -> float:
        """Length of the longest ray, world units."""
        if self.ray_start == "auto" or self.ray_end == "auto":
            return self.box_warp * math.sqrt(3.0)
        return float(self.ray_end) - float(self.ray_start)

    def scaled(self, samples: float) -> Self:
        """The settings with both sample counts multiplied (and rounded)."""
        if samples == 1.0:
            return self
        fine = self.depth_resolution_importance
        return replace(
            self,
            depth_resolution=max(MIN_SAMPLES, round(self.depth_resolution * samples)),
            depth_resolution_importance=max(1, round(fine * samples)) if fine else 0,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; :meth:`from_json` is its inverse."""
        data = asdict(self)
        data["plane_axes"] = [[list(row) for row in plane] for plane in self.plane_axes]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read :meth:`to_json`'s form; absent keys take their defaults."""
        return cls(**data)


def _determinant(m: tuple[tuple[float, ...], ...]) -> float:
    (a, b, c), (d, e, f), (g, h, i) = m
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


class RayResult(NamedTuple):
    """What rays bring back.

    Attributes:
        features: ``[N, R, C]`` in ``[-1, 1]`` up to the decoder's stretch of 0.002.
        depth: ``[N, R]`` distance along the unit ray, within the picture's sample depths.
        weight_sum: ``[N, R]`` opacity in ``[0, 1]``.
        depth_range: ``[N, 2]`` nearest and farthest sample of each picture's rays.
    """

    features: Tensor
    depth: Tensor
    weight_sum: Tensor
    depth_range: Tensor


def ray_limits(rays_o: Tensor, rays_d: Tensor, settings: RenderSettings) -> tuple[Tensor, Tensor]:
    """First and last depth of each ray, ``[N, R]`` each, for **whole** pictures.

    With ``"auto"`` they are the faces of the box. Rays that miss the box are given the least
    and the greatest of the other rays' *starts*, as EG3D's release does, so that limits must
    be found before a picture is cut into chunks. Where no ray of a picture meets the box, all
    rays start and end at the distance of the box's centre, so that nothing is seen.
    """
    if settings.ray_start != "auto" and settings.ray_end != "auto":
        start = torch.full_like(rays_o[..., 0], float(settings.ray_start))
        return start, torch.full_like(start, float(settings.ray_end))
    start, end, valid = box_limits(rays_o, rays_d, settings.box_warp)
    least = torch.where(valid, start, torch.inf).amin(dim=1, keepdim=True)
    greatest = torch.where(valid, start, -torch.inf).amax(dim=1, keepdim=True)
    nothing = ~valid.any(dim=1, keepdim=True)
    centre = rays_o.norm(dim=-1)
    start = torch.where(valid, start, torch.where(nothing, centre, least))
    end = torch.where(valid, end, torch.where(nothing, centre, greatest))
    return start, end


def _decode(
    planes: Tensor, decoder: Decoder, points: Tensor, settings: RenderSettings
) -> tuple[Tensor, Tensor]:
    """``[N, R, S, 3]`` points -> density ``[N, R, S]`` and colour ``[N, R, S, F]``."""
    n, r, s, _ = points.shape
    features = sample_planes(
        planes, points.reshape(n, r * s, 3), settings.box_warp, settings.plane_axes
    )
    density, colour = decoder(features)
    return density.reshape(n, r, s), colour.reshape(n, r, s, -1)


def _march(
    planes: Tensor,
    decoder: Decoder,
    rays_o: Tensor,
    rays_d: Tensor,
    limits: tuple[Tensor, Tensor],
    settings: RenderSettings,
    jitter: torch.Generator | None,
    depth_guide: Tensor | None,
) -> RayResult:
    """One chunk of rays; the depth is not clamped yet."""

    def look(depths: Tensor) -> tuple[Tensor, Tensor]:
        points = rays_o[:, :, None, :] + depths[..., None] * rays_d[:, :, None, :]
        return _decode(planes, decoder, points, settings)

    coarse, fine = settings.depth_resolution, settings.depth_resolution_importance
    depths = stratified_depths(*limits, coarse, settings.disparity_space_sampling, jitter)
    if depth_guide is None and fine:
        densities, colours = look(depths)
        weights = march_weights(depths, densities)
        more = importance_depths(depths, weights, fine, jitter)
        more_densities, more_colours = look(more)
        depths, order = torch.cat([depths, more], dim=-1).sort(dim=-1)
        densities = torch.cat([densities, more_densities], dim=-1).gather(-1, order)
        weights = march_weights(depths, densities)
        # The weights go back to the order of the colours, which are many times larger.
        each = sample_weights(weights)
        each = torch.zeros_like(each).scatter(-1, order, each)
        features = blend(each[..., :coarse], colours) + blend(each[..., coarse:], more_colours)
    else:
        if depth_guide is not None and fine:
            around = guided_depths(depth_guide, *limits, fine, settings.guide_width, jitter)
            depths = torch.cat([depths, around], dim=-1).sort(dim=-1).values
        densities, colours = look(depths)
        weights = march_weights(depths, densities)
        features = blend(sample_weights(weights), colours)
    depth, total = mean_depth(depths, weights)
    if settings.white_back:
        features = features + settings.backdrop * (1.0 - total)[..., None]
    extent = torch.stack([depths.amin(dim=(1, 2)), depths.amax(dim=(1, 2))], dim=-1)
    return RayResult(features * 2.0 - 1.0, depth, total, extent)


def _clamped(result: RayResult) -> RayResult:
    low, high = result.depth_range[:, :1], result.depth_range[:, 1:]
    return result._replace(depth=torch.minimum(torch.maximum(result.depth, low), high))


def render_rays(
    planes: Tensor,
    decoder: Decoder,
    rays_o: Tensor,
    rays_d: Tensor,
    settings: RenderSettings,
    jitter: torch.Generator | None = None,
    depth_guide: Tensor | None = None,
) -> RayResult:
    """March rays through tri-planes, all at once; differentiable.

    Args:
        planes: ``[N, 3, C, H, W]``.
        decoder: see :class:`Decoder`.
        rays_o: ``[N, R, 3]`` origins.
        rays_d: ``[N, R, 3]`` unit directions.
        settings: how to march.
        jitter: random numbers for stratified sampling (training), on the planes' device.
            Without them the result is deterministic: every even step is taken in its middle,
            importance samples at evenly spaced quantiles.
        depth_guide: ``[N, R]`` known distance of the surface (training): the importance
            samples are spread around it instead, which saves the first of two marches. Not
            finite or not positive where the ray hits nothing.
    """
    limits = ray_limits(rays_o, rays_d, settings)
    return _clamped(_march(planes, decoder, rays_o, rays_d, limits, settings, jitter, depth_guide))


def render_rays_in_chunks(
    planes: Tensor,
    decoder: Decoder,
    rays_o: Tensor,
    rays_d: Tensor,
    settings: RenderSettings,
    check: Callable[[], None] | None = None,
    chunk_samples: int | None = None,
    grid: Occupancy | None = None,
) -> RayResult:
    """The deterministic :func:`render_rays` of whole pictures in little memory.

    What depends on the whole picture (automatic limits, the clamp of the depth) is computed
    for the whole picture, so that the size of the chunks does not change it. On a GPU the
    whole picture is one kernel where :mod:`engine.kernels.march` can take it, on a CPU
    compiled code where :mod:`engine.kernels.cpu` can.

    Args:
        check: called before every chunk; raises to stop (``CancelToken.check``).
        chunk_samples: field evaluations per chunk, about; by default what suits the device.
            Where it is named, a CPU's picture is drawn by torch.
        grid: where the field is empty, if that is known; compiled code for a CPU makes use of it.
    """
    # Imported here: the kernels' launchers speak of this module's types.
    marched: RayResult | None = None
    if reaches(planes.device):
        from engine.kernels.march import try_march

        if check is not None:
            check()
        marched = try_march(planes, decoder, rays_o, rays_d, settings)
    elif chunk_samples is None:
        from engine.kernels import cpu

        marched = cpu.try_march(planes, decoder, rays_o, rays_d, settings, check, grid)
    if marched is not None:
        return marched
    start, end = ray_limits(rays_o, rays_d, settings)
    per_ray = settings.depth_resolution + settings.depth_resolution_importance
    wanted = chunk_samples or CHUNK_SAMPLES.get(planes.device.type, 1 << 18)
    size = max(1, wanted // (per_ray * planes.shape[0]))
    parts: list[RayResult] = []
    for first in range(0, rays_o.shape[1], size):
        if check is not None:
            check()
        rows = slice(first, first + size)
        limits = (start[:, rows], end[:, rows])
        parts.append(
            _march(planes, decoder, rays_o[:, rows], rays_d[:, rows], limits, settings, None, None)
        )
    extents = torch.stack([part.depth_range for part in parts])
    extent = torch.stack([extents[..., 0].amin(dim=0), extents[..., 1].amax(dim=0)], dim=-1)
    return _clamped(
        RayResult(
            torch.cat([part.features for part in parts], dim=1),
            torch.cat([part.depth for part in parts], dim=1),
            torch.cat([part.weight_sum for part in parts], dim=1),
            extent,
        )
    )
