"""How cost grows with the volume's resolution, with samples, and with the size of a mesh.

    python -m tests.benchmarks.bench_growth --out growth.json --picture growth.png

The generator that ships, one thread, the processor's time (which other programs hardly change); the
median of three. A picture's identity is kept, as while the head is turned. Meshes are cut with
every sample of their grid, too, as far as that is bearable.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

from engine.benchmark import load, machine
from engine.export.isosurface import Grid, extract_isosurface
from engine.export.sparse import extract_near_surface
from engine.generators.base import Generator, Quality, latent_from_seed
from engine.generators.registry import open_model

SIDES = (32, 48, 64, 96, 128, 192)
SAMPLES = (0.5, 1.0, 2.0, 4.0)
MESHES = (32, 64, 128, 256)
#: Seconds measured at each size.
Series = dict[str, list[tuple[float, float]]]

_WIDTH, _HEIGHT, _LEFT, _TOP, _SIDE = 380, 330, 62, 46, 270
_COLOURS = ((44, 104, 176), (198, 92, 40))
_INK, _FAINT, _PAPER = (40, 40, 40), (222, 222, 222), (255, 255, 255)


def _seconds(work: Callable[[], object], repeats: int = 3) -> float:
    times = []
    work()
    for _ in range(repeats):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return statistics.median(times)


def pictures(generator: Generator, w: torch.Tensor) -> tuple[Series, Series]:
    """Seconds of a picture against the volume's side, and against the multiplier on samples."""
    camera = generator.capabilities.default_pose.camera()

    def drawn(**changes: Any) -> float:
        return _seconds(lambda: generator.render(w, camera, Quality(**changes)))

    whole = [(float(n), drawn(neural_resolution=n)) for n in SIDES]
    alone = [(float(n), drawn(neural_resolution=n, upsample=False)) for n in SIDES]
    more = [(k, drawn(samples=k, upsample=False)) for k in SAMPLES]
    return {"volume and super-resolution": whole, "volume alone": alone}, {"volume alone": more}


def meshes(generator: Generator, w: torch.Tensor) -> Series:
    """Seconds of a surface against its grid's longest side."""
    facts, found = generator.capabilities, Series()
    with torch.inference_mode():
        field = generator.field(w)
        how = (facts.mesh_level, facts.mesh_level_meaning, generator.device, lambda a, b: None)

        def near(count: int) -> float:
            return _seconds(lambda: extract_near_surface(field, Grid.over(facts, count), *how))

        def every(count: int) -> float:
            return _seconds(lambda: extract_isosurface(field, Grid.over(facts, count), *how))

        found["near the surface"] = [(float(n), near(n)) for n in MESHES]
        found["every sample"] = [(float(n), every(n)) for n in MESHES]
    return found


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten from ``low`` to ``high``."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = (m * 10.0**p for p in powers for m in (1, 2, 5))
    return [v for v in every if low * 0.999 <= v <= high * 1.001]


def drawn_panels(panels: Sequence[tuple[str, str, Series]]) -> Image.Image:
    """Side by side, one for each title, axis and series; both axes logarithmic."""
    sheet = Image.new("RGB", (_WIDTH * len(panels), _HEIGHT), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, (title, axis, series) in enumerate(panels):
        points = [point for line in series.values() for point in line]
        left, top = number * _WIDTH + _LEFT, _TOP
        spans = [(min(v) / 1.15, max(v) * 1.15) for v in zip(*points, strict=True)]

        def place(x: float, y: float, left: int = left, spans: Any = spans) -> tuple[float, float]:
            across, up = (
                math.log(v / low) / math.log(high / low)
                for v, (low, high) in zip((x, y), spans, strict=True)
            )
            return left + across * _SIDE, _TOP + (1.0 - up) * (_SIDE - 40)

        bottom = place(spans[0][0], spans[1][0])[1]
        pen.text((left, 8), title, _INK, font)
        for value in _ticks(*spans[1]):
            y = place(spans[0][0], value)[1]
            pen.line((left, y, left + _SIDE, y), _FAINT)
            pen.text((left - 6, y), f"{value:g} s", _INK, font, anchor="rm")
        for value in sorted({x for x, _ in points}):
            x = place(value, spans[1][0])[0]
            pen.line((x, top, x, bottom), _FAINT)
            pen.text((x, bottom + 4), f"{value:g}", _INK, font, anchor="mt")
        pen.text((left + _SIDE / 2, bottom + 22), axis, _INK, font, anchor="mt")
        for order, ((name, line), colour) in enumerate(zip(series.items(), _COLOURS, strict=False)):
            at = [place(*point) for point in line]
            pen.line(at, colour, 2)
            for x, y in at:
                pen.ellipse((x - 3, y - 3, x + 3, y + 3), colour)
            pen.text((left + 6, top + 2 + 16 * order), name, colour, font)
    return sheet


def main() -> None:
    """Measure, save, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--picture", type=Path, required=True)
    parser.add_argument("--again", action="store_true", help="only draw what --out holds")
    options = parser.parse_args()
    if not options.again:
        torch.set_num_threads(1)
        busy, generator = load(), open_model("bundled", "cpu")
        w = generator.map(latent_from_seed(1, generator.capabilities.z_dim), psi=0.8)
        sides, samples = pictures(generator, w)
        facts = {
            "machine": machine(),
            "load": busy,
            "date": datetime.now(UTC).date().isoformat(),
            "sides": sides,
            "samples": samples,
            "meshes": meshes(generator, w),
        }
        options.out.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    facts = json.loads(options.out.read_text(encoding="utf-8"))
    drawn_panels(
        [
            ("a picture, identity kept", "side of the volume, pixels", facts["sides"]),
            ("a picture, identity kept", "samples, times the model's own", facts["samples"]),
            ("a mesh", "samples along the longest side", facts["meshes"]),
        ]
    ).save(options.picture)


if __name__ == "__main__":
    main()
