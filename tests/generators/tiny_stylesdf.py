"""A small StyleSDF model with random weights, each option off its default; and spheres."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.checkpoints.plain import Checkpoint, LazyTensor
from engine.generators.stylesdf import StyleSDF, StyleSDFConfig, StyleSDFNetwork

#: Shapes alone differ from the release: what a file cannot state keeps the authors' values.
CONFIG = StyleSDFConfig(
    style_dim=8,
    mapping_layers=2,
    width=12,
    depth=3,
    render_size=16,
    decoder_channels=(10, 8, 6),
    decoder_style_dim=14,
    decoder_mapping_layers=4,
)
VOLUME_ONLY = StyleSDFConfig(style_dim=8, width=12, depth=3)
CPU = torch.device("cpu")


def tiny_network(config: StyleSDFConfig = CONFIG, seed: int = 0) -> StyleSDFNetwork:
    """With biases, noise strengths and the density's softness where they show."""
    torch.manual_seed(seed)
    network = StyleSDFNetwork(config)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            if name.endswith(("noise.weight", "activate.bias", "to_rgb1.bias")):
                tensor.normal_(0, 0.3)
            elif name.startswith("decoder.style") and name.endswith("bias"):
                tensor.normal_(0, 10.0)
            elif "pts_linears.0.weight" in name:
                tensor.mul_(0.2)
            elif name.endswith(("rgb_linear.weight", "sigma_linear.weight")):
                tensor.mul_(4.0)
        network.renderer.sigmoid_beta.fill_(0.08)
    return network


def tiny_model(config: StyleSDFConfig = CONFIG, seed: int = 0, **changes: Any) -> StyleSDF:
    """Ready to draw on the CPU."""
    return StyleSDF(tiny_network(replace(config, **changes), seed), CPU)


def z_of(seed: int = 0, config: StyleSDFConfig = CONFIG) -> Tensor:
    return torch.randn(config.style_dim, generator=torch.Generator().manual_seed(seed))


def sphere_network(centre: tuple[float, float, float], radius: float) -> StyleSDFNetwork:
    """A volume renderer whose surface is a sphere, whatever its style.

    Its single sine layer gives ``cos(e (x_i - c_i) / h)`` for the three axes, whose sum is
    ``3 - e^2 |x - c|^2 / 2 h^2`` but for terms of the fourth order; the distance is linear in it.
    """
    e, half = 0.5, 0.12
    network = tiny_network(replace(VOLUME_ONLY, depth=1, half_depth=half))
    layer = network.renderer.network.pts_linears[0]
    head = network.renderer.network.sigma_linear
    scale = half**2 / (e**2 * radius)
    with torch.no_grad():
        for module in (layer.gamma, layer.beta):
            assert isinstance(module, nn.Linear)
            module.weight.zero_()
            module.bias.zero_()
        layer.gamma.bias.fill_(-29.0 / 15.0)  # a frequency of one
        layer.weight.zero_()
        layer.bias.zero_()
        for axis in range(3):
            layer.weight[axis, axis] = e
            layer.beta.bias[axis] = 4.0 * (math.pi / 2.0 - e * centre[axis] / half)
        head.weight.zero_()
        head.weight[0, :3] = -scale
        head.bias.fill_(scale * (3.0 - (e * radius / half) ** 2 / 2.0))
        network.renderer.sigmoid_beta.fill_(2e-4)
    return network


def lazy(tensor: Tensor) -> LazyTensor:
    copied = tensor.detach().clone()
    return LazyTensor(tuple(copied.shape), copied.dtype, copied.clone, "cuda:0")


def saved(network: StyleSDFNetwork, key: str | None = "g_ema", prefix: str = "") -> Checkpoint:
    """What the reader makes of an authors' file of this network."""
    state = OrderedDict((prefix + k, lazy(v)) for k, v in network.state_dict().items())
    root: Any = state if key is None else {key: state, "d": {"conv.weight": lazy(torch.zeros(1))}}
    return Checkpoint(Path("tiny.pt"), "torch-zip", root)
