"""The command that trains, judges and packs the bundled text encoder.

python -m engine.training.text_encoder train --heads HEADS --out RUN --minutes 60
python -m engine.training.text_encoder score --held-out HELD --out RUN
python -m engine.training.text_encoder pack --out RUN --to assets/text_encoder
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from engine.errors import UserError
from engine.export.files import make_folder, write_bytes
from engine.text.encoder import load
from engine.training.text_encoder.model import SIZE
from engine.training.text_encoder.pack import pack, trained
from engine.training.text_encoder.pictures import Pictures
from engine.training.text_encoder.score import score
from engine.training.text_encoder.training import Training, TrainOptions


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="engine.training.text_encoder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in (
        ("train", "train, or go on training, in the folder OUT"),
        ("score", "measure OUT's encoder, or another, on held-out heads; writes OUT/scores.json"),
        ("pack", "write OUT's encoder as JSON, weights and model card"),
    ):
        command = commands.add_parser(name, help=summary)
        command.add_argument("--out", type=Path, required=True, help="folder of the run")
        if name == "train":
            command.add_argument("--heads", type=Path, required=True, help="folder of shards")
            command.add_argument("--minutes", type=float, default=TrainOptions.minutes)
            command.add_argument("--batch", type=int, default=TrainOptions.batch)
            command.add_argument("--rate", type=float, default=TrainOptions.learning_rate)
            command.add_argument("--capacity", type=int, default=24_000, help="most pictures")
            command.add_argument("--wait-for", type=int, default=1, help="heads to wait for")
            command.add_argument("--mixed", action="store_true", help="bfloat16 for pictures")
        if name == "score":
            command.add_argument(
                "--held-out", type=Path, required=True, help="folder of shards never trained on"
            )
            command.add_argument("--count", type=int, default=4000, help="most pictures")
            command.add_argument("--encoder", help="judge this encoder instead of OUT's")
        if name == "pack":
            command.add_argument("--to", type=Path, required=True, help="folder to write")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return {"train": _train, "score": _score, "pack": _pack}[options.command](options)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped; run the same command again to go on.", file=sys.stderr)
        return 130


def _train(options: argparse.Namespace) -> int:
    make_folder(options.out)
    pictures = Pictures(options.heads, SIZE, options.capacity)
    pictures.wait_for(options.wait_for)
    training = TrainOptions(
        minutes=options.minutes,
        batch=options.batch,
        learning_rate=options.rate,
        mixed=options.mixed,
    )
    run = Training(pictures, training, options.out)
    how = "Going on" if run.resume() else "Starting"
    print(f"{how} with {pictures.heads} heads.", flush=True)
    run.run()
    data = {"heads": pictures.heads, "pictures": pictures.count, "batch": training.batch}
    write_bytes(options.out / "data.json", json.dumps(data).encode())
    return 0


def _score(options: argparse.Namespace) -> int:
    encoder = load(options.encoder) if options.encoder else trained(options.out)
    pictures = Pictures(options.held_out, max(encoder.size), options.count)
    pictures.wait_for(1, 0.0)
    scores = score(encoder, pictures.plain(), pictures.known, pictures.frontal)
    facts = scores.to_json()
    data = options.out / "data.json"
    if data.exists():
        told = json.loads(data.read_text())
        facts |= {"trained_heads": told["heads"], "trained_pictures": told["pictures"]}
        facts["batch"] = told["batch"]
    write_bytes(options.out / "scores.json", (json.dumps(facts, indent=2) + "\n").encode())
    print(scores.table())
    return 0


def _pack(options: argparse.Namespace) -> int:
    path = pack(options.out, options.to)
    print(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
