"""StyleGAN2's functions: activation, resampling and modulated convolution.

Pictures are ``[N, C, H, W]``. See :mod:`engine.generators.stylegan2` for the layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.generators.fir import blur4, double_tent, is_tent, separable_taps
from engine.kernels import blur, winograd
from engine.kernels.launch import reaches
from engine.kernels.pictures import Finish, try_activate, try_resample

Activation = Literal["linear", "lrelu"]

#: StyleGAN2's resampling kernel, before normalisation.
DEFAULT_FILTER: tuple[int, ...] = (1, 3, 3, 1)
LRELU_SLOPE = 0.2
#: Smallest side of pictures whose channels are laid innermost.
_LEAST_SIDE = 32


def innermost(x: Tensor) -> Tensor:
    """``x`` ``[N, C, H, W]`` with its channels innermost in memory, where convolutions are quicker
    for that: in pictures of 32 pixels or more on a CPU, when nothing is learned."""
    if x.device.type != "cpu" or reaches(x.device) or torch.is_grad_enabled():
        return x
    if min(x.shape[2:]) < _LEAST_SIDE:
        return x
    return x.contiguous(memory_format=torch.channels_last)


def _is_innermost(x: Tensor) -> bool:
    return not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def normalize_second_moment(x: Tensor, eps: float = 1e-8) -> Tensor:
    """``[N, D]`` scaled so that the mean of its squares along D is one."""
    return x * (x.square().mean(dim=1, keepdim=True) + eps).rsqrt()


def activate(
    x: Tensor,
    bias: Tensor | None,
    activation: Activation,
    clamp: float | None = None,
    inplace: bool = False,
) -> Tensor:
    """Add a bias ``[C]`` to each channel of ``x`` ``[N, C, ...]``, then activate.

    ``"lrelu"`` is a leaky ReLU of slope 0.2 times sqrt(2), which keeps unit variance.
    ``clamp`` limits the magnitude of the result (the authors' guard for half precision).
    ``inplace`` overwrites ``x``, which must not be needed for gradients.
    """
    if reaches(x.device):
        quick = try_activate(x, Finish(None, bias, activation, clamp), inplace)
        if quick is not None:
            return quick
    if not inplace:
        x = x.clone() if bias is None else x + bias.reshape([1, -1] + [1] * (x.ndim - 2))
    elif bias is not None:
        x += bias.reshape([1, -1] + [1] * (x.ndim - 2))
    if activation == "lrelu":
        # The sum above is ours to overwrite; a leaky ReLU's gradient can be had from its result.
        x = F.leaky_relu(x, LRELU_SLOPE, inplace=True)
        x = x.mul_(math.sqrt(2.0)) if inplace else x * math.sqrt(2.0)
    if clamp is None:
        return x
    return x.clamp_(-clamp, clamp) if inplace else x.clamp(-clamp, clamp)


def fir_filter(taps: Sequence[float] = DEFAULT_FILTER, gain: float = 1.0) -> Tensor:
    """``[K, K]`` outer product of ``taps``, summing to ``gain``."""
    # In plain numbers: on the meta device, where networks are built before their tensors are
    # loaded, torch.outer would import all of torch's compiler (1.6 s at every start).
    total = float(sum(taps)) ** 2 / gain
    return torch.tensor([[a * b / total for b in taps] for a in taps], dtype=torch.float32)


def upfirdn2d(
    x: Tensor,
    kernel: Tensor,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    gain: float = 1.0,
) -> Tensor:
    """Zero-insert, pad, convolve and decimate every channel alike.

    Args:
        x: ``[N, C, H, W]``.
        kernel: ``[KH, KW]`` FIR kernel. True convolution: the kernel is applied flipped.
        up: zeros are inserted so that each side grows by this factor (one value followed by
            ``up - 1`` zeros).
        down: every ``down``-th value of the result is kept.
        padding: zeros on the left, right, top and bottom after zero insertion; negative
            numbers crop.
        gain: the result is multiplied by it (``up * up`` keeps brightness).

    Returns:
        ``[N, C, (H * up + top + bottom - KH) // down + 1, likewise W]``.
    """
    if reaches(x.device):
        quick = try_resample(x, kernel, up, down, padding, gain)
        if quick is not None:
            return quick
    n, c, h, w = x.shape
    if up == down == 1 and padding == (1, 1, 1, 1):
        taps = separable_taps(x, kernel, gain)
        if taps is not None:
            return blur4(x, taps)
    if up > 1:
        spread = x.new_zeros(n, c, h, up, w, up)
        spread[:, :, :, 0, :, 0] = x
        x = spread.reshape(n, c, h * up, w * up)
    left, right, top, bottom = padding
    inner = (0, 0)
    if left == right >= 0 and top == bottom >= 0:
        inner = (top, left)
    else:
        x = F.pad(x, [left, right, top, bottom])
    weight = (kernel * gain).flip([0, 1]).to(x.dtype)[None, None].expand(c, 1, -1, -1)
    return F.conv2d(x, weight, stride=down, padding=inner, groups=c)


def upsample2d(x: Tensor, kernel: Tensor) -> Tensor:
    """Twice the size of ``x`` ``[N, C, H, W]`` with a 4 x 4 FIR kernel, brightness kept.

    Equal to ``upfirdn2d(x, kernel, up=2, padding=(2, 1, 2, 1), gain=4)`` without multiplying
    the inserted zeros: each of the four output phases is a 2 x 2 convolution, or, with
    StyleGAN2's own kernel, an interpolation.
    """
    if reaches(x.device):
        quick = try_resample(x, kernel, up=2, padding=(2, 1, 2, 1), gain=4.0)
        if quick is not None:
            return quick
    if is_tent(kernel):
        return double_tent(x)
    n, c, h, w = x.shape
    flat = F.pad(x.reshape(n * c, 1, h, w), (1, 1, 1, 1))
    # Output row 2i + p reads input rows i - 1 + p and i + p through taps 3 - p, 1 - p (p = 0:
    # 3, 1) or 2, 0 (p = 1); as a correlation over a 3-window starting at row i - 1.
    taps = kernel.to(x.dtype).flip([0, 1]) * 4.0
    weight = x.new_zeros(4, 1, 3, 3)
    for p in (0, 1):
        for q in (0, 1):
            weight[2 * p + q, 0, p : p + 2, q : q + 2] = taps[p::2, q::2]
    return F.pixel_shuffle(F.conv2d(flat, weight), 2).reshape(n, c, 2 * h, 2 * w)


def modulated_weight(weight: Tensor, style: Tensor, demodulate: bool = True) -> Tensor:
    """The weights that a modulated convolution has for one identity.

    Args:
        weight: ``[O, I, K, K]`` shared weights.
        style: ``[I]`` scale of each input channel.
        demodulate: give every output channel's weights unit length.

    Returns:
        ``[O, I, K, K]``.
    """
    weight = weight * style.reshape(1, -1, 1, 1)
    if demodulate:
        weight = weight * (weight.square().sum(dim=[1, 2, 3], keepdim=True) + 1e-8).rsqrt()
    return weight


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    demodulate: bool = True,
    up: int = 1,
    kernel: Tensor | None = None,
    padding: int = 0,
    noise: Tensor | None = None,
) -> Tensor:
    """Convolution whose input channels are scaled per sample (StyleGAN2, section 2.2).

    Args:
        x: ``[N, I, H, W]``.
        weight: ``[O, I, K, K]`` shared weights.
        styles: ``[N, I]`` scale of each input channel.
        demodulate: divide by the expected standard deviation of each output channel.
        up: 1, or 2 to double the size (transposed convolution followed by ``kernel``).
        kernel: ``[4, 4]`` FIR kernel, needed when ``up`` is 2.
        padding: zeros around ``x`` when ``up`` is 1.
        noise: added to the result; broadcast over channels.

    Returns:
        ``[N, O, H * up, W * up]`` for odd K with ``padding = K // 2``.
    """
    x, demodulation = _convolved(x, weight, styles, demodulate, up, padding)
    if up == 2:
        if kernel is None:
            raise ValueError("an upsampling convolution needs its FIR kernel")
        x = upfirdn2d(x, kernel, padding=(1, 1, 1, 1), gain=4.0)
    if torch.is_grad_enabled():
        x = x if demodulation is None else x * demodulation
        return x if noise is None else x + noise
    if demodulation is not None:
        x *= demodulation
    if noise is not None:
        x += noise
    return x


def _convolved(
    x: Tensor, weight: Tensor, styles: Tensor, demodulate: bool, up: int, padding: int
) -> tuple[Tensor, Tensor | None]:
    """The convolution of :func:`modulated_conv2d`, without the FIR kernel behind it, and what each
    channel ``[N, O, 1, 1]`` is still to be multiplied by, if anything."""
    demodulation: Tensor | None = None
    if x.shape[0] == 1:
        # One sample: scale the weights, which are smaller than the pictures.
        weight = modulated_weight(weight, styles[0], demodulate)
    else:
        # Several samples: scale the pictures, so that one convolution serves all of them.
        if demodulate:
            energy = weight.square().sum(dim=[2, 3])
            demodulation = (styles.square() @ energy.t() + 1e-8).rsqrt()[:, :, None, None]
        x = x * styles[:, :, None, None]
    if up == 1 and weight.shape[-1] == 1 and padding == 0 and _is_innermost(x):
        # One product of matrices, where torch's convolution makes many of a lower rate.
        flat = F.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0])
        return flat.permute(0, 3, 1, 2), demodulation
    if up == 1:
        return F.conv2d(x, weight, padding=padding), demodulation
    if up == 2:
        return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), demodulation
    raise ValueError(f"up must be 1 or 2, not {up}")


def styled_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor,
    activation: Activation,
    clamp: float | None = None,
    up: int = 1,
    kernel: Tensor | None = None,
    padding: int = 0,
    noise: Tensor | None = None,
) -> Tensor:
    """:func:`modulated_conv2d` with demodulation and noise, then :func:`activate`: a whole layer.

    On a GPU all that follows the convolution is one kernel; on a CPU large pictures take
    :mod:`engine.kernels.winograd` and :mod:`engine.kernels.blur`.
    """
    if up == 1 and not reaches(x.device) and winograd.fits(x, weight, padding):
        finish = Finish(noise, bias, activation, clamp)
        return winograd.convolve(x, modulated_weight(weight, styles[0]), finish)
    learning = torch.is_grad_enabled()
    if (
        up == 2
        and kernel is not None
        and x.shape[0] == 1
        and not learning
        and not reaches(x.device)
    ):
        x, _ = _convolved(x, weight, styles, True, up, padding)
        taps = blur.taps_of(kernel, 4.0) if blur.fits(x, kernel) else None
        if taps is not None:
            return blur.blurred(x, taps, Finish(noise, bias, activation, clamp))
        x = upfirdn2d(x, kernel, padding=(1, 1, 1, 1), gain=4.0)
        x = x if noise is None else x.add_(noise)
        return activate(x, bias, activation, clamp, inplace=True)
    if reaches(x.device) and x.shape[0] == 1 and not torch.is_grad_enabled():
        x, _ = _convolved(x, weight, styles, True, up, padding)
        finish = Finish(noise, bias, activation, clamp)
        if up == 1:
            quick = try_activate(x, finish, inplace=True)
        else:
            assert kernel is not None
            quick = try_resample(x, kernel, padding=(1, 1, 1, 1), gain=4.0, finish=finish)
            if quick is None:
                x = upfirdn2d(x, kernel, padding=(1, 1, 1, 1), gain=4.0)
        if quick is not None:
            return quick
        if noise is not None:
            x += noise
    else:
        x = modulated_conv2d(
            x, weight, styles, up=up, kernel=kernel, padding=padding, noise=noise
        )  # fmt: skip
    return activate(x, bias, activation, clamp, inplace=not torch.is_grad_enabled())
