"""StyleGAN2's skip discriminator, grown as StyleNeRF grows it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.generators.stylegan2 import fir_filter, upfirdn2d
from engine.training.gan.discriminator_blocks import CLAMP, ConvLayer, Epilogue, block_widths


class SkipBlock(nn.Module):
    """Reads the picture beside the features, and halves both."""

    resample_filter: Tensor

    def __init__(self, middle: int, out_channels: int, clamp: float | None) -> None:
        super().__init__()
        self.register_buffer("resample_filter", fir_filter())
        self.fromrgb = ConvLayer(3, middle, 1, clamp=clamp)
        self.conv0 = ConvLayer(middle, middle, 3, clamp=clamp)
        self.conv1 = ConvLayer(middle, out_channels, 3, down=2, clamp=clamp)

    def forward(self, x: Tensor | None, img: Tensor) -> tuple[Tensor, Tensor]:
        """Features (none before the first block) and picture -> both of half the side."""
        seen = self.fromrgb(img)
        x = seen if x is None else x + seen
        x = self.conv1(self.conv0(x))
        return x, upfirdn2d(img, self.resample_filter, down=2, padding=(1, 1, 1, 1))


class SkipDiscriminator(nn.Module):
    """Pictures -> logits, from any of its sides on.

    Gu et al., "StyleNeRF" (2022), section 3.4: a picture of a smaller side enters at its own block;
    a block that has just been added is faded in.

    Args:
        resolution: largest side, a power of two from 8 upwards.
        widths: side of a block -> channels, down to 4.
        group_size: of the minibatch deviation.
        clamp: limit of every layer's magnitude, or ``None``.
        angles: 2 to read a head's pose, which the authors' does not.
    """

    alpha: Tensor

    def __init__(
        self,
        resolution: int,
        widths: Mapping[int, int] | None = None,
        group_size: int = 8,
        clamp: float | None = CLAMP,
        angles: int = 0,
    ) -> None:
        super().__init__()
        widths = dict(widths or block_widths(resolution))
        self.resolution = resolution
        self.sides = [1 << i for i in range(resolution.bit_length() - 1, 2, -1)]
        #: How far growing has come, as files store it.
        self.register_buffer("alpha", torch.ones([]))
        for side in self.sides:
            self.add_module(f"b{side}", SkipBlock(widths[side], widths[side // 2], clamp))
        self.b4 = Epilogue(widths[4], 1, group_size, clamp=clamp, img_channels=3, angles=angles)

    def forward(self, pictures: Tensor, fade: float = 1.0) -> Tensor:
        """Judge pictures.

        Args:
            pictures: ``[N, 3, S, S]``, S one of :attr:`sides`.
            fade: share of the first block that takes part, in 0 to 1.

        Returns:
            ``[N]`` logits.
        """
        return self.read(pictures, fade)[0]

    def read(self, pictures: Tensor, fade: float = 1.0) -> tuple[Tensor, Tensor]:
        """Logits as :meth:`forward`, and ``[N, angles]``, radians."""
        x: Tensor | None = None
        img = pictures
        for side in self.sides:
            if side > pictures.shape[-1]:
                continue
            x, img = self.get_submodule(f"b{side}")(x, img)
            if side == pictures.shape[-1] and fade < 1.0:
                assert x is not None
                x = x * fade
        assert x is not None
        return self.b4.read(x, img)
