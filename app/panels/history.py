"""The list of all steps: where the work stands, back or forward to any of them, and any of them
as the reference to compare with."""

from __future__ import annotations

from typing import Any

import dearpygui.dearpygui as dpg

from app.commands import tip
from app.kit import Kit
from app.panels.popup import Popup
from app.studio import Studio

SIZE = (280, 420)
#: Steps on one page: what lies further away is reached by the buttons above and below.
PAGE = 100
#: Of one step, at a scale of 1, pixels: where the present one is scrolled to.
ROW_HEIGHT = 24
RIGHT_BUTTON = 1


class HistoryWindow(Popup):
    """Opened beside the picture; a click on a step goes there."""

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit, SIZE)
        self._rows: list[int] = []
        self._shown: tuple[object, ...] = ()
        #: First place on the page; ``None`` follows the present one.
        self._first: int | None = None

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with dpg.item_handler_registry() as registry:
            dpg.add_item_clicked_handler(RIGHT_BUTTON, callback=self._right_clicked)
        self._handlers = int(registry)
        with dpg.window(
            label="History", show=False, no_collapse=True, width=kit.px(SIZE[0]),
            height=kit.px(SIZE[1]), min_size=(kit.px(200), kit.px(200)),
        ) as window:  # fmt: skip
            with dpg.group(horizontal=True):
                self._undo = kit.button("Undo", kit.studio.undo, "history_undo", tip("undo"))
                self._redo = kit.button("Redo", kit.studio.redo, "history_redo", tip("redo"))
                self._count = kit.text("", theme=kit.themes.muted, font=kit.fonts.small)
            dpg.add_separator()
            with dpg.child_window(border=False) as scroll:
                self._earlier = kit.button(
                    "Earlier steps", self._go_earlier, tip="What came before these", width=-1
                )
                for row in range(PAGE):
                    item = int(dpg.add_selectable(label="", show=False, callback=self._chosen))
                    self._rows.append(kit.name(f"history_{row}", item))
                    kit.tip(
                        item,
                        "Click: go to this step, back or forward. Right-click: pin it as the "
                        "reference, to compare with it.",
                    )
                    dpg.bind_item_handler_registry(item, registry)
                self._later = kit.button(
                    "Later steps", self._go_later, tip="What comes after these", width=-1
                )
        self.window, self._scroll = int(window), int(scroll)

    def toggle(self) -> None:
        """Open or close it."""
        super().toggle()
        if self.is_open:
            # Over the left edge of the picture, where it hides least.
            top, left = self._kit.px(64), self._kit.px(304)
            dpg.set_item_pos(self.window, [left, top])
            self.update(self._kit.studio)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        if not self.is_open:
            return
        kit, history = self._kit, studio.history
        place, total = len(history.past), len(history.past) + len(history.future)
        following = (place, total)
        if following != self._shown[:2]:
            self._first = None
        first = self._first
        if first is None:
            first = max(0, min(place - PAGE // 2, total + 1 - PAGE))
        last = min(first + PAGE - 1, total)
        names = tuple(history.name_of(k) if k else "Start" for k in range(first, last + 1))
        state = (place, total, first, names)
        if state == self._shown:
            return
        moved = following != self._shown[:2]
        self._shown = state
        kit.enable(self._undo, history.can_undo)
        kit.enable(self._redo, history.can_redo)
        kit.show_value(self._count, f"{place} of {total} steps")
        kit.show(self._earlier, first > 0)
        kit.show(self._later, first + PAGE <= total)
        for row, item in enumerate(self._rows):
            if row >= len(names):
                kit.show(item, False)
                continue
            here = first + row
            # A step that is undone is dim.
            label = f"{here}   {names[row]}" if here else names[row]
            dpg.configure_item(item, label=label, show=True, user_data=here)
            dpg.set_value(item, here == place)
            dpg.bind_item_theme(item, kit.themes.muted if here > place else 0)
        if moved:
            target = (place - first) * kit.px(ROW_HEIGHT) - kit.px(SIZE[1] / 3)
            dpg.set_y_scroll(self._scroll, max(0, target))

    def _chosen(self, sender: int, _value: bool, place: int) -> None:
        dpg.set_value(sender, place == len(self._kit.studio.history.past))
        self._kit.studio.go_to(place)

    def _right_clicked(self, _sender: int, clicked: Any) -> None:
        place = dpg.get_item_user_data(clicked[1])
        assert isinstance(place, int)
        self._kit.studio.compare.pin_step(place)

    def delete(self) -> None:
        """Take away what is no part of the window."""
        dpg.delete_item(self._handlers)

    def _go_earlier(self) -> None:
        self._turn(-PAGE)

    def _go_later(self) -> None:
        self._turn(PAGE)

    def _turn(self, by: int) -> None:
        history = self._kit.studio.history
        total = len(history.past) + len(history.future)
        first = self._shown[2]
        assert isinstance(first, int)
        self._first = max(0, min(first + by, total + 1 - PAGE))
        self.update(self._kit.studio)
