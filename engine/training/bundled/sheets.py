"""Pictures to judge a generator by eye: none of them is chosen by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.export.files import atomic_path
from engine.generators.base import Generator
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.scores import at_side, draw, picture
from engine.training.heads.world import RADIUS, orbit_camera


@torch.inference_mode()
def heads_sheet(generator: Generator, pool: HeadPool, path: Path, heads: int = 8) -> None:
    """A PNG, a row for each of the first heads: truth, same view, yaws 0, -35, 35 and 180, depth."""
    turns = [torch.tensor(orbit_camera(yaw, 3).cam2world) for yaw in (0, -35, 35, 180)]
    side = pool.resolution
    rows = []
    for head in range(min(heads, pool.count)):
        patch = pool.whole(np.array([head]), 0)
        cameras = [patch.cam2world[0], *turns]
        frames = [draw(generator, patch.z[0], camera)[0] for camera in cameras]
        front = frames[1]
        shade = ((RADIUS + 0.4 - front.depth) / 0.8).clamp(0, 1) * (front.alpha > 0.5) * 2 - 1
        drawn = [at_side(picture(frame), side) for frame in frames]
        depth = at_side(shade[None, None], side).expand(-1, 3, -1, -1)
        rows.append(torch.cat([patch.rgb, *drawn, depth], dim=-1)[0])
    _write(torch.cat(rows, dim=1), path)


@torch.inference_mode()
def samples_sheet(
    generator: Generator, path: Path, seed: int = 0, rows: int = 8, columns: int = 8
) -> None:
    """A PNG of the first ``rows * columns`` random people of ``seed``, at yaws of -30 to 30."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(rows):
        line = []
        for _ in range(columns):
            z = torch.from_numpy(random.standard_normal(generator.capabilities.z_dim)).float()
            camera = orbit_camera(random.uniform(-30.0, 30.0), 3.0)
            line.append(picture(draw(generator, z, torch.tensor(camera.cam2world))[0]))
        lines.append(torch.cat(line, dim=-1)[0])
    _write(torch.cat(lines, dim=1), path)


def _write(image: Tensor, path: Path) -> None:
    """``[3, H, W]`` in ``[-1, 1]`` as a PNG."""
    values = (image.clamp(-1, 1).permute(1, 2, 0).cpu().numpy() + 1) * 127.5 + 0.5
    with atomic_path(path) as temporary:
        Image.fromarray(values.astype(np.uint8)).save(temporary, format="png")
