"""A part of a column, or of a window of its own, that folds away below its heading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import dearpygui.dearpygui as dpg

from app.geometry import Rect
from app.kit import Kit, Panel
from app.studio import Studio

ABOUT = (
    "Click: fold or unfold. Drag: to another place, to the other column, or out over the picture. "
    "Right-click: menu."
)
#: Widths of the small buttons at the right of the heading, at a scale of 1, pixels.
BUTTON, GAP = 26, 2


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
        #: Whoever moves the section sets these: opens its menu, and docks it again.
        self.show_menu: Callable[[], None] = lambda: None
        self.dock: Callable[[], None] = lambda: None
        #: A drag of the heading is not a click on it.
        self.may_fold: Callable[[], bool] = lambda: True

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with dpg.group() as whole:
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(GAP)):
                self._arrow = int(
                    dpg.add_button(
                        arrow=True, direction=dpg.mvDir_Down, callback=lambda: self._clicked()
                    )
                )
                dpg.bind_item_theme(self._arrow, kit.themes.fold)
                kit.tip(self._arrow, "Fold or unfold this section")
                self.head = kit.button(
                    self.title, self._clicked, f"fold_{self.key}", ABOUT, theme=kit.themes.fold,
                    width=-kit.px(BUTTON + GAP),
                )  # fmt: skip
                dpg.bind_item_font(self.head, kit.fonts.strong)
                kit.button(
                    "...", lambda: self.show_menu(), f"menu_{self.key}",
                    "Move, float, fold: what can be done with this section",
                    theme=kit.themes.section, width=kit.px(BUTTON),
                )  # fmt: skip
                self._close = kit.button(
                    "×", lambda: self.dock(), f"dock_{self.key}",
                    "Back into its column", theme=kit.themes.section, width=kit.px(BUTTON),
                )  # fmt: skip
                dpg.configure_item(self._close, show=False)
            with dpg.group() as body:
                self._panel.build()
            dpg.add_separator()
        self.whole, self._body = int(whole), int(body)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, folded = self._kit, self.is_folded
        kit.show(self.whole, self._applies(studio))
        kit.show(self._body, not folded)
        direction = dpg.mvDir_Right if folded else dpg.mvDir_Down
        dpg.configure_item(self._arrow, direction=direction)
        self._panel.update(studio)

    def show_floating(self, floats: bool) -> None:
        """Show what a floating section has and another has not."""
        self._kit.show(self._close, floats)
        buttons = 2 if floats else 1
        dpg.configure_item(self.head, width=-self._kit.px(buttons * (BUTTON + GAP)))

    @property
    def applies(self) -> bool:
        """Whether it is there at all, now."""
        return self._applies(self._kit.studio)

    @property
    def is_folded(self) -> bool:
        """Whether only the heading is shown."""
        return self.key in self._kit.studio.settings.folded

    @property
    def is_held(self) -> bool:
        """Whether the mouse has just pressed the heading, and nothing above it."""
        return bool(dpg.is_item_visible(self.head) and dpg.is_item_hovered(self.head))

    @property
    def box(self) -> Rect:
        """Where it lies in the window, all of it."""
        left, top = dpg.get_item_rect_min(self.whole)
        width, height = dpg.get_item_rect_size(self.whole)
        return Rect(left, top, width, height)

    def toggle(self) -> None:
        """Fold it, or unfold it."""
        self.fold(not self.is_folded)

    def fold(self, folded: bool) -> None:
        """Fold it or not, and remember that."""
        studio = self._kit.studio
        others = tuple(key for key in studio.settings.folded if key != self.key)
        chosen = (*others, self.key) if folded else others
        studio.change_settings(replace(studio.settings, folded=chosen))

    def _clicked(self) -> None:
        if self.may_fold():
            self.toggle()
