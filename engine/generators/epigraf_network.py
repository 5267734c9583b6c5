"""EpiGRAF's network: mapping, tri-plane backbone, colour decoder and background.

Skorokhodov et al., "EpiGRAF: Rethinking training of 3D GANs" (2022). State-dict names are the
authors'.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.epigraf_config import EpiGRAFConfig
from engine.generators.stylegan2 import FullyConnected, MappingNetwork, SynthesisNetwork
from engine.generators.stylegan2_ops import LRELU_SLOPE
from engine.rendering.compositing import alpha_weights, blend, step_alphas
from engine.rendering.inverted_sphere import inverted_sphere_points

__all__ = ["EpiGRAFNetwork", "SphereBackground", "TriPlaneMLP"]


#: Weight ``[O, I]`` and bias ``[O]``.
Layer = tuple[Tensor, Tensor]


class _Mapping(MappingNetwork):
    """StyleGAN2's mapping, and the pose that the mapping is shown where none is asked for."""

    mean_camera_pose: Tensor

    def __init__(self, config: EpiGRAFConfig) -> None:
        super().__init__(
            config.z_dim,
            config.label_dim,
            config.w_dim,
            config.num_ws,
            num_layers=config.mapping_layers,
            lr_multiplier=config.mapping_lr_multiplier,
            embed_features=config.embed_features,
            layer_features=config.mapping_width,
        )
        #: Yaw, pitch and roll in radians.
        self.register_buffer("mean_camera_pose", torch.tensor([0.0, math.pi / 2.0, 0.0]))


class TriPlaneMLP(nn.Module):
    """Mean of the planes' features -> raw colour and raw density.

    Args:
        in_channels: channels of one plane.
        hidden: widths of the hidden layers.
    """

    def __init__(self, in_channels: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        widths = (in_channels, *hidden, 4)
        self.model = nn.Sequential(
            *(
                FullyConnected(a, b, "linear" if i == len(hidden) else "lrelu")
                for i, (a, b) in enumerate(pairwise(widths))
            )
        )

    def forward(self, features: Tensor) -> Tensor:
        """``[M, C]`` -> ``[M, 4]``: red, green and blue about [-1, 1], then density."""
        values: Tensor = self.model(features)
        return values

    def folded(self) -> list[Layer]:
        """Weight and bias of each layer with every gain folded in: between them only the leaky
        ReLU is left, whose sqrt(2) the next layer's weights carry."""
        layers, gain = [], 1.0
        for layer in self.model:
            assert isinstance(layer, FullyConnected) and layer.bias is not None
            layers.append((layer.weight * (layer.weight_gain * gain), layer.bias * layer.bias_gain))
            gain = math.sqrt(2.0)
        return layers


def run_folded(layers: list[Layer], x: Tensor) -> Tensor:
    """:meth:`TriPlaneMLP.folded` layers on ``[M, C]``; not differentiable."""
    for weight, bias in layers[:-1]:
        x = F.leaky_relu(F.linear(x, weight, bias), LRELU_SLOPE, inplace=True)
    return F.linear(x, *layers[-1])


class _ModulatedLinear(nn.Module):
    """A linear layer whose inputs are scaled by a style (StyleGAN2's modulation, 1 x 1)."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, output: bool) -> None:
        super().__init__()
        self.affine = FullyConnected(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        #: Not demodulated: the styles carry the layer's gain instead.
        self.output = output

    def modulated(self, w: Tensor) -> Layer:
        """The layer for a style ``w`` ``[w_dim]``."""
        styles = self.affine(w[None])
        if self.output:
            return self.weight * (styles / math.sqrt(self.weight.shape[1])), self.bias
        weight = self.weight * styles
        return weight * (weight.square().sum(dim=1, keepdim=True) + 1e-8).rsqrt(), self.bias


class _ScalarEncoder(nn.Module):
    """Sines and cosines of every coordinate."""

    class _Fourier(nn.Module):
        fourier_coefs: Tensor

        def __init__(self, frequencies: int, scale: float) -> None:
            super().__init__()
            coefs = [2.0**k * math.pi / scale for k in range(frequencies)]
            self.register_buffer("fourier_coefs", torch.tensor(coefs))

    def __init__(self, frequencies: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.fourier_encoder = self._Fourier(frequencies, scale)

    def forward(self, x: Tensor) -> Tensor:
        """``[M, D]`` -> ``[M, D * 2 * frequencies]``: for each coordinate its sines, then its
        cosines."""
        angles = (x * self.scale)[..., None] * self.fourier_encoder.fourier_coefs
        return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


class _Block(nn.Module):
    """One or two modulated layers, and their share of the output."""

    def __init__(
        self, in_channels: int, out_channels: int, w_dim: int, encoder: _ScalarEncoder | None
    ) -> None:
        super().__init__()
        if encoder is None:
            self.conv0 = _ModulatedLinear(in_channels, out_channels, w_dim, output=False)
        else:
            self.scalar_enc = encoder
        inner = in_channels if encoder is not None else out_channels
        self.conv1 = _ModulatedLinear(inner, out_channels, w_dim, output=False)
        self.to_out = _ModulatedLinear(out_channels, 4, w_dim, output=True)


class SphereLayers(NamedTuple):
    """A background for one identity: modulated weights in the order they are applied.

    Attributes:
        hidden: of each block.
        outputs: of each block.
    """

    hidden: list[list[Layer]]
    outputs: list[Layer]


class SphereBackground(nn.Module):
    """What lies beyond the unit sphere, a field of its own.

    Zhang et al., "NeRF++" (2020), section 4, with layers that are styled as the planes are.

    Args:
        config: the generator's options.
    """

    def __init__(self, config: EpiGRAFConfig) -> None:
        super().__init__()
        self.config = config
        encoder = _ScalarEncoder(config.bg_frequencies, config.bg_scale)
        widths = (4 * 2 * config.bg_frequencies, *config.bg_channels)
        self.blocks = nn.ModuleList(
            _Block(a, b, config.w_dim, encoder if index == 0 else None)
            for index, (a, b) in enumerate(pairwise(widths))
        )

    def modulated(self, ws: Tensor) -> SphereLayers:
        """``[2 * blocks, w_dim]`` -> the layers of one identity.

        As in StyleGAN2 each block takes a row for every hidden layer and one for its output,
        which the next block's first layer uses again.
        """
        hidden: list[list[Layer]] = []
        outputs: list[Layer] = []
        row = 0
        for block in self.blocks:
            assert isinstance(block, _Block)
            layers = [block.conv0, block.conv1] if row else [block.conv1]
            hidden.append([layer.modulated(ws[row + i]) for i, layer in enumerate(layers)])
            row += len(layers)
            outputs.append(block.to_out.modulated(ws[row]))
        return SphereLayers(hidden, outputs)

    def field(self, layers: SphereLayers, points: Tensor) -> Tensor:
        """``[M, 4]`` directions and inverse radii -> ``[M, 4]`` raw colour and density."""
        first = self.blocks[0]
        assert isinstance(first, _Block)
        x = first.scalar_enc(points)
        total: Tensor | None = None
        for hidden, output in zip(layers.hidden, layers.outputs, strict=True):
            for weight, bias in hidden:
                x = F.leaky_relu(F.linear(x, weight, bias), LRELU_SLOPE) * math.sqrt(2.0)
            share = F.linear(x, *output)
            total = share if total is None else total + share
        assert total is not None
        return total

    def colours(self, layers: SphereLayers, origin: Tensor, directions: Tensor) -> Tensor:
        """What rays see of it.

        Args:
            layers: from :meth:`modulated`.
            origin: ``[3]``, a camera in or near the unit sphere.
            directions: ``[R, 3]`` unit.

        Returns:
            ``[R, 3]`` in about [-1, 1].
        """
        config = self.config
        inverse = torch.linspace(config.bg_start, 0.0, config.bg_steps, device=directions.device)
        rays = directions.shape[0]
        inverse = inverse.expand(rays, -1)
        points = inverted_sphere_points(origin.expand_as(directions), directions, inverse)
        values = self.field(layers, points.reshape(-1, 4)).reshape(rays, config.bg_steps, 4)
        activate = F.relu if config.clamp_mode == "relu" else F.softplus
        # Along the ray the inverse radius falls; its negative is the parameter that rises.
        weights, _ = alpha_weights(step_alphas(-inverse, activate(values[..., 3]), 1e10))
        colours = blend(weights, values[..., :3])
        if config.white_back:
            colours = colours + (1.0 - weights.sum(dim=-1))[:, None]
        return colours


class _Synthesis(nn.Module):
    """All that is not the mapping, under the authors' names."""

    def __init__(self, config: EpiGRAFConfig) -> None:
        super().__init__()
        picture = 3 if config.background == "plane" else 0
        self.tri_plane_decoder = SynthesisNetwork(
            config.w_dim,
            config.plane_resolution,
            3 * config.plane_channels + picture,
            config.block_channels,
            config.conv_clamp,
        )
        self.tri_plane_mlp = TriPlaneMLP(config.plane_channels, config.mlp_channels)
        self.bg_model = SphereBackground(config) if config.background == "sphere" else None


class EpiGRAFNetwork(nn.Module):
    """EpiGRAF's generator as a module.

    Args:
        config: its options; every size follows from them.
    """

    def __init__(self, config: EpiGRAFConfig) -> None:
        super().__init__()
        self.config = config
        self.synthesis = _Synthesis(config)
        self.mapping = _Mapping(config)

    def planes(self, ws: Tensor) -> tuple[Tensor, Tensor | None]:
        """The backbone's pictures of one identity.

        Args:
            ws: ``[num_ws, w_dim]``.

        Returns:
            ``[3, C, R, R]`` planes, and the background ``[3, R, R]`` of models that have a plane
            one. Row 0 of a plane is its -1, row 0 of the background the picture's top.
        """
        flat: Tensor = self.synthesis.tri_plane_decoder(ws[None, : self.config.plane_ws])[0]
        count = 3 * self.config.plane_channels
        picture = flat[count:] if self.config.background == "plane" else None
        return flat[:count].reshape(3, -1, *flat.shape[1:]), picture
