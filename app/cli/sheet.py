"""``maquette sheet``: several pictures in one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from app.cli.parsing import Flag, finite, parse, parse_seeds
from app.cli.subject import DrawingOptions, check_one_face, open_subject, read_subject
from app.cli.terminal import progress, say, show_json
from engine.errors import UserError
from engine.export.sheet_options import SheetKind, SheetOptions, check_sheet_name, read_angles
from engine.identity import MorphMode

_DEFAULT = SheetOptions()


def _seeds(default: str) -> object:
    return tyro.conf.arg(metavar="SEEDS", help_behavior_hint=f"(default: {default})")


def _unless(default: str, metavar: str | None = None) -> object:
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})")


@dataclass(frozen=True)
class SheetCommand(DrawingOptions):
    """Draw several pictures into one: a matrix of mixed faces, a strip from face to face, or
    one face from several sides. What --psi, the camera and the settings say holds for all.
    --from a sheet draws it again, or changes only what is given besides."""

    kind: Annotated[SheetKind | None, _unless("matrix")] = None
    """matrix (every row with layers of every column), morph, or views."""
    out: Annotated[Path, tyro.conf.arg(metavar="PATH")] = Path("sheet.png")
    """A file ending in .png."""
    seed: Annotated[tuple[str, ...], _seeds("0; 0-1 for a morph")] = ()
    """Whose face the views show; two or more that a morph passes through."""
    rows: Annotated[tuple[str, ...], _seeds("0-3")] = ()
    """Faces at the left of a matrix: 0-3 or 1,5,9."""
    columns: Annotated[tuple[str, ...], _seeds("4-7")] = ()
    """Faces along the top of a matrix, which the mixed layers come from."""
    group: Annotated[
        str | None, tyro.conf.arg(metavar="LAYERS", help_behavior_hint="(default: the look)")
    ] = None
    """Layers that a matrix mixes: coarse (or another group of the model), 0-3,7, or all."""
    weight: Annotated[float | None, _unless(f"{_DEFAULT.weight:g}", "SHARE")] = None
    """How much of the mixed layers: 1 takes them wholly, 0.5 meets half-way."""
    steps: Annotated[int | None, _unless(f"{_DEFAULT.steps}", "COUNT")] = None
    """Number of pictures of a morph."""
    mode: Annotated[MorphMode | None, _unless(_DEFAULT.mode)] = None
    """Way of a morph."""
    angles: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="YAW,PITCH", help_behavior_hint="(default: -40 -20 0 20 40)"),
    ] = ()
    """Sides of the views in degrees, such as -30 0 30, or 0,15 with a pitch."""
    per_line: Annotated[
        int | None,
        tyro.conf.arg(metavar="COUNT", help_behavior_hint="(default: all of up to eight)"),
    ] = None
    """Pictures in a line of a morph or of views."""
    cell: Annotated[
        int | None,
        tyro.conf.arg(metavar="PIXELS", help_behavior_hint="(default: the model's own)"),
    ] = None
    """Side of each picture, 16 to 8192."""
    transparent: Flag = False
    """Cut the background away where the model knows its opacity."""
    bare: Flag = False
    """Write no seeds and angles beside the pictures."""
    json: Flag = False
    """Print what was written as JSON."""

    def chosen(self, drawn: SheetOptions | None) -> SheetOptions:
        """The sheet that is asked for, checked.

        Args:
            drawn: the sheet to begin with, if one was given.

        Raises:
            UserError: a value out of range.
        """
        finite(weight=self.weight)
        base = drawn or _DEFAULT
        kind = self.kind or base.kind
        named = {
            "kind": self.kind,
            "rows": tuple(parse_seeds(self.rows)) if self.rows else None,
            "columns": tuple(parse_seeds(self.columns)) if self.columns else None,
            "layers": self.group,
            "weight": self.weight,
            "seeds": tuple(parse_seeds(self.seed)) if self.seed and kind == "morph" else None,
            "steps": self.steps,
            "mode": self.mode,
            "angles": read_angles(" ".join(self.angles)) if self.angles else None,
            "per_line": self.per_line,
            "cell": self.cell,
            "labels": False if self.bare else None,
        }
        given = {name: value for name, value in named.items() if value is not None}
        return replace(base, **given).checked()  # type: ignore[arg-type]


def _drawn(options: SheetCommand) -> SheetOptions | None:
    """The sheet that --from names, if it is one."""
    source = options.subject.source
    if source is None or source.suffix.lower() != ".png":
        return None
    from engine.export.sheet_files import read_sheet

    return read_sheet(source)


def run(words: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    options = parse(SheetCommand, words, "maquette sheet")
    chosen = options.chosen(_drawn(options))
    recipe = read_subject(options)
    if options.seed and chosen.kind == "views":
        seeds = parse_seeds(options.seed)
        if len(seeds) != 1:
            raise UserError(f"Views show one face; name one seed, not {len(seeds)}.")
        check_one_face(options)
        recipe = recipe.of_seed(seeds[0])
    if options.transparent:
        recipe = replace(recipe, transparent=True)
    out = options.out.expanduser()

    from engine.export.files import check_writable

    check_writable(check_sheet_name(out))
    generator, recipe = open_subject(options, recipe)

    from engine.draw import Painter
    from engine.export.sheet import export_sheet

    start = time.perf_counter()
    with progress("Drawing") as report:
        plan = export_sheet(Painter(generator), recipe, chosen, out, report)
    if options.json:
        facts = {
            "path": str(out),
            "kind": chosen.kind,
            "lines": plan.lines,
            "columns": plan.columns,
            "cell": plan.side,
            "pictures": [
                {"line": cell.line, "column": cell.column, "recipe": cell.recipe.to_json()}
                for cell in plan.cells
            ],
            "seconds_spent": round(time.perf_counter() - start, 3),
        }
        show_json(facts)
    else:
        say(str(out))
    return 0
