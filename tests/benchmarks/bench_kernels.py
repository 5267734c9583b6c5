"""How long the kernels beside the tri-planes' take, against torch, at the families' released sizes.

    python -m tests.benchmarks.bench_kernels [--seconds 0.3]

It needs a GPU. "floor" is the larger of two times: the operations (``field``, implicit network and
decoder: three products of tensor cores for each) over ``--tf32-tflops``, or over ``--fp32-tflops`` elsewhere, and the bytes that must move
over ``--bandwidth``; the numbers by default are published ones of an H200. ``--emulated`` runs every
stage once at a tiny size on the CPU: it shows that this file works, and its times mean nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from engine.generators.triplane import EG3D_AXES, TriplaneDecoder
from engine.kernels import cubes, launch, pictures, triplane
from engine.kernels.field import PointLayers, evaluate_reference, pack_layers, try_evaluate
from engine.kernels.inr import InrLayers, colours_reference, pack_inr, try_colours
from engine.kernels.pictures import Finish
from engine.kernels.rays import Aggregated, RaySamples, aggregate_reference, try_aggregate
from tests.benchmarks.bench_render import HEADER, Table
from tests.kernels.emulator import emulated


@dataclass(frozen=True)
class Rates:
    """What a GPU can do at best: operations and bytes a second."""

    matrix: float
    plain: float
    memory: float

    def note(self, operations: float, moved: float, matrix: bool = False) -> Callable[[float], str]:
        """The floor, and how far a median (ms) is from it."""
        floor = 1e3 * max(
            operations / (self.matrix if matrix else self.plain), moved / self.memory
        )  # fmt: skip
        return lambda median: f"floor {floor:.4f} ms, {median / floor:.1f} x"


def _got(result: Tensor | None) -> Tensor:
    if result is None:
        raise RuntimeError("the kernel did not run")
    return result


def _layers(
    width: int, count: int, view: int, colours: int, octaves: int, device: torch.device
) -> PointLayers:
    def layer(rows: int, columns: int) -> tuple[Tensor, Tensor]:
        weight = torch.randn(rows, columns, device=device) * (2.0 / columns) ** 0.5
        return weight, torch.randn(rows, device=device)

    first = 6 * octaves or 3
    return PointLayers(
        (layer(width, first), *(layer(width, width) for _ in range(count - 1))),
        layer(1, width),
        torch.ones(octaves, device=device) if octaves else None,
        0.2,
        layer(view, width) if view else None,
        None,
        layer(colours, view) if colours else None,
    )


def fields(table: Table, rates: Rates, device: torch.device, tiny: bool) -> None:
    """Fields of points; one picture's worth of them, but for pi-GAN and CIPS-3D, a chunk."""
    for name, points, width, count, view, colours, octaves, wanted in (
        ("StyleSDF 64x64x24", 98_304, 256, 8, 256, 3, 0, "view"),
        ("pi-GAN", 1 << 18, 256, 8, 256, 3, 0, "colour"),
        ("CIPS-3D NeRF", 1 << 18, 128, 2, 64, 0, 0, "view"),
        ("StyleNeRF", 1 << 17, 128, 2, 0, 0, 10, "hidden"),
    ):
        size, n = (16, 70) if tiny else (width, points)
        layers = _layers(
            size, 2 if tiny else count, 16 if tiny and view else view, colours, octaves, device
        )  # fmt: skip
        places = torch.rand(n, 3, device=device) - 0.5
        packed = pack_layers(layers)

        def by_torch(layers: PointLayers, places: Tensor, wanted: str) -> Tensor:
            return _got(getattr(evaluate_reference(layers, places), wanted))

        def by_kernel(packed: object, places: Tensor, wanted: str) -> Tensor:
            found = try_evaluate(packed, places, wanted=("density", wanted))  # type: ignore[arg-type]
            return _got(None if found is None else getattr(found, wanted))

        operations = 2.0 * n * (width * width * (count - 1) + width * (view + 6 * octaves))
        moved = 4.0 * n * (4 + {"view": view, "hidden": width, "colour": colours}[wanted])
        table.add(f"field {name}", "torch", partial(by_torch, layers, places, wanted))
        note = rates.note(3.0 * operations, moved, matrix=True)
        table.add(f"field {name}", "kernel", partial(by_kernel, packed, places, wanted), note)


def rays(table: Table, rates: Rates, device: torch.device, tiny: bool) -> None:
    """StyleNeRF's head: all rays of a picture, composited before the last layers."""
    side, samples, width, count = (3, 5, 16, 2) if tiny else (32, 14, 128, 8)
    layers = _layers(width, count, 0, 0, 2 if tiny else 10, device)
    directions = torch.nn.functional.normalize(torch.randn(side**2, 3, device=device), dim=1)
    bundle = RaySamples(
        torch.linspace(0.0, 1.0, samples, device=device), torch.zeros(3, device=device),
        directions, 0.9, 1.1, samples, stretched=True, closed=True,
    )  # fmt: skip
    packed, n = pack_layers(layers), 2 * samples * side**2

    def hidden(found: Aggregated | None) -> Tensor:
        return _got(None if found is None else found.hidden)

    operations = 2.0 * n * (width * width * (count - 1) + width * 60)
    note = rates.note(3.0 * operations, 4.0 * side**2 * (width + 4), matrix=True)
    table.add("rays StyleNeRF", "torch", lambda: hidden(aggregate_reference(layers, bundle)))
    table.add("rays StyleNeRF", "kernel", lambda: hidden(try_aggregate(packed, bundle)), note)


def layers_of_pictures(table: Table, rates: Rates, device: torch.device, tiny: bool) -> None:
    """What follows a convolution, and resampling."""
    channels, side = (2, 9) if tiny else (64, 512)
    x = torch.randn(1, channels, side, side, device=device)
    larger = torch.randn(1, channels, side + 1, side + 1, device=device)
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0], device=device) / 8.0
    kernel = (kernel[:, None] * kernel).contiguous()
    finish = Finish(torch.randn(side, side, device=device), torch.randn(channels, device=device),
                    "lrelu", 256.0)  # fmt: skip
    moved = 8.0 * x.numel()

    def reference(x: Tensor, up: int, padding: tuple[int, int, int, int], what: Finish) -> Tensor:
        return pictures.resample_reference(x, kernel, up, 1, padding, 4.0, what)

    def resampled(x: Tensor, up: int, padding: tuple[int, int, int, int], what: Finish) -> Tensor:
        return _got(pictures.try_resample(x, kernel, up, 1, padding, 4.0, what))

    table.add("activate", "torch", lambda: pictures.finish_reference(x, finish))
    table.add(
        "activate", "kernel", lambda: _got(pictures.try_activate(x, finish)),
        rates.note(5.0 * x.numel(), moved),
    )  # fmt: skip
    around, doubled = (1, 1, 1, 1), (2, 1, 2, 1)
    table.add("blur and activate", "torch", partial(reference, larger, 1, around, finish))
    table.add(
        "blur and activate", "kernel", partial(resampled, larger, 1, around, finish),
        rates.note(37.0 * x.numel(), moved),
    )  # fmt: skip
    table.add("doubling", "torch", partial(reference, x, 2, doubled, Finish()))
    table.add(
        "doubling", "kernel", partial(resampled, x, 2, doubled, Finish()),
        rates.note(32.0 * x.numel(), 20.0 * x.numel()),
    )  # fmt: skip


def surfaces(table: Table, rates: Rates, device: torch.device, tiny: bool) -> None:
    """Marching cubes of a ball, 256 samples a side."""
    axis = torch.linspace(-1.0, 1.0, 8 if tiny else 256, device=device)
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    values = (0.7 - (x.square() + y.square() + z.square()).sqrt()).contiguous()

    def vertices() -> Tensor:
        found = cubes.try_march(values)
        return _got(None if found is None else found[0])

    table.add("marching cubes", "torch", lambda: cubes.march_reference(values)[0])
    note = rates.note(30.0 * values.numel(), 24.0 * values.numel())
    table.add("marching cubes", "kernel", vertices, note)


def networks(table: Table, rates: Rates, device: torch.device, tiny: bool) -> None:
    """CIPS-3D's implicit network for 256 x 256 pixels, and EG3D's decoder at points of planes of 16 bits, by
    tensor cores and without."""
    inputs, width, blocks, n = (8, 16, 2, 40) if tiny else (32, 512, 9, 1 << 16)

    def weight(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, device=device) * (2.0 / rows) ** 0.5

    weights = [weight(inputs, width), *(weight(width, width) for _ in range(2 * blocks - 1))]
    colours = [(weight(3, width), torch.zeros(3, device=device)) for _ in range(blocks)]
    layers = InrLayers(weights, colours, 4, 3, 0.2)
    packed, features = pack_inr(layers), torch.randn(n, inputs, device=device)
    operations = 2.0 * n * width * (inputs + width * (2 * blocks - 1))
    table.add("implicit network", "torch", lambda: colours_reference(layers, features))
    table.add(
        "implicit network", "kernel", lambda: _got(try_colours(packed, features, None)),
        rates.note(3.0 * operations, 4.0 * n * (inputs + 3), matrix=True),
    )  # fmt: skip

    channels, hidden, side, count = (8, 16, 6, 40) if tiny else (32, 64, 256, 1 << 20)
    decoder = triplane.pack_decoder(TriplaneDecoder(channels, channels, hidden).to(device))
    planes = triplane.pack_planes(
        torch.randn(3, channels, side, side, device=device), torch.float16
    )  # fmt: skip
    points = torch.rand(count, 3, device=device) - 0.5

    def decoded(tensor: bool) -> Tensor:
        found = triplane.evaluate(
            planes, decoder, points, 1.0, EG3D_AXES, tensor=tensor
        )  # fmt: skip
        return _got(found[1])

    products = 4.0 * count * hidden * channels
    moved = 2.0 * planes.numel() + 4.0 * count * (4 + channels)
    table.add("decoder at points", "without tensor cores", lambda: decoded(False))
    note = rates.note(3.0 * products, moved, matrix=True)
    table.add("decoder at points", "kernel", lambda: decoded(True), note)


def main(arguments: list[str] | None = None) -> int:
    """Measure everything; 0, or 1 where a kernel did not run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    parser.add_argument("--tf32-tflops", type=float, default=494.0)
    parser.add_argument("--fp32-tflops", type=float, default=67.0)
    parser.add_argument("--bandwidth", type=float, default=4.8, help="terabytes a second")
    parser.add_argument("--emulated", action="store_true", help="tiny sizes, on the CPU")
    options = parser.parse_args(arguments)
    running, reason = launch.available()
    if not options.emulated and not running:
        print(reason)
        return 1
    rates = Rates(
        options.tf32_tflops * 1e12, options.fp32_tflops * 1e12, options.bandwidth * 1e12
    )  # fmt: skip
    device = torch.device("cpu" if options.emulated else "cuda")
    table = Table(device, 0.0 if options.emulated else options.seconds)
    torch.manual_seed(0)
    print(HEADER)
    with torch.inference_mode(), emulated((0,)) if options.emulated else nullcontext():
        for measure in (fields, rays, layers_of_pictures, surfaces, networks):
            measure(table, rates, device, options.emulated)
    return 0 if sum(row.variant == "kernel" for row in table.rows) == 11 else 1


if __name__ == "__main__":
    raise SystemExit(main())
