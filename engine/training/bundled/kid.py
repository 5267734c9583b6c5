"""Kernel distance between the features of two sets of pictures (Binkowski et al. 2018, KID).

The squared maximum mean discrepancy with the kernel ``(x . y / d + 1) ** 3`` has an unbiased
estimate, so that few hundred pictures are enough and two sets of the same kind give 0 on average
(and now and then less). It depends on the network whose features are compared: numbers from
different networks, Inception's among them, must not be compared.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.assets import data_dir
from engine.generators.base import Generator
from engine.hashing import file_sha256
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.scores import Progress, at_side, draw
from engine.training.heads.world import orbit_camera, view_angles

#: How many subsets are drawn, and the most pictures in each.
SUBSETS, SUBSET_SIZE = 100, 1000
#: Data set whose cameras the samples are seen from; no shards are made of it.
CAMERA_SEED = 977

Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FeatureNetwork:
    """What looks at the pictures.

    Attributes:
        name: what it is. sha256: of its weights' file.
        features: pictures ``[N, 3, H, W]`` in ``[0, 1]`` -> ``[N, D]``.
    """

    name: str
    sha256: str
    features: Features


@dataclass(frozen=True)
class KernelDistance:
    """A KID.

    Attributes:
        mean, spread: over the subsets; the spread is the standard deviation.
        subsets, size: how many subsets, and pictures in each.
    """

    mean: float
    spread: float
    subsets: int
    size: int


def bundled_features(device: torch.device) -> FeatureNetwork | None:
    """The image tower of the bundled text encoder; ``None`` where there is no such encoder.

    Its unit vectors are stretched to length sqrt(D): of the kernel's ``x . y / d`` then remains
    the cosine, and not a number so small that only the means of two sets could differ.
    """
    folder = data_dir("assets") / "text_encoder"
    if not folder.is_dir():
        return None
    # By name and only here: nothing of training needs what reads texts, or that it is there.
    encoder = importlib.import_module("engine.text.encoder").load(folder, device)
    spec = importlib.import_module("engine.text.spec").find_spec(str(folder))

    def stretched(pictures: Tensor) -> Tensor:
        vectors: Tensor = encoder.encode_image(pictures.to(device))
        return vectors * math.sqrt(vectors.shape[1])

    name = "the bundled text encoder's image tower"
    return FeatureNetwork(name, file_sha256(spec.weights), stretched)


def squared_mmd(x: Tensor, y: Tensor) -> float:
    """Unbiased estimate of the squared MMD between ``[M, D]`` and ``[N, D]`` features."""
    x, y = x.double(), y.double()
    width = x.shape[1]

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / width + 1.0) ** 3

    def within(a: Tensor) -> Tensor:
        values, count = kernel(a, a), len(a)
        # A picture compared with itself says nothing of the others: the diagonal is left out.
        return (values.sum() - values.trace()) / (count * (count - 1))

    return float(within(x) + within(y) - 2.0 * kernel(x, y).mean())


def kernel_distance(x: Tensor, y: Tensor, seed: int = 0) -> KernelDistance:
    """KID between features ``[M, D]`` and ``[N, D]``: the mean over random subsets.

    A subset holds half of the smaller set, at most :data:`SUBSET_SIZE`.

    Raises:
        ValueError: there are fewer than four pictures in a set.
    """
    size = min(SUBSET_SIZE, len(x) // 2, len(y) // 2)
    if size < 2:
        raise ValueError("a kernel distance needs at least four pictures in each set")
    random = np.random.default_rng(seed)
    values = [
        squared_mmd(
            x[torch.from_numpy(random.permutation(len(x))[:size])],
            y[torch.from_numpy(random.permutation(len(y))[:size])],
        )
        for _ in range(SUBSETS)
    ]
    return KernelDistance(float(np.mean(values)), float(np.std(values)), SUBSETS, size)


@torch.inference_mode()
def sampled_features(
    generator: Generator, network: Features, count: int, side: int, seed: int, say: Progress | None
) -> Tensor:
    """Features of ``count`` pictures of random z from cameras as the heads' are drawn."""
    random = np.random.default_rng([seed, CAMERA_SEED])
    rows = []
    for number in range(count):
        z = torch.from_numpy(random.standard_normal(generator.capabilities.z_dim)).float()
        camera = orbit_camera(*view_angles(CAMERA_SEED + seed, number, 1)[0])
        frame, _ = draw(generator, z, torch.tensor(camera.cam2world))
        rows.append(network(at_side(frame.rgb.permute(2, 0, 1)[None], side)).float().cpu())
        if say and (number + 1) % 50 == 0:
            say(f"{number + 1} of {count} samples are drawn.")
    return torch.cat(rows)


@torch.inference_mode()
def true_features(pool: HeadPool, network: Features, count: int) -> Tensor:
    """Features of the first view of the first ``count`` heads."""
    views = (pool.whole(np.array([head]), 0).rgb for head in range(count))
    return torch.cat([network((rgb + 1) / 2).float().cpu() for rgb in views])


def measure_kid(
    generator: Generator,
    pool: HeadPool,
    network: FeatureNetwork,
    count: int,
    seed: int = 0,
    say: Progress | None = None,
) -> tuple[KernelDistance, KernelDistance]:
    """KID between ``count`` samples and as many rendered heads, and, to know what to expect of
    a perfect model, between the two halves of the rendered heads."""
    truth = true_features(pool, network.features, count)
    drawn = sampled_features(generator, network.features, count, pool.resolution, seed, say)
    half = count // 2
    return kernel_distance(drawn, truth, seed), kernel_distance(truth[:half], truth[half:], seed)
