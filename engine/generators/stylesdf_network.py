"""StyleSDF's network: its modules, under the authors' state-dict names.

Or-El et al., "StyleSDF: High-Resolution 3D-Consistent Image and Geometry Generation" (2022):
a mapping and a FiLM-SIREN that gives signed distance, colour and features; and a StyleGAN2
decoder (with a mapping of its own) from the rendered features to the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.siren import film_frequencies, fold_film
from engine.generators.stylegan2 import FullyConnected
from engine.generators.stylegan2_ops import (
    LRELU_SLOPE,
    fir_filter,
    modulated_conv2d,
    normalize_second_moment,
    styled_conv2d,
    upsample2d,
)
from engine.generators.stylesdf_config import StyleSDFConfig

__all__ = ["BothMappings", "StyleSDFNetwork"]

#: Phases of the sine layers are a quarter of what their linear layer gives.
_PHASE_SCALE = 0.25
#: Divisor of the uniform initial weights behind the first sine layer.
_INIT_FREQUENCY = 25.0
#: Initial softness of the density around the surface; training ends below 3e-3.
_INIT_BETA = 0.1
#: Learning-rate multiplier of the decoder's mapping.
_MAPPING_LR = 0.01


def _uniform(limit: float, *shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape).uniform_(-limit, limit))


def _sine_head(inputs: int, outputs: int) -> nn.Linear:
    """A plain linear layer with a SIREN's initial spread."""
    layer = nn.Linear(inputs, outputs)
    limit = math.sqrt(6.0 / inputs) / _INIT_FREQUENCY
    layer.weight = _uniform(limit, outputs, inputs)
    return layer


def _modulator(style_dim: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(style_dim, outputs)
    spread = 0.25 * math.sqrt(2.0 / (1.0 + LRELU_SLOPE**2) / style_dim)
    layer.weight = nn.Parameter(torch.normal(0.0, spread, (outputs, style_dim)))
    return layer


class RendererMapping(nn.ModuleList):
    """Latent to the renderer's style: plain layers, without the normalisation and the gains of
    StyleGAN's mapping."""

    def __init__(self, config: StyleSDFConfig) -> None:
        dim = config.style_dim
        super().__init__(nn.Linear(dim, dim) for _ in range(config.mapping_layers))

    def forward(self, z: Tensor) -> Tensor:
        """``[N, style_dim]`` -> ``[N, style_dim]``."""
        for layer in self:
            z = F.leaky_relu(layer(z), LRELU_SLOPE)
        return z


class DecoderMapping(nn.ModuleDict):
    """The renderer's (truncated) style to the decoder's. Layers count from 1: the authors' number
    0 is the normalisation."""

    def __init__(self, config: StyleSDFConfig) -> None:
        dim = config.decoder_style_dim
        widths = [config.style_dim] + [dim] * config.decoder_mapping_layers
        super().__init__(
            {
                str(index): FullyConnected(widths[index - 1], dim, "lrelu", _MAPPING_LR)
                for index in range(1, len(widths))
            }
        )

    def forward(self, style: Tensor) -> Tensor:
        """``[N, style_dim]`` -> ``[N, decoder_style_dim]``."""
        x = normalize_second_moment(style)
        for layer in self.values():
            x = layer(x)
        return x


class FilmLayer(nn.Module):
    """``sin(gamma * (W x + b) + beta)``, gamma and beta affine in the style.

    Args:
        inputs, outputs, style_dim: sizes.
        first: the layer that sees the points, whose weights start wider.
    """

    def __init__(self, inputs: int, outputs: int, style_dim: int, first: bool = False) -> None:
        super().__init__()
        limit = 1.0 / 3.0 if first else math.sqrt(6.0 / inputs) / _INIT_FREQUENCY
        self.weight = _uniform(limit, outputs, inputs)
        self.bias = _uniform(math.sqrt(1.0 / inputs), outputs)
        self.gamma = _modulator(style_dim, outputs)
        self.beta = _modulator(style_dim, outputs)

    def folded(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """``[style_dim]`` -> weight ``[outputs, inputs]`` and bias ``[outputs]`` inside the sine."""
        frequency = film_frequencies(self.gamma(style))
        return fold_film(self.weight, self.bias, frequency, self.beta(style) * _PHASE_SCALE)


class _FieldNetwork(nn.Module):
    def __init__(self, config: StyleSDFConfig) -> None:
        super().__init__()
        width, style = config.width, config.style_dim
        self.pts_linears = nn.ModuleList(
            FilmLayer(width if index else 3, width, style, first=index == 0)
            for index in range(config.depth)
        )
        self.views_linears = FilmLayer(width + 3, width, style)
        self.rgb_linear = _sine_head(width, 3)
        self.sigma_linear = _sine_head(width, 1)


class _Renderer(nn.Module):
    def __init__(self, config: StyleSDFConfig) -> None:
        super().__init__()
        self.sigmoid_beta = nn.Parameter(torch.full((1,), _INIT_BETA))
        self.network = _FieldNetwork(config)


class _Kernel(nn.Module):
    """A stored FIR kernel; it carries the factor 4 that keeps brightness when doubling."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_filter(gain=4.0))

    def normalised(self) -> Tensor:
        """``[4, 4]`` summing to one, as the shared resampling wants it."""
        return self.kernel * 0.25


class _ModulatedConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, style_dim: int, side: int, up: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, side, side))
        self.modulation = FullyConnected(style_dim, inputs, bias_init=1.0)
        self.gain = 1.0 / math.sqrt(inputs * side * side)
        if up:
            self.blur = _Kernel()

    def styles(self, style: Tensor) -> Tensor:
        """``[1, style_dim]`` -> ``[1, inputs]`` factors of the input channels."""
        scaled: Tensor = self.modulation(style) * self.gain
        return scaled


class _Strength(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class _Bias(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


class StyledConv(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias and activation, doubling the size or not."""

    def __init__(self, inputs: int, outputs: int, style_dim: int, up: bool = False) -> None:
        super().__init__()
        self.up = up
        self.conv = _ModulatedConv(inputs, outputs, style_dim, 3, up)
        self.noise = _Strength()
        #: In every file, and never added: the live bias is ``activate.bias``.
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.activate = _Bias(outputs)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None) -> Tensor:
        """``[1, I, H, W]``, ``[1, style_dim]`` and noise ``[1, 1, H up, W up]`` or none."""
        return styled_conv2d(
            x,
            self.conv.weight[0],
            self.conv.styles(style),
            self.activate.bias,
            "lrelu",
            up=2 if self.up else 1,
            kernel=self.conv.blur.normalised() if self.up else None,
            padding=1,
            noise=None if noise is None else noise * self.noise.weight,
        )


class ToRGB(nn.Module):
    """Modulated 1 x 1 convolution to a picture, added to the doubled picture before it."""

    def __init__(self, inputs: int, style_dim: int, doubled: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.conv = _ModulatedConv(inputs, 3, style_dim, 1, up=False)
        if doubled:
            self.upsample = _Kernel()

    def forward(self, x: Tensor, style: Tensor, before: Tensor | None) -> Tensor:
        """``[1, I, H, W]`` and ``[1, 3, H / 2, W / 2]`` or none -> ``[1, 3, H, W]``."""
        styles = self.conv.styles(style)
        y = modulated_conv2d(x, self.conv.weight[0], styles, demodulate=False) + self.bias
        return y if before is None else y + upsample2d(before, self.upsample.normalised())


#: Decoder layer -> its noise ``[1, 1, H, W]``, or ``None`` for none.
NoiseOf = Callable[[int], Tensor | None]


class Decoder(nn.Module):
    """StyleGAN2's skip generator that starts from rendered features.

    Args:
        config: with ``decoder_channels``.
    """

    def __init__(self, config: StyleSDFConfig) -> None:
        super().__init__()
        channels, dim = config.decoder_channels or (), config.decoder_style_dim
        self.style = DecoderMapping(config)
        self.conv1 = StyledConv(config.width, channels[0], dim)
        self.to_rgb1 = ToRGB(channels[0], dim, doubled=False)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for before, after in pairwise(channels):
            self.convs.append(StyledConv(before, after, dim, up=True))
            self.convs.append(StyledConv(after, after, dim))
            self.to_rgbs.append(ToRGB(after, dim, doubled=True))
        self.noises = nn.Module()
        for layer in range(len(self.convs) + 1):
            if layer not in (config.skipped_noise or ()):
                side = config.noise_side(layer)
                self.noises.register_buffer(f"noise_{layer}", torch.randn(1, 1, side, side))

    def stored_noise(self, layer: int) -> Tensor | None:
        """The noise ``[1, 1, H, W]`` that came with the file for a layer, if it fits."""
        noise = getattr(self.noises, f"noise_{layer}", None)
        return noise if isinstance(noise, Tensor) else None

    def forward(self, x: Tensor, rows: Tensor, noise_of: NoiseOf) -> Tensor:
        """Features to picture.

        Args:
            x: ``[1, width, render_size, render_size]``.
            rows: ``[decoder_rows, decoder_style_dim]``: row 0 styles ``conv1``, row 1 both
                ``to_rgb1`` and the first convolution of the first doubling, and so on: the
                last row of each doubling is shared with the next one's first.
            noise_of: each layer's noise.

        Returns:
            ``[1, 3, resolution, resolution]``, about -1 to 1, not clamped.
        """
        x = self.conv1(x, rows[:1], noise_of(0))
        picture: Tensor = self.to_rgb1(x, rows[1:2], None)
        for index, to_rgb in enumerate(self.to_rgbs):
            row = 2 * index + 1
            x = self.convs[row - 1](x, rows[row : row + 1], noise_of(row))
            x = self.convs[row](x, rows[row + 1 : row + 2], noise_of(row + 1))
            picture = to_rgb(x, rows[row + 2 : row + 3], picture)
        return picture


class StyleSDFNetwork(nn.Module):
    """StyleSDF's generator: random at first, ready to be loaded.

    Args:
        config: its options; every size follows from them.
    """

    def __init__(self, config: StyleSDFConfig) -> None:
        super().__init__()
        self.config = config
        self.style = RendererMapping(config)
        self.renderer = _Renderer(config)
        self.decoder = Decoder(config) if config.decoder_channels else None


class BothMappings(nn.Module):
    """Latent -> the renderer's style, and behind it the decoder's."""

    def __init__(self, renderer: nn.Module, decoder: nn.Module | None) -> None:
        super().__init__()
        self.renderer, self.decoder = renderer, decoder

    def forward(self, z: Tensor) -> Tensor:
        style: Tensor = self.renderer(z)
        return style if self.decoder is None else torch.cat([style, self.decoder(style)], dim=1)
