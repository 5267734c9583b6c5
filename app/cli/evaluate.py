"""``maquette evaluate``: how good a generator is, in numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from app.cli.describe import encoder_source
from app.cli.measuring import announcement, following
from app.cli.parsing import Flag, finite, parse
from app.cli.terminal import progress, say, show_json, warn
from engine.errors import UserError

_SCORES = ("distances", "depth", "views", "speed")


@dataclass(frozen=True)
class EvaluateOptions:
    """Measure a generator: FID and KID against real pictures (--data), consistency of depths and
    of colours between views, and speed. Features for FID and KID come from the bundled text
    encoder's picture tower or from CLIP weights of your own, and are always named."""

    model: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="[MODEL]", help_behavior_hint="")
    ] = "bundled"
    """A checkpoint (the authors' file or a converted model), or the word 'bundled'."""
    data: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: no FID and KID)"),
    ] = None
    """Real pictures: a folder, or a zip archive or folder with dataset.json as EG3D has it."""
    scores: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="SCORE ...", help_behavior_hint="(default: all that can be)"),
    ] = ()
    """Which: distances (FID and KID), depth, views, speed."""
    samples: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 1000
    """Pictures drawn for FID and KID, against at most as many real ones."""
    identities: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 25
    """People whose depths and views are compared; 100 for numbers that are to be published."""
    features: Annotated[
        str, tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: the bundled encoder)")
    ] = "bundled"
    """CLIP weights: a folder as open_clip saves it, a file, or NAME=FILE with the name of
    open_clip's configuration."""
    psi: Annotated[float, tyro.conf.arg(metavar="NUMBER")] = 1.0
    """Truncation; 1 is how papers measure."""
    seed: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 0
    """Of people, poses and subsets."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where to compute; 'cuda:1' names the second GPU."""
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = None
    """Save the scores as .json or as a table (.md) as well."""
    json: Flag = False
    """Print the scores as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(EvaluateOptions, words, "maquette evaluate")
    finite(psi=options.psi)
    if not -1.0 <= options.psi <= 2.0:
        raise UserError(f"--psi must be -1 to 2, not {options.psi:g}.")
    if options.seed < 0:
        raise UserError(f"--seed must not be below 0, not {options.seed}.")
    out = _checked_target(options.out)
    scores = options.scores or (_SCORES if options.data is not None else _SCORES[1:])
    if "distances" in scores and options.data is None:
        raise UserError("FID and KID need real pictures; name them with --data.")
    from engine.metrics.effort import seconds_a_picture, stages
    from engine.metrics.evaluate import EvaluationPlan, check_count, evaluate

    plan = EvaluationPlan(
        scores,  # type: ignore[arg-type]  # the plan checks them
        options.samples,
        options.identities,
        options.psi,
        options.seed,
    )
    from app.cli.subject import checkpoint_path
    from engine.checkpoints import model_name, model_sha256, weights_file
    from engine.generators.registry import open_model
    from engine.metrics.features import feature_network
    from engine.metrics.report import markdown
    from engine.training.data.training_data import TrainingData

    where = checkpoint_path(options.model)
    generator = open_model(where, options.device)
    data = network = None
    if options.data is not None:
        with progress("Looking at the pictures", quiet=options.json) as bar:
            side = generator.capabilities.resolution
            data = TrainingData.open(options.data, side, seed=options.seed, progress=bar)
    if "distances" in scores:
        network = feature_network(encoder_source(options.features), generator.device)
        assert data is not None
        check_count(data)
    work = stages(plan, 0 if data is None else min(len(data), plan.samples))
    name = model_name(where)
    if not options.json:
        device = str(generator.device)
        warn(announcement(name, device, work, seconds_a_picture(generator)))
    with following(work, quiet=options.json) as told:
        found = evaluate(generator, plan, data, network, told)
    model = {
        "name": name,
        "family": generator.capabilities.family,
        "resolution": generator.capabilities.resolution,
        "sha256": model_sha256(weights_file(where)),
    }
    facts: dict[str, Any] = {"model": model, **found}
    if options.json:
        show_json(facts)
    else:
        _show(facts)
    if out is not None:
        from engine.export.files import write_bytes

        text = json.dumps(facts, indent=2) + "\n" if out.suffix == ".json" else markdown(facts)
        write_bytes(out, text.encode())
    return 0


def _checked_target(out: Path | None) -> Path | None:
    """Where to, checked before the long work.

    Raises:
        UserError: it is neither .json nor .md, or cannot be written.
    """
    if out is None:
        return None
    out = out.expanduser()
    if out.suffix not in (".json", ".md"):
        raise UserError(f"The name of the scores {out.name} must end in .json or .md.")
    from engine.export.files import check_writable

    return check_writable(out)


def _show(facts: dict[str, Any]) -> None:
    from engine.metrics.report import notes_of, rows_of

    rows = rows_of(facts)
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    say(f"{facts['model']['name']} ({facts['model']['family']})")
    for name, value, about in rows:
        say(f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {about}")
    for note in notes_of(facts):
        say(note)
