"""EG3D's super-resolution: two StyleGAN2 blocks on top of the volume rendering."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.stylegan2 import NoiseMode, SynthesisBlock
from engine.generators.stylegan2_ops import innermost


@dataclass(frozen=True)
class SRLayout:
    """What distinguishes the authors' super-resolution modules.

    Attributes:
        channels: widths of the two blocks in the release.
        first_upsamples: whether the first block doubles the size too (the second always
            does).
    """

    channels: tuple[int, int]
    first_upsamples: bool

    @property
    def factor(self) -> int:
        """Output side over input side."""
        return 4 if self.first_upsamples else 2


#: The release's modules by class name. 8XDC and 8X turn 128 px into 512, 4X 128 px into 256,
#: 2X 64 px into 128; "Deepfp32" is the 4X layout under an older name.
SR_LAYOUTS: dict[str, SRLayout] = {
    "SuperresolutionHybrid8XDC": SRLayout((256, 128), True),
    "SuperresolutionHybrid8X": SRLayout((128, 64), True),
    "SuperresolutionHybrid4X": SRLayout((128, 64), False),
    "SuperresolutionHybrid2X": SRLayout((128, 64), False),
    "SuperresolutionHybridDeepfp32": SRLayout((128, 64), False),
}


class SuperResolution(nn.Module):
    """Feature picture and its first three channels -> final picture.

    Args:
        in_channels: features per pixel.
        channels: widths of the two blocks.
        input_resolution: side that the first block was trained on.
        first_upsamples: see :class:`SRLayout`.
        w_dim: columns of ``ws``.
        antialias: antialiased resize of inputs of another size.
        conv_clamp: limit of every layer's magnitude, or ``None``.
        noise_mode: the model's own noise setting; callers cannot override it.
    """

    def __init__(
        self,
        in_channels: int,
        channels: tuple[int, int],
        input_resolution: int,
        first_upsamples: bool,
        w_dim: int,
        antialias: bool = True,
        conv_clamp: float | None = 256.0,
        noise_mode: NoiseMode = "none",
    ) -> None:
        super().__init__()
        self.input_resolution, self.antialias = input_resolution, antialias
        self.noise_mode: NoiseMode = noise_mode
        middle = input_resolution * (2 if first_upsamples else 1)
        self.block0 = SynthesisBlock(
            in_channels, channels[0], w_dim, middle, 3, first_upsamples, conv_clamp
        )
        self.block1 = SynthesisBlock(
            channels[0], channels[1], w_dim, 2 * middle, 3, True, conv_clamp
        )

    def forward(self, rgb: Tensor, features: Tensor, ws: Tensor) -> Tensor:
        """Upsample.

        Args:
            rgb: ``[N, 3, h, w]`` in ``[-1, 1]``.
            features: ``[N, C, h, w]``, of which ``rgb`` are the first channels.
            ws: ``[N, num_ws, w_dim]``; only the last row is used, for every layer.

        Returns:
            ``[N, 3, H, W]``, about ``[-1, 1]``. Inputs of another size than
            ``input_resolution`` are resized to it first, so that H never changes.
        """
        side = self.input_resolution
        if features.shape[-1] != side or features.shape[-2] != side:
            features = self._resized(features)
            rgb = self._resized(rgb)
        features = innermost(features)  # a third less time on a CPU
        rows = ws[:, -1:].expand(-1, 3, -1)
        x, img = self.block0(features, rgb, rows, self.noise_mode)
        return self.block1(x, img, rows, self.noise_mode)[1]  # type: ignore[no-any-return]

    def _resized(self, x: Tensor) -> Tensor:
        side = (self.input_resolution, self.input_resolution)
        return F.interpolate(
            x, side, mode="bilinear", align_corners=False, antialias=self.antialias
        )
