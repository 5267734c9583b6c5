"""A ball painted by its place in the world: heads whose every view is known exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from engine.camera import Camera
from engine.generators.eg3d_network import EG3DConfig
from engine.rendering.rays import intrinsics_from_focal, pinhole_rays
from engine.rendering.volume import RenderSettings
from engine.training.bundled.consistency import View
from engine.training.heads.mesh import Label
from engine.training.heads.world import FOV_Y, orbit_camera

FOCAL = Camera(np.eye(4), FOV_Y).focal
BALL = 0.3


def small_config() -> EG3DConfig:
    """A network that draws 32 pixels in no time."""
    return EG3DConfig(
        z_dim=4,
        c_dim=0,
        w_dim=16,
        mapping_lr_multiplier=1.0,
        plane_resolution=16,
        plane_channels=24,
        channel_base=256,
        channel_max=16,
        sr_module="SuperresolutionHybrid4X",
        sr_channels=(8, 8),
        neural_rendering_resolution=16,
        img_resolution=32,
        rendering=RenderSettings(8, 8, 2.2, 3.2, white_back=True),
        focal=FOCAL,
    )


def camera(yaw: float, pitch: float = 0.0) -> torch.Tensor:
    """``[4, 4]``."""
    return torch.tensor(orbit_camera(yaw, pitch).cam2world).float()


def ball_view(cam2world: torch.Tensor, side: int, hue: float = 0.0) -> View:
    """The ball, ray-traced: colours go with the place in the world."""
    lens = intrinsics_from_focal(torch.tensor([FOCAL]))
    origins, directions = pinhole_rays(cam2world[None], lens, side, side)
    o, d = origins[0], directions[0]
    along = (o * d).sum(-1)
    root = along.square() - (o.square().sum(-1) - BALL**2)
    depth = torch.where(root > 0, -along - root.clamp(min=0).sqrt(), torch.zeros_like(root))
    colour = 0.5 + 0.4 * torch.sin(9.0 * (o + d * depth[:, None]) + hue)
    colour = torch.where(depth[:, None] > 0, colour, torch.ones_like(colour))
    return View(colour.T.reshape(3, side, side), depth.reshape(side, side), cam2world)


def write_balls(folder: Path, heads: int, side: int = 32, z_dim: int = 4) -> Path:
    """A shard of balls of different colours, two near views of each."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    yaws = [(float(yaw), float(yaw) + 20.0) for yaw in random.uniform(-40, 40, heads)]
    views = [
        [ball_view(camera(yaw), side, hue=head * 0.3) for yaw in pair]
        for head, pair in enumerate(yaws)
    ]
    rgb = np.stack([[v.rgb.permute(1, 2, 0).numpy() for v in pair] for pair in views])
    depth = np.stack([[v.depth.numpy() for v in pair] for pair in views])
    solid = depth > 0
    rgba = np.concatenate([rgb * solid[..., None], solid[..., None]], axis=-1)
    seg = solid.astype(np.uint8)
    seg[:, :, 12:15, 10:22] *= int(Label.EYE)
    seg[:, :, 20:23, 12:20] *= int(Label.LIPS)
    np.savez(
        folder / "balls.npz",
        z=random.standard_normal((heads, z_dim)).astype(np.float32),
        a=np.zeros((heads, 3), np.float32),
        cam2world=np.stack([[v.cam2world.numpy() for v in pair] for pair in views]),
        rgba=(rgba * 255 + 0.5).astype(np.uint8),
        depth=depth.astype(np.float16),
        seg=seg,
    )
    return folder
