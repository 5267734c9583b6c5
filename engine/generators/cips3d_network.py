"""CIPS-3D's networks under the authors' state-dict names.

Zhou et al., "CIPS-3D: A 3D-Aware Generator of GANs Based on Conditionally-Independent Pixel
Synthesis" (2021). A shallow NeRF of sine layers turns a ray into 32 features;
an implicit network of modulated 1 x 1 layers turns the features of one pixel into its
colour, without looking at any other pixel.

Sizes in shapes: M points, N pixels, Z latent, S style, H width of the NeRF, F its features, C
width of the INR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.generators.cips3d_source import FIRST_COLOUR, CIPS3DConfig
from engine.generators.latent_features import LatentFeatures, LatentStep
from engine.generators.siren import film_frequencies, film_sine, fold_film
from engine.kernels.field import Evaluated, PointLayers, packed_once, try_evaluate
from engine.kernels.inr import InrLayers, PackedInr, colouring, try_colours
from engine.kernels.inr import packed_once as packed_inr
from engine.kernels.launch import reaches
from engine.kernels.products import product

SLOPE = 0.2
#: First of the INR's blocks that adds its own input.
FIRST_SKIP = 4


def _normalised(z: Tensor, spell: LatentFeatures | None) -> Tensor:
    """``[B, Z]`` to a mean square of one, or spelt out by a fixed layer in its place."""
    if spell is not None:
        out: Tensor = spell(z)
        return out
    return z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)


class NerfMapping(nn.Module):
    """``[B, Z]`` -> ``[B, S]``: linear layers with leaky ReLUs in between."""

    def __init__(
        self, z_dim: int, style: int, layers: int, steps: Sequence[LatentStep] = ()
    ) -> None:
        super().__init__()
        self.spell = LatentFeatures(z_dim, steps) if steps else None
        inputs = z_dim if self.spell is None else self.spell.out_features
        parts: list[nn.Module] = [nn.Linear(inputs, style)]
        for _ in range(layers - 1):
            parts += [nn.LeakyReLU(SLOPE), nn.Linear(style, style)]
        self.base_net = nn.Sequential(*parts)

    def forward(self, z: Tensor) -> Tensor:
        """Map."""
        out: Tensor = self.base_net(_normalised(z, self.spell))
        return out


class InrMapping(nn.Module):
    """``[B, Z]`` -> ``[B, S]``: linear layers, each normalised, with leaky ReLUs in between."""

    def __init__(
        self, z_dim: int, style: int, layers: int, steps: Sequence[LatentStep] = ()
    ) -> None:
        super().__init__()
        self.spell = LatentFeatures(z_dim, steps) if steps else None
        inputs = z_dim if self.spell is None else self.spell.out_features
        parts: list[nn.Module] = [nn.Linear(inputs, style), nn.LayerNorm(style)]
        for _ in range(layers - 1):
            parts += [nn.LeakyReLU(SLOPE), nn.Linear(style, style), nn.LayerNorm(style)]
        self.base_net = nn.Sequential(*parts)

    def forward(self, z: Tensor) -> Tensor:
        """Map."""
        out: Tensor = self.base_net(_normalised(z, self.spell))
        return out


class FilmLayer(nn.Module):
    """A sine layer whose frequencies and phases follow from a style."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.gain_fc = nn.Linear(style, outputs)
        self.bias_fc = nn.Linear(style, outputs)
        # A SIREN's beginning: the first layer spans the box, the others keep the variance.
        bound = 1.0 / inputs if inputs == 3 else math.sqrt(6.0 / inputs) / 25.0
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def film(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """``[..., S]`` -> frequencies and phases, ``[..., outputs]`` each."""
        return film_frequencies(self.gain_fc(style)), self.bias_fc(style)

    def forward(self, x: Tensor, film: tuple[Tensor, Tensor]) -> Tensor:
        """``[M, inputs]`` -> ``[M, outputs]``."""
        return film_sine(x, self.linear.weight, self.linear.bias, *film)


class Siren(nn.Module):
    """The shallow NeRF, without positional encoding or view dependence.

    Everything also takes several identities at once: styles ``[layers + 1, B, S]`` and points
    ``[B, M, 3]``, or sums along rays ``[B, N, hidden]``.
    """

    def __init__(self, config: CIPS3DConfig) -> None:
        super().__init__()
        style, width = config.nerf_style_dim, config.nerf_width
        inputs = [3] + [width] * (config.nerf_layers - 1)
        self.network = nn.ModuleList(FilmLayer(i, width, style) for i in inputs)
        self.final_layer = nn.Linear(width, 1)
        self.color_layer_sine = FilmLayer(width, config.nerf_color_width, style)
        self.color_layer_linear = nn.Sequential(
            nn.Linear(config.nerf_color_width, config.nerf_features)
        )
        self.scale = 2.0 / config.box

    def films(self, styles: Tensor) -> list[tuple[Tensor, Tensor]]:
        """``[layers + 1, S]`` -> frequencies and phases of the sine layers."""
        layers = [*self._layers(), self.color_layer_sine]
        return [layer.film(row) for layer, row in zip(layers, styles, strict=True)]

    def _layers(self) -> list[FilmLayer]:
        return [cast(FilmLayer, layer) for layer in self.network]

    def point_layers(self, films: list[tuple[Tensor, Tensor]]) -> PointLayers:
        """One identity's layers, for the kernel of point networks."""
        layers = [
            fold_film(layer.linear.weight, layer.linear.bias, *film)
            for layer, film in zip([*self._layers(), self.color_layer_sine], films, strict=True)
        ]
        layers[0] = (layers[0][0] * self.scale, layers[0][1])
        density = (self.final_layer.weight, self.final_layer.bias)
        return PointLayers(tuple(layers[:-1]), density, view=layers[-1])

    def _by_kernel(
        self, films: list[tuple[Tensor, Tensor]], points: Tensor, *wanted: str
    ) -> Evaluated | None:
        if points.ndim != 2 or films[0][0].ndim != 1 or not reaches(points.device):
            return None
        packed = packed_once(films[0][0], lambda: self.point_layers(films))
        return try_evaluate(packed, points, wanted=wanted)

    def density(self, films: list[tuple[Tensor, Tensor]], points: Tensor) -> Tensor:
        """``[M, 3]`` world points -> ``[M]`` raw density."""
        quick = self._by_kernel(films, points, "density")
        if quick is not None and quick.density is not None:
            return quick.density
        return self._density(self._trunk(films, points))

    def forward(self, films: list[tuple[Tensor, Tensor]], points: Tensor) -> tuple[Tensor, Tensor]:
        """``[M, 3]`` world points -> ``[M]`` raw density and ``[M, hidden]`` activations of the
        last sine layer. :meth:`features` follows: it is linear, and so may come after the sum
        along a ray, once for all its samples."""
        quick = self._by_kernel(films, points, "density", "view")
        if quick is not None and quick.density is not None and quick.view is not None:
            return quick.density, quick.view
        x = self._trunk(films, points)
        return self._density(x), self.color_layer_sine(x, films[-1])

    def features(self, hidden: Tensor, weight_sum: Tensor | float = 1.0) -> Tensor:
        """``[N, hidden]`` weighted sums of activations -> ``[N, F]`` the same sums of features.

        Args:
            weight_sum: ``[N, 1]`` sum of the weights.
        """
        last = cast(nn.Linear, self.color_layer_linear[0])
        return F.linear(hidden, last.weight) + last.bias * weight_sum

    def _trunk(self, films: list[tuple[Tensor, Tensor]], points: Tensor) -> Tensor:
        x = points * self.scale
        for layer, film in zip(self._layers(), films, strict=False):
            x = layer(x, film)
        return x

    def _density(self, x: Tensor) -> Tensor:
        density: Tensor = x @ self.final_layer.weight[0]
        return density + self.final_layer.bias


class ModulatedLinear(nn.Module):
    """A linear layer without bias whose weight follows from a style."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, inputs, outputs))
        self.modulation = nn.Linear(style, inputs)
        # In every file, though it normalises nothing.
        self.norm = nn.LayerNorm(inputs)

    def styled(self, style: Tensor) -> Tensor:
        """``[..., S]`` -> ``[..., inputs, outputs]``: the rows scaled by the style, the columns
        then brought to unit length (StyleGAN2's demodulation)."""
        rows: Tensor = self.modulation(style) + 1.0
        weight = self.weight[0] * rows[..., None]
        return weight * torch.rsqrt(weight.square().sum(dim=-2, keepdim=True) + 1e-8)


class InrBlock(nn.Module):
    """Two modulated layers."""

    def __init__(self, inputs: int, width: int, style: int) -> None:
        super().__init__()
        self.mod1 = ModulatedLinear(inputs, width, style)
        self.mod2 = ModulatedLinear(width, width, style)


class ToRGB(nn.Module):
    """``[N, C]`` -> ``[N, 3]``."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Colours before the tanh."""
        out: Tensor = self.linear(x)
        return out


class Inr(nn.Module):
    """The implicit network: every block runs for every pixel at every resolution.

    Everything also takes several identities at once: styles ``[2 blocks, B, S]`` and features
    ``[B, N, F]``.
    """

    def __init__(self, config: CIPS3DConfig) -> None:
        super().__init__()
        width, names = config.inr_width, config.block_names
        sizes = pairwise([config.nerf_features] + [width] * len(names))
        self.network = nn.ModuleDict(
            {
                n: InrBlock(i, o, config.inr_style_dim)
                for n, (i, o) in zip(names, sizes, strict=True)
            }
        )
        # Those of the first three blocks give nothing to the picture.
        self.to_rgbs = nn.ModuleDict({name: ToRGB(width) for name in names})

    def styled(self, styles: Tensor) -> list[Tensor]:
        """``[2 blocks, S]`` -> weights of all layers in order."""
        blocks = [cast(InrBlock, block) for block in self.network.values()]
        layers = [layer for block in blocks for layer in (block.mod1, block.mod2)]
        return [layer.styled(row) for layer, row in zip(layers, styles, strict=True)]

    def forward(self, weights: list[Tensor], features: Tensor, blocks: int | None = None) -> Tensor:
        """``[N, F]`` features of pixels -> ``[N, 3]`` colours in [-1, 1].

        Args:
            blocks: how many of them run, from the first; ``None`` is all. What the others would
                add to the colour is left out.
        """
        quick = None
        if features.ndim == 2 and (packed := self._packed(weights)) is not None:
            quick = try_colours(packed, features, blocks)
        if quick is not None:
            return quick
        x, rgb = features, features.new_zeros(())
        in_place = not torch.is_grad_enabled()
        for index, to_rgb in enumerate(islice(self.to_rgbs.values(), blocks)):
            out = product(x, weights[2 * index], slope=SLOPE, turned=True)
            out = product(out, weights[2 * index + 1], slope=SLOPE, turned=True)
            if index >= FIRST_SKIP:
                out = out.add_(x) if in_place else out + x
            x = out
            if index >= FIRST_COLOUR:
                rgb = rgb + to_rgb(x)
        return torch.tanh(rgb)

    def by_kernel(self, weights: list[Tensor]) -> bool:
        """Whether all of it is one launch of a kernel here."""
        return self._packed(weights) is not None

    def _packed(self, weights: list[Tensor]) -> PackedInr | None:
        first = weights[0]
        if first.ndim != 2 or not reaches(first.device) or colouring.problem(first) is not None:
            return None
        linears = [cast(ToRGB, to_rgb).linear for to_rgb in self.to_rgbs.values()]
        colours = [(linear.weight, linear.bias) for linear in linears]
        layers = InrLayers(weights, colours, FIRST_SKIP, FIRST_COLOUR, SLOPE)
        return packed_inr(layers)


@dataclass(frozen=True, eq=False)
class Styled:
    """What the networks need of one w.

    Attributes:
        films: frequencies and phases of the NeRF's sine layers.
        weights: of the INR's layers.
    """

    films: list[tuple[Tensor, Tensor]]
    weights: list[Tensor]


class CIPS3DNetwork(nn.Module):
    """The whole generator."""

    def __init__(self, config: CIPS3DConfig) -> None:
        super().__init__()
        self.config = config
        self.siren = Siren(config)
        self.mapping_network_nerf = NerfMapping(
            config.z_nerf_dim,
            config.nerf_style_dim,
            config.nerf_mapping_layers,
            config.nerf_latent_steps,
        )
        self.inr_net = Inr(config)
        self.mapping_network_inr = InrMapping(
            config.z_inr_dim,
            config.inr_style_dim,
            config.inr_mapping_layers,
            config.inr_latent_steps,
        )
        # The authors' spelling.
        self.aux_to_rbg = nn.Sequential(nn.Linear(config.nerf_features, 3))

    def latents(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """``[..., z_dim]`` -> the NeRF's latent and the INR's."""
        config = self.config
        if config.nerf_reads is None or config.inr_reads is None:
            return z[..., : config.z_nerf_dim], z[..., config.z_nerf_dim :]
        return z[..., list(config.nerf_reads)], z[..., list(config.inr_reads)]

    def rows(self, nerf: Tensor, inr: Tensor) -> Tensor:
        """``[S_nerf]`` and ``[S_inr]`` styles -> ``[num_ws, w_dim]``."""
        config = self.config
        shape = F.pad(nerf, (0, config.w_dim - nerf.shape[0])).expand(config.nerf_rows, -1)
        look = F.pad(inr, (0, config.w_dim - inr.shape[0])).expand(2 * config.inr_blocks, -1)
        return torch.cat([shape, look])

    def styled(self, w: Tensor) -> Styled:
        """``[num_ws, w_dim]`` -> what the networks need of it."""
        config = self.config
        films = self.siren.films(w[: config.nerf_rows, : config.nerf_style_dim])
        return Styled(films, self.inr_net.styled(w[config.nerf_rows :, : config.inr_style_dim]))

    def auxiliary(self, features: Tensor) -> Tensor:
        """``[N, F]`` -> ``[N, 3]`` in [-1, 1]: the picture that the NeRF was trained by."""
        out: Tensor = self.aux_to_rbg(features)
        return torch.tanh(out)

    def over_backdrop(self, colours: Tensor, opacity: Tensor) -> Tensor:
        """Colours ``[..., 3]`` in [-1, 1] laid over the backdrop, if there is one, by the rays'
        opacity ``[...]``."""
        backdrop = self.config.backdrop
        if backdrop is None:
            return colours
        return (2.0 * backdrop - 1.0) + opacity[..., None] * (colours - (2.0 * backdrop - 1.0))
