"""The project's menu in the bar on top."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dearpygui.dearpygui as dpg

from app import commands
from app.chords import first_of
from app.kit import Kit
from app.studio import Studio


class ProjectMenu:
    """A button that shows whether changes are unsaved, and the menu below it."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._listed: tuple[str, ...] | None = None
        self.window = 0

    def build(self) -> None:
        """Create the button, inside the group that is open."""
        kit = self._kit
        self._button = kit.button(
            "Project", self.toggle, "project", theme=kit.themes.segment, width=kit.px(78)
        )
        self._tip = kit.name("project_tip", kit.tip(self._button, ""))

    def build_menu(self) -> None:
        """Create the menu, outside of all windows."""
        kit, desk = self._kit, self._kit.studio.desk
        with dpg.window(
            popup=True, show=False, no_title_bar=True, no_move=True, autosize=True,
            no_resize=True, min_size=(kit.px(200), 1),
        ) as window:  # fmt: skip
            self._item("New", desk.new, "project_new")
            self._item("Open ...", desk.ask_open, "project_open")
            with dpg.menu(label="Open recent") as recent:
                pass
            dpg.add_separator()
            self._item("Save", desk.save, "project_save")
            self._item("Save as ...", desk.ask_save_as, "project_save_as")
            dpg.add_separator()
            self._item("Quit", desk.close, "quit", "project_quit")
        self.window, self._recent = int(window), int(recent)

    def toggle(self) -> None:
        """Open the menu below its button."""
        left, _top = dpg.get_item_rect_min(self._button)
        _right, bottom = dpg.get_item_rect_max(self._button)
        dpg.configure_item(self.window, show=True, pos=[int(left), int(bottom) + self._kit.px(4)])

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, desk = self._kit, studio.desk
        label = "Project *" if desk.is_dirty else "Project"
        if dpg.get_item_label(self._button) != label:
            dpg.configure_item(self._button, label=label)
        where = str(desk.path) if desk.path else "Untitled, not saved yet"
        unsaved = "\nThere are changes that are not saved." if desk.is_dirty else ""
        kit.show_value(self._tip, where + unsaved)
        recent = studio.settings.recent_projects
        if recent != self._listed:
            self._listed = recent
            kit.clear(self._recent)
            for path in recent:
                item = dpg.add_menu_item(
                    label=Path(path).stem, parent=self._recent, user_data=path,
                    callback=self._open_recent,
                )  # fmt: skip
                kit.tip(int(item), path)
            kit.enable(self._recent, bool(recent))

    def _item(self, label: str, action: Callable[[], None], command: str, name: str = "") -> None:
        keys = first_of(commands.command(command).keys)
        item = int(dpg.add_menu_item(label=label, shortcut=keys, callback=lambda: action()))
        self._kit.tip(self._kit.name(name or command, item), commands.tip(command))

    def _open_recent(self, _sender: int, _value: object, path: str) -> None:
        self._kit.studio.desk.open(path)
