"""Pictures of fixed seeds, to see how a run changes the same people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from engine.draw import Painter
from engine.export.files import atomic_path
from engine.generators.base import Generator
from engine.recipe import MIN_SIZE, Recipe

#: Degrees that the second row is turned by.
TURN = 30.0
#: Pixels of one picture, at most.
SIDE = 128


def draw_samples(generator: Generator, seeds: int, path: Path) -> None:
    """A PNG with the seeds 0 to ``seeds - 1`` from the front, and below turned to the side.

    Raises:
        UserError: a picture cannot be drawn or the file not be written.
    """
    painter, facts = Painter(generator), generator.capabilities
    front = facts.default_pose
    rows = []
    for pose in (front, replace(front, yaw=front.yaw + TURN)):
        # Models that grow begin with a few pixels.
        side = max(MIN_SIZE, min(SIDE, facts.resolution))
        recipe = Recipe(pose=pose, size=side, psi=1.0)
        rows.append(torch.cat([painter.picture(recipe.of_seed(n)) for n in range(seeds)], dim=1))
    with atomic_path(path) as temporary:
        Image.fromarray(torch.cat(rows).numpy()).save(temporary, format="PNG")
