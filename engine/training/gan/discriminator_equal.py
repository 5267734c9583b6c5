"""The residual discriminator of CIPS-3D and of StyleSDF's decoder.

StyleGAN2's mathematics (:mod:`.discriminator_residual`) in the modules of another lineage, whose
files name them otherwise: CIPS-3D's layers by what they do, StyleSDF's by their place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.stylegan2 import fir_filter, upfirdn2d
from engine.generators.stylegan2_ops import LRELU_SLOPE
from engine.training.gan.discriminator_blocks import minibatch_deviation

_GAIN = math.sqrt(2.0)


class _Blur(nn.Module):
    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_filter())


class _Weight(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))


class _Bias(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


class EqualConv(nn.Module):
    """Convolution with equalised learning rate: blur and halve or not, activate or not.

    Args:
        inputs, outputs, size: channels and the kernel's side.
        down: halve the picture.
        active: bias, leaky ReLU and its gain.
        named: parts have names, else numbers.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        down: bool = False,
        active: bool = True,
        named: bool = True,
    ) -> None:
        super().__init__()
        self.down, self.size, self.gain = down, size, 1.0 / math.sqrt(inputs * size * size)
        parts: dict[str, nn.Module] = {"down_blur": _Blur()} if down else {}
        parts["equal_conv"] = _Weight(inputs, outputs, size)
        if active:
            parts["flrelu"] = _Bias(outputs)
        self._names = {key: key if named else str(i) for i, key in enumerate(parts)}
        for key, part in parts.items():
            self.add_module(self._names[key], part)

    def _part(self, key: str) -> nn.Module:
        return self.get_submodule(self._names[key])

    def forward(self, x: Tensor) -> Tensor:
        """``[N, I, H, W]`` -> ``[N, O, H, W]``, or half the sides."""
        weight = self._part("equal_conv").get_parameter("weight") * self.gain
        if self.down:
            around = (self.size // 2 + 1,) * 4
            stride = 1 if self.size == 1 else 2
            kernel = self._part("down_blur").get_buffer("kernel")
            x = upfirdn2d(x, kernel, down=3 - stride, padding=around)
            x = F.conv2d(x, weight, stride=stride)
        else:
            x = F.conv2d(x, weight, padding=self.size // 2)
        if "flrelu" not in self._names:
            return x
        bias = self._part("flrelu").get_parameter("bias")
        return F.leaky_relu(x + bias[:, None, None], LRELU_SLOPE) * _GAIN


class EqualBlock(nn.Module):
    """Residual block that halves the picture.

    Args:
        early: the first of the two convolutions halves it, not the second.
    """

    def __init__(self, inputs: int, outputs: int, named: bool, early: bool = False) -> None:
        super().__init__()
        self.conv1 = EqualConv(inputs, inputs, 3, down=early, named=named)
        self.conv2 = EqualConv(inputs, outputs, 3, down=not early, named=named)
        self.skip = EqualConv(inputs, outputs, 1, down=True, active=False, named=named)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, I, H, W]`` -> ``[N, O, H / 2, W / 2]``."""
        out: Tensor = (self.conv2(self.conv1(x)) + self.skip(x)) / _GAIN
        return out


class EqualLinear(nn.Module):
    """Dense layer with equalised learning rate."""

    def __init__(self, inputs: int, outputs: int, active: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        """``[N, I]`` -> ``[N, O]``."""
        x = F.linear(x, self.weight / math.sqrt(self.weight.shape[1]), self.bias)
        return F.leaky_relu(x, LRELU_SLOPE) * _GAIN if self.active else x


class _Head(nn.Module):
    """The last 4 x 4 pixels -> logits, and ``angles`` numbers besides."""

    def __init__(
        self, width: int, last: int, named: bool, deviation: bool, group: int, angles: int = 0
    ) -> None:
        super().__init__()
        self.deviation, self.group = deviation, group
        self.final_conv = EqualConv(width + int(deviation), last, 3, named=named)
        self.final_linear = nn.Sequential(
            EqualLinear(last * 16, last, active=True), EqualLinear(last, 1 + angles)
        )

    def judged(self, x: Tensor) -> Tensor:
        """``[N, C, 4, 4]`` -> ``[N]``."""
        return self.both(x)[0]

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[N, C, 4, 4]`` -> ``[N]`` and ``[N, angles]``."""
        if self.deviation:
            x = minibatch_deviation(x, self.group)
        found: Tensor = self.final_linear(self.final_conv(x).flatten(1))
        return found[:, 0], found[:, 1:]


class PlacedDiscriminator(_Head):
    """StyleSDF's second stage: parts are named by their place.

    Args:
        resolution: side of the pictures. widths: side -> channels, down to 4.
        group: of the minibatch deviation.
    """

    def __init__(self, resolution: int, widths: Mapping[int, int], group: int = 4) -> None:
        super().__init__(widths[4], widths[4], False, True, group)
        self.resolution = resolution
        sides = [1 << i for i in range(resolution.bit_length() - 1, 2, -1)]
        layers: list[nn.Module] = [EqualConv(3, widths[resolution], 1, named=False)]
        layers += [EqualBlock(widths[side], widths[side // 2], named=False) for side in sides]
        self.convs = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> Tensor:
        """``[N, 3, R, R]`` -> ``[N]`` logits."""
        return self.judged(self.convs(pictures))


def placed_widths_of(tensors: Mapping[str, Tensor]) -> dict[int, int]:
    """Side -> channels of a :class:`PlacedDiscriminator`, read off its tensors."""
    blocks = sum(re.fullmatch(r"convs\.\d+\.skip\.1\.weight", name) is not None for name in tensors)
    side = 4 << blocks
    widths = {side: tensors["convs.0.0.weight"].shape[0]}
    for index in range(1, blocks + 1):
        widths[side >> index] = tensors[f"convs.{index}.skip.1.weight"].shape[0]
    return widths


class MultiScaleDiscriminator(_Head):
    """CIPS-3D's: a picture of any of its sides enters at its own place.

    Args:
        widths: side -> channels, from the largest side down to 4.
        reads: sides that have a layer of their own for pictures.
        early: see :class:`EqualBlock`.
        deviation: whether the batch is looked at together.
        angles: 2 to read a head's pose, which the authors' does not.
    """

    def __init__(
        self,
        widths: Mapping[int, int],
        reads: tuple[int, ...],
        early: bool = False,
        deviation: bool = True,
        angles: int = 0,
    ) -> None:
        super().__init__(widths[4], widths[4], True, deviation, 4, angles)
        largest = max(side for side in widths)
        self.conv_in = nn.ModuleDict({str(s): EqualConv(3, widths[s], 1) for s in reads})
        self.sides = [1 << i for i in range(largest.bit_length() - 1, 2, -1)]
        self.convs = nn.ModuleDict(
            {str(s): EqualBlock(widths[s], widths[s // 2], True, early) for s in self.sides}
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """``[N, 3, S, S]`` -> ``[N]`` logits."""
        return self.read(pictures)[0]

    def read(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and ``[N, angles]``, radians."""
        side = pictures.shape[-1]
        x = self.conv_in[str(side)](pictures)
        for block_side in self.sides:
            if block_side <= side:
                x = self.convs[str(block_side)](x)
        return self.both(x)


class AuxiliaryDiscriminator(nn.Module):
    """CIPS-3D's pair: one judges pictures, the other, smaller one the NeRF's own."""

    def __init__(self, main: MultiScaleDiscriminator, aux: MultiScaleDiscriminator) -> None:
        super().__init__()
        self.main_disc, self.aux_disc = main, aux

    def forward(self, pictures: Tensor, both: bool) -> Tensor:
        """``[N, 3, S, S]`` -> ``[N]`` logits; with ``both`` the second half of the batch are the
        NeRF's own pictures."""
        return self.read(pictures, both)[0]

    def read(self, pictures: Tensor, both: bool) -> tuple[Tensor, Tensor]:
        """The same, and ``[N, angles]``, radians."""
        if not both:
            found: tuple[Tensor, Tensor] = self.main_disc.read(pictures)
            return found
        main, aux = pictures.chunk(2)
        each = zip(self.main_disc.read(main), self.aux_disc.read(aux), strict=True)
        logits, angles = (torch.cat(pair) for pair in each)
        return logits, angles


def auxiliary_of(tensors: Mapping[str, Tensor]) -> AuxiliaryDiscriminator:
    """A discriminator of the sizes that an authors' file has, with its tensors."""
    nets = []
    for name in ("main_disc", "aux_disc"):
        own = {
            k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")
        }
        reads = {
            int(k.split(".")[1]): v.shape[0]
            for k, v in own.items()
            if re.fullmatch(r"conv_in\.\d+\.equal_conv\.weight", k)
        }
        blocks = {
            int(k.split(".")[1]): v.shape[1]
            for k, v in own.items()
            if re.fullmatch(r"convs\.\d+\.skip\.equal_conv\.weight", k)
        }
        early = any(re.fullmatch(r"convs\.\d+\.conv1\.down_blur\.kernel", k) for k in own)
        last = own["final_conv.equal_conv.weight"].shape
        widths = {**reads, **blocks, 4: last[0]}
        top = max(blocks)
        net = MultiScaleDiscriminator(
            {s: w for s, w in widths.items() if s <= top}
            | {s: w for s, w in reads.items() if s > top},
            tuple(reads),
            early,
            last[1] == last[0] + 1,
            own["final_linear.1.weight"].shape[0] - 1,
        )
        nets.append(net)
    found = AuxiliaryDiscriminator(*nets)
    found.load_state_dict(dict(tensors))
    return found
