"""The discriminator of StyleSDF's volume renderer: it judges, and reads the head's pose.

Or-El et al., "StyleSDF" (2022), supplement; pi-GAN's residual network of convolutions that are told
where they are (Liu et al., "CoordConv", 2018), without equalised learning rates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.stylegan2_ops import LRELU_SLOPE


class _Bias(nn.Module):
    def __init__(self, channels: int, limit: float) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-limit, limit))


def _conv(inputs: int, outputs: int, size: int, bias: bool) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2 if size > 2 else 0, bias=bias)
    nn.init.kaiming_normal_(conv.weight, a=LRELU_SLOPE)
    return conv


class PlainConv(nn.Module):
    """Convolution, with a bias of its own and a leaky ReLU if it is ``active``."""

    def __init__(self, inputs: int, outputs: int, size: int, active: bool) -> None:
        super().__init__()
        self.conv = _conv(inputs, outputs, size, bias=not active)
        if active:
            self.activation = _Bias(outputs, 1.0 / math.sqrt(inputs * size * size))
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        """``[N, I, H, W]`` -> ``[N, O, ...]``."""
        x = self.conv(x)
        return (
            F.leaky_relu(x + self.activation.bias[:, None, None], LRELU_SLOPE) if self.active else x
        )


class _Coordinates(nn.Module):
    """Convolution that sees each pixel's row and column, -1 to 1, behind the features."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.conv = _conv(inputs + 2, outputs, size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        rows = torch.linspace(-1.0, 1.0, h, device=x.device, dtype=x.dtype)
        columns = torch.linspace(-1.0, 1.0, w, device=x.device, dtype=x.dtype)
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
        out: Tensor = self.conv(torch.cat([x, grid.expand(n, -1, -1, -1)], dim=1))
        return out


class CoordLayer(nn.Module):
    """:class:`_Coordinates` with a bias and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.conv = _Coordinates(inputs, outputs, size)
        self.activation = _Bias(outputs, 1.0 / math.sqrt(inputs * size * size))

    def forward(self, x: Tensor) -> Tensor:
        """``[N, I, H, W]`` -> ``[N, O, H, W]``."""
        return F.leaky_relu(self.conv(x) + self.activation.bias[:, None, None], LRELU_SLOPE)


class CoordBlock(nn.Module):
    """Residual block that halves the picture by means."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = CoordLayer(inputs, outputs, 3)
        self.conv2 = CoordLayer(outputs, outputs, 3)
        if inputs != outputs:
            self.skip = PlainConv(inputs, outputs, 1, active=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, I, H, W]`` -> ``[N, O, H / 2, W / 2]``."""
        out = F.avg_pool2d(self.conv2(self.conv1(x)), 2)
        small = F.avg_pool2d(x, 2)
        small = self.skip(small) if hasattr(self, "skip") else small
        return (out + small) / math.sqrt(2.0)


class CoordDiscriminator(nn.Module):
    """Pictures -> logits and angles.

    Args:
        resolution: side of the pictures, a power of two from 4 upwards.
        widths: side -> channels, down to 2.
        outputs: 3, or 1 without angles.
    """

    def __init__(self, resolution: int, widths: Mapping[int, int], outputs: int = 3) -> None:
        super().__init__()
        sides = [1 << i for i in range(resolution.bit_length() - 1, 1, -1)]
        layers: list[nn.Module] = [PlainConv(3, widths[resolution], 1, active=True)]
        layers += [CoordBlock(widths[side], widths[side // 2]) for side in sides]
        self.convs = nn.Sequential(*layers)
        self.final_conv = PlainConv(widths[2], outputs, 2, active=False)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """``[N, 3, R, R]`` -> ``[N]`` logits and ``[N, outputs - 1]`` angles, radians."""
        found = self.final_conv(self.convs(pictures)).flatten(1)
        return found[:, 0], found[:, 1:]


def coord_widths(resolution: int) -> dict[int, int]:
    """The release's: 400 up to 16 pixels, then 256, 128, 64."""
    sides = [1 << i for i in range(1, resolution.bit_length())]
    return {side: 400 if side <= 16 else max(8192 // side, 1) for side in sides}


def coord_widths_of(tensors: Mapping[str, Tensor]) -> dict[int, int]:
    """Side -> channels, read off a discriminator's tensors."""
    blocks = sum(
        re.fullmatch(r"convs\.\d+\.conv2\.conv\.conv\.weight", name) is not None for name in tensors
    )
    side = 2 << blocks
    widths = {side: tensors["convs.0.conv.weight"].shape[0]}
    for index in range(1, blocks + 1):
        widths[side >> index] = tensors[f"convs.{index}.conv2.conv.conv.weight"].shape[0]
    return widths
