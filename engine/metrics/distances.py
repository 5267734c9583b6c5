"""How far apart two sets of pictures are: FID and KID, by torchmetrics, of any features.

Fréchet's distance (Heusel et al. 2017, equation 6) compares means and covariances,
``|m - n|^2 + tr(S + T - 2 (S T)^(1/2))``. It shrinks as the sets grow, so that only numbers from
equally many pictures can be compared. The kernel distance (Binkowski et al. 2018) has no such bias.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.text.library import declare_operators, operators_load
from engine.training.bundled.kid import SUBSET_SIZE, SUBSETS, KernelDistance

#: Fewer pictures in a set have no covariance, or no half to draw subsets from.
FEWEST = 4


class _Given(nn.Module):
    """Stands for torchmetrics' feature network: what it is given are features already."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


def _metric(name: str, width: int, **options: Any) -> Any:
    """A metric of torchmetrics', whose import needs torchvision, and takes a second."""
    if "torchvision" not in sys.modules and not operators_load():
        declare_operators()
    with warnings.catch_warnings():
        # It warns of the memory that features take; ours are some megabytes.
        warnings.simplefilter("ignore")
        from torchmetrics.image.fid import FrechetInceptionDistance
        from torchmetrics.image.kid import KernelInceptionDistance

        kinds = {"fid": FrechetInceptionDistance, "kid": KernelInceptionDistance}
        return kinds[name](feature=_Given(width), **options)


def frechet_distance(drawn: Tensor, real: Tensor) -> float:
    """FID between features ``[M, D]`` and ``[N, D]``, computed in float64.

    Raises:
        ValueError: fewer than :data:`FEWEST` pictures in a set.
    """
    _check(drawn, real)
    metric = _metric("fid", drawn.shape[1])
    metric.update(real.double(), real=True)
    metric.update(drawn.double(), real=False)
    # Rounding may leave a little less than nothing.
    return max(0.0, float(metric.compute()))


def kernel_distance(drawn: Tensor, real: Tensor, seed: int = 0) -> KernelDistance:
    """KID between features ``[M, D]`` and ``[N, D]``: mean over random subsets of half of the
    smaller set, at most :data:`SUBSET_SIZE`.

    Raises:
        ValueError: fewer than :data:`FEWEST` pictures in a set.
    """
    _check(drawn, real)
    size = min(SUBSET_SIZE, len(drawn) // 2, len(real) // 2)
    metric = _metric("kid", drawn.shape[1], subsets=SUBSETS, subset_size=size)
    metric.update(real.double(), real=True)
    metric.update(drawn.double(), real=False)
    # It draws its subsets from the global state, which belongs to others.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, spread = metric.compute()
    return KernelDistance(float(mean), float(spread), SUBSETS, size)


@dataclass(frozen=True)
class SetDistances:
    """How far drawn pictures are from real ones.

    Attributes:
        fid: see the module. kid: likewise. floor: KID between the two halves of the real ones,
            which is what a perfect model would get.
        drawn, real: pictures of each.
    """

    fid: float
    kid: KernelDistance
    floor: KernelDistance | None
    drawn: int
    real: int


def set_distances(drawn: Tensor, real: Tensor, seed: int = 0) -> SetDistances:
    """Both distances between features ``[M, D]`` and ``[N, D]``.

    Raises:
        ValueError: fewer than :data:`FEWEST` pictures in a set.
    """
    half = len(real) // 2
    floor = kernel_distance(real[:half], real[half:], seed) if half >= FEWEST else None
    return SetDistances(
        fid=frechet_distance(drawn, real),
        kid=kernel_distance(drawn, real, seed),
        floor=floor,
        drawn=len(drawn),
        real=len(real),
    )


def _check(drawn: Tensor, real: Tensor) -> None:
    if min(len(drawn), len(real)) < FEWEST:
        raise ValueError(f"distances of sets need at least {FEWEST} pictures in each")
