"""A small StyleNeRF model with random weights, each option off its default where that matters."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.checkpoints.plain import Checkpoint, LazyTensor, Node
from engine.generators.stylenerf import StyleNeRF, StyleNeRFConfig, StyleNeRFNetwork

#: Few octaves, so that rounding is not magnified between two passes along a ray.
CONFIG = StyleNeRFConfig(
    z_dim=8,
    w_dim=6,
    mapping_layers=3,
    mapping_lr_multiplier=0.1,
    img_resolution=32,
    resolution_vol=8,
    block_channels=(8, 4),
    adapter_channels=(2, 3),
    conv_clamp=2.5,
    rgb_out_dim=5,
    fg_hidden=7,
    fg_blocks=2,
    fg_posenc=3,
    bg_posenc=2,
    bg_hidden=6,
    bg_blocks=2,
    z_dim_bg=9,
    n_ray_samples=6,
    n_bg_samples=3,
    fov=14.0,
    depth_near=0.86,
    depth_far=1.1,
    bg_start=0.6,
)


def changed(**options: Any) -> StyleNeRFConfig:
    return replace(CONFIG, **options)


def tiny_network(config: StyleNeRFConfig = CONFIG, seed: int = 0) -> StyleNeRFNetwork:
    """With everything that starts as zero or one, and every filter, moved away from there."""
    torch.manual_seed(seed)
    network = StyleNeRFNetwork(config)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("mapping.w_avg") or name.endswith(("bias", "noise_strength")):
                tensor.add_(torch.randn_like(tensor) * 0.3)
            elif name.endswith("w_avg"):
                tensor.uniform_(0.4, 2.5)
            elif name.endswith("resample_filter"):
                tensor.mul_(torch.rand_like(tensor) + 0.5)
            elif name.endswith("sigma_out.weight"):
                tensor.mul_(12.0)
    return network


def tiny_model(seed: int = 0, **options: Any) -> StyleNeRF:
    """Ready to draw on the CPU."""
    return StyleNeRF(tiny_network(changed(**options), seed), torch.device("cpu"))


def z_of(config: StyleNeRFConfig = CONFIG, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(config.z_dim + config.z_dim_bg, generator=draw)


def lazy(tensor: Tensor) -> LazyTensor:
    copied = tensor.detach().clone()
    return LazyTensor(tuple(copied.shape), copied.dtype, copied.clone)


def omegaconf(value: Any, parent: Node | None = None) -> Node:
    """What the reader makes of a pickled omegaconf container or value."""
    if isinstance(value, dict):
        node = Node("omegaconf.dictconfig.DictConfig", (), {"_parent": parent})
        node.state["_content"] = {k: omegaconf(v, node) for k, v in value.items()}
    elif isinstance(value, (list, tuple)):
        node = Node("omegaconf.listconfig.ListConfig", (), {"_parent": parent})
        node.state["_content"] = [omegaconf(v, node) for v in value]
    else:
        node = Node("omegaconf.nodes.AnyNode", (), {"_parent": parent, "_val": value})
    return node


def easy_dict(value: Any) -> Any:
    """What the reader makes of the authors' dictionaries with attributes."""
    if isinstance(value, dict):
        items = {k: easy_dict(v) for k, v in value.items()}
        return Node("dnnlib.util.EasyDict", (), {"[items]": items})
    return value


def options_of(config: StyleNeRFConfig) -> dict[str, dict[str, Any]]:
    """A config in the authors' words, by section; ``""`` is the synthesis network's own."""
    field = {"positional_encoding": "normal", "use_viewdirs": False, "predict_rgb": True}
    up, across = config.pitch, config.yaw
    return {
        "": {
            "architecture": "skip",
            "upsample_mode": config.upsample_mode,
            "z_dim_bg": config.z_dim_bg,
            "z_dim": 0,
            "resolution_vol": config.resolution_vol,
            "conv_clamp": config.conv_clamp,
            "progressive": config.progressive,
        },
        "camera": {
            "range_u": [across - config.yaw_spread, across + config.yaw_spread],
            "range_v": [
                math.pi / 2 - up - config.pitch_spread,
                math.pi / 2 - up + config.pitch_spread,
            ],
            "range_radius": [config.radius, config.radius],
            "depth_range": [config.depth_near, config.depth_far],
            "fov": config.fov,
            "gaussian_camera": config.gaussian_camera,
            "angular_camera": True,
            "depth_transform": None,
            "dists_normalized": config.dists_normalized,
            "ray_align_corner": config.ray_align_corner,
            "bg_start": config.bg_start,
        },
        "renderer": {
            "n_bg_samples": config.n_bg_samples,
            "n_ray_samples": config.n_ray_samples,
            "hierarchical": config.hierarchical,
            "no_background": not config.background,
        },
        "foreground": {
            **field,
            "downscale_p_by": config.fg_downscale,
            "normalized_feat": config.fg_normalized_feat,
        },
        "background": {
            **field,
            "downscale_p_by": config.bg_downscale,
            "normalized_feat": config.bg_normalized_feat,
        },
        "upsampler": {"no_residual_img": config.no_residual_img},
    }


def nested(options: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """``synthesis_kwargs`` as newer files have them."""
    sections = {f"{name}_kwargs": values for name, values in options.items() if name}
    return {**options[""], **sections}


def flat(options: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """``synthesis_kwargs`` as older files have them."""
    return {key: value for values in options.values() for key, value in values.items()}


def pickled(network: StyleNeRFNetwork, synthesis_kwargs: Any, **state: Any) -> Checkpoint:
    """What the reader makes of an authors' pickle of this network.

    Keyword arguments replace entries of the generator's state.
    """

    def node(module: torch.nn.Module) -> Node:
        known: dict[str, Any] = {
            "training": False,
            "_parameters": {k: lazy(v) for k, v in module.named_parameters(recurse=False)},
            "_buffers": {k: lazy(v) for k, v in module.named_buffers(recurse=False)},
            "_modules": {k: node(v) for k, v in module.named_children()},
        }
        if hasattr(module, "bias_gain"):
            known["bias_gain"] = module.bias_gain
        return Node(type(module).__name__, (), known, True)

    generator = node(network)
    generator.state |= {
        "img_resolution": network.config.img_resolution,
        "num_ws": network.config.style_ws,
        "_init_kwargs": {"synthesis_kwargs": synthesis_kwargs},
    }
    generator.state |= state
    return Checkpoint(Path("tiny.pkl"), "pickle", {"G": None, "G_ema": generator, "D": None})
