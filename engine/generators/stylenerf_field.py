"""StyleNeRF's two fields: the head, styled layer by layer, and what lies beyond it.

Gu et al., "StyleNeRF" (2022), sections 3.2 and 3.3: positional encoding, then 1 x 1 convolutions
modulated as StyleGAN2's; densities and features come from two further modulated layers, without
view directions. The background is a plain network on NeRF++'s inverted sphere.

The modules hold the authors' tensors under the authors' names. :class:`PointNetwork` is what one
identity makes of them: with the modulation folded into the weights, and leaky ReLU's gain of
sqrt(2) folded in too, a layer is one matrix product.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.stylegan2 import FullyConnected
from engine.generators.stylegan2_ops import LRELU_SLOPE, fir_filter, modulated_weight
from engine.generators.stylenerf_config import StyleNeRFConfig
from engine.kernels.field import PointLayers, packed_once, try_evaluate
from engine.kernels.launch import reaches
from engine.kernels.rays import Aggregated, RaySamples, try_aggregate

#: Points that a network evaluates at once on the CPU: its activations then stay in the cache.
_CACHED_POINTS = 4096
#: Added to a feature's length before dividing by it.
_LENGTH_FLOOR = 1e-7


class ModulatedLayer(nn.Module):
    """Weights of a modulated 1 x 1 convolution.

    Args:
        in_features, out_features, w_dim: sizes.
        filtered: whether files store a resampling filter with it, of which nothing is made.
    """

    resample_filter: Tensor

    def __init__(self, in_features: int, out_features: int, w_dim: int, filtered: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.affine = FullyConnected(w_dim, in_features, bias_init=1.0)
        if filtered:
            self.register_buffer("resample_filter", fir_filter())

    def folded(self, w: Tensor, demodulate: bool) -> Tensor:
        """``[O, I]`` weights for a style ``[w_dim]``; without demodulation they are divided by
        sqrt(I) instead."""
        style = self.affine(w)
        if not demodulate:
            style = style / math.sqrt(self.weight.shape[1])
        return modulated_weight(self.weight, style, demodulate)[:, :, 0, 0]


class PlainLayer(nn.Module):
    """Weights of a plain layer, ``[O, I]``."""

    resample_filter: Tensor

    def __init__(self, in_features: int, out_features: int, filtered: bool) -> None:
        super().__init__()
        spread = 1.0 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.normal(0.0, spread, (out_features, in_features)))
        self.bias = nn.Parameter(torch.zeros(out_features))
        if filtered:
            self.register_buffer("resample_filter", fir_filter())


class Conv1x1(nn.Module):
    """Weights of an unmodulated 1 x 1 convolution with equalised learning rate."""

    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("resample_filter", fir_filter())

    @property
    def matrix(self) -> Tensor:
        """``[O, I]`` weights as they act."""
        return self.weight[:, :, 0, 0] / math.sqrt(self.weight.shape[1])


class PointNetwork(NamedTuple):
    """A field of one identity, ready for points.

    Attributes:
        frequencies: ``[L]`` of the positional encoding, 2^i pi over the scale of points.
        layers: ``[O, I]`` weights and ``[O]`` biases, inner layers.
        slope: of the leaky ReLU after each (0 is a ReLU).
        density: ``[1, H]`` and ``[1]``.
        features: ``[F, H]`` and ``[F]``.
        rgb: ``[3, F]`` and ``[3]``, applied to the features.
        unit_features: whether features are brought to unit length.
    """

    frequencies: Tensor
    layers: tuple[tuple[Tensor, Tensor], ...]
    slope: float
    density: tuple[Tensor, Tensor]
    features: tuple[Tensor, Tensor]
    rgb: tuple[Tensor, Tensor]
    unit_features: bool

    def hidden(self, points: Tensor) -> Tensor:
        """``[N, D]`` points -> ``[N, H]`` activations of the last inner layer."""
        if reaches(points.device):
            packed = packed_once(self.layers[0][0], self.point_layers)
            quick = try_evaluate(packed, points, wanted=("hidden",))
            if quick is not None and quick.hidden is not None:
                return quick.hidden
        if points.device.type == "cpu" and points.shape[0] > _CACHED_POINTS:
            return torch.cat([self.hidden(part) for part in torch.split(points, _CACHED_POINTS)])
        angles = (points[:, None, :] * self.frequencies[:, None]).flatten(1)
        x = torch.cat([angles.sin(), angles.cos()], dim=1)
        for weight, bias in self.layers:
            x = F.leaky_relu_(F.linear(x, weight, bias), self.slope)
        return x

    def point_layers(self) -> PointLayers:
        """The inner layers and the density, for the kernels."""
        return PointLayers(self.layers, self.density, self.frequencies, self.slope)

    def aggregated(self, rays: RaySamples) -> Aggregated | None:
        """Activations summed along rays by the kernel, where it can; ``None`` where every sample's features are
        needed."""
        if self.unit_features or not reaches(rays.directions.device):
            return None
        return try_aggregate(packed_once(self.layers[0][0], self.point_layers), rays)

    def raw_density(self, hidden: Tensor) -> Tensor:
        """``[..., H]`` -> ``[...]`` before its ReLU."""
        return F.linear(hidden, *self.density)[..., 0]

    def rgb_of(self, features: Tensor, share: Tensor) -> Tensor:
        """``[..., F]`` features, summed with weights that sum to ``share`` ``[...]`` -> colours
        ``[..., 3]`` summed with the same: the layer is linear, so the order does not matter."""
        weight, bias = self.rgb
        return F.linear(features, weight) + share[..., None] * bias

    def of_sums(self, summed: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """``[..., H]`` activations, summed with weights that sum to ``share`` ``[...]`` -> features ``[..., F]`` and
        colours ``[..., 3]`` summed with the same."""
        weight, bias = self.features
        features = F.linear(summed, weight) + share[..., None] * bias
        return features, self.rgb_of(features, share)

    def blended(
        self, hidden: Tensor, weights: Tensor, native: int, across_columns: bool
    ) -> tuple[Tensor, Tensor]:
        """Features and colours summed along the rays of some rows of a picture.

        The layer of the features is linear, so the activations are summed instead of the
        features wherever these need no treatment of their own.

        Args:
            hidden: ``[rows, columns, S, H]``.
            weights: ``[rows, columns, S]``.
            native: columns of the pictures that the model was trained on.
            across_columns: which numbers are brought to unit length together, if any are: those
                of a picture's row in one channel, as in the release, or else a sample's own.

        Returns:
            ``[rows, columns, F]`` and ``[rows, columns, 3]``.
        """
        summed = torch.matmul(weights[..., None, :], hidden)[..., 0, :]
        features, rgb = self.of_sums(summed, weights.sum(dim=-1))
        if not self.unit_features:
            return features, rgb
        each = F.linear(hidden, *self.features)
        if across_columns:
            # A preview has fewer columns to share the unit length; each keeps its own size.
            gain = math.sqrt(hidden.shape[1] / native)
            each = each * (gain / (each.norm(dim=1, keepdim=True) + _LENGTH_FLOOR))
        else:
            each = each / (each.norm(dim=-1, keepdim=True) + _LENGTH_FLOOR)
        return torch.matmul(weights[..., None, :], each)[..., 0, :], rgb


def _by_octave(weight: Tensor, octaves: int) -> Tensor:
    """``[O, 2 L D]`` weights on the authors' encoding (sines, then cosines, octave by octave) ->
    on all sines before all cosines."""
    sines_and_cosines = weight.reshape(weight.shape[0], octaves, 2, -1)
    return sines_and_cosines.transpose(1, 2).reshape(weight.shape)


def _frequencies(octaves: int, downscale: float, device: torch.device) -> Tensor:
    return torch.tensor([2.0**i * math.pi / downscale for i in range(octaves)], device=device)


class HeadNeRF(nn.Module):
    """Tensors of the head's field."""

    def __init__(self, config: StyleNeRFConfig) -> None:
        super().__init__()
        self.config = config
        hidden, w_dim = config.fg_hidden, config.w_dim
        self.fc_in = ModulatedLayer(6 * config.fg_posenc, hidden, w_dim, True)
        self.blocks = nn.ModuleList(
            ModulatedLayer(hidden, hidden, w_dim, True) for _ in range(config.fg_blocks)
        )
        self.sigma_out = ModulatedLayer(hidden, 1, w_dim, False)
        self.feat_out = ModulatedLayer(hidden, config.rgb_out_dim, w_dim, False)
        self.to_rgb = Conv1x1(config.rgb_out_dim, 3)

    def folded(self, ws: Tensor) -> PointNetwork:
        """The field of styles ``[fg_blocks + 3, w_dim]``: one a layer, density and features
        last."""
        gain, config = math.sqrt(2.0), self.config
        layers = []
        for index, layer in enumerate((self.fc_in, *self.blocks)):
            assert isinstance(layer, ModulatedLayer)
            weight = layer.folded(ws[index], demodulate=True)
            if index == 0:
                weight = _by_octave(weight, config.fg_posenc)
            layers.append((weight * gain, layer.bias * gain))
        return PointNetwork(
            _frequencies(config.fg_posenc, config.fg_downscale, ws.device),
            tuple(layers),
            LRELU_SLOPE,
            (self.sigma_out.folded(ws[-2], demodulate=False), self.sigma_out.bias),
            (self.feat_out.folded(ws[-1], demodulate=False), self.feat_out.bias),
            (self.to_rgb.matrix, self.to_rgb.bias),
            config.fg_normalized_feat,
        )


class BackgroundNeRF(nn.Module):
    """Tensors of the background's field: no styles, and a latent beside the point."""

    def __init__(self, config: StyleNeRFConfig) -> None:
        super().__init__()
        self.config = config
        hidden = config.bg_hidden
        self.fc_in = PlainLayer(8 * config.bg_posenc + config.z_dim_bg, hidden, True)
        self.blocks = nn.ModuleList(
            PlainLayer(hidden, hidden, True) for _ in range(config.bg_blocks)
        )
        self.sigma_out = PlainLayer(hidden, 1, False)
        self.feat_out = PlainLayer(hidden, config.rgb_out_dim, False)
        self.to_rgb = Conv1x1(config.rgb_out_dim, 3)

    def folded(self, z: Tensor) -> PointNetwork:
        """The background of a latent ``[z_dim_bg]``."""
        config, encoded = self.config, 8 * self.config.bg_posenc
        first = self.fc_in.weight
        layers = [
            (
                _by_octave(first[:, :encoded], config.bg_posenc),
                self.fc_in.bias + first[:, encoded:] @ z,
            )
        ]
        for layer in self.blocks:
            assert isinstance(layer, PlainLayer)
            layers.append((layer.weight, layer.bias))
        return PointNetwork(
            _frequencies(config.bg_posenc, config.bg_downscale, z.device),
            tuple(layers),
            0.0,
            (self.sigma_out.weight, self.sigma_out.bias),
            (self.feat_out.weight, self.feat_out.bias),
            (self.to_rgb.matrix, self.to_rgb.bias),
            config.bg_normalized_feat,
        )
