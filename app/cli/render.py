"""``maquette render``: pictures from seeds, or a picture's recipe drawn again."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from app.cli.parsing import Flag, parse, parse_seeds
from app.cli.subject import DrawingOptions, check_one_face, open_subject, read_subject
from app.cli.terminal import progress, say, show_json
from engine.capabilities import ViewMode
from engine.errors import UserError
from engine.identity import Latent
from engine.recipe import Recipe


@dataclass(frozen=True)
class RenderOptions(DrawingOptions):
    """Draw pictures of generated heads. A picture holds its whole recipe, so that
    --from draws the identical pixels again, or changes only what is given besides."""

    seed: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="SEEDS", aliases=["--seeds"], help_behavior_hint="(default: 0)"),
    ] = ()
    """Whose face: 7, or several as 0-9 or 1,5,20-24."""
    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: seed0007.png and so on)"),
    ] = None
    """A picture (.png, .jpg, .webp), or a folder for several."""
    view: Annotated[ViewMode | None, tyro.conf.arg(help_behavior_hint="(default: picture)")] = None
    """Which picture of the rendering."""
    size: Annotated[
        int | None,
        tyro.conf.arg(metavar="PIXELS", help_behavior_hint="(default: the model's own)"),
    ] = None
    """Side of the picture, 16 to 8192."""
    transparent: Flag = False
    """Cut the background away where the model knows its opacity."""
    json: Flag = False
    """Print what was written as JSON."""


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(RenderOptions, words, "maquette render")
    _check_no_sheet(options)
    base = _recipe(options)
    if options.seed:
        check_one_face(options)
    seeds = parse_seeds(options.seed) if options.seed else [base.seed]
    targets = _targets(options, seeds, None if options.seed else base.latent)
    _prepare(options, base, targets)

    generator, base = open_subject(options, base)
    from engine.draw import Painter
    from engine.export.files import make_folder
    from engine.export.picture import SURVEYED_KEY, save_picture

    painter, survey = Painter(generator), _was_surveyed(options)
    facts: list[dict[str, Any]] = []
    with progress("Drawing", quiet=len(seeds) == 1) as report:
        for done, (seed, target) in enumerate(zip(seeds, targets, strict=True)):
            report(done, len(seeds))
            start = time.perf_counter()
            recipe = base.of_seed(seed) if options.seed else base
            pixels = painter.picture(recipe, survey=survey)
            spent = time.perf_counter() - start
            if _is_folder(options, targets):
                make_folder(target.parent)
            save_picture(pixels, target, recipe, notes={SURVEYED_KEY: "yes"} if survey else None)
            facts.append(
                {
                    "path": str(target),
                    "size": [int(pixels.shape[1]), int(pixels.shape[0])],
                    "seconds": round(spent, 3),
                    "recipe": recipe.to_json(),
                }
            )
            if not options.json:
                say(str(target))
    if options.json:
        show_json(facts)
    return 0


def _check_no_sheet(options: RenderOptions) -> None:
    """--from promises the identical pixels, which are not one picture's where it is a sheet."""
    source = options.subject.source
    if source is None or source.suffix.lower() != ".png":
        return
    from engine.export.sheet_files import read_sheet

    if (sheet := read_sheet(source)) is not None:
        raise UserError(
            f"{source} is a sheet of {sheet.count} pictures; maquette sheet --from draws it again."
        )


def _was_surveyed(options: RenderOptions) -> bool:
    """Whether --from is a frame of a video for which was found out what is empty around the face."""
    source = options.subject.source
    if source is None or source.suffix.lower() != ".png":
        return False
    from engine.export.picture import SURVEYED_KEY, read_note

    return read_note(source, SURVEYED_KEY) is not None


def _recipe(options: RenderOptions) -> Recipe:
    """The recipe with everything that needs no model, checked before one is opened."""
    recipe = read_subject(options)
    if options.view is not None:
        recipe = replace(recipe, view=options.view)
    if options.size is not None:
        recipe = replace(recipe, size=options.size)
    if options.transparent:
        recipe = replace(recipe, transparent=True)
    return recipe.checked()


def _targets(options: RenderOptions, seeds: list[int], latent: Latent | None) -> list[Path]:
    """One file name a seed, or the one of a latent."""
    out = options.out.expanduser() if options.out is not None else None
    names = [f"seed{seed:04d}.png" for seed in seeds]
    if latent is not None:
        names = [f"{re.sub(r'[^A-Za-z0-9_-]+', '-', latent.name) or 'latent'}.png"]
    if out is None:
        targets = [Path(name) for name in names]
    elif len(seeds) == 1 and out.suffix and not out.is_dir():
        targets = [out]
    elif out.suffix and not out.is_dir():
        raise UserError(f"{len(seeds)} pictures need a folder, but {out} is a file name.")
    else:
        targets = [out / name for name in names]
    source = options.subject.source
    if out is None and source is not None and source.resolve() in [t.resolve() for t in targets]:
        raise UserError(f"{source} would be overwritten; name the new picture with --out.")
    return targets


def _prepare(options: RenderOptions, recipe: Recipe, targets: list[Path]) -> None:
    """Find out before the work whether it can be kept."""
    from engine.export.files import check_writable
    from engine.export.picture import picture_suffix

    if picture_suffix(targets[0]) in (".jpg", ".jpeg") and recipe.transparent:
        raise UserError(f"A JPEG cannot be transparent; save {targets[0].name} as .png or .webp.")
    folder = targets[0].parent
    if _is_folder(options, targets):
        folder = _nearest_folder(folder)
    check_writable(folder / targets[0].name)


def _is_folder(options: RenderOptions, targets: list[Path]) -> bool:
    """Whether --out names a folder, which is made if need be."""
    return options.out is not None and targets[0] != options.out.expanduser()


def _nearest_folder(folder: Path) -> Path:
    """``folder``, or the one in which it will be made once there is a picture for it."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
