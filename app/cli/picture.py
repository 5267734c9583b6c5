"""What ``maquette inspect`` says about a picture or a sheet."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.cli.project import recipe_lines
from engine.export.picture import read_recipe
from engine.export.sheet_files import read_sheet, sheet_title
from engine.export.sheet_options import SheetOptions


def describe_picture(path: str | Path) -> dict[str, Any]:
    """Plain facts about a picture, fit for JSON; ``sheet`` is ``None`` of a single one.

    Raises:
        UserError: it cannot be read, or holds no recipe.
    """
    recipe, sheet = read_recipe(path), read_sheet(path)
    return {
        "path": str(Path(path).expanduser()),
        "recipe": recipe.to_json(),
        "sheet": None if sheet is None else asdict(sheet),
    }


def picture_lines(path: str | Path) -> list[str]:
    """The same for people.

    Raises:
        UserError: it cannot be read, or holds no recipe.
    """
    recipe, sheet = read_recipe(path), read_sheet(path)
    lines = [f"file         {Path(path).expanduser()}"]
    if sheet is not None:
        lines += [f"sheet        {sheet_title(sheet)}", *_layout(sheet), "of the recipe"]
    return lines + recipe_lines(recipe)


def _layout(sheet: SheetOptions) -> list[str]:
    if sheet.kind == "matrix":
        whole = "" if sheet.weight == 1 else f", by {sheet.weight:g}"
        return [
            f"rows         seeds {_list(sheet.rows)}",
            f"columns      seeds {_list(sheet.columns)}",
            f"layers       {sheet.layers or 'the look'} of the columns{whole}",
        ]
    if sheet.kind == "morph":
        return [f"faces        seeds {_list(sheet.seeds)}, {sheet.mode}, {sheet.steps} steps"]
    angles = "; ".join(f"{yaw:g},{pitch:g}" for yaw, pitch in sheet.angles)
    return [f"angles       {angles} (yaw,pitch)"]


def _list(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))
