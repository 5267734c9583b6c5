"""``maquette directions``: the ways in which a model's people differ, as files and pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from app.cli.options import FaceOptions, SettingOptions, SubjectOptions
from app.cli.parsing import Flag, parse
from app.cli.subject import DrawingOptions, chosen_seed, open_subject, read_subject
from app.cli.terminal import progress, say, show_json
from engine.editing.directions import Direction, write_direction
from engine.errors import UserError
from engine.export.sheet_options import SheetCell, SheetPlan
from engine.recipe import Recipe

#: Strengths that the contact sheets show, standard deviations.
SHOWN = (-2.0, 0.0, 2.0)


@dataclass(frozen=True)
class DirectionsOptions:
    """Find directions without any text: the principal components of w (GANSpace) and the
    closed-form factors of the layers that read it (SeFa). Each is written as a file that
    maquette edit --direction and the window take, with a sheet of pictures of -2, 0 and +2 standard
    deviations."""

    model: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL", help_behavior_hint="")
    ]
    """A checkpoint, or the word 'bundled'."""
    pca: Annotated[int, tyro.conf.arg(metavar="COUNT")] = 10
    """How many principal components, 0 to 100."""
    sefa: Annotated[int, tyro.conf.arg(metavar="COUNT")] = 10
    """How many factors, 0 to 100."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("directions")
    """Where to; made if need be."""
    seed: Annotated[
        str | None, tyro.conf.arg(metavar="SEED", help_behavior_hint="(default: 0)")
    ] = None
    """Whose face the pictures show."""
    cell: Annotated[int, tyro.conf.arg(metavar="PIXELS")] = 128
    """Side of each picture, 16 to 1024."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where to compute; 'cuda:1' names the second GPU."""
    json: Flag = False
    """Print what was written as JSON."""
    face: FaceOptions = field(default_factory=FaceOptions)
    settings: SettingOptions = field(default_factory=SettingOptions)


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(DirectionsOptions, words, "maquette directions")
    for name, count in (("pca", options.pca), ("sefa", options.sefa)):
        if not 0 <= count <= 100:
            raise UserError(f"--{name} must be 0 to 100, not {count}.")
    if not options.pca and not options.sefa:
        raise UserError("--pca and --sefa are both 0, so there is nothing to find.")
    if not 16 <= options.cell <= 1024:
        raise UserError(f"--cell must be 16 to 1024 pixels, not {options.cell}.")
    drawing = DrawingOptions(
        subject=SubjectOptions(model=options.model, device=options.device),
        face=options.face,
        settings=options.settings,
    )
    recipe = chosen_seed(drawing, read_subject(drawing), options.seed)
    folder = options.out.expanduser()
    made = not folder.exists()
    _folder(folder)
    try:
        generator, recipe = open_subject(drawing, recipe)
    except BaseException:
        if made:  # and nothing is in it
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise

    from app.settings import cache_folder
    from engine.draw import Painter
    from engine.editing.cache import Cache
    from engine.editing.pca import pca_directions
    from engine.editing.samples import ModelId
    from engine.editing.sefa import sefa_directions
    from engine.export.files import write_bytes

    generator.adjust(dict(recipe.settings))
    cache, model = Cache(cache_folder() / "edits"), ModelId.of(recipe)
    painter, written = Painter(generator), []
    for kind, count, find in (
        ("pca", options.pca, pca_directions), ("sefa", options.sefa, sefa_directions),
    ):  # fmt: skip
        if not count:
            continue
        found = find(generator, model, count, cache)
        for number, direction in enumerate(found, 1):
            path = write_direction(folder / f"{kind}-{number:02d}", direction)
            written.append({"path": str(path), "name": direction.name, "kind": kind})
        sheet = folder / f"{kind}.png"
        with progress("Drawing", quiet=options.json) as report:
            write_bytes(sheet, contact_sheet(painter, recipe, found, options.cell, report))
        written.append({"path": str(sheet), "name": sheet.name, "kind": "sheet"})
    if options.json:
        show_json(written)
    else:
        for one in written:
            say(one["path"])
    return 0


def contact_sheet(
    painter: object, recipe: Recipe, found: list[Direction], side: int, report: object
) -> bytes:
    """PNG of a line for each direction: less of it, the face itself, more of it."""
    import io

    from PIL import Image

    from engine.export.sheet import draw_sheet

    cells = [
        SheetCell(
            replace(recipe, size=side, edits=(*recipe.edits, direction.edit(strength))),
            line, column, f"{strength:+g}" if strength else "0",
        )
        for line, direction in enumerate(found)
        for column, strength in enumerate(SHOWN)
    ]  # fmt: skip
    titled = [
        replace(cell, title=f"{found[cell.line].name}  {cell.title}") if cell.column == 1 else cell
        for cell in cells
    ]
    base = replace(recipe, size=side)
    plan = SheetPlan(base, tuple(titled), len(found), len(SHOWN), side)
    pixels = draw_sheet(painter, plan, progress=report)  # type: ignore[arg-type]
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _folder(out: Path) -> None:
    from engine.export.files import check_writable, make_folder

    make_folder(out)
    check_writable(out / "pca.png")
