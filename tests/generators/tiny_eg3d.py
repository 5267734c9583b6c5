"""A small EG3D model with random weights, each option off its default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.checkpoints.plain import Checkpoint, LazyTensor, Node
from engine.generators.eg3d import EG3D, EG3DConfig, EG3DNetwork
from engine.generators.triplane import CORRECTED_AXES
from engine.rendering.volume import RenderSettings

CONFIG = EG3DConfig(
    z_dim=8,
    w_dim=6,
    mapping_layers=3,
    mapping_width=7,
    embed_features=5,
    mapping_lr_multiplier=0.1,
    plane_resolution=32,
    plane_channels=12,
    channel_base=64,
    channel_max=6,
    decoder_hidden=8,
    decoder_features=5,
    decoder_lr_multiplier=0.5,
    sr_module="SuperresolutionHybrid4X",
    sr_channels=(5, 4),
    img_resolution=32,
    neural_rendering_resolution=12,
    c_scale=0.5,
    rendering=RenderSettings(
        6, 7, 2.2, 3.2, box_warp=1.2, white_back=True, plane_axes=CORRECTED_AXES
    ),
    avg_camera_radius=2.6,
    avg_camera_pivot=(0.0, 0.05, 0.1),
    focal=3.0,
    mesh_level=8.0,
)


def tiny_network(config: EG3DConfig = CONFIG, seed: int = 0) -> EG3DNetwork:
    """With noise strengths, biases and averages moved off zero."""
    torch.manual_seed(seed)
    network = EG3DNetwork(config)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("noise_strength", "w_avg", "label_std")):
                tensor.normal_(0, 0.3)
            elif name.endswith(("net.2.weight", "planes")):
                tensor.mul_(4.0)
    return network


def tiny_model(seed: int = 0, **changes: Any) -> EG3D:
    """Ready to draw on the CPU."""
    return EG3D(tiny_network(replace(CONFIG, **changes), seed), torch.device("cpu"))


def lazy(tensor: Tensor) -> LazyTensor:
    copied = tensor.detach().clone()
    return LazyTensor(tuple(copied.shape), copied.dtype, copied.clone)


def pickled(network: EG3DNetwork, **state: Any) -> Checkpoint:
    """What the reader makes of an authors' pickle of this network.

    Keyword arguments replace entries of the generator's state.
    """
    config = network.config

    def node(module: torch.nn.Module, kind: str) -> Node:
        known: dict[str, Any] = {
            "_parameters": {k: lazy(v) for k, v in module.named_parameters(recurse=False)},
            "_buffers": {k: lazy(v) for k, v in module.named_buffers(recurse=False)},
            "_modules": {k: node(v, type(v).__name__) for k, v in module.named_children()},
        }
        for name in ("up", "conv_clamp", "bias_gain"):
            if hasattr(module, name):
                known[name] = getattr(module, name)
        return Node(kind, (), known, True)

    generator = node(network, "TriPlaneGenerator")
    modules = generator.state["_modules"]
    modules["superresolution"].kind = config.sr_module
    modules["renderer"] = Node(
        "training.volumetric_rendering.renderer.ImportanceRenderer",
        (),
        {"plane_axes": lazy(torch.tensor(config.rendering.plane_axes))},
    )
    rendering = config.rendering
    generator.state |= {
        "neural_rendering_resolution": config.neural_rendering_resolution,
        "rendering_kwargs": {
            "depth_resolution": rendering.depth_resolution,
            "depth_resolution_importance": rendering.depth_resolution_importance,
            "ray_start": rendering.ray_start,
            "ray_end": rendering.ray_end,
            "box_warp": rendering.box_warp,
            "white_back": rendering.white_back,
            "c_scale": config.c_scale,
            "avg_camera_radius": config.avg_camera_radius,
            "avg_camera_pivot": list(config.avg_camera_pivot),
        },
    }
    generator.state |= state
    return Checkpoint(Path("tiny.pkl"), "pickle", {"G_ema": generator, "D": None})
