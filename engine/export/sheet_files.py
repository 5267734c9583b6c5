"""What a sheet's file says of the sheet: beside the recipe of its base the options by which it
was laid out, so that it can be told from a single picture and drawn again.

Needs no torch.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.export.picture import read_note
from engine.export.sheet_options import SHEETS, SheetOptions

#: Name of the PNG's text chunk, and what its JSON names itself.
SHEET_KEY = "maquette-sheet"
SHEET_FORMAT = "maquette-sheet/1"


def sheet_note(options: SheetOptions) -> str:
    """The JSON that is kept in a sheet; :func:`read_sheet` is its inverse."""
    return json.dumps({"format": SHEET_FORMAT, **asdict(options)}, allow_nan=False)


def read_sheet(path: str | Path) -> SheetOptions | None:
    """The options of a sheet; ``None`` of a picture that is none. No pixel is decoded.

    Raises:
        UserError: the file cannot be read, or what it says of a sheet is damaged or newer.
    """
    text = read_note(path, SHEET_KEY)
    if text is None:
        return None
    try:
        data: Any = json.loads(text)
        if not isinstance(data, dict) or data.pop("format", None) != SHEET_FORMAT:
            raise UserError(f"{path} is a sheet that this version of Maquette does not know.")
        if data.keys() != {field.name for field in fields(SheetOptions)}:
            raise ValueError("entries are missing or unknown")
        return SheetOptions(
            kind=data["kind"],
            rows=tuple(map(int, data["rows"])),
            columns=tuple(map(int, data["columns"])),
            layers=None if data["layers"] is None else str(data["layers"]),
            weight=float(data["weight"]),
            seeds=tuple(map(int, data["seeds"])),
            steps=int(data["steps"]),
            mode=data["mode"],
            angles=tuple((float(yaw), float(pitch)) for yaw, pitch in data["angles"]),
            per_line=None if data["per_line"] is None else int(data["per_line"]),
            cell=None if data["cell"] is None else int(data["cell"]),
            labels=bool(data["labels"]),
        ).checked()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(f"What {path} says of its sheet is damaged ({error}).") from error


def sheet_title(options: SheetOptions) -> str:
    """One line for people: what a sheet shows."""
    return f"sheet of {options.count} pictures: {SHEETS[options.kind]}"
