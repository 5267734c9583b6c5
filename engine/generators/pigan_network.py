"""pi-GAN's network under the authors' state-dict names, and its layers for one identity.

Chan et al., "pi-GAN" (2021), section 3.1: a mapping network gives every sine layer of a SIREN
its frequency and its phase; the density leaves behind the last of them but one, and the colour
sees the direction of the ray besides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from engine.generators.evaluation import frozen_mean
from engine.generators.pigan_config import PiGANConfig
from engine.generators.siren import film_frequencies, film_sine
from engine.kernels.field import PointLayers
from engine.kernels.products import product, quick
from engine.kernels.sine import sine_


class _FiLM(nn.Module):
    """``sin(gamma (W x + b) + beta)``, equation 3; the linear part only."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, outputs)


class _Mapping(nn.Module):
    """Latents ``[B, z_dim]`` -> raw frequencies, then raw phases ``[B, 2 * rows * hidden]``."""

    def __init__(self, config: PiGANConfig) -> None:
        super().__init__()
        sides = [config.z_dim] + [config.mapping_width] * config.mapping_layers
        parts: list[nn.Module] = []
        for inputs, outputs in pairwise(sides):
            parts += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
        self.network = nn.Sequential(*parts, nn.Linear(sides[-1], 2 * config.rows * config.hidden))

    def forward(self, z: Tensor) -> Tensor:
        styles: Tensor = self.network(z)
        return styles


class _Siren(nn.Module):
    def __init__(self, config: PiGANConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.network = nn.ModuleList(
            _FiLM(3 if index == 0 else hidden, hidden) for index in range(config.layers)
        )
        self.final_layer = nn.Linear(hidden, 1)
        self.color_layer_sine = _FiLM(hidden + 3, hidden)
        self.color_layer_linear = nn.Sequential(nn.Linear(hidden, 3))
        self.mapping_network = _Mapping(config)
        # A SIREN's weights are small, for the frequencies multiply them by 30.
        for index, film in enumerate([*_films(self.network), self.color_layer_sine]):
            limit = 1.0 / 3.0 if index == 0 else math.sqrt(6.0 / hidden) / 25.0
            nn.init.uniform_(film.layer.weight, -limit, limit)


class PiGANNetwork(nn.Module):
    """pi-GAN's generator as a module.

    Args:
        config: its options; every size follows from them.
    """

    avg_frequencies: Tensor
    avg_phase_shifts: Tensor

    def __init__(self, config: PiGANConfig) -> None:
        super().__init__()
        self.config = config
        self.siren = _Siren(config)
        if config.stored_averages:
            side = config.rows * config.hidden
            self.register_buffer("avg_frequencies", torch.zeros(1, side))
            self.register_buffer("avg_phase_shifts", torch.zeros(1, side))

    def rows(self, styles: Tensor) -> Tensor:
        """``[2 * rows * hidden]`` the mapping's output -> ``[rows, 2 * hidden]``: raw
        frequencies and phases of one layer in each row."""
        return torch.cat(styles.reshape(2, self.config.rows, self.config.hidden).unbind(), dim=1)

    def average(self) -> Tensor:
        """``[rows, 2 * hidden]`` where truncation leads: stored, or of many latents."""
        if self.config.stored_averages:
            return self.rows(torch.cat([self.avg_frequencies, self.avg_phase_shifts]))
        mean = frozen_mean(self.siren.mapping_network, self.config.z_dim)
        return self.rows(mean.to(self.siren.final_layer.weight.device))

    def density(self, w: Tensor, points: Tensor) -> Tensor:
        """``w`` ``[rows, 2 * hidden]`` and points ``[N, 3]`` -> raw density ``[N]``, rounded as
        the authors' arithmetic rounds (:meth:`modulated` is faster, and as exact otherwise)."""
        frequency, phase = w.chunk(2, dim=1)
        frequency, x = film_frequencies(frequency), points * self.config.point_scale
        for row, film in enumerate(_films(self.siren.network)):
            linear = film.layer
            # One row, not none: a frequency for every point is not folded into the weights.
            each = frequency[row, None], phase[row, None]
            x = film_sine(x, linear.weight, linear.bias, *each)
        sigma: Tensor = self.siren.final_layer(x)
        return sigma[:, 0]

    def modulated(self, w: Tensor) -> ModulatedSiren:
        """The sine layers of one identity ``w`` ``[rows, 2 * hidden]``."""
        frequency, phase = w.chunk(2, dim=1)
        frequency = film_frequencies(frequency)

        def folded(film: _FiLM, row: int) -> tuple[Tensor, Tensor]:
            linear, f = film.layer, frequency[row]
            return linear.weight * f[:, None], linear.bias * f + phase[row]

        layers = [folded(film, row) for row, film in enumerate(_films(self.siren.network))]
        # The box stretches points before the first layer; it goes into the weights as well.
        layers[0] = (layers[0][0] * self.config.point_scale, layers[0][1])
        weight, bias = folded(self.siren.color_layer_sine, self.config.layers)
        return ModulatedSiren(
            tuple((weight.T.contiguous(), bias) for weight, bias in layers),
            weight[:, 3:].T.contiguous(),
            weight[:, :3].T.contiguous(),
            bias,
            self.siren.final_layer,
            self.siren.color_layer_linear[0],
        )


def _films(modules: nn.ModuleList) -> list[_FiLM]:
    return [module for module in modules if isinstance(module, _FiLM)]


@dataclass(frozen=True, eq=False)
class ModulatedSiren:
    """The field of one identity: frequencies and phases are folded into the layers, so that each
    is one matrix product and a sine.

    Attributes:
        layers: ``[I, O]`` weights and ``[O]`` biases up to the density.
        color_weight, color_direction, color_bias: the colour's layer: its part for features
            ``[H, H]``, its part for directions ``[3, H]``, and ``[H]``.
        density, rgb: the linear layers that read the density and the colour.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    color_weight: Tensor
    color_direction: Tensor
    color_bias: Tensor
    density: nn.Module
    rgb: nn.Module

    def point_layers(self) -> PointLayers:
        """The same for the kernel of point networks."""
        assert isinstance(self.density, nn.Linear) and isinstance(self.rgb, nn.Linear)
        return PointLayers(
            tuple((weight.T, bias) for weight, bias in self.layers),
            (self.density.weight, self.density.bias),
            view=(self.color_weight.T, self.color_bias),
            turn=self.color_direction.T,
            colour=(self.rgb.weight, self.rgb.bias),
        )

    def features(self, points: Tensor) -> Tensor:
        """World points ``[N, 3]`` -> ``[N, H]``."""
        x = points
        for weight, bias in self.layers:
            x = sine_(product(x, weight, bias, turned=True))
        return x

    def colors(self, features: Tensor, directions: Tensor) -> Tensor:
        """``[N, H]`` and unit directions ``[N, 3]`` (or ``[1, 3]``) -> RGB ``[N, 3]`` in [0, 1]."""
        along = torch.addmm(self.color_bias, directions, self.color_direction)
        if quick(features, self.color_weight):
            x = product(features, self.color_weight, turned=True).add_(along)
        else:
            x = torch.addmm(along, features, self.color_weight)
        rgb: Tensor = self.rgb(sine_(x))
        return rgb.sigmoid_()

    def densities(self, features: Tensor) -> Tensor:
        """``[N, H]`` -> raw density ``[N]``."""
        sigma: Tensor = self.density(features)
        return sigma[:, 0]
