"""StyleGAN2's discriminator layers under the names that its authors' state dicts use.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020), section 4.2, on
stock torch operators, differentiable twice (R1 needs it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.stylegan2 import (
    DEFAULT_FILTER,
    Activation,
    FullyConnected,
    activate,
    fir_filter,
    normalize_second_moment,
    upfirdn2d,
)

#: Limit of activations in the authors' discriminators (their guard for half precision).
CLAMP = 256.0


class ConvLayer(nn.Module):
    """Convolution with equalised learning rate; ``down=2`` filters and halves first.

    Args:
        in_channels, out_channels: sizes.
        kernel_size: odd.
        bias: whether there is one (a residual block's skip has none).
        down: 1 or 2.
        clamp: limit of the result's magnitude, or ``None``.
        told: length of a vector that scales what it reads, channel by channel, by 1 + tanh of an
            affine function of it (EpiGRAF); 0 for none.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        activation: Activation = "lrelu",
        down: int = 1,
        clamp: float | None = None,
        taps: Sequence[float] = DEFAULT_FILTER,
        told: int = 0,
    ) -> None:
        super().__init__()
        self.affine = FullyConnected(told, in_channels) if told else None
        self.down, self.clamp, self.padding = down, clamp, kernel_size // 2
        self.activation: Activation = activation
        self.weight_gain = 1.0 / math.sqrt(in_channels * kernel_size**2)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("resample_filter", fir_filter(taps))

    def forward(self, x: Tensor, gain: float = 1.0, told: Tensor | None = None) -> Tensor:
        """``[N, I, H, W]`` (and ``[N, told]``) -> ``[N, O, H / down, W / down]``, times ``gain``."""
        if self.affine is not None and told is not None:
            x = x * (1.0 + self.affine(told).tanh())[:, :, None, None]
        weight, padding = self.weight * self.weight_gain, self.padding
        if self.down == 2:
            # Twice the taps' overhang, and the convolution's own border.
            around = (padding + 1,) * 4
            stride = 1 if padding == 0 else 2
            x = upfirdn2d(x, self.resample_filter, down=3 - stride, padding=around)
            x = F.conv2d(x, weight, stride=stride)
        else:
            x = F.conv2d(x, weight, padding=padding)
        x = activate(x, self.bias, self.activation) * gain
        limit = None if self.clamp is None else self.clamp * gain
        return x if limit is None else x.clamp(-limit, limit)


def minibatch_deviation(x: Tensor, group_size: int, channels: int = 1) -> Tensor:
    """``[N, C, H, W]`` with ``channels`` maps more: how much pictures of a group differ.

    Karras et al., "Progressive Growing of GANs" (2018), section 3. A batch that does not divide
    into groups of ``group_size`` is cut into the largest that it divides into.
    """
    n, c, h, w = x.shape
    group = next(size for size in range(min(group_size, n), 0, -1) if n % size == 0)
    y = x.reshape(group, -1, channels, c // channels, h, w)
    y = y - y.mean(dim=0)
    spread = (y.square().mean(dim=0) + 1e-8).sqrt().mean(dim=[2, 3, 4])
    maps = spread.reshape(-1, channels, 1, 1).repeat(group, 1, h, w)
    return torch.cat([x, maps], dim=1)


class ResidualBlock(nn.Module):
    """Halves a picture: two convolutions beside a skip, the sum kept at unit variance.

    Args:
        in_channels: 0 for the first block, which reads a picture through ``fromrgb``.
        middle, out_channels: widths.
        img_channels: of the picture.
        clamp: see :class:`ConvLayer`.
        down: 2 to halve, 1 to keep the size.
        reads: whether there is a ``fromrgb`` in later blocks too, where nothing reads it.
        told: of the second convolution, see :class:`ConvLayer`.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        middle: int,
        out_channels: int,
        img_channels: int,
        clamp: float | None = None,
        down: int = 2,
        reads: bool = False,
        told: int = 0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.register_buffer("resample_filter", fir_filter())
        if in_channels == 0 or reads:
            self.fromrgb = ConvLayer(img_channels, middle, 1, clamp=clamp)
        self.conv0 = ConvLayer(middle, middle, 3, clamp=clamp)
        self.conv1 = ConvLayer(middle, out_channels, 3, down=down, clamp=clamp, told=told)
        self.skip = ConvLayer(middle, out_channels, 1, bias=False, activation="linear", down=down)

    def forward(self, x: Tensor | None, img: Tensor | None, told: Tensor | None = None) -> Tensor:
        """Features (or, in the first block, the picture) -> features of half the side."""
        if self.in_channels == 0:
            assert img is not None
            x = self.fromrgb(img)
        assert x is not None
        skip = self.skip(x, gain=math.sqrt(0.5))
        out: Tensor = skip + self.conv1(self.conv0(x), gain=math.sqrt(0.5), told=told)
        return out


class Epilogue(nn.Module):
    """The last 4 x 4 pixels: minibatch deviation, a convolution, two dense layers.

    Args:
        in_channels: width.
        out_features: 1, or the length of a conditioning that the result is multiplied with.
        group_size, deviation_channels: of the minibatch deviation; 0 channels for none.
        img_channels: of a ``fromrgb`` that the skip architecture has here too; 0 for none.
        resolution: side of what comes in.
        angles: numbers besides, which :meth:`read` gives back: a head's pose, in a discriminator that
            is to read it.
    """

    def __init__(
        self,
        in_channels: int,
        out_features: int = 1,
        group_size: int = 4,
        deviation_channels: int = 1,
        clamp: float | None = None,
        img_channels: int = 0,
        resolution: int = 4,
        angles: int = 0,
    ) -> None:
        super().__init__()
        self.angles = angles
        self.group_size, self.deviation_channels = group_size, deviation_channels
        if img_channels:
            self.fromrgb = ConvLayer(img_channels, in_channels, 1)
        self.conv = ConvLayer(in_channels + deviation_channels, in_channels, 3, clamp=clamp)
        self.fc = FullyConnected(in_channels * resolution**2, in_channels, activation="lrelu")
        self.out = FullyConnected(in_channels, out_features + angles)

    def forward(
        self, x: Tensor, img: Tensor | None = None, conditions: Tensor | None = None
    ) -> Tensor:
        """``[N, C, 4, 4]`` -> ``[N]`` logits, or their product with ``conditions`` ``[N, D]``."""
        return self.read(x, img, conditions)[0]

    def read(
        self, x: Tensor, img: Tensor | None = None, conditions: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The same, and ``[N, angles]``."""
        if img is not None:
            x = x + self.fromrgb(img)
        if self.deviation_channels:
            x = minibatch_deviation(x, self.group_size, self.deviation_channels)
        found: Tensor = self.out(self.fc(self.conv(x).flatten(1)))
        own = found.shape[1] - self.angles
        x, angles = found[:, :own], found[:, own:]
        if conditions is None:
            return x[:, 0], angles
        return (x * conditions).sum(dim=1) / math.sqrt(conditions.shape[1]), angles


class ConditionMapping(nn.Module):
    """What a discriminator is told (a camera, a patch's place) -> what its result is multiplied
    with: StyleGAN2-ADA's mapping without a latent and without an average.

    Args:
        c_dim: length of what it is told.
        width: of the embedding, the layers and the result.
        layers: fully connected layers, of learning rate multiplier 0.01.
    """

    def __init__(self, c_dim: int, width: int, layers: int = 8) -> None:
        super().__init__()
        self.layers = layers
        self.embed = FullyConnected(c_dim, width)
        for index in range(layers):
            layer = FullyConnected(width, width, activation="lrelu", lr_multiplier=0.01)
            self.add_module(f"fc{index}", layer)

    def forward(self, c: Tensor) -> Tensor:
        """``[N, c_dim]`` -> ``[N, width]``."""
        x = normalize_second_moment(self.embed(c))
        for index in range(self.layers):
            x = self.get_submodule(f"fc{index}")(x)
        return x


def narrowed(widths: Mapping[int, int], limit: int) -> dict[int, int]:
    """Side -> channels with the widest at ``limit`` and the others in proportion, 8 at least; 0
    changes nothing."""
    if not limit:
        return dict(widths)
    widest = max(widths.values())
    return {side: max(width * limit // widest, min(8, limit)) for side, width in widths.items()}


def block_widths(resolution: int, base: int = 32768, limit: int = 512) -> dict[int, int]:
    """StyleGAN2's rule: side -> ``min(base / side, limit)`` channels, from ``resolution`` to 4."""
    sides = [1 << i for i in range(resolution.bit_length() - 1, 1, -1)]
    return {side: min(base // side, limit) for side in sides}
