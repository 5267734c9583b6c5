"""StyleNeRF's upsampler: from features of 32 x 32 rays to the picture.

Gu et al., "StyleNeRF" (2022), section 3.2: StyleGAN2's skip generator with 1 x 1 convolutions,
whose blocks convolve at the lower resolution and then double the size by an upsampling that
learns, so that what is drawn follows the head instead of the pixels.

:class:`UpsamplerBlock` holds the authors' tensors under the authors' names. :class:`FoldedBlock`
is what one identity makes of them. It is built for the memory's speed, which is what an upsampler
costs: everything between two resolutions happens on a few rows that stay in the cache; what a
block begins with is computed at the end of the block before, on those same rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.stylegan2 import FullyConnected, ToRGB
from engine.generators.stylegan2_ops import (
    LRELU_SLOPE,
    fir_filter,
    modulated_weight,
    upsample2d,
)
from engine.generators.stylenerf_config import StyleNeRFConfig
from engine.generators.stylenerf_field import Conv1x1
from engine.kernels.launch import reaches
from engine.kernels.pictures import Finish, try_activate, try_resample

#: Numbers of a strip of activations that is worked on at once, by kind of device.
STRIP_NUMBERS: dict[str, int] = {"cpu": 1 << 19, "cuda": 1 << 26}
_GAIN = math.sqrt(2.0)


class UpsamplerLayer(nn.Module):
    """Weights of a modulated convolution.

    Args:
        config: the model.
        in_channels, out_channels: sizes.
        resolution: side of the result, and of the stored noise.
        adapter: channels inside the upsampling, 0 for a layer that does not upsample.
    """

    resample_filter: Tensor
    noise_const: Tensor
    w_avg: Tensor

    def __init__(
        self,
        config: StyleNeRFConfig,
        in_channels: int,
        out_channels: int,
        resolution: int,
        adapter: int = 0,
    ) -> None:
        super().__init__()
        size = config.kernel_size
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, size, size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.affine = FullyConnected(config.w_dim, in_channels, bias_init=1.0)
        self.register_buffer("resample_filter", fir_filter())
        self.magnitude_ema, self.use_noise = config.magnitude_ema, config.use_noise
        if config.magnitude_ema:
            self.register_buffer("w_avg", torch.ones([]))
        if config.use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
            self.noise_strength = nn.Parameter(torch.zeros([]))
        if adapter:
            shuffled = config.upsample_mode == "pixelshuffle"
            wide_in, wide_out = (1, 4) if shuffled else (2, 1)
            self.adapter = nn.Sequential(
                Conv1x1(wide_in * out_channels, adapter), Conv1x1(adapter, wide_out * out_channels)
            )

    def folded(self, w: Tensor) -> Tensor:
        """``[O, I, K, K]`` weights for a style ``[w_dim]``, on inputs of any magnitude."""
        weight = modulated_weight(self.weight, self.affine(w))
        return weight * self.w_avg.rsqrt() if self.magnitude_ema else weight

    def noise(self) -> Tensor:
        """``[R, R]`` stored noise with its strength."""
        return self.noise_const * self.noise_strength


class UpsamplerBlock(nn.Module):
    """Weights of one doubling of the resolution.

    Args:
        config: the model.
        in_channels, out_channels: sizes.
        resolution: side of the result.
        adapter: channels inside the upsampling.
    """

    resample_filter: Tensor

    def __init__(
        self,
        config: StyleNeRFConfig,
        in_channels: int,
        out_channels: int,
        resolution: int,
        adapter: int,
    ) -> None:
        super().__init__()
        self.shuffled = config.upsample_mode == "pixelshuffle"
        self.clamp = config.conv_clamp
        self.register_buffer("resample_filter", fir_filter())
        self.conv0 = UpsamplerLayer(config, in_channels, out_channels, resolution, adapter)
        self.conv1 = UpsamplerLayer(config, out_channels, out_channels, resolution)
        self.torgb = ToRGB(out_channels, 3, config.w_dim, config.conv_clamp)

    def folded(self, ws: Tensor, noise: bool) -> FoldedBlock:
        """The block of styles ``[3, w_dim]``, with its stored noise or without.

        The adapter's first layer is linear in what the first convolution gives, and so are
        nearest neighbours and half sums: it acts at the lower resolution, together with the
        convolution.
        """
        conv0, conv1, rgb = self.conv0, self.conv1, self.torgb
        enter, leave = (layer for layer in conv0.adapter if isinstance(layer, Conv1x1))
        # The kernel of an upsampling layer is a true convolution's: it is flipped.
        first = conv0.folded(ws[0]).flip([2, 3])
        parts = torch.split(enter.matrix, first.shape[0], dim=1)
        seen = [torch.einsum("mo,oikl->mikl", part, first) * _GAIN for part in parts]
        weight = torch.cat([first, *seen])
        bias = weight.new_zeros(weight.shape[0])
        begin, end = first.shape[0], first.shape[0] + enter.bias.shape[0]
        bias[begin:end] = enter.bias * _GAIN
        to_rgb = modulated_weight(rgb.weight, rgb.affine(ws[2]) * rgb.weight_gain, False)
        stored = noise and conv0.use_noise
        return FoldedBlock(
            channels=first.shape[0],
            adapter=enter.bias.shape[0],
            shuffled=self.shuffled,
            enter=(weight, bias),
            leave=(leave.matrix, leave.bias[:, None]),
            blur=conv0.resample_filter.flip([0, 1]) * _GAIN,
            bias0=conv0.bias * _GAIN,
            noise0=conv0.noise() * _GAIN if stored else None,
            conv1=(conv1.folded(ws[1]) * _GAIN, conv1.bias * _GAIN),
            noise1=conv1.noise() * _GAIN if stored else None,
            rgb=(to_rgb, rgb.bias),
            picture_filter=self.resample_filter,
            clamp=self.clamp,
        )


@dataclass(frozen=True, eq=False)
class FoldedBlock:
    """One doubling of the resolution for one identity. Gains of sqrt(2) behind leaky ReLUs are
    folded into what stands in front of them.

    Attributes:
        channels, adapter: O and A, widths of the features and inside the upsampling.
        shuffled: the upsampling is a pixel shuffle, else neighbours' half sums.
        enter: ``[O + A (or 2 A), I, K, K]`` and bias: the features at the lower resolution, and
            what the adapter's first layer makes of them.
        leave: ``[O (or 4 O), A]`` and ``[.., 1]``: the adapter's second layer.
        blur: ``[4, 4]`` FIR kernel as a correlation.
        bias0, noise0: ``[O]`` and ``[R, R]`` after the upsampling.
        conv1, noise1: ``[O, O, K, K]`` and ``[O]``, and ``[R, R]``.
        rgb: ``[3, O, 1, 1]`` and ``[3]``.
        picture_filter: ``[4, 4]`` FIR kernel that doubles the picture so far.
        clamp: limit of activations.
    """

    channels: int
    adapter: int
    shuffled: bool
    enter: tuple[Tensor, Tensor]
    leave: tuple[Tensor, Tensor]
    blur: Tensor
    bias0: Tensor
    noise0: Tensor | None
    conv1: tuple[Tensor, Tensor]
    noise1: Tensor | None
    rgb: tuple[Tensor, Tensor]
    picture_filter: Tensor
    clamp: float | None

    def run(
        self, low: Tensor, following: FoldedBlock | None, check: Callable[[], None]
    ) -> tuple[Tensor, Tensor | None]:
        """Double the resolution.

        Args:
            low: ``[O + A (or 2 A), h, w]``, what ``enter`` makes of the features before.
            following: the next block.
            check: called before every strip; raises to stop.

        Returns:
            ``[3, 2 h, 2 w]`` this block's picture, and what the next one begins with.
        """
        height, width = low.shape[1:]
        pictures: list[Tensor] = []
        begun = None
        if following is not None:
            begun = low.new_empty(following.enter[0].shape[0], 2 * height, 2 * width)
        rows = self._strip_rows(height, width, low.device)
        for first in range(0, height, rows):
            check()
            last = min(first + rows, height)
            inside = slice(2 * first, 2 * last)
            x = self._upsampled(low, first, last)
            x = self._activated(x, self.noise0, inside)
            x = self._activated(_convolved(x, *self.conv1), self.noise1, inside)
            picture = _convolved(x, *self.rgb)
            if self.clamp is not None:
                picture.clamp_(-self.clamp, self.clamp)
            pictures.append(picture)
            if begun is not None and following is not None:
                _convolved(x, *following.enter, out=begun[:, inside])
        return torch.cat(pictures, dim=1), begun

    def _strip_rows(self, height: int, width: int, device: torch.device) -> int:
        """Low rows of a strip. Wider kernels see beyond a strip, so there is only one."""
        if self.conv1[0].shape[-1] > 1:
            return height
        numbers = STRIP_NUMBERS.get(device.type, 1 << 22)
        return max(1, numbers // (4 * width * self.channels))

    def _activated(self, x: Tensor, noise: Tensor | None, rows: slice) -> Tensor:
        if torch.is_grad_enabled():
            x = F.leaky_relu(x if noise is None else x + noise[rows], LRELU_SLOPE)
            return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)
        if reaches(x.device):
            finish = Finish(None if noise is None else noise[rows], None, "lrelu", self.clamp, 1.0)
            quick = try_activate(x[None], finish, inplace=True)
            if quick is not None:
                return quick[0]
        if noise is not None:
            x += noise[rows]
        F.leaky_relu_(x, LRELU_SLOPE)
        return x if self.clamp is None else x.clamp_(-self.clamp, self.clamp)

    def _upsampled(self, low: Tensor, first: int, last: int) -> Tensor:
        """Rows ``first`` to ``last`` of ``low`` at twice the resolution, ``[O, rows, 2 w]``,
        blurred and with the bias of the first convolution."""
        height, width = low.shape[1:]
        # The blur reads two rows above and one below: one low row on each side.
        top, bottom = max(first - 1, 0), min(last + 1, height)
        rows = bottom - top
        x = low[: self.channels, top:bottom]
        wide = low.new_empty(self.channels, rows, 2, width, 2)
        if self.shuffled:
            hidden = F.leaky_relu(low[self.channels :, top:bottom], LRELU_SLOPE).flatten(1)
            weight, bias = self.leave
            detail = torch.addmm(bias, weight, hidden)
            detail = detail.reshape(self.channels, 2, 2, rows, width).permute(0, 3, 1, 4, 2)
            _put(wide, torch.add, detail, x[:, :, None, :, None])
        else:
            hidden = F.leaky_relu_(self._neighbours(low, top, bottom), LRELU_SLOPE)
            weight, bias = self.leave
            _put(wide.flatten(1), torch.addmm, bias, weight, hidden.flatten(1))
            wide += x[:, :, None, :, None]
        # Zeros surround the picture; what the strip does not need is cut off.
        above, below = 2 - 2 * (first - top), 1 - 2 * (bottom - last)
        wide = wide.reshape(self.channels, 2 * rows, 2 * width)
        if reaches(x.device):
            around, finish = (2, 1, above, below), Finish(bias=self.bias0)
            kernel = self.blur.flip([0, 1])
            quick = try_resample(wide[None], kernel, padding=around, finish=finish)
            if quick is not None:
                return quick[0]
        padded = F.pad(wide, (2, 1, above, below))
        kernel = self.blur.expand(self.channels, 1, 4, 4)
        return F.conv2d(padded[None], kernel, self.bias0, groups=self.channels)[0]

    def _neighbours(self, low: Tensor, top: int, bottom: int) -> Tensor:
        """``[A, rows, 2, w, 2]``: the adapter's first layer on every new pixel, which sees its
        low pixel and half the sum of the two neighbours on its side."""
        height, width = low.shape[1:]
        own = low[self.channels : self.channels + self.adapter, top:bottom]
        around = low[self.channels + self.adapter :, max(top - 1, 0) : bottom + 1] * 0.5
        around = F.pad(around, (1, 1, int(top == 0), int(bottom == height)))
        upper, lower = own + around[:, :-2, 1:-1], own + around[:, 2:, 1:-1]
        left, right = around[:, 1:-1, :-2], around[:, 1:-1, 2:]
        out = low.new_empty(self.adapter, bottom - top, 2, width, 2)
        for row, vertical in enumerate((upper, lower)):
            for column, sideways in enumerate((left, right)):
                _put(out[:, :, row, :, column], torch.add, vertical, sideways)
        return out


def _put(out: Tensor, make: Callable[..., Tensor], *parts: Tensor) -> None:
    """``out[:] = make(*parts)``, without a copy where no gradients are wanted."""
    if torch.is_grad_enabled():
        out.copy_(make(*parts))
    else:
        make(*parts, out=out)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, out: Tensor | None = None) -> Tensor:
    """``[I, H, W]`` -> ``[O, H, W]``, zeros around; into ``out`` if that is given, whose pixels
    must lie one after the other."""
    size = weight.shape[-1]
    if size > 1:
        wide = F.conv2d(x[None], weight, bias, padding=size // 2)[0]
        return wide if out is None else out.copy_(wide)
    if out is None:
        out = x.new_empty(weight.shape[0], *x.shape[1:])
    _put(out.flatten(1), torch.addmm, bias[:, None], weight[:, :, 0, 0], x.flatten(1))
    return out


def upsample(
    blocks: tuple[FoldedBlock, ...],
    features: Tensor,
    rgb: Tensor,
    residual: bool,
    growth: float,
    check: Callable[[], None],
) -> Tensor:
    """Features of the volume rendering to the picture.

    Args:
        blocks: of one identity, the lowest resolution first.
        features: ``[F, s, s]``.
        rgb: ``[3, s, s]`` the volume rendering's colours.
        residual: every block adds to the picture so far; else the last one's stands alone.
        growth: how many blocks of a progressively grown model take part. With a fraction the
            last of them is faded in over the picture before it.
        check: called often; raises to stop.

    Returns:
        ``[3, R, R]``, about -1 to 1.
    """
    shown = blocks[: math.ceil(growth)]
    if not shown:
        return rgb
    low: Tensor | None = _convolved(features, *shown[0].enter)
    picture = before = rgb
    for index, block in enumerate(shown):
        assert low is not None
        following = shown[index + 1] if index + 1 < len(shown) else None
        own, low = block.run(low, following, check)
        before = picture
        picture = upsample2d(picture[None], block.picture_filter)[0] + own if residual else own
    fade = growth - math.floor(growth)
    if fade:
        coarse = F.interpolate(before[None], scale_factor=2, mode="bilinear")[0]
        picture = coarse.lerp(picture, fade)
    return picture
