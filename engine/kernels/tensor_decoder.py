"""The tri-plane decoder's products by tensor cores, ``cuda/decoder_tensor.cuh``: when, and its weights.

It is used for planes of 16 bits, and where it can for no others: planes of 32 bits keep the kernels that a GPU has run. A number is
split into two of a tensor core's, three products of them are added in 32 bits, so that it is held to the same reference
and bound as without. ``MAQUETTE_KERNELS`` calls it ``tensor``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.kernels.fragments import following_fragments, fragments
from engine.kernels.use import Kernel, compare

#: Lanes of a warp, whose points are decoded together; a ray has all of them in ``march.cu``.
WARP = 32


def fits(channels: int, hidden: int, features: int) -> bool:
    """Whether tensor cores can multiply a decoder's matrices, whose sides they take in eights."""
    return channels % 8 == hidden % 8 == features % 8 == 0


def pack(hidden: Tensor, features: Tensor) -> Tensor:
    """Both matrices in the lanes' order, one after the other.

    Args:
        hidden: ``[H, C]``.
        features: ``[K, H]``.
    """
    return torch.cat([fragments(hidden), following_fragments(features)])


def stage_bytes(channels: int, features: int, threads: int) -> int:
    """Shared memory of a block for its warps' points: ``mq::Stage``."""
    return 4 * threads * (max(channels, features) + 4)


def wanted(planes: Tensor) -> bool:
    """Whether a decoder that fits is to take tensor cores for these planes."""
    return planes.dtype != torch.float32 and tensor_cores.problem(planes) is None


def _check(device: torch.device) -> None:
    # These launch with tensor cores, and so import this module.
    from engine.generators.triplane import EG3D_AXES
    from engine.kernels import march, triplane
    from engine.rendering.volume import RenderSettings, ray_limits

    here = torch.device("cpu")
    planes, decoder = triplane.example(here, features=8)
    planes = planes.to(torch.float16)
    points = (torch.arange(150.0) * 1.9).sin().reshape(50, 3) * 0.7
    aims = (torch.arange(18.0) * 2.3).sin().reshape(6, 3) * 0.4
    origins = torch.tensor([0.3, -0.2, 2.7]).expand(6, 3).contiguous()
    directions = torch.nn.functional.normalize(aims - origins, dim=-1)
    settings = RenderSettings(8, 6, 2.2, 3.3, box_warp=1.0)
    start, end = ray_limits(origins[None], directions[None], settings)
    exact = planes[0].float()
    density, features = triplane.evaluate_reference(exact, decoder, points, 1.0, EG3D_AXES)
    drawn = march.march_reference(exact, decoder, origins, directions, settings)
    packed = triplane.pack_planes(planes[0].to(device), torch.float16)
    weights = triplane.pack_decoder(decoder.to(device))
    found = triplane.evaluate(packed, weights, points.to(device), 1.0, EG3D_AXES, tensor=True)
    compare("a density by tensor cores", found[0], density, 1e-4)
    compare("a feature by tensor cores", found[1], features, 1e-4)
    limits = (start[0].contiguous().to(device), end[0].contiguous().to(device))
    rays = (origins.to(device), directions.to(device))
    seen = march.march(packed, weights, *rays, limits, settings, tensor=True)
    compare("a ray by tensor cores", seen.features, drawn.features, 1e-3)
    compare("an opacity by tensor cores", seen.weight_sum, drawn.weight_sum, 1e-3)


tensor_cores = Kernel("tensor", _check)
