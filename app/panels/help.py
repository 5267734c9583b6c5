"""The list of shortcuts and of what the mouse does."""

from __future__ import annotations

import itertools

import dearpygui.dearpygui as dpg

from app.kit import Kit
from app.panels.popup import Popup
from app.shortcuts import MOUSE, SHORTCUTS, Shortcut


class HelpWindow(Popup):
    """Opened by F1 or ?; made from the one table of shortcuts."""

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit, (960, 480))

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with dpg.window(
            label="Shortcuts", show=False, no_resize=True, no_collapse=True, autosize=True,
        ) as window:  # fmt: skip
            groups = [
                (name, list(members))
                for name, members in itertools.groupby(SHORTCUTS, lambda s: s.group)
            ]
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(36)):
                with dpg.group():
                    self._table(*groups[0])
                with dpg.group():
                    for name, members in groups[1:3]:
                        self._table(name, members)
                        dpg.add_spacer(height=kit.px(4))
                    self._mouse()
                with dpg.group():
                    for name, members in groups[3:]:
                        self._table(name, members)
                        dpg.add_spacer(height=kit.px(4))
        self.window = int(window)

    def _table(self, name: str, members: list[Shortcut]) -> None:
        self._lines(name, [(s.keys, s.text) for s in members], 112)

    def _mouse(self) -> None:
        self._lines("Mouse", list(MOUSE), 150)

    def _lines(self, name: str, lines: list[tuple[str, str]], width: int) -> None:
        kit = self._kit
        kit.text(name, font=kit.fonts.strong, theme=kit.themes.accent)
        for keys, text in lines:
            with dpg.group(horizontal=True, xoffset=kit.px(width)):
                kit.text(keys, theme=kit.themes.heading)
                kit.text(text, theme=kit.themes.muted)
