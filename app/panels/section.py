"""A part of a column that folds away below its heading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dearpygui.dearpygui as dpg

from app.kit import Kit, Panel
from app.studio import Studio


def always(_studio: Studio) -> bool:
    """For sections that every model has."""
    return True


class Section:
    """A heading, and a panel below it; a click on the heading folds and unfolds it. What is
    folded is remembered.

    Args:
        kit: what every panel is given.
        title: the heading.
        panel: what folds.
        applies: whether the section is there at all.
    """

    def __init__(
        self, kit: Kit, title: str, panel: Panel, applies: Callable[[Studio], bool] = always
    ) -> None:
        self._kit, self._panel, self._applies = kit, panel, applies
        self.title = title
        #: How the settings name it.
        self.key = title.lower().replace(" ", "_")

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with dpg.group() as whole:
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
                self._arrow = int(
                    dpg.add_button(
                        arrow=True, direction=dpg.mvDir_Down, callback=lambda: self.toggle()
                    )
                )
                dpg.bind_item_theme(self._arrow, kit.themes.fold)
                kit.tip(self._arrow, "Fold or unfold this section")
                head = kit.button(
                    self.title, self.toggle, f"fold_{self.key}", "Fold or unfold this section",
                    theme=kit.themes.fold, width=-1,
                )  # fmt: skip
                dpg.bind_item_font(head, kit.fonts.strong)
            with dpg.group() as body:
                self._panel.build()
            dpg.add_separator()
        self._whole, self._body = int(whole), int(body)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, folded = self._kit, self.key in studio.settings.folded
        kit.show(self._whole, self._applies(studio))
        kit.show(self._body, not folded)
        direction = dpg.mvDir_Right if folded else dpg.mvDir_Down
        dpg.configure_item(self._arrow, direction=direction)
        self._panel.update(studio)

    def toggle(self) -> None:
        """Fold it, or unfold it."""
        self.fold(self.key not in self._kit.studio.settings.folded)

    def fold(self, folded: bool) -> None:
        """Fold it or not, and remember that."""
        studio = self._kit.studio
        others = tuple(key for key in studio.settings.folded if key != self.key)
        chosen = (*others, self.key) if folded else others
        studio.change_settings(replace(studio.settings, folded=chosen))
