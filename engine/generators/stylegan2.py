"""StyleGAN2's blocks in plain torch: the shared ground of the families that modulate.

Layer by layer the networks of Karras et al., "Analyzing and Improving the Image Quality of
StyleGAN" (2020), in float32, batch first and differentiable, under the names that their
state dicts use, so that authors' tensors load without renaming. Everything here runs on
stock torch operators; nothing is compiled.

Conventions: pictures are ``[N, C, H, W]``, latents ``[N, D]``, extended latents ``ws``
``[N, num_ws, w_dim]``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.latent_features import LatentFeatures, LatentStep
from engine.generators.stylegan2_ops import (
    DEFAULT_FILTER,
    LRELU_SLOPE,
    Activation,
    activate,
    fir_filter,
    innermost,
    modulated_conv2d,
    normalize_second_moment,
    styled_conv2d,
    upfirdn2d,
    upsample2d,
)

__all__ = [
    "DEFAULT_FILTER",
    "Activation",
    "FullyConnected",
    "MappingNetwork",
    "NoiseMode",
    "NoiseSource",
    "SynthesisBlock",
    "SynthesisLayer",
    "SynthesisNetwork",
    "ToRGB",
    "activate",
    "block_resolutions",
    "fir_filter",
    "modulated_conv2d",
    "normalize_second_moment",
    "num_ws_of",
    "stylegan_channels",
    "upfirdn2d",
    "upsample2d",
]

#: Where per-pixel noise comes from: nowhere, the stored buffers, or torch's own generator.
NoiseMode = Literal["none", "const", "random"]
#: The same, or a generator that draws it (training, where all that is random must be repeatable).
NoiseSource = NoiseMode | torch.Generator


class FullyConnected(nn.Module):
    """Linear layer with equalised learning rate.

    ``y = act(x @ (W * lr / sqrt(in)).T + b * lr)``. The stored weights have variance
    ``1 / lr^2`` at initialisation.

    Args:
        in_features, out_features: sizes.
        activation: ``"linear"`` or ``"lrelu"``.
        lr_multiplier: ``lr`` above.
        bias_init: initial value of every (unscaled) bias.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        activation: Activation = "linear",
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.activation: Activation = activation
        # Not randn / lr_multiplier: on the meta device a division imports torch's compiler.
        spread = 1.0 / lr_multiplier
        self.weight = nn.Parameter(torch.normal(0.0, spread, (out_features, in_features)))
        self.bias = nn.Parameter(torch.full((out_features,), float(bias_init))) if bias else None
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in_features]`` -> ``[..., out_features]``."""
        bias = None if self.bias is None else self.bias * self.bias_gain
        y = F.linear(x, self.weight * self.weight_gain, bias)
        if self.activation == "lrelu":
            y = F.leaky_relu(y, LRELU_SLOPE) * math.sqrt(2.0)
        return y


class MappingNetwork(nn.Module):
    """Latent z (and conditioning c) to extended latent ``ws``.

    Args:
        z_dim: length of z.
        c_dim: length of the conditioning; 0 for none.
        w_dim: length of w.
        num_ws: rows to broadcast w to.
        num_layers: fully connected layers.
        lr_multiplier: of those layers.
        embed_features: width of the conditioning's embedding; default ``w_dim``.
        layer_features: width of the inner layers; default ``w_dim``.
        w_avg_beta: decay of the running average of w.
        latent_steps: steps of a fixed layer that spells out z (see
            :mod:`engine.generators.latent_features`); it takes the place of z's
            normalisation. Not of any published network.
    """

    w_avg: Tensor

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_ws: int,
        num_layers: int = 2,
        lr_multiplier: float = 0.01,
        embed_features: int | None = None,
        layer_features: int | None = None,
        w_avg_beta: float = 0.998,
        latent_steps: Sequence[LatentStep] = (),
    ) -> None:
        super().__init__()
        self.spell = LatentFeatures(z_dim, latent_steps) if latent_steps else None
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.num_ws, self.num_layers, self.w_avg_beta = num_ws, num_layers, w_avg_beta
        embedded = (w_dim if embed_features is None else embed_features) if c_dim else 0
        inner = w_dim if layer_features is None else layer_features
        if c_dim:
            self.embed = FullyConnected(c_dim, embedded)
        spelt = z_dim if self.spell is None else self.spell.out_features
        widths = [spelt + embedded] + [inner] * (num_layers - 1) + [w_dim]
        for index in range(num_layers):
            layer = FullyConnected(
                widths[index], widths[index + 1], activation="lrelu", lr_multiplier=lr_multiplier
            )
            self.add_module(f"fc{index}", layer)
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        update_average: bool = False,
    ) -> Tensor:
        """Map latents.

        Args:
            z: ``[N, z_dim]``.
            c: ``[N, c_dim]``; ``None`` means zeros.
            psi: truncation: rows become ``w_avg + psi * (w - w_avg)``.
            cutoff: truncate only the first so many rows; ``None`` means all.
            update_average: move ``w_avg`` towards this batch (training).

        Returns:
            ``[N, num_ws, w_dim]``.
        """
        z = z.to(self.w_avg.dtype)
        x = normalize_second_moment(z) if self.spell is None else self.spell(z)
        if self.c_dim:
            if c is None:
                c = z.new_zeros(z.shape[0], self.c_dim)
            x = torch.cat([x, normalize_second_moment(self.embed(c.to(z.dtype)))], dim=1)
        for index in range(self.num_layers):
            x = self.get_submodule(f"fc{index}")(x)
        if update_average:
            self.w_avg.copy_(x.detach().mean(dim=0).lerp(self.w_avg, self.w_avg_beta))
        ws = x[:, None, :].repeat(1, self.num_ws, 1)
        if psi != 1.0:
            rows = self.num_ws if cutoff is None else max(0, min(cutoff, self.num_ws))
            ws = torch.cat([self.w_avg.lerp(ws[:, :rows], psi), ws[:, rows:]], dim=1)
        return ws


class SynthesisLayer(nn.Module):
    """Modulated 3 x 3 convolution with noise, bias and activation.

    Args:
        in_channels, out_channels, w_dim: sizes.
        resolution: side of the result.
        up: 1, or 2 to double the size.
        conv_clamp: limit of the result's magnitude, or ``None``.
    """

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        kernel_size: int = 3,
        up: int = 1,
        activation: Activation = "lrelu",
        conv_clamp: float | None = None,
        resample_filter: Sequence[float] = DEFAULT_FILTER,
    ) -> None:
        super().__init__()
        self.resolution, self.up, self.conv_clamp = resolution, up, conv_clamp
        self.padding = kernel_size // 2
        self.activation: Activation = activation
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("resample_filter", fir_filter(resample_filter))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def forward(self, x: Tensor, w: Tensor, noise_mode: NoiseSource = "const") -> Tensor:
        """``[N, I, H, W]``, ``[N, w_dim]`` -> ``[N, O, H * up, W * up]``.

        Raises:
            ValueError: stored noise is asked for at another size than ``resolution``.
        """
        noise: Tensor | None = None
        if noise_mode == "const":
            if x.shape[-1] * self.up != self.resolution:
                raise ValueError(
                    f"stored noise is {self.resolution} pixels wide, the layer's result "
                    f"{x.shape[-1] * self.up}"
                )
            noise = self.noise_const * self.noise_strength
        elif noise_mode != "none":
            random = noise_mode if isinstance(noise_mode, torch.Generator) else None
            shape = (x.shape[0], 1, x.shape[2] * self.up, x.shape[3] * self.up)
            noise = torch.randn(shape, generator=random, device=x.device, dtype=x.dtype)
            noise = noise * self.noise_strength
        return styled_conv2d(
            x,
            self.weight,
            self.affine(w),
            self.bias,
            self.activation,
            self.conv_clamp,
            up=self.up,
            kernel=self.resample_filter,
            padding=self.padding,
            noise=noise,
        )


class ToRGB(nn.Module):
    """Modulated 1 x 1 convolution to picture channels, without demodulation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.conv_clamp = conv_clamp
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.weight_gain = 1.0 / math.sqrt(in_channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``[N, I, H, W]``, ``[N, w_dim]`` -> ``[N, O, H, W]``."""
        styles = self.affine(w) * self.weight_gain
        x = modulated_conv2d(x, self.weight, styles, demodulate=False)
        return activate(x, self.bias, "linear", self.conv_clamp, not torch.is_grad_enabled())


class SynthesisBlock(nn.Module):
    """One resolution of the skip generator: convolutions, and a sum of pictures.

    Args:
        in_channels: 0 for the first block, which starts from a learned constant.
        out_channels, w_dim, resolution: sizes of the result.
        img_channels: channels of the summed picture.
        upsample: double the size (``False``: EG3D's block without upsampling).
        conv_clamp: limit of every layer's magnitude, or ``None``.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        img_channels: int,
        upsample: bool = True,
        conv_clamp: float | None = None,
        resample_filter: Sequence[float] = DEFAULT_FILTER,
    ) -> None:
        super().__init__()
        self.in_channels, self.resolution, self.upsample = in_channels, resolution, upsample
        #: Convolutions; each takes one row of ``ws``, and ``torgb`` the row after them.
        self.num_conv = 1 if in_channels == 0 else 2
        self.num_torgb = 1
        self.register_buffer("resample_filter", fir_filter(resample_filter))
        if in_channels == 0:
            self.const = nn.Parameter(torch.randn(out_channels, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(
                in_channels,
                out_channels,
                w_dim,
                resolution,
                up=2 if upsample else 1,
                conv_clamp=conv_clamp,
                resample_filter=resample_filter,
            )
        self.conv1 = SynthesisLayer(
            out_channels,
            out_channels,
            w_dim,
            resolution,
            conv_clamp=conv_clamp,
            resample_filter=resample_filter,
        )
        self.torgb = ToRGB(out_channels, img_channels, w_dim, conv_clamp)

    def forward(
        self, x: Tensor | None, img: Tensor | None, ws: Tensor, noise_mode: NoiseSource = "const"
    ) -> tuple[Tensor, Tensor]:
        """Features, picture so far and ``[N, num_conv + 1, w_dim]`` rows -> both, larger."""
        if self.in_channels == 0:
            x = self.const[None].expand(ws.shape[0], -1, -1, -1)
            x = self.conv1(x, ws[:, 0], noise_mode)
        else:
            assert x is not None
            x = self.conv0(innermost(x), ws[:, 0], noise_mode)
            x = self.conv1(x, ws[:, 1], noise_mode)
        if img is not None and self.upsample:
            img = upsample2d(innermost(img), self.resample_filter)
        rgb = self.torgb(x, ws[:, self.num_conv])
        if img is None:
            return x, rgb
        # The sum is as large as the picture; where nothing is learned it takes no further memory.
        return x, img + rgb if torch.is_grad_enabled() else rgb.add_(img)


class SynthesisNetwork(nn.Module):
    """StyleGAN2's skip generator from 4 x 4 to ``img_resolution``.

    Args:
        w_dim: columns of ``ws``.
        img_resolution: side of the picture, a power of two from 8 upwards.
        img_channels: channels of the picture.
        channels: width of each block from 4 x 4 upwards.
        conv_clamp: limit of every layer's magnitude, or ``None``.
    """

    def __init__(
        self,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        channels: Sequence[int],
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.w_dim, self.img_resolution, self.img_channels = w_dim, img_resolution, img_channels
        self.block_resolutions = block_resolutions(img_resolution)
        if len(channels) != len(self.block_resolutions):
            raise ValueError(
                f"{len(self.block_resolutions)} blocks need as many widths, not {len(channels)}"
            )
        previous = 0
        for resolution, width in zip(self.block_resolutions, channels, strict=True):
            block = SynthesisBlock(
                previous, width, w_dim, resolution, img_channels, conv_clamp=conv_clamp
            )
            self.add_module(f"b{resolution}", block)
            previous = width
        self.num_ws = num_ws_of(img_resolution)

    def forward(self, ws: Tensor, noise_mode: NoiseSource = "const") -> Tensor:
        """``[N, num_ws, w_dim]`` -> ``[N, img_channels, img_resolution, img_resolution]``.

        Each block takes its convolutions' rows and one more for ``torgb``, which the next
        block's first convolution uses again.
        """
        x: Tensor | None = None
        img: Tensor | None = None
        row = 0
        for resolution in self.block_resolutions:
            block = self.get_submodule(f"b{resolution}")
            assert isinstance(block, SynthesisBlock)
            x, img = block(x, img, ws[:, row : row + block.num_conv + 1], noise_mode)
            row += block.num_conv
        assert img is not None
        return img


def block_resolutions(img_resolution: int) -> list[int]:
    """Sides of the blocks of a skip generator: 4, 8, ... ``img_resolution``.

    Raises:
        ValueError: not a power of two from 8 upwards.
    """
    exponent = img_resolution.bit_length() - 1
    if img_resolution < 8 or 2**exponent != img_resolution:
        raise ValueError(
            f"a resolution must be a power of two from 8 upwards, not {img_resolution}"
        )
    return [2**i for i in range(2, exponent + 1)]


def num_ws_of(img_resolution: int) -> int:
    """Rows of ``ws`` that a skip generator reads: one, two a block above 4, one for the end."""
    return 2 * len(block_resolutions(img_resolution))


def stylegan_channels(img_resolution: int, channel_base: int, channel_max: int) -> tuple[int, ...]:
    """Widths of the blocks from 4 x 4 upwards: ``min(channel_base / R, channel_max)``."""
    return tuple(min(channel_base // r, channel_max) for r in block_resolutions(img_resolution))
