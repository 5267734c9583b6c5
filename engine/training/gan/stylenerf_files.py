"""A StyleNeRF network in the layout of its authors' checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from engine.generators.stylenerf_config import StyleNeRFConfig
from engine.generators.stylenerf_network import StyleNeRFNetwork
from engine.training.gan.discriminator_blocks import CLAMP
from engine.training.gan.discriminator_residual import widths_of
from engine.training.gan.discriminator_skip import SkipDiscriminator
from engine.training.gan.pickled import TheirClass, networks_of, published_widths

#: The authors' ``channel_base`` counts in these.
_WIDTHS = 32768


def saved_networks(
    network: StyleNeRFNetwork, state: Mapping[str, Tensor], judge: SkipDiscriminator
) -> dict[str, Any]:
    """The generator, averaged and as it is, and the discriminator, with the options that files
    state."""
    config = network.config
    arguments = {
        "z_dim": config.z_dim,
        "w_dim": config.w_dim,
        "c_dim": config.c_dim,
        "img_resolution": config.img_resolution,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": config.mapping_layers},
        "synthesis_kwargs": synthesis_options(config),
    }
    attributes = {
        "img_resolution": config.img_resolution,
        "num_ws": config.style_ws,
        "_init_kwargs": arguments,
    }
    drawing = TheirClass("Generator", "training.networks", arguments, attributes)
    judging = TheirClass(
        "Discriminator", "training.stylenerf", _of_judge(judge, config.resolution_vol)
    )
    return networks_of(network, state, drawing, judge, judging)


def _of_judge(judge: SkipDiscriminator, least: int) -> dict[str, Any] | None:
    widths = published_widths(widths_of(judge.state_dict()))
    if widths is None or judge.b4.angles:
        return None
    return {
        "c_dim": 0,
        "img_resolution": judge.resolution,
        "img_channels": 3,
        "architecture": "skip",
        "channel_base": widths["channel_base"] / _WIDTHS,
        "channel_max": widths["channel_max"],
        "num_fp16_res": 0,
        "conv_clamp": CLAMP,
        "progressive": True,
        "lowres_head": least,
        "upsample_type": "bilinear",
        "resize_real_early": True,
        "epilogue_kwargs": {"mbstd_group_size": judge.b4.group_size},
    }


def synthesis_options(config: StyleNeRFConfig) -> dict[str, Any]:
    """The options of the synthesis network in the authors' words: all that their class asks for."""
    field = {
        "positional_encoding": "normal",
        "use_viewdirs": False,
        "predict_rgb": True,
        "use_style": "StyleGAN2",
    }
    # Any widths, where the authors' formula gives those of the release only.
    widths = {
        config.resolution_vol << doubling: width
        for doubling, width in enumerate(config.block_channels, 1)
    }
    across, down = config.yaw, math.pi / 2 - config.pitch
    wide, tall = config.yaw_spread, config.pitch_spread
    return {
        "module_name": "training.stylenerf.NeRFSynthesisNetwork",
        "architecture": "skip",
        "kernel_size": config.kernel_size,
        "use_noise": config.use_noise,
        "magnitude_ema_beta": 0.999 if config.magnitude_ema else -1,
        "num_fp16_res": 0,
        "no_bbox": True,
        "margin": 0,
        "rgb_out_dim": config.rgb_out_dim,
        "resolution_start": config.resolution_vol,
        "upsample_mode": config.upsample_mode,
        "z_dim": 0,
        "z_dim_bg": config.z_dim_bg,
        "resolution_vol": config.resolution_vol,
        "conv_clamp": config.conv_clamp,
        "progressive": config.progressive,
        "camera_kwargs": {
            "range_u": [across - wide, across + wide],
            "range_v": [down - tall, down + tall],
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
        "renderer_kwargs": {
            "n_bg_samples": config.n_bg_samples,
            "n_ray_samples": config.n_ray_samples,
            "hierarchical": config.hierarchical,
            "abs_sigma": False,
            "no_background": not config.background,
        },
        "foreground_kwargs": {
            **field,
            "downscale_p_by": config.fg_downscale,
            "normalized_feat": config.fg_normalized_feat,
            "hidden_size": config.fg_hidden,
            "n_blocks": config.fg_blocks + 1,
            "n_freq_posenc": config.fg_posenc,
        },
        "background_kwargs": {
            **field,
            "downscale_p_by": config.bg_downscale,
            "normalized_feat": config.bg_normalized_feat,
            "hidden_size": config.bg_hidden,
            "n_blocks": config.bg_blocks + 1,
            "n_freq_posenc": config.bg_posenc,
            "inverse_sphere": True,
        },
        "upsampler_kwargs": {
            "no_residual_img": config.no_residual_img,
            "upsample_type": "bilinear",
            "channel_dict": widths,
        },
    }
