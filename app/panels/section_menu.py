"""What can be done with a section, without dragging it: the menu of its heading."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app.kit import Kit

Action = Callable[[str], None]


class SectionMenu:
    """One menu for all sections, opened at the mouse.

    Args:
        kit: what every panel is given.
        actions: name -> what it does with the section of a key.
    """

    def __init__(self, kit: Kit, actions: dict[str, Action]) -> None:
        self._kit, self._actions = kit, actions
        self._items: dict[str, int] = {}
        self._key = ""
        self.window = 0

    def build(self) -> None:
        """Create the items, outside of all windows."""
        with dpg.window(
            popup=True, show=False, no_title_bar=True, no_move=True, autosize=True,
            no_resize=True, min_size=(self._kit.px(180), 1),
        ) as window:  # fmt: skip
            self._item("up", "Move up", "One place up in its column")
            self._item("down", "Move down", "One place down in its column")
            self._item(
                "across", "To the other column", "To the end of the column on the other side"
            )
            self._item("float", "Float", "Into a window of its own, which can be moved anywhere")
            self._item("dock", "Back into its column", "No window of its own any more")
            dpg.add_separator()
            self._item("fold", "Fold", "Show the heading only, or all of it")
            self._item("alone", "Fold all others", "Show the headings only of all other sections")
        self.window = int(window)

    def open(self, key: str, can: dict[str, bool], folded: bool) -> None:
        """Open it for a section.

        Args:
            key: of the section.
            can: name -> whether it can be done now.
            folded: whether the section is folded.
        """
        self._key = key
        for name, item in self._items.items():
            self._kit.enable(item, can.get(name, True))
        for name, item in (("float", False), ("dock", True)):
            self._kit.show(self._items[name], can["dock"] is item)
        dpg.configure_item(self._items["fold"], label="Unfold" if folded else "Fold")
        x, y = dpg.get_mouse_pos(local=False)
        wide, tall = self._kit.px(190), self._kit.px(220)
        left = min(int(x), dpg.get_viewport_client_width() - wide)
        top = min(int(y), dpg.get_viewport_client_height() - tall)
        dpg.configure_item(self.window, show=True, pos=[max(left, 0), max(top, 0)])

    def _item(self, name: str, label: str, tip: str) -> None:
        kit = self._kit
        item = int(dpg.add_menu_item(label=label, callback=lambda: self._actions[name](self._key)))
        kit.tip(kit.name(f"section_{name}", item), tip)
        self._items[name] = item
