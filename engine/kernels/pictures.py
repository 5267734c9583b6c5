"""Between a picture's convolutions: ``cuda/activate.cu`` and ``cuda/resample.cu``, with their torch
references.

:func:`try_activate` is noise, bias, activation and limit in one pass; :func:`try_resample` is a small
FIR filter with zero insertion or decimation, and the same behind it. Both are bound by memory: at
4.8 TB/s of an H200, a 512-pixel layer of 64 channels in 32 bits takes 0.028 ms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.kernels.launch import NUMBER_KINDS, launch, processors
from engine.kernels.use import Kernel, compare

#: Threads of a block, and values of a plane that a block of ``activate`` takes at a time.
THREADS, ITEMS = 256, 2048
#: Side of the tiles that ``resample`` makes, most taps along a side, and largest factor.
TILE, MOST_TAPS, MOST_FACTOR = 32, 12, 4
#: Slope of StyleGAN2's leaky ReLU.
_SLOPE = 0.2

RowFinish = tuple[NDArray[np.float32], NDArray[np.float32], np.float32, np.float32, np.float32]

#: ``mq::Finish`` of ``cuda/finish.cuh``.
FINISH_DTYPE = np.dtype(
    [
        ("bias", np.uint64),
        ("noise", np.uint64),
        ("noise_stride", np.int64),
        ("slope", np.float32),
        ("gain", np.float32),
        ("limit", np.float32),
    ],
    align=True,
)
#: ``ActivateParams`` of ``cuda/activate.cu``.
ACTIVATE_DTYPE = np.dtype(
    [
        ("input", np.uint64),
        ("output", np.uint64),
        ("finish", FINISH_DTYPE),
        ("planes", np.int64),
        ("pixels", np.int64),
        ("channels", np.int32),
    ],
    align=True,
)
#: ``ResampleParams`` of ``cuda/resample.cu``.
RESAMPLE_DTYPE = np.dtype(
    [
        ("input", np.uint64),
        ("output", np.uint64),
        ("filter", np.uint64),
        ("finish", FINISH_DTYPE),
        ("planes", np.int64),
        ("channels", np.int32),
        ("height", np.int32),
        ("width", np.int32),
        ("out_height", np.int32),
        ("out_width", np.int32),
        ("left", np.int32),
        ("top", np.int32),
        ("gain", np.float32),
    ],
    align=True,
)


@dataclass(frozen=True, eq=False)
class Finish:
    """What follows a convolution, in this order.

    Attributes:
        noise: added; ``[H, W]`` or ``[1 or N, 1, H, W]``, its strength inside.
        bias: ``[C]``, added.
        activation: ``"lrelu"`` is a leaky ReLU of slope 0.2 times ``gain``.
        clamp: limit of the result's magnitude.
        gain: StyleGAN2's keeps unit variance; 1 where what stands in front of it holds that.
    """

    noise: Tensor | None = None
    bias: Tensor | None = None
    activation: Literal["linear", "lrelu"] = "linear"
    clamp: float | None = None
    gain: float = math.sqrt(2.0)

    def for_rows(self, channels: int, height: int, width: int) -> RowFinish:
        """What compiled loops over one picture on a CPU take, in their order: noise ``[H, W]`` and
        bias ``[C]``, zeros where there are none; the slope below zero, the gain, the limit."""
        noise, bias = torch.zeros(height, width), torch.zeros(channels)
        if self.noise is not None:
            noise = self.noise.detach().float().reshape(height, width).contiguous()
        if self.bias is not None:
            bias = self.bias.detach().float().contiguous()
        bent = self.activation == "lrelu"
        return (
            noise.numpy(),
            bias.numpy(),
            np.float32(_SLOPE if bent else 1.0),
            np.float32(self.gain if bent else 1.0),
            np.float32(math.inf if self.clamp is None else self.clamp),
        )


_NOTHING = Finish()


def finish_reference(x: Tensor, finish: Finish) -> Tensor:
    """``[N, C, H, W]`` -> the same, by torch."""
    if finish.noise is not None:
        x = x + finish.noise
    if finish.bias is not None:
        x = x + finish.bias[:, None, None]
    if finish.activation == "lrelu":
        x = F.leaky_relu(x, _SLOPE) * finish.gain
    return x if finish.clamp is None else x.clamp(-finish.clamp, finish.clamp)


def resample_reference(
    x: Tensor,
    kernel: Tensor,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    gain: float = 1.0,
    finish: Finish = _NOTHING,
) -> Tensor:
    """As :func:`try_resample`, by torch."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, h, up, w, up)
    spread[:, :, :, 0, :, 0] = x
    x = F.pad(spread.reshape(n, c, h * up, w * up), padding)
    weight = (kernel * gain).flip([0, 1]).to(x.dtype)[None, None].expand(c, 1, -1, -1)
    return finish_reference(F.conv2d(x, weight, stride=down, groups=c), finish)


# ------------------------------------------------------------------ launchers


def _finish_problem(finish: Finish, shape: tuple[int, int, int, int], x: Tensor) -> str | None:
    """Why what follows does not fit results of ``shape``, or ``None``."""
    n, c, h, w = shape
    for name, tensor in (("noise", finish.noise), ("bias", finish.bias)):
        if tensor is None:
            continue
        if tensor.dtype != torch.float32 or not tensor.is_contiguous():
            return f"The {name} is not contiguous float32."
        if tensor.device != x.device:
            return f"The {name} is not where the picture is."
    if finish.bias is not None and finish.bias.shape != (c,):
        return "The bias does not have one number for each channel."
    if finish.noise is not None and tuple(finish.noise.shape) not in (
        (h, w),
        (1, 1, h, w),
        (n, 1, h, w),
    ):
        return "The noise does not have one number for each pixel."
    return None


def _picture_problem(x: Tensor) -> str | None:
    if x.dtype not in NUMBER_KINDS:
        return f"The kernels have no {x.dtype}."
    if x.dim() != 4 or not x.is_contiguous() or x.numel() == 0:
        return "The kernels read pictures [N, C, H, W] that lie row by row."
    return None


def _finish_record(finish: Finish) -> np.ndarray:
    record = np.zeros((), FINISH_DTYPE)
    lrelu = finish.activation == "lrelu"
    record["bias"] = 0 if finish.bias is None else finish.bias.data_ptr()
    if finish.noise is not None:
        noise = finish.noise
        record["noise"] = noise.data_ptr()
        many = noise.dim() == 4 and noise.shape[0] > 1
        record["noise_stride"] = noise.shape[-2] * noise.shape[-1] if many else 0
    record["slope"], record["gain"] = (_SLOPE, finish.gain) if lrelu else (1.0, 1.0)
    record["limit"] = 0.0 if finish.clamp is None else finish.clamp
    return record


def try_activate(x: Tensor, finish: Finish, inplace: bool = False) -> Tensor | None:
    """What ``finish`` says, by the kernel where it can, else ``None``.

    Args:
        x: ``[N, C, H, W]`` float32, float16 or bfloat16; sums are float32.
        inplace: overwrite ``x``.
    """
    if _picture_problem(x) or _finish_problem(finish, tuple(x.shape), x):  # type: ignore[arg-type]
        return None
    if activating.problem(x, finish.noise, finish.bias) is not None:
        return None
    n, c, h, w = x.shape
    out = x if inplace else torch.empty_like(x)
    record = np.zeros((), ACTIVATE_DTYPE)
    record["input"], record["output"] = x.data_ptr(), out.data_ptr()
    record["finish"] = _finish_record(finish)
    record["planes"], record["pixels"], record["channels"] = n * c, h * w, c
    items = n * c * -(-h * w // ITEMS)

    def start() -> Tensor:
        launch(
            "activate.cu",
            "activate",
            record,
            device=x.device,
            blocks=min(items, 16 * processors(x.device)),
            threads=THREADS,
            shared=0,
            defines={"MQ_NUMBER": NUMBER_KINDS[x.dtype], "MQ_ITEMS": ITEMS},
        )
        return out

    return activating.run(start)


def try_resample(
    x: Tensor,
    kernel: Tensor,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    gain: float = 1.0,
    finish: Finish = _NOTHING,
) -> Tensor | None:
    """Zero-insert, pad, convolve and decimate, then ``finish``, by the kernel where it can, else
    ``None``.

    Args:
        x: ``[N, C, H, W]`` float32, float16 or bfloat16; sums are float32.
        kernel: ``[KH, KW]`` float32.
        up, down, padding, gain: see :func:`engine.generators.stylegan2_ops.upfirdn2d`.
        finish: for the result.
    """
    if _picture_problem(x) or kernel.dim() != 2 or kernel.dtype != torch.float32:
        return None
    (n, c, h, w), (taps_y, taps_x) = x.shape, kernel.shape
    left, right, top, bottom = padding
    out_h = (h * up + top + bottom - taps_y) // down + 1
    out_w = (w * up + left + right - taps_x) // down + 1
    fits = max(taps_x, taps_y) <= MOST_TAPS and max(up, down) <= MOST_FACTOR and kernel.numel() > 0
    if not fits or out_h < 1 or out_w < 1 or max(h, w, out_h, out_w) * MOST_FACTOR >= 1 << 30:
        return None
    if not kernel.is_contiguous() or _finish_problem(finish, (n, c, out_h, out_w), x):
        return None
    if resampling.problem(x, kernel, finish.noise, finish.bias) is not None:
        return None
    out = x.new_empty(n, c, out_h, out_w)
    record = np.zeros((), RESAMPLE_DTYPE)
    record["input"], record["output"] = x.data_ptr(), out.data_ptr()
    record["filter"], record["gain"] = kernel.data_ptr(), gain
    record["finish"] = _finish_record(finish)
    record["planes"], record["channels"] = n * c, c
    record["height"], record["width"] = h, w
    record["out_height"], record["out_width"] = out_h, out_w
    record["left"], record["top"] = left, top
    spans = [((TILE - 1) * down + taps - 1) // up + 2 for taps in (taps_x, taps_y)]
    tiles = n * c * -(-out_h // TILE) * -(-out_w // TILE)

    def start() -> Tensor:
        launch(
            "resample.cu",
            "resample",
            record,
            device=x.device,
            blocks=min(tiles, 16 * processors(x.device)),
            threads=THREADS,
            shared=4 * (spans[0] * spans[1] + kernel.numel()),
            defines={
                "MQ_NUMBER": NUMBER_KINDS[x.dtype],
                "MQ_UP": up,
                "MQ_DOWN": down,
                "MQ_TAPS_X": taps_x,
                "MQ_TAPS_Y": taps_y,
            },
        )
        return out

    return resampling.run(start)


# ------------------------------------------------------------------ first sight


def _check_activate(device: torch.device) -> None:
    x = torch.linspace(-2.0, 3.0, 2 * 3 * 9 * 13).reshape(2, 3, 9, 13).sin()
    noise = torch.linspace(-1.0, 1.0, 2 * 9 * 13).reshape(2, 1, 9, 13).cos()
    bias = torch.tensor([0.5, -0.25, 0.0])
    expected = finish_reference(x, Finish(noise, bias, "lrelu", 1.5))
    mine = try_activate(x.to(device), Finish(noise.to(device), bias.to(device), "lrelu", 1.5))
    compare("an activation", mine, expected, 1e-5)


def _check_resample(device: torch.device) -> None:
    x = torch.linspace(-2.0, 3.0, 2 * 3 * 9 * 13).reshape(2, 3, 9, 13).sin()
    # Not the same turned round.
    kernel = torch.tensor([1.0, 4.0, 3.0, 1.0]) / 9.0
    kernel = (kernel[:, None] * kernel).contiguous()
    bias = torch.tensor([0.5, -0.25, 0.0])
    finish = Finish(None, bias, "lrelu", 1.5)
    there = Finish(None, bias.to(device), "lrelu", 1.5)
    for up, down, padding in ((1, 1, (1, 1, 1, 1)), (2, 1, (2, 1, 2, 1)), (1, 2, (2, 2, 2, 2))):
        expected = resample_reference(x, kernel, up, down, padding, 4.0, finish)
        mine = try_resample(x.to(device), kernel.to(device), up, down, padding, 4.0, there)
        compare("a resampled picture", mine, expected, 1e-5)


activating = Kernel("activate", _check_activate)
resampling = Kernel("resample", _check_resample)
