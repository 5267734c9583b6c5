"""Judging a generator on heads that it was never trained on, by number and by eye."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.camera import OrbitPose
from engine.training.bundled.losses import (
    depth_error,
    gradient_energy,
    mask_iou,
    psnr,
    region_weight,
    shrunk,
    shrunk_depth,
)
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pool import HeadPool

#: Height of an average head in world units (2.15 of 3.5 decimetres).
HEAD_HEIGHT = 2.15 / 3.5


@dataclass(frozen=True)
class Scores:
    """Means over the judged views.

    Attributes:
        psnr_raw, psnr_half, psnr: decibels over white at the raw resolution, at half the final
            one and at the final one.
        iou: of the masks, at the raw resolution.
        depth: median absolute depth error in units of an average head's height.
        sharpness: gradient energy in the eye and mouth regions as a share of the truth's.
        views: how many were judged.
    """

    psnr_raw: float
    psnr_half: float
    psnr: float
    iou: float
    depth: float
    sharpness: float
    views: int

    def to_json(self) -> dict[str, float]:
        """Plain data."""
        return {name: round(float(value), 5) for name, value in asdict(self).items()}


@torch.inference_mode()
def score(
    model: HeadGenerator, pool: HeadPool, count: int, view: int = 0, labels: tuple[int, ...] = ()
) -> Scores:
    """Scores of the first ``count`` heads of ``pool``, one view of each."""
    rows: list[Tensor] = []
    times = model.enlargement
    for start in range(0, count, 8):
        heads = np.arange(start, min(start + 8, count))
        patch = pool.whole(heads, view)
        drawn = model.whole(patch.z, patch.cam2world, pool.resolution)
        fine = region_weight(patch.segmentation, labels, 2.0) - 1.0
        sharp = gradient_energy(drawn.picture.clamp(-1, 1), patch.rgb, fine)
        rows.append(
            torch.stack(
                [
                    psnr(drawn.raw, shrunk(patch.rgb, times)),
                    psnr(shrunk(drawn.picture), shrunk(patch.rgb)),
                    psnr(drawn.picture, patch.rgb),
                    mask_iou(drawn.alpha, shrunk(patch.alpha, times)),
                    depth_error(drawn.depth, shrunk_depth(patch.depth, times), drawn.alpha)
                    / HEAD_HEIGHT,
                    sharp.expand(len(heads)),
                ],
                dim=1,
            )
        )
    raw, half, final, iou, depth, sharpness = torch.cat(rows).mean(0).tolist()
    return Scores(raw, half, final, iou, depth, sharpness, count)


@torch.inference_mode()
def sheet(model: HeadGenerator, pool: HeadPool, path: Path, heads: int = 8) -> None:
    """A PNG: one row a head: truth, same view, frontal, -35, +35, 180 degrees, depth."""
    rows = []
    size = pool.resolution
    poses = [OrbitPose(yaw=yaw, pitch=3) for yaw in (0, -35, 35, 180)]
    turns = torch.from_numpy(np.stack([pose.camera().cam2world for pose in poses])).float()
    for head in range(heads):
        patch = pool.whole(np.array([head]), 0)
        cameras = torch.cat([patch.cam2world, turns.to(pool.device)])
        z = patch.z.expand(len(cameras), -1)
        drawn = model.whole(z, cameras, size)
        depth = drawn.depth[1]
        solid = drawn.alpha[1] > 0.5
        shade = ((3.1 - depth) / 0.8).clamp(0, 1) * solid * 2 - 1
        depth = torch.nn.functional.interpolate(shade[None], (size, size))[0].expand(3, -1, -1)
        row = torch.cat([patch.rgb, drawn.picture, depth[None]])
        rows.append(torch.cat(list(row), dim=2))
    image = torch.cat(rows, dim=1).clamp(-1, 1).permute(1, 2, 0).cpu().numpy()
    Image.fromarray(((image + 1) * 127.5 + 0.5).astype(np.uint8)).save(path)


@torch.inference_mode()
def samples(
    model: HeadGenerator, path: Path, seed: int = 0, rows: int = 6, columns: int = 8
) -> None:
    """A PNG of random people, not hand-picked, at slightly different yaws."""
    device = next(model.parameters()).device
    random = np.random.RandomState(seed)
    size = model.network.config.img_resolution
    lines = []
    for _ in range(rows):
        z = torch.from_numpy(random.randn(columns, model.network.config.z_dim)).float().to(device)
        yaws = random.uniform(-30, 30, columns)
        cameras = np.stack([OrbitPose(yaw=float(y), pitch=3).camera().cam2world for y in yaws])
        drawn = model.whole(z, torch.from_numpy(cameras).float().to(device), size)
        lines.append(torch.cat(list(drawn.picture), dim=2))
    image = torch.cat(lines, dim=1).clamp(-1, 1).permute(1, 2, 0).cpu().numpy()
    Image.fromarray(((image + 1) * 127.5 + 0.5).astype(np.uint8)).save(path)
