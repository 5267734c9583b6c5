"""pi-GAN's discriminator: residual blocks that are told where they are, grown with the pictures.

Chan et al., "pi-GAN" (2021), section 3.3, after Karras et al., "Progressive Growing of GANs" (2018).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.training.gan.discriminator_blocks import minibatch_deviation
from engine.training.gan.discriminator_coord import CoordBlock, PlainConv


class GrowingDiscriminator(nn.Module):
    """Pictures of any of its sides -> logits and angles.

    Args:
        widths: side -> channels, a power of two each, down to 2.
        least: smallest side of pictures.
        group: pictures that are looked at together
            (:func:`~engine.training.gan.discriminator_blocks.minibatch_deviation`); 0 for none, as
            published.
    """

    def __init__(self, widths: Mapping[int, int], least: int, group: int = 0) -> None:
        super().__init__()
        self.group = group
        largest = max(widths)
        self.sides = [1 << i for i in range(largest.bit_length() - 1, 1, -1)]
        reads = [side for side in self.sides if side >= least]
        self.from_rgb = nn.ModuleDict({str(s): PlainConv(3, widths[s], 1, True) for s in reads})
        self.blocks = nn.ModuleDict(
            {str(side): CoordBlock(widths[side], widths[side // 2]) for side in self.sides}
        )
        self.final = PlainConv(widths[2] + int(group > 0), 3, 2, active=False)

    def forward(self, pictures: Tensor, fade: float = 1.0) -> tuple[Tensor, Tensor]:
        """Judge pictures.

        Args:
            pictures: ``[N, 3, S, S]``.
            fade: share of the first block; the rest is the picture at half the side.

        Returns:
            ``[N]`` logits and ``[N, 2]`` angles, radians.
        """
        side = pictures.shape[-1]
        x = self.from_rgb[str(side)](pictures)
        for block_side in self.sides:
            if block_side > side:
                continue
            x = self.blocks[str(block_side)](x)
            if block_side == side and fade < 1.0:
                small = self.from_rgb[str(side // 2)](F.avg_pool2d(pictures, 2))
                x = torch.lerp(small, x, fade)
        x = minibatch_deviation(x, self.group) if self.group else x
        found = self.final(x).flatten(1)
        return found[:, 0], found[:, 1:]
