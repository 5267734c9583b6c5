"""Writes down, inside the running window, what :class:`app.held.Held` and the toolkit say of one
place of the mouse, so that a test can set the two side by side.

With ``MAQUETTE_TEST_HELD=FILE`` each line of that file is ``["held" or "toolkit", x, value]``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app.held import Held

VARIABLE = "MAQUETTE_TEST_HELD"


def note_held() -> None:
    """Write down both if the environment says where."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    file = Path(path)
    take: Any = Held.take
    place = [0.0]

    def note(kind: str, x: float, value: float) -> None:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps([kind, x, value]) + "\n")

    def and_note(held: Held, item: int, change: Callable[[float], None]) -> None:
        def told(value: float) -> None:
            note("held", place[0], value)
            change(value)

        take(held, item, told)
        note("toolkit", held._mouse()[0], _value(item))

    move: Any = Held.move

    def with_place(held: Held, x: float, y: float) -> None:
        place[0] = x
        move(held, x, y)

    Held.take = and_note  # type: ignore[method-assign]
    Held.move = with_place  # type: ignore[method-assign]


def _value(item: int) -> float:
    return float(dpg.get_value(item))
