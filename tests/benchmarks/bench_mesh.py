"""What it saves to evaluate a field near its surface only when a mesh is cut.

    python -m tests.benchmarks.bench_mesh [NAME...] [--samples 256] [--repeats 5] [--threads 2] [--plain]

For each name the surface of one face is cut in both ways in turn: every sample of the grid evaluated, and
those near the surface. Seconds by the clock, the median of each and its spread (largest less smallest), the
ratio of the medians, the share of samples that were asked for, and the farthest that a vertex of the largest
piece, which is what a mesh shows, lies from that of the other way, in voxels (nan: their numbers differ).

With ``--plain`` every sample is evaluated by torch's own operators, as the families' authors do it, in place of our
compiled functions.

The names are those of models that open, and ``pigan`` and ``stylesdf``, see
:mod:`tests.benchmarks.bench_empty`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from engine.export.isosurface import Grid, extract_isosurface
from engine.export.sparse import extract_near_surface
from engine.export.surface import largest_component
from engine.generators.base import Field, Generator, latent_from_seed
from engine.generators.registry import open_model
from tests.benchmarks.bench_empty import SEED, fitted


class Counting(Field):
    """A field that counts the points that its density is asked for."""

    def __init__(self, field: Field) -> None:
        self._field, self.bounds, self.points = field, field.bounds, 0

    def density(self, points: Tensor) -> Tensor:
        """See :meth:`Field.density`."""
        self.points += len(points)
        return self._field.density(points)

    def color(self, points: Tensor, directions: Tensor | None = None) -> Tensor:
        """See :meth:`Field.color`."""
        return self._field.color(points, directions)


class Result(NamedTuple):
    """Of one face: seconds of every run near the surface and of every sample, the share of samples
    that were asked for, and how far a vertex of the largest piece lies from the other way's."""

    near: list[float]
    every: list[float]
    share: float
    apart: float


@contextmanager
def torch_alone(wanted: bool) -> Iterator[None]:
    """Within, nothing of ours is compiled for the CPU, if that is wanted."""
    before = os.environ.get("MAQUETTE_KERNELS")
    if wanted:
        os.environ["MAQUETTE_KERNELS"] = "0"
    try:
        yield
    finally:
        if wanted:
            del os.environ["MAQUETTE_KERNELS"]
            if before is not None:
                os.environ["MAQUETTE_KERNELS"] = before


@torch.inference_mode()
def measure(model: Generator, samples: int, repeats: int, plain: bool = False) -> Result:
    """Cut one face in both ways in turn; ``plain``: every sample by torch's own operators."""
    facts = model.capabilities
    field = model.field(model.map(latent_from_seed(SEED, facts.z_dim)))
    grid = Grid.over(facts, samples)
    how = (facts.mesh_level, facts.mesh_level_meaning, model.device, lambda done, total: None)
    counted = Counting(field)
    extract_near_surface(counted, grid, *how)  # what is compiled is compiled now
    seconds: tuple[list[float], list[float]] = [], []
    surfaces = []
    for repeat in range(repeats):
        for kept, cut in zip(seconds, (extract_near_surface, extract_isosurface), strict=True):
            with torch_alone(plain and cut is extract_isosurface):
                started = time.perf_counter()
                surface = cut(field, grid, *how)
                kept.append(time.perf_counter() - started)
            if not repeat:
                surfaces.append(surface)
    near, every = (largest_component(*surface) for surface in surfaces if surface is not None)
    apart = float("nan")
    if [len(part) for part in near] == [len(part) for part in every]:
        apart = float(cKDTree(every[0]).query(near[0])[0].max()) / grid.spacing
    return Result(*seconds, counted.points / np.prod(grid.shape), apart)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--samples", type=int, default=256, help="along the longest side")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="every sample by torch alone")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| model | asked for | near the surface, s | spread | every sample, s | spread | ratio | apart, voxels |"
          "\n|---|---:|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for name in options.names or ["bundled", "bundled:cips3d"]:
        model = fitted(name) if name in ("pigan", "stylesdf") else open_model(name, "cpu")
        found = measure(model, options.samples, options.repeats, options.plain)
        near, every = (statistics.median(each) for each in (found.near, found.every))
        spreads = [max(each) - min(each) for each in (found.near, found.every)]
        print(
            f"| {name} | {100.0 * found.share:.1f} % | {near:.2f} | {spreads[0]:.2f} | {every:.2f} | "
            f"{spreads[1]:.2f} | {every / near:.1f} | {found.apart:.0e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
