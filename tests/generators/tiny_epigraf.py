"""A small EpiGRAF model with random weights, each option off its default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.checkpoints.plain import Checkpoint, LazyTensor, Node
from engine.generators.epigraf import EpiGRAF, EpiGRAFConfig, EpiGRAFNetwork

CONFIG = EpiGRAFConfig(
    z_dim=8,
    w_dim=6,
    mapping_layers=3,
    mapping_width=7,
    mapping_lr_multiplier=0.1,
    plane_resolution=16,
    plane_channels=5,
    channel_base=64,
    channel_max=6,
    conv_clamp=200.0,
    mlp_channels=(8, 7),
    cube_scale=0.25,
    img_resolution=24,
    num_ray_steps=6,
    ray_start=0.9,
    ray_end=1.5,
    radius=1.2,
    fov=20.0,
    density_shift=-0.5,
)


def tiny_network(config: EpiGRAFConfig = CONFIG, seed: int = 0) -> EpiGRAFNetwork:
    """With noise strengths, biases and averages moved off zero, and a density with surfaces."""
    torch.manual_seed(seed)
    network = EpiGRAFNetwork(config)
    last = f"model.{len(config.mlp_channels)}.weight"
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("noise_strength", "w_avg", "bias")) and "affine" not in name:
                tensor.normal_(0, 0.3)
            elif name.endswith("mean_camera_pose"):
                tensor.copy_(torch.tensor([-0.2, 1.4, 0.1]))
            elif name.endswith(last):
                tensor[3] *= 12.0
    return network


def tiny_model(seed: int = 0, **changes: Any) -> EpiGRAF:
    """Ready to draw on the CPU."""
    return EpiGRAF(tiny_network(replace(CONFIG, **changes), seed), torch.device("cpu"))


def z_of(seed: int = 0) -> Tensor:
    """``[z_dim]`` of :data:`CONFIG`."""
    return torch.randn(CONFIG.z_dim, generator=torch.Generator().manual_seed(seed))


def lazy(tensor: Tensor) -> LazyTensor:
    """As the reader gives tensors."""
    copied = tensor.detach().clone()
    return LazyTensor(tuple(copied.shape), copied.dtype, copied.clone)


def experiment(config: EpiGRAFConfig) -> dict[str, Any]:
    """The configuration that the authors' code keeps in a generator, references unresolved."""
    camera = {
        "dist": "spherical_uniform" if config.yaw_range[1] == 180.0 else "custom",
        "fov": config.fov,
        "radius": config.radius,
        "ray_start": config.ray_start,
        "ray_end": config.ray_end,
    }
    dataset = {
        "c_dim": config.c_dim,
        "camera": camera,
        "cube_scale": config.cube_scale,
        "last_back": config.last_back,
        "white_back": config.white_back,
        "resolution": config.img_resolution,
    }
    generator = {
        "backbone": "stylegan2",
        "bg_model": {
            "type": None if config.background == "none" else config.background,
            "num_blocks": len(config.bg_channels),
            "num_steps": config.bg_steps,
            "posenc_period_len": config.bg_scale,
            "start": config.bg_start,
        },
        "camera_cond": config.camera_cond,
        "cbase": config.channel_base * 2,
        "fmaps": 0.5,
        "cmax": config.channel_max,
        "clamp_mode": config.clamp_mode,
        "dataset": "${dataset}",
        "density_shift": config.density_shift,
        "num_ray_steps": "${training.steps}",
        "patch": "${training.patch}",
        "tri_plane": {"has_view_cond": False, "posenc_period_len": 0},
    }
    training = {"steps": config.num_ray_steps, "patch": {"resolution": 8}}
    return {"model": {"generator": generator}, "dataset": dataset, "training": training}


def as_omegaconf(value: Any, parent: Node | None = None) -> Any:
    """Nested dictionaries as the nodes that the reader makes of omegaconf's."""
    if not isinstance(value, dict):
        return Node("omegaconf.nodes.AnyNode", (), {"_val": value, "_parent": parent})
    node = Node("omegaconf.dictconfig.DictConfig", (), {"_content": {}, "_parent": parent})
    node.state["_content"] = {key: as_omegaconf(item, node) for key, item in value.items()}
    return node


def pickled(network: EpiGRAFNetwork, cfg: Any = None, **state: Any) -> Checkpoint:
    """What the reader makes of an authors' snapshot of this network.

    Args:
        cfg: the configuration in it; by default an omegaconf one of a whole experiment.
        state: entries of the generator's state to replace.
    """
    config = network.config

    def node(module: torch.nn.Module) -> Node:
        known: dict[str, Any] = {
            "_parameters": {k: lazy(v) for k, v in module.named_parameters(recurse=False)},
            "_buffers": {k: lazy(v) for k, v in module.named_buffers(recurse=False)},
            "_modules": {k: node(v) for k, v in module.named_children()},
        }
        for name in ("conv_clamp", "bias_gain"):
            if hasattr(module, name):
                known[name] = getattr(module, name)
        return Node(type(module).__name__, (), known, True)

    generator = node(network)
    if cfg is None:
        root = as_omegaconf(experiment(config))
        cfg = root.state["_content"]["model"].state["_content"]["generator"]
    generator.state["_modules"]["synthesis"].state["test_resolution"] = config.img_resolution
    generator.state |= {
        "cfg": cfg,
        "c_dim": config.c_dim,
        "_init_kwargs": {"mapping_kwargs": {"camera_cond": config.camera_cond}},
    }
    generator.state |= state
    return Checkpoint(Path("tiny.pkl"), "pickle", {"G_ema": generator, "D": None, "G_opt": None})
