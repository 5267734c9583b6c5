"""Tri-plane evaluation at free points: the kernel ``cuda/triplane.cu`` and its torch reference.

One point costs, with C plane channels, H hidden units and K features,
``24 C`` operations to read 12 texels, ``2 C H`` for the hidden layer, ``2 H`` for the density
and ``2 H K`` for the features: 13,184 at 32, 64 and 32. It reads 12 texels (``48 C`` bytes
of float planes, mostly from cache), 12 bytes of point and writes 4 + 4 K bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.generators.stylegan2 import FullyConnected
from engine.generators.triplane import EG3D_AXES, Axes, TriplaneDecoder, sample_planes
from engine.kernels import tensor_decoder
from engine.kernels.launch import (
    NUMBER_KINDS,
    available,
    check_aligned,
    check_tensor,
    launch,
    processors,
    reaches,
)
from engine.kernels.pack_cache import PackCache as PackCache
from engine.kernels.use import Kernel, compare

#: Most shared memory a block may ask for, so that every GPU since Ampere can give it; bytes.
MAX_SHARED = 96 * 1024
#: Threads of a block, here and in ``__launch_bounds__`` of the kernels.
THREADS = 128

#: ``mq::Planes`` of ``cuda/sampling.cuh``.
PLANES_DTYPE = np.dtype(
    [
        ("data", np.uint64),
        ("height", np.int32),
        ("width", np.int32),
        ("scale", np.float32),
        ("axes", np.float32, 18),
    ],
    align=True,
)
#: ``TriplaneParams`` of ``cuda/triplane.cu``.
PARAMS_DTYPE = np.dtype(
    [
        ("planes", PLANES_DTYPE),
        ("weights", np.uint64),
        ("points", np.uint64),
        ("density", np.uint64),
        ("features", np.uint64),
        ("count", np.int64),
    ],
    align=True,
)


@dataclass(frozen=True, eq=False)
class PackedDecoder:
    """A decoder's weights in the order of ``mq::Weights``, gains folded in.

    Attributes:
        weights: ``[count]`` float32.
        channels, hidden, features: the decoder's sizes.
        ordered: the same with its matrices in the order of tensor cores; ``None`` where they do not fit.
    """

    weights: Tensor
    channels: int
    hidden: int
    features: int
    ordered: Tensor | None = None

    @property
    def shared_bytes(self) -> int:
        """Shared memory that the weights take."""
        return int(self.weights.numel()) * 4

    def block_bytes(self, tensor: bool) -> int:
        """Shared memory of a block of :data:`THREADS`, without samples of rays."""
        stage = tensor_decoder.stage_bytes(self.channels, self.features, THREADS)
        return self.shared_bytes + (stage if tensor else 0)

    def by_tensor_cores(self, planes: Tensor, asked: bool | None) -> Tensor | None:
        """The weights for tensor cores where those are to multiply for these planes, else ``None``.

        Args:
            asked: to, or not to, whatever the planes; ``None`` decides by them.
        """
        if self.ordered is None or asked is False or self.block_bytes(True) > MAX_SHARED:
            return None
        return self.ordered if asked or tensor_decoder.wanted(planes) else None

    def defines(
        self, planes: torch.dtype, precise: bool = False, tensor: bool = False
    ) -> dict[str, int]:
        """The compile-time sizes of a kernel for this decoder and planes of these numbers."""
        more = {"MQ_TENSOR": 1} if tensor else {}
        return more | {
            "MQ_CHANNELS": self.channels,
            "MQ_HIDDEN": self.hidden,
            "MQ_FEATURES": self.features,
            "MQ_PLANE_HALF": NUMBER_KINDS[planes],
            "MQ_PRECISE": int(precise),
        }


def decoder_problem(decoder: object) -> str | None:
    """Why a decoder cannot run in the kernels, in one sentence, or ``None`` if it can."""
    if type(decoder) is not TriplaneDecoder:
        return f"The kernels have no decoder of the kind {type(decoder).__name__}."
    if decoder._forward_hooks:
        return "The kernels do not call what was hooked to a decoder."
    first, last = decoder.net[0], decoder.net[2]
    assert isinstance(first, FullyConnected) and isinstance(last, FullyConnected)
    if first.bias is None or last.bias is None:
        return "The kernels need a decoder with biases."
    hidden, channels = first.weight.shape
    features = last.weight.shape[0] - 1
    if channels % 8 or not 8 <= channels <= 64:
        return f"The kernels need planes of 8 to 64 channels in steps of 8, not {channels}."
    if hidden % 4 or hidden > 128:
        return f"The kernels need up to 128 hidden units in steps of 4, not {hidden}."
    if features % 4 or not 4 <= features <= 64:
        return f"The kernels need 4 to 64 features in steps of 4, not {features}."
    return None


def pack_decoder(decoder: TriplaneDecoder) -> PackedDecoder:
    """A decoder's weights as the kernels read them, on the decoder's device.

    Raises:
        ValueError: its sizes are not what the kernels can take.
    """
    problem = decoder_problem(decoder)
    if problem is not None:
        raise ValueError(problem)
    first, last = decoder.net[0], decoder.net[2]
    assert isinstance(first, FullyConnected) and isinstance(last, FullyConnected)
    assert first.bias is not None and last.bias is not None
    with torch.no_grad():
        hidden = first.weight.float() * first.weight_gain
        out = last.weight.float() * last.weight_gain
        out_bias = last.bias.float() * last.bias_gain
        parts = [
            hidden.reshape(-1),
            out[1:].T.reshape(-1),
            first.bias.float() * first.bias_gain,
            out[0],
            out_bias[1:],
            out_bias[:1],
            out_bias.new_zeros(3),
        ]
        weights = torch.cat(parts).contiguous()
        sizes = (hidden.shape[1], hidden.shape[0], out.shape[0] - 1)
        ordered: Tensor | None = None
        if tensor_decoder.fits(*sizes):
            ordered = torch.cat([tensor_decoder.pack(hidden, out[1:]), *parts[2:]]).contiguous()
    return PackedDecoder(weights, *sizes, ordered)


def pack_planes(planes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """``[3, C, H, W]`` -> ``[3, H, W, C]`` contiguous, of 32 or 16 bits: one copy for each identity,
    after which a texel is one run of memory. 50 MB moved for 32 channels at 256."""
    if planes.dim() != 4 or planes.shape[0] != 3:
        raise ValueError(f"planes must have the shape [3, C, H, W], not {list(planes.shape)}.")
    if dtype not in NUMBER_KINDS:
        raise TypeError(f"planes can be packed as float32, float16 or bfloat16, not {dtype}.")
    return planes.detach().permute(0, 2, 3, 1).to(dtype).contiguous()


#: What the launchers have packed.
packs: PackCache[Tensor, PackedDecoder] = PackCache(pack_planes, pack_decoder)


def projection_rows(plane_axes: Axes) -> np.ndarray:
    """``[18]`` float32: for each plane the two rows that map a point to its (width, height)
    coordinate; the columns that :func:`engine.generators.triplane.project_to_planes` takes."""
    inverse = np.linalg.inv(np.asarray(plane_axes, dtype=np.float64))[:, :, :2]
    return np.ascontiguousarray(inverse.transpose(0, 2, 1)).reshape(18).astype(np.float32)


def planes_record(packed: Tensor, box_warp: float, plane_axes: Axes) -> np.ndarray:
    """``mq::Planes`` of packed planes ``[3, H, W, C]``, a record of :data:`PLANES_DTYPE`."""
    record = np.zeros((), PLANES_DTYPE)
    record["data"] = packed.data_ptr()
    record["height"], record["width"] = packed.shape[1], packed.shape[2]
    record["scale"] = 2.0 / box_warp
    record["axes"] = projection_rows(plane_axes)
    return record


def check_planes(packed: Tensor, decoder: PackedDecoder) -> None:
    """Refuse packed planes that do not fit the decoder or the kernel.

    Raises:
        TypeError, ValueError: naming the argument.
    """
    shape = (3, None, None, decoder.channels)
    check_tensor("planes", packed, shape, None, tuple(NUMBER_KINDS))
    check_aligned("planes", packed)
    check_tensor("decoder.weights", decoder.weights, (None,), packed.device)
    check_aligned("decoder.weights", decoder.weights)


def evaluate(
    planes: Tensor,
    decoder: PackedDecoder,
    points: Tensor,
    box_warp: float,
    plane_axes: Axes,
    features: bool = True,
    precise: bool = False,
    tensor: bool | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Density and features at points, by the kernel.

    Args:
        planes: ``[3, H, W, C]`` float32, float16 or bfloat16 on a GPU, from :func:`pack_planes`.
        decoder: from :func:`pack_decoder`.
        points: ``[M, 3]`` float32 world coordinates.
        box_warp: side of the cube that the planes span, world units.
        plane_axes: axes of the planes, see ``project_to_planes``.
        features: also compute the features.
        precise: the exact exponential and logarithm instead of the hardware's (whose error
            stays below 1e-6 for a hidden unit).
        tensor: by tensor cores where the decoder fits them; ``None``: for planes of 16 bits.

    Returns:
        ``[M]`` raw density and ``[M, K]`` features in ``[-0.001, 1.001]`` (or ``None``).

    Raises:
        TypeError, ValueError: an argument that the kernel would misread, by name.
    """
    check_planes(planes, decoder)
    check_tensor("points", points, (None, 3), planes.device)
    count = points.shape[0]
    density = points.new_empty(count)
    colour = points.new_empty(count, decoder.features) if features else None
    if count == 0:
        return density, colour
    if not reaches(planes.device):
        raise ValueError(f"planes must be on a GPU, not on {planes.device}.")
    parameters = np.zeros((), PARAMS_DTYPE)
    parameters["planes"] = planes_record(planes, box_warp, plane_axes)
    ordered = decoder.by_tensor_cores(planes, tensor)
    parameters["weights"] = (decoder.weights if ordered is None else ordered).data_ptr()
    parameters["points"] = points.data_ptr()
    parameters["density"] = density.data_ptr()
    parameters["features"] = 0 if colour is None else colour.data_ptr()
    parameters["count"] = count
    blocks = min(-(-count // THREADS), 8 * processors(planes.device))
    launch(
        "triplane.cu",
        "triplane_eval",
        parameters,
        device=planes.device,
        blocks=blocks,
        threads=THREADS,
        shared=decoder.block_bytes(ordered is not None),
        defines=decoder.defines(planes.dtype, precise, ordered is not None),
    )
    return density, colour


def evaluate_reference(
    planes: Tensor, decoder: TriplaneDecoder, points: Tensor, box_warp: float, plane_axes: Axes
) -> tuple[Tensor, Tensor]:
    """The same by torch, in the precision of its arguments.

    Args:
        planes: ``[3, C, H, W]``, as the generator gives them.
        points: ``[M, 3]``.

    Returns:
        ``[M]`` raw density and ``[M, K]`` features.
    """
    axes = torch.tensor(plane_axes, dtype=points.dtype, device=points.device)
    density, colour = decoder(sample_planes(planes[None], points[None], box_warp, axes))
    return density[0], colour[0]


def field_problem(planes: Tensor, decoder: object) -> str | None:
    """Why the kernels cannot evaluate this field, in one sentence, or ``None`` if they can.

    Args:
        planes: ``[N, 3, C, H, W]``.
        decoder: the model's decoder.
    """
    if not reaches(planes.device):
        return "The planes are not on a GPU."
    if planes.dtype not in NUMBER_KINDS:
        return f"The kernels read float32, float16 or bfloat16 planes, not {planes.dtype}."
    if torch.is_grad_enabled() and (
        planes.requires_grad
        or (
            isinstance(decoder, torch.nn.Module)
            and any(p.requires_grad for p in decoder.parameters())
        )
    ):
        return "The kernels have no gradients."
    running, reason = available()
    if not running:
        return reason
    problem = decoder_problem(decoder)
    if problem is not None:
        return problem
    assert isinstance(decoder, TriplaneDecoder)
    first = decoder.net[0]
    assert isinstance(first, FullyConnected)
    if planes.dim() != 5 or planes.shape[1] != 3 or planes.shape[2] != first.weight.shape[1]:
        return f"The kernels read planes [N, 3, C, H, W], not {list(planes.shape)}."
    if first.weight.device != planes.device:
        return "The decoder is not on the device of the planes."
    return None


def try_evaluate(
    planes: Tensor,
    decoder: object,
    points: Tensor,
    box_warp: float,
    plane_axes: Axes,
    features: bool = True,
) -> tuple[Tensor, Tensor | None] | None:
    """:func:`evaluate` where it can, else ``None``: the caller's torch path runs.

    Args:
        planes: ``[N, 3, C, H, W]``, packed once and kept as long as this tensor lives.
        decoder: the model's decoder.
        points: ``[N, M, 3]`` world coordinates.
        features: also compute the features.

    Returns:
        ``[N, M]`` raw density and ``[N, M, K]`` features (or ``None``).

    A kernel that cannot be compiled or started turns the kernels off, with a warning in the log.
    """
    if field_problem(planes, decoder) is not None or points.dtype != torch.float32:
        return None
    if reading.problem(planes, points) is not None:
        return None
    assert isinstance(decoder, TriplaneDecoder)

    def work() -> tuple[Tensor, Tensor | None]:
        densities, colours = [], []
        for n in range(planes.shape[0]):
            density, colour = evaluate(
                packs.planes(planes, n, planes.dtype),
                packs.decoder(decoder),
                points[n].contiguous(),
                box_warp,
                plane_axes,
                features,
            )
            densities.append(density)
            colours += [] if colour is None else [colour]
        return torch.stack(densities), torch.stack(colours) if colours else None

    return reading.run(work)


def example(device: torch.device, features: int = 4) -> tuple[Tensor, TriplaneDecoder]:
    """A small field ``[1, 3, 8, 6, 7]`` and its decoder, to try kernels out with. torch's own random
    numbers stay as they are."""

    def wave(*shape: int) -> Tensor:
        return (torch.arange(1.0, float(np.prod(shape)) + 1.0) * 3.7).sin().reshape(shape)

    with torch.random.fork_rng(devices=[]):
        decoder = TriplaneDecoder(8, features, 16)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.copy_(wave(*parameter.shape))
    return wave(1, 3, 8, 6, 7).to(device), decoder.to(device).requires_grad_(False)


def _check(device: torch.device) -> None:
    planes, decoder = example(torch.device("cpu"))
    points = (torch.arange(60.0) * 1.9).sin().reshape(1, 20, 3) * 0.7
    density, features = evaluate_reference(planes[0], decoder, points[0], 1.0, EG3D_AXES)
    planes, decoder = example(device)
    mine = try_evaluate(planes, decoder, points.to(device), 1.0, EG3D_AXES)
    compare("a density", None if mine is None else mine[0], density[None], 1e-4)
    compare("a feature", None if mine is None else mine[1], features[None], 1e-4)


#: Reading fields at points.
reading = Kernel("triplane", _check)
