"""``python -m engine.training.heads``: render training data, write it out, or a contact sheet."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# Linear algebra here is small and sparse; threads only get in the way of other processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from engine.errors import UserError
from engine.training.heads.dataset import RenderJob, render_dataset
from engine.training.heads.layout import LayoutJob, write_layout
from engine.training.heads.sheet import contact_sheet


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine.training.heads", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    show = argparse.ArgumentDefaultsHelpFormatter
    render = commands.add_parser("render", help="render shards of heads", formatter_class=show)
    sheet = commands.add_parser("sheet", help="draw a contact sheet", formatter_class=show)
    layout = commands.add_parser(
        "layout", help="write shards as a folder in EG3D's layout", formatter_class=show
    )
    layout.add_argument("--heads", type=Path, required=True, help="folder of shards")
    layout.add_argument("--out", type=Path, required=True, help="folder to write, or to go on with")
    layout.add_argument("--backdrop", type=float, default=0.75, help="grey behind the heads")
    layout.add_argument("--wordings", type=int, default=3, help="captions of each view")
    for command in (render, sheet):
        command.add_argument("--pack", type=Path, required=True, help="folder of the head pack")
        command.add_argument("--out", type=Path, required=True, help="folder of shards, or a PNG")
        command.add_argument("--heads", type=int, default=12, help="how many heads")
        command.add_argument("--first", type=int, default=0, help="number of the first head")
        command.add_argument("--seed", type=int, default=0, help="data set; a head depends on it")
        command.add_argument("--samples", type=int, default=3, help="samples along a pixel's side")
    render.add_argument("--size", type=int, default=128, help="pixels along a side")
    render.add_argument("--views", type=int, default=8, help="views of a head")
    render.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    render.add_argument(
        "--rare",
        type=float,
        default=0.0,
        help="share of heads with a hat, dark glasses or dyed hair",
    )
    render.add_argument("--shard-heads", type=int, default=32, help="heads in one file")
    sheet.add_argument("--size", type=int, default=256, help="pixels along a side")
    sheet.add_argument("--columns", type=int, default=6)
    sheet.add_argument("--frontal", action="store_true", help="all heads seen from the front")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    a = _parser().parse_args(arguments)
    try:
        if a.command == "render":
            job = RenderJob(
                pack=a.pack,
                out=a.out,
                heads=a.heads,
                first=a.first,
                views=a.views,
                size=a.size,
                samples=a.samples,
                seed=a.seed,
                shard_heads=a.shard_heads,
                processes=a.processes,
                rare=a.rare,
            )
            done = render_dataset(job, report=lambda line: print(line, flush=True))
            print(f"{done} heads rendered into {a.out}.")
        elif a.command == "layout":
            layout = LayoutJob(a.heads, a.out, a.backdrop, a.wordings)
            count = write_layout(layout, report=lambda line: print(line, flush=True))
            print(f"{a.out} holds {count} pictures with cameras and captions.")
        else:
            captions = contact_sheet(
                a.pack,
                a.out,
                heads=a.heads,
                first=a.first,
                columns=a.columns,
                size=a.size,
                samples=a.samples,
                seed=a.seed,
                frontal=a.frontal,
            )
            for number, text in enumerate(captions, a.first):
                print(f"{number}: {text}")
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped; finished shards are kept.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
