"""StyleGAN2's residual discriminator, and EG3D's dual one, which is the same on six channels."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.generators.stylegan2 import fir_filter
from engine.training.gan.discriminator_blocks import (
    CLAMP,
    ConditionMapping,
    Epilogue,
    ResidualBlock,
    block_widths,
)
from engine.training.gan.losses import resized


class ResidualDiscriminator(nn.Module):
    """Pictures (and what is told of them) -> logits.

    Args:
        resolution: side of the pictures, a power of two from 8 upwards.
        img_channels: 3, or 6 for :func:`pair`.
        widths: side of a block -> its channels, from ``resolution`` down to 4.
        c_dim: length of the conditioning, 0 for none.
        mapping_layers: of the conditioning's mapping.
        group_size: of the minibatch deviation.
        clamp: limit of every layer's magnitude, or ``None``.
        angles: 2 to read a head's pose, which the authors' does not.
    """

    def __init__(
        self,
        resolution: int,
        img_channels: int = 3,
        widths: Mapping[int, int] | None = None,
        c_dim: int = 0,
        mapping_layers: int = 8,
        group_size: int = 4,
        clamp: float | None = CLAMP,
        angles: int = 0,
    ) -> None:
        super().__init__()
        widths = dict(widths or block_widths(resolution))
        self.resolution = resolution
        self.sides = [1 << i for i in range(resolution.bit_length() - 1, 2, -1)]
        if resolution < 8 or resolution != 1 << (resolution.bit_length() - 1):
            raise ValueError(f"a discriminator's side is a power of two from 8, not {resolution}")
        for side in self.sides:
            first = side == resolution
            block = ResidualBlock(
                0 if first else widths[side], widths[side], widths[side // 2], img_channels, clamp
            )
            self.add_module(f"b{side}", block)
        width = widths[4]
        self.mapping = ConditionMapping(c_dim, width, mapping_layers) if c_dim else None
        self.b4 = Epilogue(width, width if c_dim else 1, group_size, clamp=clamp, angles=angles)

    def forward(self, pictures: Tensor, c: Tensor | None = None) -> Tensor:
        """``[N, img_channels, R, R]`` and ``[N, c_dim]`` -> ``[N]`` logits."""
        return self.read(pictures, c)[0]

    def read(self, pictures: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits as :meth:`forward`, and ``[N, angles]``, radians."""
        x: Tensor | None = None
        for side in self.sides:
            x = self.get_submodule(f"b{side}")(x, pictures)
        conditions = None if self.mapping is None or c is None else self.mapping(c)
        assert x is not None
        return self.b4.read(x, conditions=conditions)


class DualDiscriminator(ResidualDiscriminator):
    """EG3D's: final and raw picture side by side, the camera beside them (Chan et al. 2022,
    section 4.3), under the authors' names."""

    resample_filter: Tensor

    def __init__(
        self,
        resolution: int,
        widths: Mapping[int, int] | None = None,
        c_dim: int = 25,
        mapping_layers: int = 8,
        group_size: int = 4,
        clamp: float | None = CLAMP,
        angles: int = 0,
    ) -> None:
        super().__init__(resolution, 6, widths, c_dim, mapping_layers, group_size, clamp, angles)
        # The authors' files hold it; pictures are enlarged by antialiased interpolation.
        self.register_buffer("resample_filter", fir_filter())


def widths_of(tensors: Mapping[str, Tensor], side: int = 0) -> dict[int, int]:
    """Side -> channels of a discriminator's blocks, read off its tensors.

    Args:
        tensors: of NVIDIA's lineage, residual or skip.
        side: of the pictures that it must judge, if that is known.

    Raises:
        ValueError: these are no such discriminator's, or it judges pictures of another side.
    """
    found = {
        int(name[1:].partition(".")[0]): tensor.shape[1]
        for name, tensor in tensors.items()
        if re.fullmatch(r"b\d+\.conv1\.weight", name)
    }
    last = tensors.get("b4.conv.weight")
    if last is None or not found:
        raise ValueError("the tensors are not those of a residual discriminator")
    if side and max(found) != side:
        raise ValueError(f"the discriminator judges pictures of {max(found)} pixels, not {side}")
    return {**found, 4: last.shape[0]}


def pair(picture: Tensor, raw: Tensor) -> Tensor:
    """Final picture ``[N, 3, S, S]`` and raw one ``[N, 3, s, s]``, enlarged -> ``[N, 6, S, S]``."""
    return torch.cat([picture, resized(raw, picture.shape[-1])], dim=1)
