"""``maquette edit``: a face changed by a text, or along directions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from app.cli.describe import encoder_source
from app.cli.parsing import Flag, finite, parse
from app.cli.subject import DrawingOptions, chosen_seed, open_subject, read_subject
from app.cli.terminal import progress, say, show_json, warn
from app.edit_stack import LOCKS, lock_rows
from engine.capabilities import Capabilities
from engine.editing.directions import Direction, direction_paths, read_direction, write_direction
from engine.edits import MAX_STACK, MAX_STRENGTH, Edit, name_of
from engine.errors import UserError
from engine.layer_swap import joined_sha256
from engine.recipe import Recipe

if TYPE_CHECKING:
    from engine.draw import Painter


@dataclass(frozen=True)
class EditOptions(DrawingOptions):
    """Change a face by a text or along saved directions, and draw it. The picture holds the
    edits with all their numbers: --from draws it again, edits it further or, with --seed, does
    the same to somebody else."""

    text: Annotated[
        str | None, tyro.conf.arg(metavar="TEXT", help_behavior_hint="(default: none)")
    ] = None
    """What should be seen: "smiling", "a full beard"."""
    neutral: Annotated[
        str, tyro.conf.arg(metavar="TEXT", help_behavior_hint="(default: any person)")
    ] = ""
    """What the text is compared with: "a man" beside "a man with a beard"."""
    direction: Annotated[
        tuple[Path, ...], tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = ()
    """Saved directions (.json) to go along."""
    strength: Annotated[
        float | None,
        tyro.conf.arg(
            metavar="NUMBER",
            help_behavior_hint="(default: 3 along a text's direction, else 1, or as saved)",
        ),
    ] = None
    """How far, -20 to 20: 3 says a text in half of the model's people; below 0 the opposite."""
    enough: Flag = False
    """In place of a strength: just so far that the text encoder sees the text in this face."""
    method: Literal["direction", "optimise"] = "direction"
    """Find a direction among the model's people, which fits all faces, or move this one face until
    its pictures say the text."""
    steps: Annotated[int, tyro.conf.arg(metavar="COUNT")] = 20
    """Steps of an optimisation, 1 to 500."""
    draw: Annotated[int, tyro.conf.arg(metavar="SEED")] = 0
    """Seed of the random crops that an optimisation looks at."""
    layers: Annotated[str, tyro.conf.arg(metavar="LAYERS")] = "all"
    """What may be touched: all, shape, appearance, or layers such as 0-3,7."""
    free_background: Flag = False
    """Let an optimisation change what lies behind the head."""
    free_pose: Flag = False
    """Let an optimisation move the head's outline."""
    save_direction: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
    ] = None
    """Keep what the text has found, as FILE.json and FILE.safetensors."""
    encoder: Annotated[
        str | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: the one of the settings)"),
    ] = None
    """CLIP weights, as for describe."""
    seed: Annotated[
        str | None, tyro.conf.arg(metavar="SEED", help_behavior_hint="(default: 0)")
    ] = None
    """Whose face."""
    out: Annotated[Path, tyro.conf.arg(metavar="PATH")] = Path("edit.png")
    """The picture (.png, .jpg, .webp)."""
    size: Annotated[
        int | None,
        tyro.conf.arg(metavar="PIXELS", help_behavior_hint="(default: the model's own)"),
    ] = None
    """Side of the picture, 16 to 8192."""
    json: Flag = False
    """Print what was done as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(EditOptions, words, "maquette edit")
    recipe, kept = _checked(options)
    generator, recipe = open_subject(options, recipe)

    from engine.draw import Painter
    from engine.export.picture import save_picture

    painter, facts = Painter(generator), generator.capabilities
    rows = layer_rows(options.layers, facts)
    begin = time.perf_counter()
    notes: list[str] = []
    strength = options.strength
    for direction in kept:
        found = direction.warning(
            facts.family, recipe.model.sha256, facts.num_ws, facts.w_dim,
            joined_sha256(recipe.model, recipe.swap),
        )  # fmt: skip
        notes += [found] if found else []
        recipe = _with(
            recipe, direction.edit(direction.usual if strength is None else strength, rows)
        )
    if options.text is not None:
        direction, note, usual = _found(options, painter, recipe, rows)
        notes += [note] if note else []
        recipe = _with(recipe, direction.edit(usual if strength is None else strength, rows))
        if options.save_direction is not None:
            write_direction(options.save_direction.expanduser(), direction)
    spent = time.perf_counter() - begin
    for note in notes:
        warn(note)
    out = options.out.expanduser()
    save_picture(painter.picture(recipe), out, recipe)
    if options.json:
        facts_of: dict[str, Any] = {
            "path": str(out), "notes": notes, "seconds": round(spent, 3), "recipe": recipe.to_json(),
        }  # fmt: skip
        show_json(facts_of)
    else:
        say(str(out))
    return 0


def _checked(options: EditOptions) -> tuple[Recipe, list[Direction]]:
    """Everything that can be wrong before a model is opened."""
    finite(strength=options.strength)
    if options.text is None and not options.direction:
        raise UserError("Say what to change with --text, or name a direction with --direction.")
    if options.strength is not None and abs(options.strength) > MAX_STRENGTH:
        raise UserError(
            f"--strength must be -{MAX_STRENGTH:g} to {MAX_STRENGTH:g}, not {options.strength:g}."
        )
    if options.enough and (options.text is None or options.method != "direction"):
        raise UserError("--enough asks how far a --text has to go by --method direction.")
    if options.enough and options.strength is not None:
        raise UserError("--enough finds the strength; leave out --strength.")
    if options.text is None and options.save_direction is not None:
        raise UserError("--save-direction keeps what a text finds; give a --text.")
    if options.text is not None and not name_of(options.text):
        raise UserError("The --text is empty; write what should be seen, such as smiling.")
    for name, given in (("pose", options.free_pose), ("background", options.free_background)):
        if given and (options.text is None or options.method != "optimise"):
            raise UserError(f"--free-{name} lets a --text by --method optimise change more.")
    recipe = chosen_seed(options, read_subject(options), options.seed)
    if options.size is not None:
        recipe = replace(recipe, size=options.size).checked()

    from engine.export.files import check_writable
    from engine.export.picture import picture_suffix

    out = options.out.expanduser()
    picture_suffix(out)
    check_writable(out)
    if options.save_direction is not None:
        for path in direction_paths(options.save_direction):
            check_writable(path)
    return recipe, [read_direction(path) for path in options.direction]


def layer_rows(text: str, facts: Capabilities) -> tuple[int, ...] | None:
    """The rows of w that ``--layers`` names; ``None`` for all.

    Raises:
        UserError: the model has no such layers.
    """
    for lock in LOCKS:
        if text.strip() == lock:
            return lock_rows(lock, facts)
    return facts.rows(text)


def _with(recipe: Recipe, edit: Edit) -> Recipe:
    if len(recipe.edits) >= MAX_STACK:
        raise UserError(f"A face can have {MAX_STACK} edits at most.")
    return replace(recipe, edits=(*recipe.edits, edit)).checked()


def _found(
    options: EditOptions, painter: Painter, recipe: Recipe, rows: tuple[int, ...] | None
) -> tuple[Direction, str, float]:
    """What the text has found, a sentence where it says next to nothing, and the usual strength."""
    from app.settings import cache_folder
    from engine.editing.cache import Cache
    from engine.editing.encoders import open_encoder
    from engine.editing.samples import ModelId
    from engine.editing.strength import enough
    from engine.editing.text_direction import text_direction
    from engine.latents import edited

    painter.generator.adjust(dict(recipe.settings))
    generator = painter.model(recipe)
    opened = open_encoder(encoder_source(options.encoder), generator.device)
    text, model = options.text or "", ModelId.of(recipe)
    if options.method == "direction":
        with progress("Looking at the model's people", quiet=options.json) as report:
            found = text_direction(
                generator, model, opened.encoder, opened.identity, text, options.neutral,
                Cache(cache_folder() / "edits"), report,
            )  # fmt: skip
        if not options.enough:
            return found.direction, found.note, found.direction.usual
        start = painter.latent(recipe)
        just = enough(
            generator,
            lambda strength: edited(start, (found.direction.edit(strength, rows),)),
            opened.encoder, found.level,
        )  # fmt: skip
        return found.direction, found.note or just.note(text), just.strength
    from engine.editing.optimise import OptimiseOptions, as_direction, optimise
    from engine.editing.texts import weakness

    wanted = OptimiseOptions(
        text, options.neutral, options.steps, seed=options.draw, rows=rows,
    )  # fmt: skip
    if options.free_background:
        wanted = replace(wanted, keep_background=0.0)
    if options.free_pose:
        wanted = replace(wanted, keep_pose=0.0)
    note = weakness(opened.encoder, text, options.neutral)
    step = None
    with progress("Moving the face", quiet=options.json) as report:
        for step in optimise(generator, painter.latent(recipe), opened.encoder, wanted):
            report(step.number, step.steps)
    assert step is not None
    moved = as_direction(step, wanted, generator, model)
    return moved, note, moved.usual
