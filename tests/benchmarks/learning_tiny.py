"""A tiny configuration of each family, and how it is trained from nothing within minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.generators.eg3d_config import EG3DConfig
from engine.training.gan.adversarial import Adversarial
from engine.training.gan.families import fresh


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
            shows; rendered heads have 0.044.
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

TINY: dict[str, Tiny] = {
    # Angles are read by every discriminator that is not told poses in a way that helps at once:
    # without, half of all runs learn the mould of a head, which looks alike from one side.
    "eg3d": Tiny(
        32,
        {
            **_NARROW,
            "sr_channels": (16, 8),
            "rendering": replace(
                EG3DConfig().rendering,
                depth_resolution=12,
                depth_resolution_importance=12,
                white_back=True,
            ),
        },
        {
            "pace": 0.02,
            "judge_channels": 32,
            "r1_gamma": 0.5,
            "pose_weight": 15.0,
            "density_start": 5.0,
        },
    ),
    # A world 25 times as large as the published one: densities need not be large to be opaque.
    "epigraf": Tiny(
        32,
        {
            **_EMPTY,
            **_NARROW,
            "plane_channels": 8,
            "num_ray_steps": 8,
            "radius": 25.0,
            "ray_start": 22.0,
            "ray_end": 28.0,
            "cube_scale": 3.0,
        },
        {
            "pace": 0.02,
            "patch_side": 32,
            "judge_channels": 32,
            "blur_images": 50_000.0,
            "noise_from": 0.3,
            "pose_weight": 15.0,
        },
    ),
    # Low frequencies: smooth shapes first. Grows from 16 to 32 pixels after 7,000 pictures.
    "pigan": Tiny(
        32,
        {**_EMPTY, "layers": 3, "steps": 7, "point_scale": 4.0, "hidden": 48},
        {
            "pace": 0.01,
            "least_side": 16,
            "grow_images": 700_000.0,
            "fade_images": 80_000.0,
            "generator_rate": 5e-4,
            "discriminator_rate": 1e-3,
            "judge_channels": 32,
            "r1_gamma": 1.0,
            "density_start": 50.0,
            "style_start": 1.0,
        },
    ),
    # Pictures of 16 pixels, too; pixels do not know each other, so that any side can be drawn.
    "cips3d": Tiny(
        32,
        {
            "backdrop": 1.0,
            "radius": 25.0,
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
            "pace": 0.02,
            "side": 16,
            "gradient_pixels": 0,
            "r1_gamma": 1.0,
            "judge_channels": 32,
            "discriminator_rate": 1e-3,
            "generator_rate": 3e-4,
            "pose_weight": 15.0,
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
    "stylenerf": Tiny(
        32,
        {
            "fg_hidden": 48,
            "fg_blocks": 2,
            "fg_posenc": 4,
            "fg_downscale": 0.16,
            "bg_hidden": 16,
            "bg_blocks": 1,
            "bg_posenc": 2,
            "rgb_out_dim": 32,
            "block_channels": (32,),
            "adapter_channels": (8,),
            "n_ray_samples": 7,
            "dists_normalized": True,
        },
        {
            "pace": 0.002,
            "judge_channels": 32,
            "r1_gamma": 1.0,
            "density_noise": 0.3,
            "pose_weight": 15.0,
        },
    ),
}
