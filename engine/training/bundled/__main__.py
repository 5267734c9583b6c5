"""The command that trains, judges and packs the bundled generator.

python -m engine.training.heads render --pack PACK --out HEADS --heads 16000 ...
python -m engine.training.bundled train --heads HEADS --out RUN --minutes 25
python -m engine.training.bundled score --heads HEADS --out RUN
python -m engine.training.bundled pack --out RUN --to assets/generator/heads
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from engine.errors import UserError
from engine.generators.registry import pick_device
from engine.training.bundled.evaluate import samples, score, sheet
from engine.training.bundled.model import HeadGenerator, bundled_config
from engine.training.bundled.pairs import latent_attribute_pairs
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.train import Trainer, TrainingOptions
from engine.training.heads.mesh import Label

#: Small parts that a face is known by: they count several times in the losses.
FINE_LABELS = tuple(
    int(label) for label in (Label.EYE, Label.BROW, Label.MOUTH, Label.GLASSES, Label.LIPS)
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="engine.training.bundled", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in (
        ("train", "train, or go on training, in the folder OUT"),
        ("score", "measure OUT's generator on the held-out shards"),
        ("pack", "write OUT's generator as safetensors + JSON"),
    ):
        command = commands.add_parser(name, help=summary)
        command.add_argument("--out", type=Path, required=True, help="folder of the run")
        command.add_argument("--device", default="auto")
        if name != "train":
            command.add_argument("--state", default="state.pt", help="which saved state")
        if name != "pack":
            command.add_argument("--heads", type=Path, required=True, help="folder of shards")
            command.add_argument("--held-out", type=Path, help="folder of shards never trained on")
        if name == "train":
            command.add_argument("--start", type=Path, help="packed model to go on from")
            command.add_argument("--rate", type=float, default=TrainingOptions.learning_rate)
            command.add_argument("--minutes", type=float, default=TrainingOptions.minutes)
            command.add_argument("--capacity", type=int, default=16000, help="most heads to hold")
            command.add_argument("--batch-heads", type=int, default=TrainingOptions.heads)
            command.add_argument("--batch-views", type=int, default=TrainingOptions.views)
            command.add_argument("--side", type=int, default=TrainingOptions.side)
            command.add_argument("--adversarial", type=float, default=TrainingOptions.adversarial)
            command.add_argument("--pairs", type=int, default=0, help="latents for the mapping")
            command.add_argument("--mixed", action="store_true", help="bfloat16 convolutions")
            command.add_argument("--mapping-rate", type=float, default=TrainingOptions.mapping_rate)
            command.add_argument(
                "--mapping-seconds", type=float, default=90.0, help="teach it alone at first"
            )
            command.add_argument("--wait-for", type=int, default=1, help="heads to wait for")
        if name == "score":
            command.add_argument("--count", type=int, default=200)
        if name == "pack":
            command.add_argument("--to", type=Path, required=True, help="file name without suffix")
    options = parser.parse_args(arguments)
    try:
        return {"train": _train, "score": _score, "pack": _pack}[options.command](options)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped; run the same command again to go on.", file=sys.stderr)
        return 130


def _train(options: argparse.Namespace) -> int:
    device = pick_device(options.device)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    options.out.mkdir(parents=True, exist_ok=True)
    pool = HeadPool(options.heads, options.capacity, device)
    pairs = latent_attribute_pairs(options.pairs) if options.pairs else None
    pool.wait_for(options.wait_for)
    torch.manual_seed(0)
    model = HeadGenerator(bundled_config(), pool.attributes, options.mixed).to(device)
    if options.start:
        model.start_from(options.start)
    training = TrainingOptions(
        minutes=options.minutes,
        learning_rate=options.rate,
        mapping_rate=options.mapping_rate,
        heads=options.batch_heads,
        views=options.batch_views,
        side=options.side,
        adversarial=options.adversarial,
        fine_labels=FINE_LABELS,
    )
    trainer = Trainer(model, pool, training, options.out, pairs)
    resumed = trainer.resume()
    print(
        f"{'Going on' if resumed else 'Starting'} with {pool.count} heads on {device}.", flush=True
    )
    if pairs and not resumed:
        error = trainer.teach_mapping(options.mapping_seconds)
        print(f"The mapping reads attributes with an error of {error:.3f} spreads.", flush=True)
    with pool.following():
        trainer.run()
    return 0


def _load(folder: Path, name: str, device: torch.device) -> HeadGenerator:
    path = folder / name
    if not path.exists():
        raise UserError(f"{folder} holds no training state ({name}); train first.")
    state = torch.load(path, map_location=device, weights_only=True)["average"]
    model = HeadGenerator(bundled_config(), torch.zeros(2, len(state["attribute_mean"])))
    model.load_state_dict(state)
    return model.to(device).eval().requires_grad_(False)


def _score(options: argparse.Namespace) -> int:
    device = pick_device(options.device)
    model = _load(options.out, options.state, device)
    pool = HeadPool(options.held_out or options.heads, options.count, device)
    pool.wait_for(1)
    scores = score(model, pool, min(options.count, pool.count), labels=FINE_LABELS)
    print(json.dumps(scores.to_json()))
    stem = Path(options.state).stem
    sheet(model, pool, options.out / f"{stem}_sheet.png")
    samples(model, options.out / f"{stem}_samples.png")
    return 0


def _pack(options: argparse.Namespace) -> int:
    model = _load(options.out, options.state, pick_device(options.device))
    path = model.pack(options.to)
    print(f"Wrote {path} ({path.with_suffix('.safetensors').stat().st_size / 1e6:.1f} MB).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
