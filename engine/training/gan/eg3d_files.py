"""EG3D's networks in the layout of its authors' checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine.generators.eg3d_config import EG3DConfig
from engine.generators.eg3d_network import EG3DNetwork
from engine.training.gan.discriminator_blocks import CLAMP
from engine.training.gan.discriminator_residual import DualDiscriminator, widths_of
from engine.training.gan.pickled import TheirClass, networks_of, published_widths


def saved_networks(
    config: EG3DConfig, network: EG3DNetwork, state: Mapping[str, Tensor], judge: DualDiscriminator
) -> dict[str, Any]:
    """The generator, averaged (``state``) and as it is, and the discriminator, with the options that
    files state."""
    rendering = config.rendering
    options: dict[str, Any] = {
        **{k: v for k, v in rendering.to_json().items() if k != "plane_axes"},
        "c_scale": config.c_scale,
        "c_gen_conditioning_zero": config.c_gen_conditioning_zero,
        "avg_camera_radius": config.avg_camera_radius,
        "avg_camera_pivot": list(config.avg_camera_pivot),
        "superresolution_module": f"training.superresolution.{config.sr_module}",
        "superresolution_noise_mode": config.superresolution_noise_mode,
        "sr_antialias": config.sr_antialias,
        "decoder_lr_mul": config.decoder_lr_multiplier,
    }
    widths = {"channel_base": config.channel_base, "channel_max": config.channel_max}
    arguments = {
        **{name: getattr(config, name) for name in ("z_dim", "c_dim", "w_dim", "img_resolution")},
        **widths,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": config.mapping_layers},
        "rendering_kwargs": options,
        # Their defaults are half precision, which clamps.
        "num_fp16_res": 0,
        "conv_clamp": config.conv_clamp,
        "sr_num_fp16_res": 0 if config.sr_conv_clamp is None else 4,
    }
    attributes: dict[str, Any] = {
        "neural_rendering_resolution": config.neural_rendering_resolution,
        "rendering_kwargs": options,
        "_init_kwargs": arguments,
    }
    parts: dict[str, dict[str, Any]] = {
        "backbone.synthesis": {"_init_kwargs": widths},
        "renderer": {"plane_axes": torch.tensor(rendering.plane_axes)},
        "superresolution": {"class": config.sr_module},
    }

    drawing = TheirClass("TriPlaneGenerator", "training.triplane", arguments, attributes, parts)
    judging = TheirClass("DualDiscriminator", "training.dual_discriminator", _of_judge(judge))
    return networks_of(network, state, drawing, judge, judging)


def _of_judge(judge: DualDiscriminator) -> dict[str, Any] | None:
    tensors = judge.state_dict()
    widths = published_widths(widths_of(tensors))
    if widths is None or judge.b4.angles or judge.mapping is None:
        return None
    return {
        "c_dim": tensors["mapping.embed.weight"].shape[1],
        "img_resolution": judge.resolution,
        "img_channels": 3,
        **widths,
        "num_fp16_res": 0,
        "conv_clamp": CLAMP,
        "mapping_kwargs": {"num_layers": judge.mapping.layers},
        "epilogue_kwargs": {"mbstd_group_size": judge.b4.group_size},
    }
