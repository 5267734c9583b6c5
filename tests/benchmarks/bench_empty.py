"""What it saves on a CPU to know where a face's field is empty, and to end rays early.

    python -m tests.benchmarks.bench_empty [NAME...] [--repeats 4] [--side PIXELS]

For each name one face is drawn in three ways in turn: every sample evaluated; rays ended where no light
arrives; empty cells left out besides. Seconds of the processor's time of one thread, the best of each, the
ratio, and the largest difference of a picture from the first way's. Then points inside of empty cells are
asked whether they are empty.

The names are those of models that open (``bundled``, ``bundled:cips3d``, a file), and ``pigan`` and
``stylesdf``: these families at their released size, whose last layer is fitted to a wavy ball the size of a
head, since no trained weights come with Maquette. Such a ball tells what a sample costs and what is left out
of a ball; a trained model has hair.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn

from engine.frame import Frame
from engine.generators.base import Generator, Quality, latent_from_seed
from engine.generators.pigan import PiGAN
from engine.generators.registry import families, open_model
from engine.generators.stylesdf import StyleSDF
from engine.rendering.occupancy import EVERYWHERE, Grids, Occupancy, Survey

#: Radius of the ball, and the slope of pi-GAN's density at its surface, a unit of length.
RADIUS, SLOPE = 0.085, 4000.0
#: StyleSDF's width of a surface: below three thousandths in trained models.
BETA = 0.002
SEED, YAW, POINTS = 3, 20.0, 200_000


class Result(NamedTuple):
    """Of one face: seconds of each way, of the survey, share of empty cells, largest differences, and
    how many points of how many in empty cells are denser than they should be."""

    seconds: tuple[float, ...]
    survey: float
    empty: float
    differences: tuple[float, ...]
    missed: tuple[int, int]


def ball(points: Tensor) -> Tensor:
    """``[N, 3]`` -> ``[N]`` distance from a wavy ball."""
    waves = torch.sin(90.0 * points[:, 0]) * torch.cos(70.0 * points[:, 1])
    return points.norm(dim=1) - RADIUS * (1.0 + 0.06 * waves)


def _fit(
    hidden: Callable[[Tensor], Tensor], last: nn.Linear, wanted: Callable[[Tensor], Tensor]
) -> None:
    """Least squares for the layer behind ``hidden``."""
    points = (torch.rand(8000, 3) - 0.5) * 0.34
    rows = torch.cat([hidden(points), torch.ones(len(points), 1)], dim=1).double()
    found = torch.linalg.lstsq(rows, wanted(points).double()[:, None]).solution[:, 0].float()
    last.weight.copy_(found[None, :-1])
    last.bias.copy_(found[-1:])


@torch.no_grad()
def fitted(name: str) -> Generator:
    """A family at its released size whose field is :func:`ball` for the benchmark's face."""
    torch.manual_seed(0)
    family = families()[name]
    assert family.network is not None
    config = dict(next(iter(family.released.values())))
    model = family.build(config, family.network(config).state_dict(), torch.device("cpu"))
    w = model.map(latent_from_seed(SEED, model.capabilities.z_dim))
    if isinstance(model, StyleSDF):
        field = model.network.renderer.network
        # Slow waves can be added up to a ball.
        for index, layer in enumerate(field.pts_linears):
            layer.weight.mul_(0.8 if index else 0.12)  # type: ignore[operator, union-attr]
        _fit(model._film(w).hidden, field.sigma_linear, ball)
        model.network.renderer.sigmoid_beta.fill_(BETA)
    elif isinstance(model, PiGAN):
        siren = model.network.siren
        for index, film in enumerate(siren.network):
            film.layer.weight.mul_(0.8 if index else 0.12)  # type: ignore[operator, union-attr]
        _fit(model.siren(w).features, siren.final_layer, lambda points: -SLOPE * ball(points))
        model._layers.clear()
    return model


@contextmanager
def drawing(grid: Occupancy | None) -> Iterator[None]:
    """Pictures that make use of a grid, whatever face they are of; of none: every sample is evaluated."""
    with patch.object(Grids, "find", lambda *_: grid):
        if grid is not None:
            yield
            return
        where = ("engine.rendering.nerf_march", "engine.generators.stylesdf_volume")
        off = [patch(f"{module}.available", return_value=False) for module in where]
        with off[0], off[1]:
            yield


def _timed(work: Callable[[], Frame]) -> tuple[float, Frame]:
    started = time.process_time()
    frame = work()
    return time.process_time() - started, frame


def _missed(survey: Survey, grid: Occupancy) -> tuple[int, int]:
    points = (torch.rand(POINTS, 3) - 0.5) * 2.0 * grid.half
    side = grid.cells.shape[0]
    index = ((points / (2.0 * grid.half) + 0.5) * side).long().clamp(0, side - 1)
    inside = points[torch.from_numpy(grid.cells)[index[:, 0], index[:, 1], index[:, 2]] == 0]
    found = [survey.density(part) for part in inside.split(4096)]
    return int((torch.cat(found) > survey.level).sum()) if found else 0, len(inside)


@torch.inference_mode()
def measure(model: Generator, quality: Quality, repeats: int) -> Result:
    """Draw one face in the three ways."""
    w = model.map(latent_from_seed(SEED, model.capabilities.z_dim), psi=0.7)
    if isinstance(model, StyleSDF | PiGAN):
        w = model.map(latent_from_seed(SEED, model.capabilities.z_dim))
    camera = replace(model.capabilities.default_pose, yaw=YAW).camera()
    with drawing(None):
        model.render(w, camera, quality)
    survey, started = model.survey(w), time.process_time()
    assert survey is not None
    while (grid := survey.step()) is None:
        pass
    took = time.process_time() - started
    ways = (None, EVERYWHERE, grid)
    best, frames = [float("inf")] * len(ways), [None] * len(ways)  # type: list[float], list[Frame | None]
    for _ in range(repeats):
        for index, way in enumerate(ways):
            with drawing(way):
                seconds, frames[index] = _timed(lambda: model.render(w, camera, quality))
            best[index] = min(best[index], seconds)
    pictures = [frame.rgb for frame in frames if frame is not None]
    differences = tuple(float((picture - pictures[0]).abs().max()) for picture in pictures[1:])
    return Result(tuple(best), took, grid.empty, differences, _missed(survey, grid))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--side", type=int, help="of the volume rendering, pixels")
    parser.add_argument("--samples", type=float, default=1.0, help="times the model's own")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | every sample, ms | rays ended | and empty cells | ratio | survey, ms | empty | "
          "differs | missed |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for name in options.names or ["bundled", "bundled:cips3d", "pigan", "stylesdf"]:
        model = fitted(name) if name in ("pigan", "stylesdf") else open_model(name, "cpu")
        found = measure(model, Quality(options.side, options.samples), options.repeats)
        every, early, sparing = (1e3 * seconds for seconds in found.seconds)
        differs = " / ".join(f"{value:.1e}" for value in found.differences)
        print(
            f"| {name} | {every:.0f} | {early:.0f} | {sparing:.0f} | {every / sparing:.2f} | "
            f"{1e3 * found.survey:.0f} | {found.empty:.2f} | {differs} | {found.missed[0]} of {found.missed[1]} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
