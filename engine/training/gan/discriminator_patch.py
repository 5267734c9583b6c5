"""EpiGRAF's discriminator: it is told which part of the picture it sees.

Skorokhodov et al., "EpiGRAF" (2022), section 3.2: StyleGAN2's residual discriminator for patches,
each of whose blocks is modulated by the patch's scale and place, which its last layer is also
multiplied with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.training.gan.discriminator_blocks import (
    CLAMP,
    ConditionMapping,
    Epilogue,
    ResidualBlock,
)

#: Numbers in 0 to 1 are counted in thousandths.
_STEPS = 1000
#: Length of the vector that modulates the blocks.
_TOLD = 512


class _Fourier(nn.Module):
    fourier_coefs: Tensor

    def __init__(self) -> None:
        super().__init__()
        count = math.ceil(math.log2(_STEPS))
        coefs = [2.0**k * math.pi / 2.0**count for k in range(count)]
        self.register_buffer("fourier_coefs", torch.tensor(coefs))


class ScalarEncoder(nn.Module):
    """Numbers in 0 to 1 -> sines and cosines of each in thousandths, and an embedding of it.

    Args:
        embedded: length of the embedding.
    """

    def __init__(self, embedded: int = 256) -> None:
        super().__init__()
        self.const_embed = nn.Embedding(_STEPS + 1, embedded)
        self.fourier_encoder = _Fourier()

    @property
    def width(self) -> int:
        """Numbers that each number becomes."""
        return self.const_embed.embedding_dim + 2 * len(self.fourier_encoder.fourier_coefs)

    def forward(self, values: Tensor) -> Tensor:
        """``[N, D]`` -> ``[N, D * width]``: of each its sines, cosines, embedding."""
        counted = values.float() * _STEPS
        angles = counted[..., None] * self.fourier_encoder.fourier_coefs
        known = self.const_embed(counted.round().long().clamp(0, _STEPS))
        return torch.cat([angles.sin(), angles.cos(), known], dim=-1).flatten(1)


class PatchDiscriminator(nn.Module):
    """Patches and where they were taken -> logits.

    Args:
        side: of the patches, pixels.
        widths: nominal side of a block -> channels, down to 4. Blocks above ``side`` do not halve.
        camera: length of what is told of the camera, 0 for nothing.
        located: whether it is told the patch's place; without it, it is a plain one.
        embedded: see :class:`ScalarEncoder`.
        layers: of the two mappings.
        group_size: of the minibatch deviation.
        angles: 2 to read a head's pose, which the authors' does not.
    """

    def __init__(
        self,
        side: int,
        widths: Mapping[int, int],
        camera: int = 0,
        located: bool = True,
        embedded: int = 256,
        layers: int = 2,
        group_size: int = 4,
        angles: int = 0,
    ) -> None:
        super().__init__()
        nominal = max(widths)
        self.side, self.camera = side, camera
        self.sides = [1 << i for i in range(nominal.bit_length() - 1, 2, -1)]
        told, told_dim = 0, camera
        self.scalar_enc = ScalarEncoder(embedded) if located else None
        if self.scalar_enc is not None:
            told = _TOLD
            told_dim += 3 * self.scalar_enc.width
            self.hyper_mod_mapping = ConditionMapping(3 * self.scalar_enc.width, told, layers)
        for index, block_side in enumerate(self.sides):
            block = ResidualBlock(
                0 if index == 0 else widths[block_side],
                widths[block_side],
                widths[block_side // 2],
                3,
                CLAMP,
                down=1 if (nominal >> index) > side else 2,
                reads=True,
                told=told,
            )
            self.add_module(f"b{block_side}", block)
        width = widths[4]
        self.head_mapping = ConditionMapping(told_dim, width, layers) if told_dim else None
        outputs = width if told_dim else 1
        self.b4 = Epilogue(width, outputs, group_size, clamp=CLAMP, angles=angles)

    def forward(self, patches: Tensor, told: Tensor) -> Tensor:
        """Judge patches.

        Args:
            patches: ``[N, 3, side, side]``.
            told: ``[N, 3 + camera]`` scale and both offsets in 0 to 1, then the camera.

        Returns:
            ``[N]`` logits.
        """
        return self.read(patches, told)[0]

    def read(self, patches: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Logits as :meth:`forward`, and ``[N, angles]``, radians."""
        parts = [told[:, 3 : 3 + self.camera]]
        modulation: Tensor | None = None
        if self.scalar_enc is not None:
            place = self.scalar_enc(told[:, :3])
            modulation = self.hyper_mod_mapping(place)
            parts.insert(0, place)
        x: Tensor | None = None
        for side in self.sides:
            x = self.get_submodule(f"b{side}")(x, patches, modulation)
        conditions = None
        if self.head_mapping is not None:
            conditions = self.head_mapping(torch.cat(parts, dim=1))
        assert x is not None
        return self.b4.read(x, conditions=conditions)
