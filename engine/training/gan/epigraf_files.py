"""EpiGRAF's networks in the layout of its authors' checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from engine.generators.epigraf_config import EpiGRAFConfig
from engine.generators.epigraf_network import EpiGRAFNetwork
from engine.training.gan.discriminator_blocks import CLAMP
from engine.training.gan.discriminator_patch import PatchDiscriminator
from engine.training.gan.discriminator_residual import widths_of
from engine.training.gan.pickled import TheirClass, networks_of, published_widths

#: The release's patches.
PATCH = 64
#: Length of the embedding of a patch's place in the authors' discriminator.
_EMBEDDED = 256


def saved_networks(
    config: EpiGRAFConfig,
    network: EpiGRAFNetwork,
    state: Mapping[str, Tensor],
    judge: PatchDiscriminator,
) -> dict[str, Any]:
    """The generator, averaged (``state``) and as it is, and the discriminator, with the options that
    files state."""
    arguments: dict[str, Any] = {
        "z_dim": config.z_dim,
        "w_dim": config.w_dim,
        "c_dim": config.c_dim,
        "img_resolution": config.img_resolution,
        "img_channels": 3,
        "mapping_kwargs": {
            "num_layers": config.mapping_layers,
            "camera_cond": config.camera_cond,
            "mean_camera_pose": state["mapping.mean_camera_pose"].detach().cpu().clone(),
        },
        "channel_base": config.channel_base,
        "channel_max": config.channel_max,
        "conv_clamp": config.conv_clamp,
    }
    stated = stated_options(config)
    attributes = {"cfg": stated, "c_dim": config.c_dim, "_init_kwargs": arguments}
    drawing = TheirClass(
        "Generator",
        "src.training.networks_epigraf",
        {"cfg": stated, **arguments},
        attributes,
        {"synthesis": {"test_resolution": config.img_resolution}},
    )
    judging = TheirClass("Discriminator", "src.training.networks_discriminator", _of_judge(judge))
    return networks_of(network, state, drawing, judge, judging)


def _of_judge(judge: PatchDiscriminator) -> dict[str, Any] | None:
    place = judge.scalar_enc
    widths = published_widths(widths_of(judge.state_dict()))
    known = place is not None and place.const_embed.embedding_dim == _EMBEDDED
    if widths is None or judge.b4.angles or not known:
        return None
    halvings = max(judge.sides).bit_length() - judge.side.bit_length()
    return {
        "cfg": {
            "num_additional_start_blocks": halvings,
            "patch": {"patch_params_cond": 1},
            "hyper_mod": True,
            "camera_cond": judge.camera > 0,
            "camera_cond_drop_p": 0.0,
            "camera_cond_noise_std": 0.0,
            "camera_cond_raw": False,
        },
        "c_dim": 0,
        "img_resolution": judge.side,
        "img_channels": 3,
        **widths,
        "num_fp16_res": 0,
        "conv_clamp": CLAMP,
        "mapping_kwargs": {"num_layers": judge.hyper_mod_mapping.layers},
        "epilogue_kwargs": {"mbstd_group_size": judge.b4.group_size},
    }


def stated_options(config: EpiGRAFConfig) -> dict[str, Any]:
    """The generator's section of the authors' configuration: all that their class asks for."""
    camera = {
        "dist": "spherical_uniform" if config.yaw_range[1] == 180.0 else "custom",
        "fov": config.fov,
        "radius": config.radius,
        "ray_start": config.ray_start,
        "ray_end": config.ray_end,
    }
    return {
        "backbone": "stylegan2",
        "bg_model": {
            "type": None if config.background == "none" else config.background,
            "num_blocks": len(config.bg_channels),
            "num_steps": config.bg_steps,
            "posenc_period_len": config.bg_scale,
            "start": config.bg_start,
            "output_channels": 4,
            "coord_dim": 4,
            # The widest layers are cut to cmax, and all of them are.
            "cbase": 32768,
            "cmax": max(config.bg_channels),
            "num_fp16_blocks": 0,
            "fmm": {"enabled": False, "rank": 3, "activation": "demod"},
        },
        "camera_cond": config.camera_cond,
        "cbase": config.channel_base,
        "fmaps": 1.0,
        "cmax": config.channel_max,
        "clamp_mode": config.clamp_mode,
        "dataset": {
            "c_dim": config.c_dim,
            "camera": camera,
            "cube_scale": config.cube_scale,
            "last_back": config.last_back,
            "white_back": config.white_back,
            "resolution": config.img_resolution,
        },
        "density_shift": config.density_shift,
        "num_ray_steps": config.num_ray_steps,
        "use_noise": config.use_noise,
        # What only training reads, as published.
        "nerf_noise_std_init": 1.0,
        "nerf_noise_kimg_growth": 5000,
        "patch": {"enabled": False, "resolution": PATCH},
        "tri_plane": {
            "res": config.plane_resolution,
            "feat_dim": config.plane_channels,
            "fp32": True,
            "has_view_cond": False,
            "posenc_period_len": 0,
            "mlp": {
                "n_layers": len(config.mlp_channels) + 1,
                "hid_dim": config.mlp_channels[0],
            },
        },
    }
