"""A tiny configuration of each family, and how it is trained from nothing within minutes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.generators.eg3d_config import EG3DConfig
from engine.generators.triplane import CORRECTED_AXES
from engine.training.gan.adversarial import Adversarial
from engine.training.gan.families import fresh
from engine.training.heads.world import FOV_Y


@dataclass(frozen=True)
class Tiny:
    """One family's.

    Attributes:
        side: of its pictures, pixels; it may learn from smaller ones.
        network: options of the network, where they are not those of
            :func:`~engine.training.gan.families.fresh`.
        losses: options of the losses, where they are not the published ones.
        batch: pictures a step.
    """

    side: int
    network: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 8

    def training(self, family: str, seed: int = 0) -> Adversarial:
        """The networks, untrained."""
        return fresh(family, self.side, self.losses, self.network, seed)


@dataclass(frozen=True)
class Asked:
    """What a family must reach within the budget.

    Attributes:
        factor: KID falls to at most one part in so many of the untrained generator's.
        likeness, relief: least of :class:`~tests.benchmarks.learning_scores.Score`'s.
        spread: least standard deviation of depths within a head, in heights of what the picture
            shows; rendered heads have 0.051.
    """

    factor: float
    likeness: float
    relief: float
    spread: float

    def kept(self, before: Mapping[str, float], after: Mapping[str, float]) -> bool:
        """Whether scores of an untrained and of the trained generator are good enough."""
        return (
            after["kid"] * self.factor <= before["kid"]
            and after["likeness"] >= self.likeness
            and after["relief"] >= self.relief
            and after["spread"] >= self.spread
        )


#: Of every family alike; a flat card has neither likeness nor relief nor spread.
ASKED = Asked(factor=2.0, likeness=0.6, relief=0.4, spread=0.015)

#: Behind heads there is nothing, and pictures are white there.
_EMPTY = {"last_back": False, "white_back": True}

#: Widths of a backbone and its super-resolution.
_NARROW = {"channel_base": 1024, "channel_max": 32}

#: Poses are read off real pictures alone: a hollow mould of a head looks like a head that is turned
#: the other way, and whoever judges drawn pictures can learn to read it so.
_POSES = {"pose_weight": 15.0, "real_poses_only": True}

#: A world 25 times as large as the published one: densities need not be large to be opaque.
_LARGE = {"radius": 25.0}

TINY: dict[str, Tiny] = {
    # What it shows by itself is as wide as the pictures that it learns from.
    "eg3d": Tiny(
        32,
        {
            **_NARROW,
            "sr_channels": (16, 8),
            "focal": 0.5 / math.tan(math.radians(FOV_Y) / 2.0),
            "c_gen_conditioning_zero": True,
            "rendering": replace(
                EG3DConfig().rendering,
                depth_resolution=12,
                depth_resolution_importance=12,
                plane_axes=CORRECTED_AXES,
                white_back=True,
            ),
        },
        {
            **_POSES,
            "pace": 0.02,
            "judge_channels": 32,
            "r1_gamma": 0.5,
            "density_weight": 0.02,
            "ball_steps": 100,
            "ball_density": 40.0,
        },
    ),
    "epigraf": Tiny(
        32,
        {
            **_EMPTY,
            **_NARROW,
            **_LARGE,
            "plane_channels": 8,
            "num_ray_steps": 8,
            "ray_start": 22.0,
            "ray_end": 28.0,
            "cube_scale": 3.0,
        },
        {
            **_POSES,
            "pace": 0.02,
            "patch_side": 32,
            "judge_channels": 32,
            "r1_gamma": 1.0,
            "blur_images": 50_000.0,
            "noise_from": 0.3,
            "ball_steps": 100,
            "ball_density": 5.0,
        },
    ),
    # Low frequencies: smooth shapes first. It learns from pictures of 16 pixels and is judged by those
    # of 32 that it draws.
    "pigan": Tiny(
        32,
        {**_EMPTY, "layers": 3, "steps": 7, "point_scale": 4.0, "hidden": 48},
        {
            **_POSES,
            "pace": 0.01,
            "side": 16,
            "generator_rate": 5e-4,
            "discriminator_rate": 2e-3,
            "judge_channels": 32,
            "r1_gamma": 0.5,
            "deviation_group": 4,
            "density_start": 50.0,
            "style_start": 1.0,
        },
    ),
    # Pictures of 16 pixels, too; pixels do not know each other, so that any side can be drawn.
    "cips3d": Tiny(
        32,
        {
            **_LARGE,
            "backdrop": 1.0,
            "near": 22.0,
            "far": 28.0,
            "box": 15.0,
            "nerf_width": 48,
            "nerf_color_width": 48,
            "inr_blocks": 5,
            "inr_width": 48,
            "samples_per_pass": 7,
        },
        {
            **_POSES,
            "pace": 0.02,
            "side": 16,
            "gradient_pixels": 0,
            "r1_gamma": 0.5,
            "judge_channels": 32,
            "discriminator_rate": 3e-3,
            "generator_rate": 6e-4,
            "style_start": 1.0,
        },
    ),
    # The volume renderer alone, which draws the background too.
    "stylesdf": Tiny(
        16,
        {
            "depth": 3,
            "width": 48,
            "samples_per_ray": 12,
            "radius": 8.0,
            "half_depth": 1.2,
        },
        {
            "pace": 0.01,
            "generator_rate": 8e-4,
            "discriminator_rate": 1e-3,
            "r1_gamma": 1.0,
            "judge_channels": 32,
            "sphere_radius": 0.48,
            "sphere_points": 1024,
        },
    ),
    # Without its network for backgrounds, on which it would paint people.
    "stylenerf": Tiny(
        32,
        {
            **_LARGE,
            "background": False,
            "depth_near": 22.0,
            "depth_far": 28.0,
            "fg_hidden": 48,
            "fg_blocks": 2,
            "fg_posenc": 5,
            "fg_downscale": 4.0,
            "rgb_out_dim": 32,
            "block_channels": (32,),
            "adapter_channels": (8,),
            "n_ray_samples": 7,
            "dists_normalized": False,
        },
        {
            **_POSES,
            "pace": 0.002,
            "judge_channels": 32,
            "r1_gamma": 2.0,
            "density_noise": 0.3,
            "ball_steps": 100,
            "ball_density": 6.0,
            "ball_clear": 2.0,
        },
    ),
}
