"""Random tri-plane fields and rays that exercise every branch of the kernels."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.generators.stylegan2 import FullyConnected
from engine.generators.triplane import (
    CORRECTED_AXES,
    EG3D_AXES,
    Axes,
    TriplaneDecoder,
    sample_planes,
)
from engine.rendering.volume import RayResult, RenderSettings, render_rays


@dataclass(frozen=True)
class Case:
    """Sizes of one test: a field, how to march it, and how many rays."""

    channels: int = 32
    hidden: int = 64
    features: int = 32
    height: int = 24
    width: int = 24
    rays: int = 37
    settings: RenderSettings = field(default_factory=RenderSettings)

    @property
    def name(self) -> str:
        s = self.settings
        return (
            f"{self.channels}x{self.hidden}x{self.features}-{self.height}x{self.width}-"
            f"{self.rays}rays-{s.depth_resolution}+{s.depth_resolution_importance}"
            f"{'-auto' if s.ray_start == 'auto' else ''}"
            f"{'-disparity' if s.disparity_space_sampling else ''}"
            f"{f'-back{s.backdrop:g}' if s.white_back else ''}"
        )


def _settings(coarse: int, fine: int, axes: Axes = EG3D_AXES, **more: object) -> RenderSettings:
    return RenderSettings(
        depth_resolution=coarse, depth_resolution_importance=fine, plane_axes=axes, **more
    )


#: Axes that are no permutation: a plane turned about the y axis, as some models have.
TURNED_AXES: Axes = (
    ((0.8, 0.0, 0.6), (0.0, 1.0, 0.0), (-0.6, 0.0, 0.8)),
    *EG3D_AXES[1:],
)

#: One for each thing that may differ: odd sizes, few and many samples, no importance samples,
#: limits of the box (rays that miss among them), inverse depth, a white background, other axes.
CASES = (
    Case(),
    Case(rays=1, settings=_settings(5, 3)),
    Case(height=17, width=31, rays=23, settings=_settings(4, 1, CORRECTED_AXES)),
    Case(rays=29, settings=_settings(33, 0, white_back=True)),
    Case(rays=13, settings=_settings(12, 4, white_back=True, backdrop=0.6)),
    Case(rays=41, settings=_settings(19, 30, TURNED_AXES, ray_start="auto", ray_end="auto")),
    Case(rays=11, settings=_settings(96, 96, disparity_space_sampling=True, box_warp=1.6)),
)
#: Other decoders, each a compilation of its own.
SIZES = (Case(8, 16, 4, 9, 7, 19, _settings(17, 16)), Case(40, 20, 12, 12, 15, 21, _settings(7, 9)))


def make_planes(case: Case, seed: int) -> Tensor:
    """``[3, C, H, W]`` smooth enough to have surfaces, rough enough to tell texels apart."""
    torch.manual_seed(seed + 1)
    size = (case.height, case.width)
    smooth = torch.randn(3, case.channels, 4, 4)
    smooth = torch.nn.functional.interpolate(smooth, size=size, mode="bicubic")
    return smooth + 0.2 * torch.randn(3, case.channels, *size)


def make_decoder(case: Case, seed: int) -> TriplaneDecoder:
    """A decoder with random weights and biases whose densities over ``make_planes``'s box have
    the mean -10 and the deviation 30: partly empty, partly opaque."""
    torch.manual_seed(seed)
    decoder = TriplaneDecoder(case.channels, case.features, case.hidden, lr_multiplier=0.7)
    last = decoder.net[2]
    assert isinstance(last, FullyConnected) and last.bias is not None
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_()
        last.weight[1:] *= 2.0
        points = (torch.rand(1, 2000, 3) - 0.5) * case.settings.box_warp
        axes = torch.tensor(case.settings.plane_axes)
        planes = make_planes(case, seed)[None]
        read = sample_planes(planes, points, case.settings.box_warp, axes)
        last.weight[0] *= 30.0 / decoder.density(read).std()
        last.bias[0] -= (decoder.density(read).mean() + 10.0) / last.bias_gain
    return decoder.eval().requires_grad_(False)


def make_rays(case: Case, seed: int) -> tuple[Tensor, Tensor]:
    """``[R, 3]`` origins on a sphere of radius 2.7 and unit directions that spread over the
    box and past it; the last ray looks away. The ray of a case that has only one hits
    something."""
    torch.manual_seed(seed + 2)
    if case.rays == 1:
        return _hitting_ray(case, seed)
    origins, directions = _random_rays(case, case.rays)
    if case.rays > 2:
        directions[-1] = -directions[-1]
    return origins, directions


def _random_rays(case: Case, count: int) -> tuple[Tensor, Tensor]:
    origins = torch.nn.functional.normalize(torch.randn(count, 3), dim=-1) * 2.7
    aims = (torch.rand(count, 3) - 0.5) * 1.6 * case.settings.box_warp
    return origins, torch.nn.functional.normalize(aims - origins, dim=-1)


def _hitting_ray(case: Case, seed: int) -> tuple[Tensor, Tensor]:
    """Of 200 random rays, a third of which hit nothing, the one with the greatest opacity up
    to 0.99. Fainter ones are worse conditioned: the median over one ray's features is that
    ray's error, and float32 misses the bound of it in one of sixteen fields."""
    random = torch.get_rng_state()
    planes, decoder = make_planes(case, seed), make_decoder(case, seed)
    torch.set_rng_state(random)
    rays = _random_rays(case, 200)
    opacity = march_in_double(planes, decoder, rays, case.settings).weight_sum[0]
    chosen = int(opacity.masked_fill(opacity > 0.99, 0.0).argmax())
    return rays[0][chosen : chosen + 1], rays[1][chosen : chosen + 1]


def march_in_double(
    planes: Tensor, decoder: TriplaneDecoder, rays: tuple[Tensor, Tensor], settings: RenderSettings
) -> RayResult:
    """torch's path in float64 on the CPU: what everything is held against."""
    double = copy.deepcopy(decoder).cpu().double()
    origins, directions = (ray.cpu().double()[None] for ray in rays)
    return render_rays(planes.cpu().double()[None], double, origins, directions, settings)


def worst(result: Tensor, expected: Tensor) -> float:
    """Largest absolute difference; infinite where an element was never written (NaN)."""
    difference = (result.cpu().double() - expected.cpu().double()).abs()
    return float(difference.nan_to_num(nan=torch.inf).max()) if difference.numel() else 0.0


def middle(result: Tensor, expected: Tensor) -> float:
    """Median absolute difference."""
    return float((result.cpu().double() - expected.cpu().double()).abs().median())


def assert_as_exact_as_float32(
    result: RayResult,
    planes: Tensor,
    decoder: TriplaneDecoder,
    rays: tuple[Tensor, Tensor],
    settings: RenderSettings,
) -> None:
    """Held against float64, the kernel errs no more than torch does in float32.

    For planes so fine that float32 cannot hold 1e-4 in every ray. An importance sample stands
    where the cumulative weight of the coarse samples reaches its quantile; where they have
    next to no weight, the inverse is steep. In the worst ray of a thousand, densities rounded
    by 9e-4 change the coarse weights by 9e-6, these a sample's depth by 4e-5, and that, with
    the density falling by 1,600 a unit of length, the density there by 0.1 and the picture by
    7e-4. torch has all of it too: float64 at the depths that float32 found is as far off,
    float32 at the depths that float64 found errs by 3e-6.

    So the bound is torch's own float32 error on the same input, in the worst ray and in the
    99th percentile. The factor 4 is for another order of sums, fused multiplications and
    approximate exponentials (the first of them needs 1.6 in 329 random fields); 2e-5 is the
    bound where nothing moves the samples. The median, which this hardly touches, keeps a
    number of its own. docs/performance.md has the measurements.
    """
    planes, decoder = planes.cpu().float(), copy.deepcopy(decoder).cpu().float()
    rays = (rays[0].cpu(), rays[1].cpu())
    single = render_rays(planes[None], decoder, rays[0][None], rays[1][None], settings)
    double = march_in_double(planes, decoder, rays, settings)
    for name in ("features", "weight_sum"):
        mine, theirs = (_ray_errors(each, double, name) for each in (result, single))
        for quantile in (0.99, 1.0):
            error, allowed = (float(e.quantile(quantile)) for e in (mine, theirs))
            assert error <= 4.0 * allowed + 2e-5, (name, quantile, error, allowed)
    assert middle(result.features, double.features) < 2e-6


def _ray_errors(result: RayResult, expected: RayResult, name: str) -> Tensor:
    """``[N * R]`` largest absolute difference of each ray; infinite where it is NaN."""
    mine: Tensor = getattr(result, name).cpu().double()
    theirs: Tensor = getattr(expected, name).cpu().double()
    difference = (mine - theirs).abs().nan_to_num(nan=torch.inf)
    return difference.reshape(expected.depth.numel(), -1).amax(dim=1)


def assert_same_pictures(result: RayResult, expected: RayResult, bound: float = 2e-5) -> None:
    """Equal up to rounding. The depth of a ray that hits next to nothing is a quotient of two
    rounding errors, in torch as here, so it is compared where there is something to see and
    must lie within the samples elsewhere."""
    assert worst(result.features, expected.features) < bound
    assert worst(result.weight_sum, expected.weight_sum) < bound
    seen = expected.weight_sum.cpu() > 0.01
    assert bool(seen.any())
    assert worst(result.depth.cpu()[seen], expected.depth.cpu()[seen]) < bound
    low, high = result.depth_range.cpu()[0]
    assert bool(((result.depth.cpu() >= low) & (result.depth.cpu() <= high)).all())
