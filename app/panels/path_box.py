"""A box for a path, with buttons that ask the system's dialog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dearpygui.dearpygui as dpg

from app.dialogs import Question, file_patterns
from app.kit import Kit

#: Width of a button and the gap before it, at a scale of 1, pixels.
BUTTON = 58


def path_box(
    kit: Kit,
    name: str,
    tip: str,
    told: Callable[[str], None],
    folder: bool,
    files: tuple[str, ...] = (),
) -> int:
    """Add a box that fills the line; returns its item.

    Args:
        kit: what every panel is given.
        name: of the box for the tests; its buttons end in ``_choose`` and ``_file``.
        tip: what the path is; the dialogs' title, too.
        told: is given what was typed or chosen.
        folder: whether it may be a folder. files: the endings of the files that it may be.
    """
    buttons = BUTTON * (bool(folder) + bool(files))
    with dpg.group(horizontal=True, horizontal_spacing=kit.px(4)):
        box = kit.box(name, width=-kit.px(buttons + 4), tip=tip, auto_select_all=True)
        kit.on_release(box, lambda: told(str(dpg.get_value(box)).strip()))

        def ask(a_folder: bool) -> None:
            typed = Path(str(dpg.get_value(box)).strip() or "~").expanduser()
            start = typed if typed.exists() else Path.home()
            patterns = () if a_folder else file_patterns(files, "Files")
            question = Question(tip, start=start, folder=a_folder, patterns=patterns)
            kit.dialogs.ask(question, lambda path: told(str(path)))

        if folder:
            kit.button("Folder", lambda: ask(True), f"{name}_choose", "Choose a folder",
                       theme=kit.themes.quiet, width=kit.px(BUTTON - 4))  # fmt: skip
        if files:
            kit.button("File", lambda: ask(False), f"{name}_file", "Choose a file",
                       theme=kit.themes.quiet, width=kit.px(BUTTON - 4))  # fmt: skip
    return box
