"""A small CIPS-3D model with random weights, each size another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints.plain import Checkpoint
from engine.generators.cips3d import CIPS3D, CIPS3DConfig, CIPS3DNetwork
from tests.generators.tiny_eg3d import lazy

CONFIG = CIPS3DConfig(
    z_nerf_dim=5,
    z_inr_dim=6,
    nerf_style_dim=7,
    nerf_mapping_layers=3,
    inr_style_dim=9,
    inr_mapping_layers=4,
    nerf_layers=3,
    nerf_width=10,
    nerf_color_width=11,
    nerf_features=4,
    inr_blocks=6,
    inr_width=8,
    img_resolution=15,
    samples_per_pass=6,
)


def tiny_network(config: CIPS3DConfig = CONFIG, seed: int = 0) -> CIPS3DNetwork:
    """With densities that reach above zero and colours that differ."""
    torch.manual_seed(seed)
    network = CIPS3DNetwork(config)
    with torch.no_grad():
        network.siren.final_layer.weight.mul_(60.0)
        network.aux_to_rbg[0].weight.mul_(4.0)
        for name, tensor in network.state_dict().items():
            if ".norm." in name or "LayerNorm" in name or name.endswith("modulation.weight"):
                tensor.normal_(0, 0.5)
            elif "to_rgbs" in name:
                tensor.mul_(3.0)
    return network


def tiny_model(seed: int = 0, **changes: Any) -> CIPS3D:
    """Ready to draw on the CPU."""
    return CIPS3D(tiny_network(replace(CONFIG, **changes), seed), torch.device("cpu"))


def saved(network: CIPS3DNetwork, path: Path = Path("tiny.pth"), **changes: Any) -> Checkpoint:
    """What the reader makes of an authors' file of this network.

    Keyword arguments replace entries (``None`` leaves one out), with ``__`` for dots.
    """
    state: dict[str, Any] = {name: lazy(tensor) for name, tensor in network.state_dict().items()}
    for name, value in changes.items():
        state[name.replace("__", ".")] = value
    return Checkpoint(path, "torch-zip", {k: v for k, v in state.items() if v is not None})
