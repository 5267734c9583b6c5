"""How fast a model draws on this machine."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, replace

import torch

from engine.generators.base import Generator, latent_from_seed

#: Degrees between the views of one person.
_STEP = 3.0


@dataclass(frozen=True)
class Speed:
    """Medians, seconds.

    Attributes:
        person: a picture of somebody new. view: another view of the same person.
        repeats: of each. threads: of the CPU.
    """

    person: float
    view: float
    repeats: int
    threads: int


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@torch.inference_mode()
def measure_speed(generator: Generator, repeats: int = 5) -> Speed:
    """Time whole pictures at the model's own size, after one that warms up."""
    facts = generator.capabilities
    pose = facts.default_pose
    w = generator.map(latent_from_seed(999, facts.z_dim))
    generator.render(w, pose.camera())
    persons, views = [], []
    for repeat in range(repeats):
        begin = _clock(generator.device)
        w = generator.map(latent_from_seed(repeat, facts.z_dim))
        generator.render(w, pose.camera())
        middle = _clock(generator.device)
        generator.render(w, replace(pose, yaw=pose.yaw + _STEP).camera())
        persons.append(middle - begin)
        views.append(_clock(generator.device) - middle)
    return Speed(
        statistics.median(persons), statistics.median(views), repeats, torch.get_num_threads()
    )
