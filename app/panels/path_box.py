"""A box for a path, with buttons that ask the system's dialog."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dearpygui.dearpygui as dpg

from app.dialogs import Question, file_patterns
from app.kit import Kit
from app.typed_paths import keep_folder, kept_folder

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
        name: of the box for the tests, and of the folder that is remembered; its buttons end in
            ``_choose`` and ``_file``.
        tip: what the path is; the dialogs' title, too.
        told: is given what was typed or chosen.
        folder: whether it may be a folder. files: the endings of the files that it may be.
    """
    buttons = BUTTON * (bool(folder) + bool(files))
    with dpg.group(horizontal=True, horizontal_spacing=kit.px(4)):
        box = kit.box(name, width=-kit.px(buttons + 4), tip=tip, auto_select_all=True)
        kit.on_release(box, lambda: told(str(dpg.get_value(box)).strip()))

        def ask(a_folder: bool) -> None:
            typed = str(dpg.get_value(box)).strip()
            start = kept_folder(kit.studio.settings, name)
            with suppress(RuntimeError, ValueError, OSError):  # no path, or ~ and nobody's name
                if typed and Path(typed).expanduser().exists():
                    start = Path(typed).expanduser()
            patterns = () if a_folder else file_patterns(files, "Files")
            question = Question(tip, start=start, folder=a_folder, patterns=patterns)
            kit.dialogs.ask(question, chosen)

        def chosen(path: Path) -> None:
            keep_folder(kit.studio, name, path.parent)
            told(str(path))

        if folder:
            kit.button("Folder", lambda: ask(True), f"{name}_choose", "Choose a folder",
                       theme=kit.themes.quiet, width=kit.px(BUTTON - 4))  # fmt: skip
        if files:
            kit.button("File", lambda: ask(False), f"{name}_file", "Choose a file",
                       theme=kit.themes.quiet, width=kit.px(BUTTON - 4))  # fmt: skip
    return box
