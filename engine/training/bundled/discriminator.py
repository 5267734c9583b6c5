"""A patch discriminator for the sharpening stage.

It sees what EG3D's dual discrimination shows (Chan et al. 2022, section 4.3): the final
picture beside the upsampled raw one, so that the upsampler cannot invent what the volume does not
hold, and besides what tells sharp from soft, large enough to be learnt from within some hundred
steps. It judges overlapping patches (Isola et al. 2017) rather than whole heads: content is
already held by the supervised losses.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: How much larger the discriminator sees details, which are some hundredths of the range.
DETAIL = 6.0


class _EqualConv(nn.Module):
    """3x3 convolution with runtime weight scaling (Karras et al. 2018, section 4.1)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = 1.0 / math.sqrt(inputs * 9)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight * self.gain, self.bias, stride=self.stride, padding=1)
        return F.leaky_relu(x, 0.2) * math.sqrt(2.0)


class PatchDiscriminator(nn.Module):
    """``[N, 9, S, S]`` (:func:`told`) -> ``[N, S/8, S/8]`` logits, one for each overlapping patch of 43 pixels.

    Args:
        width: channels of the first layer; doubled at each halving up to 4 x.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        sizes = [9, width, width * 2, width * 4]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [_EqualConv(before, after, 2), _EqualConv(after, after, 1)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(sizes[-1], 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(pictures))
        return logits[:, 0]


def told(picture: Tensor, raw: Tensor) -> Tensor:
    """Final picture ``[N, 3, S, S]`` and raw ``[N, 3, s, s]`` -> ``[N, 9, S, S]``: the picture, the raw one
    enlarged, and :data:`DETAIL` times what the picture has beyond the means of four by four pixels."""
    side = picture.shape[-2:]
    grown, coarse = (
        F.interpolate(image, side, mode="bilinear", align_corners=False)
        for image in (raw, F.avg_pool2d(picture, 4))
    )
    return torch.cat([picture, grown, DETAIL * (picture - coarse)], dim=1)
