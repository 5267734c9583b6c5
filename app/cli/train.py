"""``maquette train``: fine-tune a generator on pictures or by a text, or train one from nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from app.cli.parsing import Flag, finite, parse
from app.cli.terminal import say
from app.cli.train_back import GoingBack
from app.cli.train_export import export_folder, write_theirs
from app.cli.train_look import Looking
from app.cli.train_text import ByText
from engine.errors import UserError
from engine.training.gan.options import PRESETS

if TYPE_CHECKING:
    from engine.training.gan.events import Event
    from engine.training.gan.run import Run

_PRESET = "(default: the preset's)"


def _own(metavar: str) -> object:
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=_PRESET)


@dataclass(frozen=True)
class Budget:
    """How long; the run ends with the first that is used up."""

    minutes: Annotated[float | None, _own("MINUTES")] = None
    """Minutes of training, of the whole run; 0 is no limit."""
    steps: Annotated[int | None, _own("NUMBER")] = None
    """Steps; 0 is no limit."""
    images: Annotated[int | None, _own("NUMBER")] = None
    """Real pictures shown; 0 is no limit."""


@dataclass(frozen=True)
class Learning:
    """What is learnt, and how fast."""

    layers: Annotated[tuple[str, ...], _own("GROUP ...")] = ()
    """Groups of layers that train; --list-layers names those of a model. With --text also
    'adaptive': those that the text moves most."""
    batch: Annotated[int | None, _own("NUMBER")] = None
    """Pictures a step, over all passes and processes together."""
    pass_size: Annotated[int | None, _own("NUMBER")] = None
    """Pictures in memory at once; smaller passes add their gradients up. 0 is as many as there are."""
    precision: Annotated[str | None, _own("auto|full|mixed")] = None
    """Mixed computes in bfloat16; auto does so on a GPU that can, full never."""
    rate: Annotated[float | None, _own("FACTOR")] = None
    """Multiplies the published learning rates."""
    discriminator_rate: Annotated[float | None, _own("FACTOR")] = None
    """Multiplies the discriminator's besides."""
    judge_first: Annotated[int | None, _own("NUMBER")] = None
    """Pictures for which only the discriminator learns."""
    average_images: Annotated[float | None, _own("NUMBER")] = None
    """Half-life of the generator's average, in pictures; -1 is the family's."""
    average_share: Annotated[float | None, _own("SHARE")] = None
    """That half-life is at most this share of the pictures shown; 0 is no limit."""
    seed: Annotated[int | None, _own("NUMBER")] = None
    """Of everything random."""


@dataclass(frozen=True)
class Augmenting:
    """Changes at random of what the discriminator sees, for small sets."""

    augmentation: Annotated[str | None, _own("none|adaptive|fixed")] = None
    """Adaptive finds the strength by itself."""
    augmentation_way: Annotated[str | None, _own("adaptive|differentiable")] = None
    """As ADA or as DiffAugment."""
    augmentation_strength: Annotated[float | None, _own("0..1")] = None
    """At the start, or always."""
    augmentation_target: Annotated[float | None, _own("0..1")] = None
    """What adaptive steers to."""
    augmentation_images: Annotated[int | None, _own("NUMBER")] = None
    """Pictures in which the strength can rise from 0 to 1."""


@dataclass(frozen=True)
class Keeping:
    """What is written on the way."""

    snapshot_minutes: Annotated[float | None, _own("MINUTES")] = None
    """Between snapshots; 0 is never."""
    snapshot_steps: Annotated[int | None, _own("NUMBER")] = None
    """Between snapshots; 0 is never."""
    keep: Annotated[int | None, _own("NUMBER")] = None
    """Newest snapshots that are kept, beside the first."""
    log_steps: Annotated[int | None, _own("NUMBER")] = None
    """Steps that a line of the logs is the mean of."""
    samples: Annotated[int | None, _own("NUMBER")] = None
    """Seeds drawn at each snapshot."""
    score_samples: Annotated[int | None, _own("NUMBER")] = None
    """Pictures drawn for FID and KID at each snapshot; 0 measures neither."""
    wait_minutes: Annotated[float | None, _own("MINUTES")] = None
    """How long to wait for pictures that have vanished."""


@dataclass(frozen=True)
class TrainOptions:
    """Train a generator on a folder or archive of pictures: a model that is there, on, or a small
    one from nothing. With --text a text leads instead of pictures. Ctrl-C stops after the present step and keeps everything; --resume goes on.
    Several GPUs or machines train together under torchrun."""

    data: Annotated[
        tyro.conf.Positional[Path | None],
        tyro.conf.arg(metavar="[PICTURES]", help_behavior_hint=""),
    ] = None
    """A folder of pictures, or a zip archive or folder with dataset.json as EG3D has it. With
    --resume only if they have moved."""
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(required for a new run)")
    ] = None
    """The run's folder: snapshots, logs, samples, and the model."""
    model: Annotated[
        str | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: the bundled one)")
    ] = None
    """What is trained on: a checkpoint, a converted model, or the word 'bundled'."""
    from_nothing: Annotated[
        str | None, tyro.conf.arg(metavar="FAMILY", help_behavior_hint="(default: a model)")
    ] = None
    """Train a new small model of this family instead."""
    resolution: Annotated[
        int | None, tyro.conf.arg(metavar="PIXELS", help_behavior_hint="(default: 64)")
    ] = None
    """Side of a new model's pictures: 16, 32, 64 ..."""
    preset: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="|".join(PRESETS), help_behavior_hint="(default: quick, full from nothing)"
        ),
    ] = None
    """quick adapts within minutes, appearance leaves shapes as they are, full is as published."""
    no_mirror: Flag = False
    """Do not show every picture mirrored as well."""
    name: Annotated[
        str, tyro.conf.arg(metavar="TEXT", help_behavior_hint="(default: from model and data)")
    ] = ""
    """Title of the new model."""
    loss: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]],
        tyro.conf.arg(metavar="NAME=NUMBER", help_behavior_hint="(default: as published)"),
    ] = ()
    """An option of the losses, such as r1_gamma=5, or whole=1 with --text; may be repeated."""
    by_text: ByText = field(default_factory=ByText)
    budget: Budget = field(default_factory=Budget)
    learning: Learning = field(default_factory=Learning)
    augmenting: Augmenting = field(default_factory=Augmenting)
    keeping: Keeping = field(default_factory=Keeping)
    resume: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: a new run)")
    ] = None
    """Go on with a run. Length, rates and what is written may be given anew."""
    going_back: GoingBack = field(default_factory=GoingBack)
    export_authors: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(default: none)")
    ] = None
    """Also write the model in the layout of the authors' checkpoints, into a folder that is made if it
    is not there. With --resume of a run whose budget is used up nothing else is done."""
    list_layers: Flag = False
    """Only name the groups of layers that the model has."""
    device: Annotated[
        str | None, tyro.conf.arg(metavar="auto|cpu|cuda", help_behavior_hint="(default: auto)")
    ] = None
    """Where to compute."""
    json: Flag = False
    """Print each event as a line of JSON."""

    def changes(self) -> dict[str, Any]:
        """The options of training that were given, by name."""
        given: dict[str, Any] = {}
        for part in (self.budget, self.learning, self.augmenting, self.keeping):
            for one in fields(part):
                value = getattr(part, one.name)
                if value is not None and value != ():
                    given[one.name] = value
        finite(**{n: v for n, v in given.items() if isinstance(v, float)})
        return given | ({} if self.device is None else {"device": self.device})


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(TrainOptions, words, "maquette train")
    changes = options.changes()
    losses = _losses(options.loss)
    if options.list_layers:
        return _list_layers(options)
    shift = options.by_text.shift(losses)
    _check(options, losses, bool(shift))
    out = export_folder(options.export_authors)
    from engine.training.gan.distributed import team
    from engine.training.gan.events import Notice
    from engine.training.gan.plan import RunPlan
    from engine.training.gan.start import begin, resume_run

    together = team(options.device or "auto")
    told = _Told(options.json) if together.leads else _silent
    looking = Looking(options.json or not together.leads)
    if options.resume is not None:
        step, line = options.going_back.place()
        run = resume_run(
            options.resume, options.device, told, changes=changes, step=step, line=line,
            together=together, data_path=options.data, looking=looking,
        )  # fmt: skip
        if together.leads:
            options.going_back.tidy(run, told)
        if out is not None:
            run.loop.training.authors_files(run.loop.average)  # refused now, not after hours
    else:
        preset = options.preset or ("full" if options.from_nothing else "quick")
        plan = RunPlan(
            str(options.out),
            str(options.data or ""),
            options.model or "bundled",
            options.from_nothing or "",
            options.resolution or 64,
            preset,
            changes,
            {} if shift else losses,
            not options.no_mirror,
            options.name,
            shift,
        )
        run = begin(plan, told, together=together, exported=out is not None, looking=looking)
        for warning in getattr(run.loop.data, "warnings", ()):
            told(Notice(0, warning.text))
    with _stopping(run, quiet=not together.leads):
        done = run.train()
    if together.leads and not options.json:
        say(f"{done.model}: step {done.step}, {run.loop.position.images} pictures")
    if out is not None and together.leads:
        write_theirs(run, out, quiet=options.json)
    run.loop.leave()
    return 0


def _check(options: TrainOptions, losses: dict[str, Any], by_text: bool) -> None:
    """What contradicts itself, before anything is read.

    Raises:
        UserError: naming the option.
    """
    new = {
        "--out": options.out, "--model": options.model,
        "--from-nothing": options.from_nothing, "--preset": options.preset,
        "--resolution": options.resolution, "--loss": losses or None,
        "--no-mirror": options.no_mirror or None, "--name": options.name or None,
        "--text": by_text or None,
    }  # fmt: skip
    if options.resume is not None:
        given = [name for name, value in new.items() if value is not None]
        if given:
            raise UserError(f"{given[0]} belongs to a new run; leave it out with --resume.")
        return
    if options.going_back.given:
        raise UserError(f"{options.going_back.given} needs --resume and the run's folder.")
    if by_text:
        _check_text(options)
    elif options.data is None or options.out is None:
        missing = "the pictures to train on" if options.data is None else "the run's folder, --out"
        raise UserError(f"Name {missing}; see maquette train --help.")
    if options.from_nothing and options.model:
        raise UserError("--model and --from-nothing both say what is trained; give one of them.")
    if options.resolution is not None and not options.from_nothing:
        raise UserError("--resolution is that of a new model; a trained one keeps its own.")


def _check_text(options: TrainOptions) -> None:
    """What does not go with a text.

    Raises:
        UserError: naming it.
    """
    if options.out is None:
        raise UserError("Name the run's folder, --out; see maquette train --help.")
    if options.data is not None:
        raise UserError("Pictures and --text both say what leads; give one of them.")
    for name, value in (
        ("--from-nothing", options.from_nothing), ("--preset", options.preset),
        ("--no-mirror", options.no_mirror or None),
    ):  # fmt: skip
        if value is not None:
            raise UserError(f"{name} belongs to pictures; leave it out with --text.")


def _losses(words: Sequence[str]) -> dict[str, Any]:
    """``r1_gamma=5`` -> ``{"r1_gamma": 5.0}``.

    Raises:
        UserError: a word that is not NAME=NUMBER.
    """
    values: dict[str, Any] = {}
    for word in words:
        name, sign, value = word.partition("=")
        try:
            number = float(value)
            whole = sign == "=" and number.is_integer() and "." not in value and "e" not in value
        except ValueError:
            raise UserError(f"--loss takes NAME=NUMBER, not {word!r}.") from None
        finite(loss=number)
        values[name.strip().replace("-", "_")] = int(number) if whole else number
    return values


def _list_layers(options: TrainOptions) -> int:
    from engine.assets import model_place
    from engine.generators.registry import open_model
    from engine.training.gan.families import fresh, training_of

    if options.from_nothing:
        training = fresh(options.from_nothing, options.resolution or 64)
    else:
        training = training_of(open_model(model_place(options.model or "bundled"), "cpu"))
    for group, prefixes in training.layer_groups().items():
        count = sum(
            parameter.numel()
            for name, parameter in training.generator.named_parameters()
            if name.startswith(tuple(prefixes))
        )
        say(f"{group}: {count:,} numbers ({', '.join(prefix.rstrip('.') for prefix in prefixes)})")
    return 0


@contextmanager
def _stopping(run: Run, quiet: bool) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop after the present step; a second one breaks off."""
    asked: list[int] = []
    before = {}

    def stop(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        run.stop()
        if not quiet:
            say("Stopping after this step; what was learnt is kept.")

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stop)
    except ValueError:  # not in the main thread: signals are not ours
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _silent(event: Event) -> None:
    return


class _Told:
    """Prints what a run tells: JSON lines, or a line now and then for people."""

    def __init__(self, as_json: bool, every: float = 10.0) -> None:
        self._json, self._every, self._last = as_json, every, 0.0

    def __call__(self, event: Event) -> None:
        from engine.training.gan import events

        if self._json:
            import json

            print(json.dumps(events.to_line(event)), flush=True)
            return
        if isinstance(event, events.Notice):
            say(event.text)
        elif isinstance(event, events.SnapshotWritten):
            say(f"Snapshot of step {event.step}")
        elif isinstance(event, events.ScoresMeasured):
            values = ", ".join(f"{name} {value:.4g}" for name, value in event.values.items())
            say(f"Step {event.step}: {values} ({event.features})")
        elif isinstance(event, events.StepDone) and event.seconds - self._last >= self._every:
            self._last = event.seconds
            say(_line(event))


def _line(event: Any) -> str:
    losses = ", ".join(
        f"{name} {value:.3g}" for name, value in event.losses.items() if "/" not in name
    )
    left = "" if event.seconds_left is None else f", {event.seconds_left / 60:.0f} min left"
    return (
        f"Step {event.step}, {event.images} pictures, {event.images_per_second:.2f} a second{left}: "
        f"{losses}"
    )
