"""Marching rays through tri-planes: the kernel ``cuda/march.cu`` and its torch reference.

One ray costs, with D samples in all, C plane channels, H hidden units and K features,
``D (24 C + 2 C H + 2 H)`` operations for the densities and
``D' (24 C + 2 C H + 2 H + 2 H K)`` for the features of the D' samples that are decoded: D' is
D where nothing is left out (``early_stop = 0``). At 48 + 48 samples and 32, 64 and 32 that is
0.48 to 1.35 million a ray, 22 thousand million for a picture of 128 x 128 with every sample
decoded. Device memory that must move: the planes once (25 MB of floats at 256), 32 bytes in
and ``4 K + 16`` out for each ray (3 MB at 128 x 128); everything else stays on the chip.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.generators.triplane import TriplaneDecoder
from engine.kernels.launch import check_tensor, launch, processors, reaches
from engine.kernels.tensor_decoder import WARP
from engine.kernels.triplane import (
    MAX_SHARED,
    PLANES_DTYPE,
    THREADS,
    PackedDecoder,
    check_planes,
    example,
    field_problem,
    packs,
    planes_record,
)
from engine.kernels.use import Kernel, compare
from engine.rendering.volume import RayResult, RenderSettings, ray_limits, render_rays

#: Most samples (coarse and fine together) of a ray that the kernel holds.
MAX_SAMPLES = 192
#: Lanes of a warp that work on one ray.
LANES = 16

#: ``MarchParams`` of ``cuda/march.cu``.
PARAMS_DTYPE = np.dtype(
    [
        ("planes", PLANES_DTYPE),
        ("weights", np.uint64),
        ("origins", np.uint64),
        ("directions", np.uint64),
        ("near", np.uint64),
        ("far", np.uint64),
        ("features", np.uint64),
        ("depth", np.uint64),
        ("opacity", np.uint64),
        ("nearest", np.uint64),
        ("farthest", np.uint64),
        ("rays", np.int64),
        ("coarse", np.int32),
        ("fine", np.int32),
        ("disparity", np.int32),
        ("jitter", np.float32),
        ("least_share", np.float32),
    ],
    align=True,
)


def shared_bytes(decoder: PackedDecoder, samples: int, tensor: bool = False) -> int:
    """Shared memory of one block: the decoder and four numbers for each sample of its rays."""
    rays = THREADS // (WARP if tensor else LANES)
    return decoder.block_bytes(tensor) + 16 * samples * rays


def settings_problem(settings: RenderSettings) -> str | None:
    """Why the kernel cannot march with these settings, in one sentence, or ``None``."""
    samples = settings.depth_resolution + settings.depth_resolution_importance
    if samples > MAX_SAMPLES:
        return f"The kernel holds up to {MAX_SAMPLES} samples per ray, not {samples}."
    return None


def march_parameters(
    planes: Tensor,
    decoder: PackedDecoder,
    rays_o: Tensor,
    rays_d: Tensor,
    limits: tuple[Tensor, Tensor],
    settings: RenderSettings,
    outputs: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    early_stop: float = 0.0,
    weights: Tensor | None = None,
) -> np.ndarray:
    """The kernel's parameters: a record of :data:`PARAMS_DTYPE` that points into the tensors.

    Args:
        planes: ``[3, H, W, C]`` packed.
        rays_o, rays_d: ``[R, 3]``.
        limits: first and last depth, ``[R]`` each.
        outputs: features ``[R, K]``, depth, opacity, nearest and farthest sample ``[R]``.
        weights: the decoder's in another order.
    """
    record = np.zeros((), PARAMS_DTYPE)
    record["planes"] = planes_record(planes, settings.box_warp, settings.plane_axes)
    record["weights"] = (decoder.weights if weights is None else weights).data_ptr()
    tensors = (rays_o, rays_d, *limits, *outputs)
    names = PARAMS_DTYPE.names or ()
    for name, tensor in zip(names[2:11], tensors, strict=True):
        record[name] = tensor.data_ptr()
    record["rays"] = rays_o.shape[0]
    record["coarse"] = settings.depth_resolution
    record["fine"] = settings.depth_resolution_importance
    record["disparity"] = int(settings.disparity_space_sampling)
    record["jitter"] = 0.5
    record["least_share"] = early_stop
    return record


def march(
    planes: Tensor,
    decoder: PackedDecoder,
    rays_o: Tensor,
    rays_d: Tensor,
    limits: tuple[Tensor, Tensor],
    settings: RenderSettings,
    early_stop: float = 0.0,
    precise: bool = False,
    min_blocks: int | None = None,
    tensor: bool | None = None,
) -> RayResult:
    """March the rays of one picture by the kernel.

    Args:
        planes: ``[3, H, W, C]`` float32, float16 or bfloat16 on a GPU, from ``pack_planes``.
        decoder: from ``pack_decoder``.
        rays_o: ``[R, 3]`` float32 origins.
        rays_d: ``[R, 3]`` float32 unit directions.
        limits: first and last depth of each ray, ``[R]`` float32 each (``ray_limits``).
        settings: how to march; deterministic, as ``render_rays`` without ``jitter``.
        early_stop: samples whose share of their ray's colour is at most this are not decoded
            to features; depth and opacity stay exact. A feature changes by at most
            ``2 * 1.002 * early_stop * samples`` (the picture's range is -1 to 1). At 0, the
            default, nothing is left out. Measured on an H200, 1e-7 changes no feature by more
            than rounding does and saves 2 % of this kernel, 1e-5 saves 6 % and changes
            features by 1.5e-4, 1e-4 saves 9 % and changes them by 2e-3. The kernel was 3.5 %
            of that run's raw pictures and 0.4 % of its whole ones: no saving is worth pictures
            that differ.
        precise: exact exponential and logarithm in the decoder, see ``evaluate``.
        min_blocks: occupancy asked of the compiler (``MQ_MIN_BLOCKS``), for measurements.
        tensor: see ``evaluate``.

    Returns:
        a result with ``N = 1``.

    Raises:
        TypeError, ValueError: an argument that the kernel would misread, by name.
    """
    check_planes(planes, decoder)
    device = planes.device
    check_tensor("rays_o", rays_o, (None, 3), device)
    count = rays_o.shape[0]
    check_tensor("rays_d", rays_d, (count, 3), device)
    check_tensor("limits[0]", limits[0], (count,), device)
    check_tensor("limits[1]", limits[1], (count,), device)
    problem = settings_problem(settings)
    if problem is not None:
        raise ValueError(problem)
    if count == 0:
        raise ValueError("rays_o must hold one ray or more.")
    if not reaches(device):
        raise ValueError(f"planes must be on a GPU, not on {device}.")
    samples = settings.depth_resolution + settings.depth_resolution_importance
    ordered = decoder.by_tensor_cores(planes, tensor)
    shared = shared_bytes(decoder, samples, ordered is not None)
    if ordered is not None and shared > MAX_SHARED:
        ordered, shared = None, shared_bytes(decoder, samples)
    if shared > MAX_SHARED:
        raise ValueError(
            f"A decoder of {decoder.hidden} units and {samples} samples per ray need {shared} "
            f"bytes of shared memory, more than the {MAX_SHARED} of the kernel."
        )
    features = rays_o.new_empty(count, decoder.features)
    depth, opacity, nearest, farthest = rays_o.new_empty(4, count).unbind(0)
    outputs = (features, depth, opacity, nearest, farthest)
    lanes = LANES if ordered is None else WARP
    defines = decoder.defines(planes.dtype, precise, ordered is not None) | {"MQ_LANES": lanes}
    if min_blocks is not None:
        defines["MQ_MIN_BLOCKS"] = min_blocks
    blocks = min(-(-count // (THREADS // lanes)), 16 * processors(device))
    launch(
        "march.cu",
        "march_rays",
        march_parameters(
            planes, decoder, rays_o, rays_d, limits, settings, outputs, early_stop, ordered
        ),
        device=device,
        blocks=blocks,
        threads=THREADS,
        shared=shared,
        defines=defines,
    )
    return finish(outputs, settings)


def finish(
    outputs: tuple[Tensor, Tensor, Tensor, Tensor, Tensor], settings: RenderSettings
) -> RayResult:
    """What the kernel wrote, in the ranges of ``RayResult``: background, -1 to 1, depth clamped
    to the picture's samples. ``outputs`` as in :func:`march_parameters`."""
    features, depth, opacity, nearest, farthest = outputs
    if settings.white_back:
        features = features + settings.backdrop * (1.0 - opacity)[:, None]
    low, high = nearest.amin(), farthest.amax()
    depth = torch.minimum(torch.maximum(depth.nan_to_num(nan=torch.inf), low), high)
    extent = torch.stack([low, high])
    return RayResult((features * 2.0 - 1.0)[None], depth[None], opacity[None], extent[None])


def march_reference(
    planes: Tensor,
    decoder: TriplaneDecoder,
    rays_o: Tensor,
    rays_d: Tensor,
    settings: RenderSettings,
) -> RayResult:
    """The same by torch, in the precision of its arguments.

    Args:
        planes: ``[3, C, H, W]``, as the generator gives them.
        rays_o, rays_d: ``[R, 3]``.
    """
    return render_rays(planes[None], decoder, rays_o[None], rays_d[None], settings)


def march_problem(planes: Tensor, decoder: object, settings: RenderSettings) -> str | None:
    """Why these pictures cannot be marched by the kernel, in one sentence, or ``None``.

    Args:
        planes: ``[N, 3, C, H, W]``.
        decoder: the model's decoder.
        settings: how to march.
    """
    problem = field_problem(planes, decoder) or settings_problem(settings)
    if problem is not None:
        return problem
    assert isinstance(decoder, TriplaneDecoder)
    samples = settings.depth_resolution + settings.depth_resolution_importance
    if shared_bytes(packs.decoder(decoder), samples) > MAX_SHARED:
        return "The decoder and the samples do not fit into a GPU's shared memory together."
    return None


def try_march(
    planes: Tensor,
    decoder: object,
    rays_o: Tensor,
    rays_d: Tensor,
    settings: RenderSettings,
    early_stop: float = 0.0,
) -> RayResult | None:
    """Whole pictures by the kernel where it can, else ``None``: the caller's torch path runs.

    Args:
        planes: ``[N, 3, C, H, W]``, packed once and kept as long as this tensor lives.
        decoder: the model's decoder.
        rays_o, rays_d: ``[N, R, 3]``.
        settings: how to march.
        early_stop: see :func:`march`.

    A kernel that cannot be compiled or started turns the kernels off for this process, with
    a warning in the log; pictures keep coming from torch.
    """
    if march_problem(planes, decoder, settings) is not None or rays_o.shape[1] == 0:
        return None
    assert isinstance(decoder, TriplaneDecoder)
    if rays_o.dtype != torch.float32 or rays_d.dtype != torch.float32:
        return None
    if marching.problem(planes, rays_o, rays_d) is not None:
        return None
    start, end = ray_limits(rays_o, rays_d, settings)

    def work() -> RayResult:
        parts = []
        packed_decoder = packs.decoder(decoder)
        for n in range(planes.shape[0]):
            packed = packs.planes(planes, n, planes.dtype)
            rays = (rays_o[n].contiguous(), rays_d[n].contiguous())
            limits = (start[n].contiguous(), end[n].contiguous())
            parts.append(march(packed, packed_decoder, *rays, limits, settings, early_stop))
        return RayResult(*(torch.cat(columns) for columns in zip(*parts, strict=True)))

    return marching.run(work)


def _check(device: torch.device) -> None:
    planes, decoder = example(torch.device("cpu"))
    aims = (torch.arange(18.0) * 2.3).sin().reshape(1, 6, 3) * 0.4
    origins = torch.tensor([0.3, -0.2, 2.7]).expand(1, 6, 3)
    directions = torch.nn.functional.normalize(aims - origins, dim=-1)
    settings = RenderSettings(8, 6, 2.2, 3.3, box_warp=1.0)
    expected = march_reference(planes[0], decoder, origins[0], directions[0], settings)
    planes, decoder = example(device)
    mine = try_march(planes, decoder, origins.to(device), directions.to(device), settings)
    compare("a ray's feature", None if mine is None else mine.features, expected.features, 1e-3)
    compare("an opacity", None if mine is None else mine.weight_sum, expected.weight_sum, 1e-3)


#: Whole pictures.
marching = Kernel("march", _check)
