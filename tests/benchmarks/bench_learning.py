"""Does every family learn? A tiny one of each, from nothing, on rendered heads, on one core.

    python -m engine.training.heads render --pack PACK --out SHARDS --heads 7800 --views 3
    python -m engine.training.heads render --pack PACK --out OTHERS --heads 500 --seed 1 --size 256
    python -m tests.benchmarks.bench_learning pictures --shards SHARDS --out PICTURES --most 12000
    python -m tests.benchmarks.bench_learning pictures --shards OTHERS --out HELD
    python -m tests.benchmarks.bench_learning train --pictures PICTURES --held HELD --out RUNS
    python -m tests.benchmarks.bench_learning pages --runs RUNS --images docs/images

``train`` takes the families one after the other; minutes are those of the processor, so that other
work on the machine does not change what they buy. What is asked of a family is written down before
(:mod:`tests.benchmarks.learning_tiny`); ``pages`` draws the pictures of docs/training.md and prints
its table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from engine.errors import UserError
from engine.export.files import write_bytes
from engine.training.data.training_data import TrainingData
from engine.training.gan.distributed import team
from engine.training.gan.loop import TrainingLoop
from engine.training.gan.options import TrainingOptions
from tests.benchmarks.learning_data import write_pictures
from tests.benchmarks.learning_scores import Judge
from tests.benchmarks.learning_sheets import curves, rows_of, save, sheet
from tests.benchmarks.learning_tiny import ASKED, TINY, Tiny

#: Shares of the budget at which scores are taken.
MARKS = (0.0, 0.25, 0.6, 1.0)
#: People and pixels of the sheets.
_PEOPLE, _SIDE = 10, 64


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    a = _parser().parse_args(arguments)
    try:
        if a.command == "pictures":
            print(f"{write_pictures(a.shards, a.out, a.side, a.most)} pictures.")
        elif a.command == "train":
            torch.set_num_threads(1)
            for family in a.families:
                learn(family, TINY[family], a.pictures, a.held, a.minutes, a.out, a.seed)
        else:
            pages(a.runs, a.images)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def learn(
    family: str,
    tiny: Tiny,
    pictures: Path,
    held: Path,
    minutes: float,
    out: Path,
    seed: int = 0,
) -> dict[str, Any]:
    """Train one family and write ``FAMILY.json`` and ``FAMILY.png`` into ``out``.

    Args:
        pictures, held: folders that :func:`~tests.benchmarks.learning_data.write_pictures` made.
        minutes: of processor time, that of scores left out.

    Returns:
        what the file holds.
    """
    judge = Judge(held, tiny.side)
    training = tiny.training(family, seed)
    data = TrainingData.open(pictures, training.resolution, seed=seed)
    options = TrainingOptions(
        batch=tiny.batch, augmentation="none", average_share=0.1, seed=seed, device="cpu"
    )
    loop = TrainingLoop(training, data, options, team("cpu"))
    used, marks = 0.0, [60.0 * minutes * share for share in MARKS]
    found: dict[str, Any] = {
        "family": family,
        "parameters": sum(p.numel() for p in training.generator.parameters()),
        "discriminator": sum(p.numel() for p in training.discriminator.parameters()),
        "side": training.resolution,
        "judged_side": tiny.side,
        "batch": tiny.batch,
        "features": judge.features,
        "true_spread": judge.front.spread,
        "floor": judge.floor(),
        "curve": [],
    }
    started = time.monotonic()
    while marks:
        if used >= marks[0]:
            marks.pop(0)
            score = asdict(judge.score(training.drawable(loop.average)))
            found["curve"] += [{"minutes": used / 60.0, "steps": loop.position.step, **score}]
            print(family, json.dumps(found["curve"][-1]), flush=True)
            continue
        before = time.process_time()
        loop.step()
        used += time.process_time() - before
    found["wall_minutes"] = (time.monotonic() - started) / 60.0
    out.mkdir(parents=True, exist_ok=True)
    save(rows_of(training.drawable(loop.average), _PEOPLE, _SIDE), out / f"{family}.png")
    write_bytes(out / f"{family}.json", json.dumps(found, indent=1).encode())
    return found


def pages(runs: Path, images: Path) -> None:
    """Pictures into ``images``, and the table on the standard output."""
    found = [json.loads((runs / f"{name}.json").read_text()) for name in TINY if _there(runs, name)]
    names = {"eg3d": "EG3D", "epigraf": "EpiGRAF", "pigan": "pi-GAN", "cips3d": "CIPS-3D",
             "stylesdf": "StyleSDF", "stylenerf": "StyleNeRF"}  # fmt: skip
    title = {each["family"]: names[each["family"]] for each in found}
    sheet({title[n]: runs / f"{n}.png" for n in title}, images / "learning-samples.png")

    def lines(score: str) -> dict[str, list[tuple[float, float]]]:
        return {title[e["family"]]: [(p["minutes"], p[score]) for p in e["curve"]] for e in found}

    panels = [("KID", lines("kid")), ("Likeness of the mean shape", lines("likeness"))]
    curves(panels, "minutes of one core", images / "learning-curves.png")
    print(
        "| family | numbers | pixels | minutes | steps | KID before | after | factor | likeness | "
        "relief | spread | asked |"
    )
    print("|---" * 12 + "|")
    for each in found:
        first, last = each["curve"][0], each["curve"][-1]
        passed = ASKED.kept(first, last)
        print(
            f"| {title[each['family']]} | {each['parameters']:,} | {each['side']} | "
            f"{last['minutes']:.1f} | {last['steps']:,} | {first['kid']:.2f} | {last['kid']:.2f} | "
            f"{first['kid'] / last['kid']:.1f} | {last['likeness']:.2f} | {last['relief']:.2f} | "
            f"{last['spread']:.3f} | {'yes' if passed else 'no'} |"
        )


def _there(runs: Path, family: str) -> bool:
    return (runs / f"{family}.json").is_file()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    pictures = commands.add_parser("pictures", help="make small pictures of shards")
    pictures.add_argument("--shards", type=Path, required=True)
    pictures.add_argument("--out", type=Path, required=True)
    pictures.add_argument("--side", type=int, default=64, help="pixels")
    pictures.add_argument("--most", type=int, default=0, help="pictures; 0 is all")
    train = commands.add_parser("train", help="train families from nothing")
    train.add_argument("--pictures", type=Path, required=True)
    train.add_argument("--held", type=Path, required=True)
    train.add_argument("--out", type=Path, required=True)
    train.add_argument("--minutes", type=float, default=5.0, help="of a core, for each family")
    train.add_argument("--families", nargs="+", choices=list(TINY), default=list(TINY))
    train.add_argument("--seed", type=int, default=0)
    draw = commands.add_parser("pages", help="draw the pictures and print the table")
    draw.add_argument("--runs", type=Path, required=True)
    draw.add_argument("--images", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
