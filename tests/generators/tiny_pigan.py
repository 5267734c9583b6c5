"""A small pi-GAN model with random weights, each option off its default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints.plain import Checkpoint, Node
from engine.generators.pigan import PiGAN, PiGANConfig, PiGANNetwork
from tests.generators.tiny_eg3d import lazy

CONFIG = PiGANConfig(
    z_dim=6,
    hidden=8,
    layers=4,
    mapping_width=7,
    mapping_layers=2,
    point_scale=2.0 / 0.3,
    steps=6,
    resolution=15,
)


def tiny_network(config: PiGANConfig = CONFIG, seed: int = 0) -> PiGANNetwork:
    """With densities that reach above zero and averages off it."""
    torch.manual_seed(seed)
    network = PiGANNetwork(config)
    with torch.no_grad():
        network.siren.final_layer.weight.mul_(60.0)
        network.siren.color_layer_linear[0].weight.mul_(4.0)
        for buffer in network.buffers():
            buffer.normal_(0, 0.3)
    return network


def tiny_model(seed: int = 0, **changes: Any) -> PiGAN:
    """Ready to draw on the CPU."""
    return PiGAN(tiny_network(replace(CONFIG, **changes), seed), torch.device("cpu"))


def pickled(network: PiGANNetwork, path: Path = Path("tiny.pth"), **state: Any) -> Checkpoint:
    """What the reader makes of an authors' ``generator.pth`` of this network.

    Keyword arguments replace entries of the generator's state.
    """
    config = network.config

    def node(module: torch.nn.Module, kind: str) -> Node:
        known: dict[str, Any] = {
            "_parameters": {k: lazy(v) for k, v in module.named_parameters(recurse=False)},
            "_buffers": {},
            "_modules": {k: node(v, type(v).__name__) for k, v in module.named_children()},
        }
        return Node(kind, (), known)

    generator = node(network, "generators.generators.ImplicitGenerator3d")
    siren = generator.state["_modules"]["siren"]
    siren.kind = f"siren.siren.{config.siren}"
    if config.siren == "SPATIALSIRENBASELINE":
        siren.state["_modules"]["gridwarper"] = Node(
            "siren.siren.UniformBoxWarp", (), {"scale_factor": config.point_scale}
        )
    generator.state |= {"step": 5, "epoch": 1, "device": "cuda:0"}
    for name, buffer in network.named_buffers():
        generator.state[name] = lazy(buffer)
    generator.state |= state
    return Checkpoint(path, "torch-zip", generator)
