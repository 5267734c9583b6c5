"""What a person may choose for a sheet, and the plan that follows: which faces stand where.

Every field's text below is the help of a command-line option and the tooltip of a control.
Needs no torch, so that the window can check a sheet before it is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from engine.camera import MAX_PITCH
from engine.capabilities import Capabilities
from engine.errors import ExportError, UserError
from engine.identity import MAX_SEED, MAX_WEIGHT, MORPH_MODES, MorphMode, StyleSource, morph
from engine.recipe import MAX_SIZE, MIN_SIZE, Recipe

SheetKind = Literal["matrix", "morph", "views"]
#: Name -> what it shows, for people.
SHEETS: dict[str, str] = {
    "matrix": "every face of a row with layers of every face of a column",
    "morph": "pictures on the way from one face to another",
    "views": "one face from several sides",
}
#: Most pictures of one sheet, and most pixels: 600 MB while it is put together.
MAX_CELLS, MAX_PIXELS = 2_500, 200_000_000

Angle = tuple[float, float]
ANGLES: tuple[Angle, ...] = ((-40.0, 0.0), (-20.0, 0.0), (0.0, 0.0), (20.0, 0.0), (40.0, 0.0))


@dataclass(frozen=True)
class SheetOptions:
    """How to lay several pictures out in one.

    Attributes:
        kind: matrix (rows and columns of faces, mixed), morph (a strip from face to face) or
            views (one face from chosen sides).
        rows: seeds at the left of a matrix; each gives all layers but the mixed ones.
        columns: seeds along the top of a matrix; each gives the mixed layers.
        layers: which layers of a matrix are mixed: the name of a group such as coarse, or
            0-3,7, or all; empty takes those of the look.
        weight: how much of the mixed layers, 0 to 1; 1 takes them wholly.
        seeds: two or more faces that a morph passes through.
        steps: number of pictures of a morph, at least 2.
        mode: way of a morph: linear, spherical or spline.
        angles: yaw and pitch of each view, degrees.
        per_line: pictures in a line of a morph or of views; empty puts up to eight in one.
        cell: side of each picture in pixels, 16 to 8192; empty takes the model's own.
        labels: write seeds and angles beside the pictures.
    """

    kind: SheetKind = "matrix"
    rows: tuple[int, ...] = (0, 1, 2, 3)
    columns: tuple[int, ...] = (4, 5, 6, 7)
    layers: str | None = None
    weight: float = 1.0
    seeds: tuple[int, ...] = (0, 1)
    steps: int = 8
    mode: MorphMode = "linear"
    angles: tuple[Angle, ...] = ANGLES
    per_line: int | None = None
    cell: int | None = None
    labels: bool = True

    def checked(self) -> Self:
        """These options, if every value is in range.

        Raises:
            UserError: naming the value and the range.
        """
        if self.kind not in SHEETS:
            raise UserError(f"Unknown sheet {self.kind!r}; use one of {', '.join(SHEETS)}.")
        if self.cell is not None and not MIN_SIZE <= self.cell <= MAX_SIZE:
            raise UserError(
                f"The size of a picture must be {MIN_SIZE} to {MAX_SIZE} pixels, not {self.cell}."
            )
        if self.per_line is not None and not 1 <= self.per_line <= MAX_CELLS:
            raise UserError(f"A line must have 1 to {MAX_CELLS} pictures, not {self.per_line}.")
        if self.kind == "matrix":
            self._check_matrix()
        elif self.kind == "morph":
            self._check_morph()
        else:
            self._check_angles()
        if self.count > MAX_CELLS:
            raise UserError(
                f"A sheet holds at most {MAX_CELLS} pictures, not {self.count}; make it smaller."
            )
        return self

    def _check_matrix(self) -> None:
        if not self.rows or not self.columns:
            raise UserError(
                "A matrix needs at least one seed for its rows and one for its columns."
            )
        for seed in (*self.rows, *self.columns):
            if not 0 <= seed <= MAX_SEED:
                raise UserError(f"A seed must be 0 to {MAX_SEED}, not {seed}.")
        if not (math.isfinite(self.weight) and abs(self.weight) <= MAX_WEIGHT):
            raise UserError(
                f"The weight must be -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}, not {self.weight:g}."
            )

    def _check_morph(self) -> None:
        if not 2 <= self.steps <= MAX_CELLS:
            raise UserError(f"A morph strip has 2 to {MAX_CELLS} pictures, not {self.steps}.")
        if self.mode not in MORPH_MODES:
            raise UserError(f"Unknown morph {self.mode!r}; use one of {', '.join(MORPH_MODES)}.")
        morph(self.seeds, 1, self.mode)

    def _check_angles(self) -> None:
        if not self.angles:
            raise UserError("A sheet of views needs at least one angle, such as 30,0.")
        for yaw, pitch in self.angles:
            if not (math.isfinite(yaw) and math.isfinite(pitch) and abs(pitch) <= MAX_PITCH):
                raise UserError(
                    f"The angle {yaw:g},{pitch:g} is none: write yaw,pitch in degrees, with a "
                    f"pitch of -{MAX_PITCH:g} to {MAX_PITCH:g}."
                )

    @property
    def count(self) -> int:
        """How many pictures there are."""
        if self.kind == "matrix":
            return (len(self.rows) + 1) * (len(self.columns) + 1) - 1
        return self.steps if self.kind == "morph" else len(self.angles)


def read_angles(text: str) -> tuple[Angle, ...]:
    """Angles as people write them: ``"-30 0 30"`` (yaws) or ``"-30,0; 0,15"`` (yaw, pitch).

    Raises:
        UserError: something else stands there.
    """
    angles = []
    for word in text.replace(";", " ").split():
        parts = word.split(",")
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if not 1 <= len(numbers) <= 2:
            raise UserError(f"{word!r} is no angle; write yaw,pitch in degrees, such as 30,-10.")
        angles.append((numbers[0], numbers[1] if len(numbers) == 2 else 0.0))
    return tuple(angles)


def check_sheet_name(path: str | Path) -> Path:
    """``path``, if a sheet can have it.

    Raises:
        ExportError: it does not end in ``.png``.
    """
    where = Path(path)
    if where.suffix.lower() != ".png":
        raise ExportError(f"The sheet's name {where.name} must end in .png.")
    return where


@dataclass(frozen=True)
class SheetCell:
    """One picture of a sheet.

    Attributes:
        recipe: what it shows.
        line, column: where it stands, from 0.
        title: what is written below it, or nothing.
    """

    recipe: Recipe
    line: int
    column: int
    title: str = ""


@dataclass(frozen=True)
class SheetPlan:
    """What a sheet shows, before anything is drawn.

    Attributes:
        base: the recipe that is kept in the file.
        cells: the pictures, in the order of drawing.
        lines, columns: of pictures.
        side: of each picture, pixels.
        top, left: titles of the columns and of the lines of a matrix; empty elsewhere.
        corner: what a matrix mixes, for people.
    """

    base: Recipe
    cells: tuple[SheetCell, ...]
    lines: int
    columns: int
    side: int
    top: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    corner: str = ""


def plan_sheet(recipe: Recipe, options: SheetOptions, capabilities: Capabilities) -> SheetPlan:
    """Which faces stand where.

    A matrix begins with the pure faces: those of the columns along the top, those of the rows
    at the left, nothing in the corner. Layers that the recipe mixes in are kept by a morph and
    by views, and left out of a matrix, which has its own.

    Args:
        recipe: model, truncation, camera, view, quality; and whose face the views show.
        options: see :class:`SheetOptions`.
        capabilities: of the model.

    Raises:
        UserError: a value out of range, layers that the model lacks, or too large a sheet.
    """
    options.checked()
    side = options.cell or recipe.size or capabilities.resolution
    base = replace(recipe, size=side).checked()
    if options.kind == "matrix":
        plan = _matrix(base, options, capabilities)
    else:
        faces = tuple(_morph(base, options) if options.kind == "morph" else _views(base, options))
        columns = min(options.per_line or _even(len(faces)), len(faces))
        cells = tuple(
            SheetCell(face, *divmod(index, columns), title)
            for index, (face, title) in enumerate(faces)
        )
        plan = SheetPlan(base, cells, -(-len(faces) // columns), columns, side)
    if plan.lines * plan.columns * side * side > MAX_PIXELS:
        raise UserError(
            f"{plan.columns} x {plan.lines} pictures of {side} pixels make too large a sheet; take "
            "smaller pictures or fewer."
        )
    return plan


def _matrix(base: Recipe, options: SheetOptions, capabilities: Capabilities) -> SheetPlan:
    named = options.layers
    layers = capabilities.rows(named) if named else capabilities.look_rows

    def pure(seed: int) -> Recipe:
        return replace(base.of_seed(seed), mixes=())

    def cells() -> Iterator[SheetCell]:
        for column, seed in enumerate(options.columns, 1):
            yield SheetCell(pure(seed), 0, column)
        for line, own in enumerate(options.rows, 1):
            yield SheetCell(pure(own), line, 0)
            for column, other in enumerate(options.columns, 1):
                mixes = (StyleSource(other, layers, options.weight),)
                yield SheetCell(replace(pure(own), mixes=mixes), line, column)

    return SheetPlan(
        base,
        tuple(cells()),
        1 + len(options.rows),
        1 + len(options.columns),
        base.size or 0,
        tuple(f"seed {seed}" for seed in options.columns),
        tuple(f"seed {seed}" for seed in options.rows),
        f"{named} layers of the top row" if named else "look of the top row",
    )


def _morph(base: Recipe, options: SheetOptions) -> Iterator[tuple[Recipe, str]]:
    last = len(options.seeds) - 1
    for index, face in enumerate(morph(options.seeds, options.steps, options.mode)):
        place = index * last / (options.steps - 1)
        key, share = divmod(place, 1.0)
        title = f"{share:.0%}" if share else f"seed {options.seeds[int(key)]}"
        yield base.of_blend(face), title


def _views(base: Recipe, options: SheetOptions) -> Iterator[tuple[Recipe, str]]:
    for yaw, pitch in options.angles:
        pose = replace(base.pose, yaw=yaw, pitch=pitch)
        yield replace(base, pose=pose), f"yaw {yaw:g}°, pitch {pitch:g}°"


def _even(count: int) -> int:
    """Pictures in a line: all of up to eight, else lines of about equal length in a square."""
    return count if count <= 8 else math.ceil(math.sqrt(count))
