"""Latents with their attributes, without pictures: cheap lessons for the mapping network.

A head's attributes are a fixed function of z with steps in it (a hair style is one of ten).
Rendering 16,000 heads shows that function at 16,000 points of a 72-dimensional space; this
shows it at hundreds of thousands, for a third of a millisecond each.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from torch import Tensor

from engine.orphans import end_with_parent
from engine.training.heads.attributes import LATENT_SIZE, attribute_vector, attributes_from_latent

_CHUNK = 2000


def _chunk(task: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    seed, number, count = task
    rng = np.random.default_rng([seed, 7, number])
    z = rng.standard_normal((count, LATENT_SIZE)).astype(np.float32)
    return z, np.stack([attribute_vector(attributes_from_latent(row)) for row in z])


def latent_attribute_pairs(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """``count`` random latents ``[count, 72]`` and their attribute vectors ``[count, A]``."""
    sizes = [min(_CHUNK, count - first) for first in range(0, count, _CHUNK)]
    tasks = [(seed, number, size) for number, size in enumerate(sizes)]
    workers = min(len(tasks), os.cpu_count() or 1)
    if workers <= 1:
        parts = [_chunk(task) for task in tasks]
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
            parts = list(pool.map(_chunk, tasks))
    z, a = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return torch.from_numpy(z), torch.from_numpy(a)
