"""The command that trains, judges and packs the bundled generator.

python -m engine.training.heads render --pack PACK --out HEADS --heads 16000 ...
python -m engine.training.bundled field --heads HEADS --out FIELD --minutes 45 [--family cips3d]
python -m engine.training.bundled pictures --start FIELD --heads HEADS --out RUN
python -m engine.training.bundled sharpen --start RUN --heads HEADS --out SHARP
python -m engine.training.bundled report --held-out HELD --model RUN --out REPORT --count 500
python -m engine.training.bundled pack --out RUN --report REPORT/report.json --to assets/generator/heads
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TypeVar

import torch

from engine.errors import UserError
from engine.export.files import make_folder
from engine.generators.registry import pick_device
from engine.hashing import file_sha256
from engine.training.bundled.card import pack_asset
from engine.training.bundled.field import FieldOptions, FieldRun
from engine.training.bundled.kid import bundled_features
from engine.training.bundled.looks import look_of
from engine.training.bundled.model import HeadGenerator
from engine.training.bundled.pairs import latent_attribute_pairs
from engine.training.bundled.pictures import PictureOptions, PictureRun
from engine.training.bundled.pool import HeadPool
from engine.training.bundled.report import make_report, read_report, score_table, write_report
from engine.training.bundled.run import OPTIMISERS, RunOptions, TimedRun, read_history
from engine.training.bundled.scores import FINE_LABELS
from engine.training.bundled.sharpen import SharpenOptions, SharpenRun
from engine.training.bundled.subject import (
    MODELS,
    averaged_state,
    known_history,
    load_run,
    open_subject,
)
from engine.training.bundled.trained import BACKDROP, TrainedModel

M = TypeVar("M", bound=TrainedModel)

_STAGES: dict[str, type[RunOptions]] = {
    "field": FieldOptions,
    "pictures": PictureOptions,
    "sharpen": SharpenOptions,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="engine.training.bundled", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in (
        ("field", "train the radiance fields, or go on training, in the folder OUT"),
        ("pictures", "train whole pictures, with the super-resolution, in the folder OUT"),
        ("sharpen", "train the super-resolution against a discriminator, in the folder OUT"),
        ("report", "judge a run or a packed model by heads never trained on, into the folder OUT"),
        ("pack", "write the generator of the run OUT as an asset with its model card"),
    ):
        command = commands.add_parser(name, help=summary)
        command.add_argument("--out", type=Path, required=True, help="folder to write to, or run")
        command.add_argument("--device", default="auto")
        if name in ("report", "pack"):
            command.add_argument("--state", default="state.pt", help="which saved state of a run")
        else:
            command.add_argument("--heads", type=Path, required=True, help="folder of shards")
        if name in _STAGES:
            defaults = _STAGES[name]
            command.add_argument("--start", type=Path, help="model or run to go on from")
            command.add_argument("--rate", type=float, help="learning rate (default: the family's)")
            command.add_argument("--minutes", type=float, default=defaults.minutes)
            command.add_argument("--capacity", type=int, default=16000, help="most heads to hold")
            command.add_argument("--mixed", action="store_true", help="bfloat16 convolutions")
            command.add_argument("--wait-for", type=int, default=1, help="heads to wait for")
            command.add_argument(
                "--squares", type=float, help="how much of the error is squared, 0 to 1"
            )
            command.add_argument("--batch-heads", type=int, default=defaults.heads)
        if name == "field":
            command.add_argument(
                "--pairs", type=int, default=60_000, help="latents for the mapping"
            )
            command.add_argument(
                "--mapping-seconds", type=float, default=60.0, help="teach it alone at first"
            )
            command.add_argument("--look", default="", help="train on heads in other colours")
            command.add_argument(
                "--only-colours", action="store_true", help="leave shapes, and who is who, alone"
            )
            command.add_argument("--rays", type=int, help="of a head (default: the family's)")
            command.add_argument(
                "--optimiser", choices=OPTIMISERS, help="what descends (default: the family's)"
            )
            command.add_argument(
                "--family", choices=MODELS, default="eg3d", help="which kind of generator"
            )
        if name in ("field", "pictures"):
            command.add_argument(
                "--guided-until",
                type=float,
                help="share of the time in which rays are told the depth (default: the family's)",
            )
        if name == "pictures":
            command.add_argument("--batch-views", type=int, default=PictureOptions.views)
            command.add_argument("--side", type=int, default=PictureOptions.side)
            for part in ("field", "mapping"):
                command.add_argument(f"--{part}-rate", type=float, default=0.0, help="0: frozen")
        if name == "sharpen":
            command.add_argument("--adversarial", type=float, default=SharpenOptions.adversarial)
        if name == "report":
            command.add_argument("--held-out", type=Path, required=True, help="folder of shards")
            command.add_argument("--model", type=Path, required=True, help="run or packed model")
            command.add_argument("--count", type=int, default=500, help="heads to judge by")
            command.add_argument("--seed", type=int, default=0, help="of the random samples")
        if name == "pack":
            command.add_argument("--report", type=Path, required=True, help="its report.json")
            command.add_argument("--to", type=Path, required=True, help="file name without suffix")
            command.add_argument("--replace", action="store_true", help="even a better asset")
    options = parser.parse_args(arguments)
    try:
        return {
            "field": _field,
            "pictures": _pictures,
            "sharpen": _sharpen,
            "report": _report,
            "pack": _pack,
        }[options.command](options)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped; run the same command again to go on.", file=sys.stderr)
        return 130


def _prepare(options: argparse.Namespace, kind: type[M]) -> tuple[HeadPool, M]:
    """Heads and the model of a run.

    Raises:
        UserError: the run, or the one to start from, is of another family.
    """
    for folder in (options.out, options.start):
        history = read_history(folder) if folder and folder.is_dir() else []
        if history and (family := history[-1].get("family", "eg3d")) != kind.family:
            raise UserError(
                f"{folder} is a run of the family {family}, not of {kind.family}; name another."
            )
    device = pick_device(options.device)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    make_folder(options.out)
    pool = HeadPool(
        options.heads, options.capacity, device, backdrop=BACKDROP, fine_labels=FINE_LABELS,
        look=look_of(getattr(options, "look", "")),
    )  # fmt: skip
    pool.wait_for(options.wait_for)
    torch.manual_seed(0)
    model = kind.of(pool.attributes, mixed=options.mixed).to(device)
    if options.start and options.start.is_dir():
        model.load_state_dict(averaged_state(options.start, "state.pt", device))
    elif options.start:
        model.start_from(options.start)
    return pool, model


def _begin(run: TimedRun, start: Path | None) -> bool:
    """Take up a saved state, if there is one, and say so."""
    if start:
        run.before = known_history(start)
    resumed = run.resume()
    how = "Going on" if resumed else "Starting"
    print(f"{how} with {run.pool.count} heads on {run.device}.", flush=True)
    return resumed


def _go(run: TimedRun) -> int:
    """Train to the schedule's end, taking up new heads meanwhile; the exit code."""
    with run.pool.following():
        run.run()
    return 0


def _field(options: argparse.Namespace) -> int:
    pairs = None
    if options.pairs and not options.only_colours:
        pairs = latent_attribute_pairs(options.pairs)
    kind = MODELS[options.family]
    pool, model = _prepare(options, kind)
    told = {
        "learning_rate": options.rate,
        "rays": options.rays,
        "guided_until": options.guided_until,
        "optimiser": options.optimiser,
        "squares": options.squares,
    }
    frozen = {"field_rate": 0.0, "mapping_rate": 0.0} if options.only_colours else {}
    training = FieldOptions(
        minutes=options.minutes,
        heads=options.batch_heads,
        look=options.look,
        **{
            **kind.advised,
            **frozen,
            **{name: value for name, value in told.items() if value is not None},
        },
    )
    run = FieldRun(model, pool, training, options.out, pairs)
    resumed = _begin(run, options.start)
    if pairs and not resumed and not (options.start and run.reads()):
        # A packed model knows people, but came without what reads them off w; so did what began from one.
        error = run.teach_reader() if options.start else run.teach_mapping(options.mapping_seconds)
        print(f"The mapping reads attributes with an error of {error:.3f} spreads.", flush=True)
    return _go(run)


def _pictures(options: argparse.Namespace) -> int:
    pool, model = _prepare(options, HeadGenerator)
    training = PictureOptions(
        minutes=options.minutes,
        learning_rate=PictureOptions.learning_rate if options.rate is None else options.rate,
        field_rate=options.field_rate,
        mapping_rate=options.mapping_rate,
        heads=options.batch_heads,
        views=options.batch_views,
        side=options.side,
        squares=options.squares or 0.0,
        guided_until=(
            PictureOptions.guided_until if options.guided_until is None else options.guided_until
        ),
    )
    run = PictureRun(model, pool, training, options.out)
    _begin(run, options.start)
    return _go(run)


def _sharpen(options: argparse.Namespace) -> int:
    pool, model = _prepare(options, HeadGenerator)
    training = SharpenOptions(
        minutes=options.minutes,
        learning_rate=SharpenOptions.learning_rate if options.rate is None else options.rate,
        heads=options.batch_heads,
        adversarial=options.adversarial,
        squares=options.squares or 0.0,
    )
    run = SharpenRun(model, pool, training, options.out)
    _begin(run, options.start)
    return _go(run)


def _report(options: argparse.Namespace) -> int:
    if options.count < 1:
        raise UserError("--count must be at least 1.")
    device = pick_device(options.device)
    subject = open_subject(options.model, device, options.state)
    look = look_of(subject.look)
    pool = HeadPool(options.held_out, options.count, device, backdrop=subject.backdrop, look=look)
    pool.wait_for(1, seconds=0.0)
    pool.refresh()
    make_folder(options.out)
    features = bundled_features(device)
    count = min(options.count, pool.count)
    report = make_report(
        subject, pool, count, features, options.seed, say=lambda line: print(line, flush=True)
    )
    write_report(report, subject, pool, options.out)
    print(score_table(report))
    return 0


def _pack(options: argparse.Namespace) -> int:
    report = read_report(options.report)
    model = load_run(options.out, options.state, pick_device(options.device))
    weights = file_sha256(options.out / options.state)
    path = pack_asset(model, report, weights, options.to, options.replace)
    print(f"Wrote {path} ({path.with_suffix('.safetensors').stat().st_size / 1e6:.1f} MB).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
