"""Several pictures in one: mixing matrices, morph strips, contact sheets of views."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import font_roboto
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engine.draw import Painter
from engine.export.files import check_writable
from engine.export.picture import save_picture
from engine.export.sheet_files import SHEET_KEY, sheet_note, sheet_title
from engine.export.sheet_options import SheetOptions, SheetPlan, check_sheet_name, plan_sheet
from engine.generators.base import NEVER, CancelToken
from engine.recipe import Recipe

Progress = Callable[[int, int], None]
Pixels = NDArray[np.uint8]

#: Paper, and ink on it. Ink on nothing is a grey that can be read on black and on white.
PAPER, INK, CLEAR_INK = (18, 20, 23), (228, 231, 235), (128, 134, 144)


def _no_progress(done: int, total: int) -> None:
    pass


class SheetLayout:
    """Where the pictures of a plan lie, in pixels of the sheet.

    Labels have strips of their own and never cover a picture.

    Attributes:
        gap: between two pictures.
        font: height of the letters; 0 without labels.
        strip: height (or width, at the left) of a strip of labels; 0 without labels.
    """

    def __init__(self, plan: SheetPlan, labels: bool) -> None:
        self._plan = plan
        self.gap = max(2, plan.side // 64)
        self.font = min(max(10, round(plan.side * 0.075)), 28) if labels else 0
        self.strip = round(self.font * 1.7)
        self._left = self.strip if plan.left else 0
        self._top = self.strip if plan.top else 0
        under = any(cell.title for cell in plan.cells)
        self._pitch = plan.side + self.gap, plan.side + self.gap + (self.strip if under else 0)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        width = self._left + self._plan.columns * self._pitch[0] + self.gap
        return width, self._top + self._plan.lines * self._pitch[1] + self.gap

    def place(self, line: int, column: int) -> tuple[int, int]:
        """The upper left corner of a picture."""
        return (
            self._left + self.gap + column * self._pitch[0],
            self._top + self.gap + line * self._pitch[1],
        )


def export_sheet(
    painter: Painter,
    recipe: Recipe,
    options: SheetOptions,
    path: str | Path,
    progress: Progress = _no_progress,
    cancel: CancelToken = NEVER,
) -> SheetPlan:
    """Draw a sheet and write it, with the recipe of its base and the options inside.

    Args:
        painter: holds the generator.
        recipe: model, camera, truncation, view, quality, and whose face the views show.
        options: see :class:`~engine.export.sheet_options.SheetOptions`.
        path: a ``.png`` file.
        progress: called with (pictures drawn, all pictures) after each one.
        cancel: checked between ray chunks and between pictures.

    Returns:
        What was drawn.

    Raises:
        UserError: an option or the recipe is out of range.
        ExportError: the target cannot be written.
        Cancelled: nothing was written.
    """
    target = check_writable(check_sheet_name(path))
    plan = plan_sheet(recipe, options, painter.generator.capabilities)
    pixels = draw_sheet(painter, plan, options.labels, progress, cancel)
    cancel.check()
    notes = {"Title": sheet_title(options), SHEET_KEY: sheet_note(options)}
    save_picture(pixels, target, plan.base, notes=notes)
    return plan


def draw_sheet(
    painter: Painter,
    plan: SheetPlan,
    labels: bool = True,
    progress: Progress = _no_progress,
    cancel: CancelToken = NEVER,
) -> Pixels:
    """``[H, W, 3]`` or, of a transparent recipe, ``[H, W, 4]`` uint8: each picture as
    :meth:`Painter.pictures` draws it in the order of the cells, at the places of :class:`SheetLayout`.

    Raises:
        UserError: a recipe is out of range, or the model drew NaN.
        Cancelled: it was stopped.
    """
    layout = SheetLayout(plan, labels)
    width, height = layout.size
    clear = plan.base.transparent
    sheet: Pixels = np.zeros((height, width, 4 if clear else 3), np.uint8)
    if not clear:
        sheet[:] = PAPER
    # Faces that stand in the top and at the left, too, are drawn once.
    wanted = Counter(cell.recipe for cell in plan.cells)
    drawing = painter.pictures(list(wanted), cancel)
    drawn: dict[Recipe, Pixels] = {}
    for done, cell in enumerate(plan.cells):
        progress(done, len(plan.cells))
        x, y = layout.place(cell.line, cell.column)
        if (pixels := drawn.get(cell.recipe)) is None:
            pixels = next(drawing).pixels.numpy()
            if wanted[cell.recipe] > 1:
                drawn[cell.recipe] = pixels
        sheet[y : y + plan.side, x : x + plan.side] = pixels
    if labels:
        sheet = _labelled(sheet, plan, layout, CLEAR_INK if clear else INK)
    progress(len(plan.cells), len(plan.cells))
    return sheet


def _labelled(
    sheet: Pixels, plan: SheetPlan, layout: SheetLayout, ink: tuple[int, int, int]
) -> Pixels:
    image = Image.fromarray(sheet)
    side, strip = plan.side, layout.strip
    for column, text in enumerate(plan.top, 1):
        _write(image, text, (layout.place(0, column)[0], 0), (side, strip), layout.font, ink)
    for line, text in enumerate(plan.left, 1):
        at = (0, layout.place(line, 0)[1])
        _write(image, text, at, (side, strip), layout.font, ink, upright=True)
    for cell in plan.cells:
        x, y = layout.place(cell.line, cell.column)
        if cell.title:
            _write(image, cell.title, (x, y + side), (side, strip), layout.font, ink)
    if plan.corner:
        x, y = layout.place(0, 0)
        at = (x, y + side // 2 - strip // 2)
        _write(image, plan.corner, at, (side, strip), layout.font, ink)
    return np.asarray(image)


def _write(
    image: Image.Image,
    text: str,
    at: tuple[int, int],
    box: tuple[int, int],
    size: int,
    ink: tuple[int, int, int],
    upright: bool = False,
) -> None:
    """A line of text in the middle of a box ``(length, height)``, made smaller where it is too
    long; ``upright`` turns it to run from below to above."""
    length, height = box
    face = Path(font_roboto.__file__).parent / "files" / "Roboto-Regular.ttf"
    font = ImageFont.truetype(str(face), size)
    room = length - 4
    if (wide := font.getlength(text)) > room:
        font = ImageFont.truetype(str(face), max(6, math.floor(size * room / wide)))
    mask = Image.new("L", (length, height))
    ImageDraw.Draw(mask).text((length / 2, height / 2), text, fill=255, font=font, anchor="mm")
    if upright:
        mask = mask.transpose(Image.Transpose.ROTATE_90)
    filled = Image.new(image.mode, mask.size, (*ink, 255) if image.mode == "RGBA" else ink)
    image.paste(filled, at, mask)
