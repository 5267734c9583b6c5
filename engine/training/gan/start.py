"""From a plan to a run that trains, and from a run's folder back to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.assets import model_place
from engine.checkpoints import read_checkpoint, write_model
from engine.errors import UserError
from engine.export.files import make_folder, write_bytes
from engine.generators.base import Generator
from engine.generators.registry import build_generator, find_source
from engine.training.data.scan import Progress as Looking
from engine.training.data.training_data import TrainingData
from engine.training.gan.adversarial import Adversarial
from engine.training.gan.augment import augmentation
from engine.training.gan.distributed import Team, team
from engine.training.gan.events import Event, Listener, Notice, ScoresMeasured
from engine.training.gan.families import fresh, judge_tensors, options_taken, training_of
from engine.training.gan.logs import read_journal
from engine.training.gan.loop import TrainingLoop
from engine.training.gan.options import (
    PRESETS,
    TrainingOptions,
    preset_options,
)
from engine.training.gan.plan import NAME, RunFacts, RunPlan
from engine.training.gan.precision import in_halves
from engine.training.gan.result import Card, keep_model, model_source
from engine.training.gan.run import Run, Scorer
from engine.training.gan.wish import Wish
from engine.training.shift.options import ADAPTIVE, DEFAULTS, ShiftOptions, shift_training
from engine.training.shift.training import TextShift, led_by
from engine.training.shift.without_pictures import NoPictures

#: What judges: a discriminator that real pictures teach, or a text.
Trained = Adversarial | TextShift

#: The weights that training started from, its discriminator, and what a run makes.
BASE, JUDGE, MODEL = "base", "judge.safetensors", "model"
#: Families whose discriminators are told the cameras of real pictures.
NEED_CAMERAS = ("eg3d",)


def _nothing(event: Event) -> None:
    return


def start_run(
    wish: Wish,
    device: str = "auto",
    listener: Listener = _nothing,
    between: Callable[[], None] = lambda: None,
) -> Run:
    """:func:`begin` for the window: empty layers are the preset's."""
    changes: dict[str, Any] = {"device": device}
    if wish.layers:
        changes["layers"] = wish.layers
    plan = RunPlan(wish.folder, wish.data, wish.model, changes=changes)
    if wish.by_text:
        changes["steps"] = wish.steps
        plan = replace(plan, data="", shift=wish.shift.to_json())
    else:
        changes |= {"minutes": wish.minutes, "score_samples": wish.score_samples}
        plan = replace(plan, preset=wish.preset, mirror=wish.mirror)
    return begin(plan, listener, between)


def begin(
    plan: RunPlan,
    listener: Listener = _nothing,
    between: Callable[[], None] = lambda: None,
    together: Team | None = None,
    exported: bool = False,
    looking: Looking | None = None,
) -> Run:
    """Open model and data, make the folder, and give a run at its start.

    Args:
        looking: told (done, of how many) while pictures are looked at.
        exported: the authors' files will be wanted at the end, so that a model that has none is told of
            now and not then.

    Raises:
        UserError: something cannot be opened, does not fit together or is out of range; no
            folder is made then.
    """
    folder = Path(plan.folder).expanduser()
    _check_folder(folder)
    shift = ShiftOptions.from_json(plan.shift) if plan.shift else None
    if shift is None and plan.preset not in PRESETS:
        raise UserError(f"There is no preset {plan.preset!r}; there are {', '.join(PRESETS)}.")
    if shift is not None and plan.family:
        raise UserError("A text leads a model that can draw already; it makes none from nothing.")
    # Before the model is read, which may take long.
    known = DEFAULTS if shift is not None else PRESETS[plan.preset].options
    rough = TrainingOptions.from_json({**known.to_json(), **plan.changes})
    together = together or team(rough.device)
    in_halves(together.device, rough.precision)
    data_path = "" if shift is not None else str(Path(plan.data).expanduser().absolute())
    plan = replace(plan, folder=str(folder.absolute()), data=data_path)
    judge: dict[str, Tensor] | None = None
    base = ""
    assumptions: tuple[str, ...] = ()
    if plan.family:
        inner = fresh(plan.family, plan.resolution, plan.family_options, seed=rough.seed)
        inner = inner.to(together.device)
    else:
        checkpoint = read_checkpoint(model_place(plan.model))
        source = find_source(checkpoint)
        judge = judge_tensors(checkpoint)
        base, assumptions = source.name, source.assumptions
        generator = build_generator(source, together.device)
        inner = training_of(generator, plan.family_options, judge, rough.seed)
    # All of them, since defaults depend on the device, and a run may go on on another.
    plan = replace(plan, family_options=options_taken(inner))
    training: Trained = inner if shift is None else led_by(inner, shift)
    if isinstance(training, TextShift) and ADAPTIVE in rough.layers:
        training.choose_layers()
    if exported:
        training.authors_files(training.generator.state_dict())
    groups = training.layer_groups()
    if isinstance(training, TextShift):
        plan = replace(plan, shift=training.shift.to_json())
        preset = shift_training(training.shift, groups, rough.layers)
    else:
        preset = preset_options(plan.preset, groups)
    options = TrainingOptions.from_json({**preset.to_json(), **plan.changes})
    options.passes(together.size)
    options.frozen(groups)
    data = _data(plan, training, options, looking)
    title = plan.name or (f"{base or training.family}, trained on {data.summary.name}")
    facts = RunFacts(
        plan, options, title, base, assumptions, judge is not None, data.summary.to_json()
    )
    if together.leads:
        _make_folder(facts, training, judge)
    together.decide(0)  # the folder is there
    run = _run(facts, training, data, listener, between, together)
    if not (options.minutes or options.steps or options.images):
        listener(
            Notice(
                0,
                "No length was given (--minutes, --steps or --images): training goes on until it is "
                "stopped, which keeps everything.",
            )
        )
    return run


def resume_run(
    folder: Path | str,
    device: str | None = None,
    listener: Listener = _nothing,
    between: Callable[[], None] = lambda: None,
    changes: Mapping[str, Any] | None = None,
    step: int | None = None,
    together: Team | None = None,
    data_path: Path | str | None = None,
    line: int | None = None,
    looking: Looking | None = None,
) -> Run:
    """A run where its newest snapshot, or that of ``step``, was taken.

    Args:
        folder: of the run.
        device: another than before, if given.
        changes: options that are different from now on.
        data_path: where the pictures are now, if they have moved.
        step, line: see :meth:`~engine.training.gan.lines.Lines.find`.
        looking: told (done, of how many) while pictures are looked at.

    Raises:
        UserError: there is no such run or snapshot, it is damaged, or its data is gone.
    """
    facts = RunFacts.read(Path(folder).expanduser().absolute())
    given = {**(changes or {}), **({"device": device} if device else {})}
    options = TrainingOptions.from_json({**facts.options.to_json(), **given})
    for name in ("batch", "layers", "seed"):
        if getattr(options, name) != getattr(facts.options, name):
            raise UserError(f"--{name} of a run cannot change; start a new run from its model.")
    together = together or team(options.device)
    in_halves(together.device, options.precision)
    plan = facts.plan
    if data_path is not None:
        if plan.shift:
            raise UserError("A text leads this run; leave the pictures out.")
        plan = replace(plan, data=str(Path(data_path).expanduser().absolute()))
    training = _again(facts, options, together.device)
    data = _data(plan, training, options, looking)
    changed = data.summary.fingerprint != facts.data.get("fingerprint")
    facts = replace(facts, plan=plan, options=options, data=data.summary.to_json())
    run = _run(facts, training, data, listener, between, together)
    try:
        reached = run.resume(step, line)
        # Once nobody else trains in this folder, and there is something to go on from.
        if together.leads:
            facts.write()
    except UserError:
        run.close()
        raise
    if changed:
        listener(
            Notice(
                reached,
                f"The pictures of {plan.data} are not the same as before; training goes on with those that are there.",
            )
        )
    return run


def _again(facts: RunFacts, options: TrainingOptions, device: torch.device) -> Trained:
    """The networks of a run as they were at its start, and what leads them."""
    inner = _networks(facts, options, device)
    shift = facts.plan.shift
    return led_by(inner, ShiftOptions.from_json(shift)) if shift else inner


def _networks(facts: RunFacts, options: TrainingOptions, device: torch.device) -> Adversarial:
    plan, folder = facts.plan, Path(facts.plan.folder)
    if plan.family:
        made = fresh(plan.family, plan.resolution, plan.family_options, seed=options.seed)
        return made.to(device)
    judge = None
    if facts.judge:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            judge = load_file(folder / JUDGE)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{folder / JUDGE} cannot be read ({error}); restore it.") from error
    source = find_source(read_checkpoint(folder / f"{BASE}.json"))
    return training_of(build_generator(source, device), plan.family_options, judge, options.seed)


def _check_folder(folder: Path) -> None:
    try:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file; choose a folder for the run.")
        if (folder / NAME).exists():
            raise UserError(f"{folder} holds a run already; resume it, or choose another folder.")
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder} is not empty; choose a new folder for the run.")
    except OSError as error:
        raise UserError(f"{folder} cannot be used ({error.strerror}); choose another.") from error


def _make_folder(facts: RunFacts, training: Trained, judge: Mapping[str, Tensor] | None) -> None:
    folder = Path(facts.plan.folder)
    made = not folder.exists()
    make_folder(folder)
    try:
        state = training.generator.state_dict()
        write_model(
            model_source(training, state, facts.base or facts.title, facts.assumptions),
            folder / BASE,
        )
        if judge is not None:
            from safetensors.torch import save

            own = {n: t.contiguous().clone() for n, t in judge.items()}
            write_bytes(folder / JUDGE, save(own))
        facts.write()
    except BaseException:
        # It was empty: the next try finds it so.
        for name in (f"{BASE}.json", f"{BASE}.safetensors", JUDGE):
            (folder / name).unlink(missing_ok=True)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _data(
    plan: RunPlan, training: Trained, options: TrainingOptions, looking: Looking | None
) -> TrainingData | NoPictures:
    if isinstance(training, TextShift):
        if options.score_samples:
            raise UserError("--score-samples compares with real pictures, and a text has none.")
        return training.places()
    data = TrainingData.open(
        plan.data, training.resolution, seed=options.seed, mirror=plan.mirror, progress=looking
    )
    if training.family in NEED_CAMERAS and not data.summary.posed:
        raise UserError(
            f"The pictures of {data.path} have no cameras, which {training.family.upper()} learns "
            "from; prepare them with poses first."
        )
    return data


def _run(
    facts: RunFacts,
    training: Trained,
    data: TrainingData | NoPictures,
    listener: Listener,
    between: Callable[[], None],
    together: Team,
) -> Run:
    options, folder = facts.options, Path(facts.plan.folder)
    way = None if options.augmentation == "none" else augmentation(options.augmentation_way)
    loop = TrainingLoop(training, data, options, together, way)
    measured: list[ScoresMeasured] = []

    def told(event: Event) -> None:
        if isinstance(event, ScoresMeasured):
            measured.append(event)
        listener(event)

    def keep() -> Path:
        position = loop.position
        notes = [event.text for event in read_journal(folder) if isinstance(event, Notice)]
        card = Card(
            facts.title,
            facts.base,
            tuple(data.summary.sentences()),
            position.step,
            position.images,
            position.seconds / 60.0,
            options.to_json(),
            measured[-1].values if measured else {},
            measured[-1].features if measured else "",
            (*facts.assumptions, *notes),
            "pairs of pictures drawn" if isinstance(data, NoPictures) else "pictures shown",
        )
        return keep_model(training, loop.average, folder / MODEL, card, facts.assumptions)

    scorer, features = _scorer(data, options, together)
    return Run(folder, loop, told, keep, scorer, features, between)


def _scorer(
    data: TrainingData | NoPictures, options: TrainingOptions, together: Team
) -> tuple[Scorer | None, str]:
    """FID and KID against the run's own pictures, and the name of the features."""
    if isinstance(data, NoPictures) or not (options.score_samples and together.leads):
        return None, ""
    from engine.metrics.evaluate import EvaluationPlan, evaluate
    from engine.metrics.features import feature_network

    network = feature_network("", together.device)
    plan = EvaluationPlan(("distances",), options.score_samples, seed=options.seed)

    def score(generator: Generator) -> dict[str, float]:
        found = evaluate(generator, plan, data, network)["distances"]
        values = {"fid": found["fid"], "kid": found["kid"]["mean"]}
        return {name: float(value) for name, value in values.items() if value is not None}

    return score, network.name
