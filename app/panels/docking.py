"""The columns and the floating windows: puts the sections where the layout says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import dearpygui.dearpygui as dpg

from app.commands import with_keys
from app.dock import COLUMNS, FLOAT_LEAST, FLOAT_MOST, Column, Dock, fit_float
from app.geometry import Extents, Layout, Rect, widest
from app.kit import Kit
from app.panels.section import Section
from app.panels.section_menu import SectionMenu

#: Of a floating window while it is folded, and its padding, at a scale of 1, pixels.
FOLDED_HEIGHT, PADDING = 52, 12
#: How far into the picture the menu's "Float" puts a window.
INSET = 24


class Docking:
    """Shows a :class:`~app.dock.Dock`, and changes it.

    Args:
        kit: what every panel is given.
        left, right: the sections, where they stand by default.
    """

    def __init__(self, kit: Kit, left: Sequence[Section], right: Sequence[Section]) -> None:
        self._kit = kit
        self._defaults = [section.key for section in left], [section.key for section in right]
        self.sections = {section.key: section for section in (*left, *right)}
        #: What is shown; it runs ahead of the settings while the mouse drags.
        self.dock = kit.studio.settings.dock.completed(*self._defaults)
        #: Grows whenever the window has to be laid out anew.
        self.revision = 0
        self.layout: Layout | None = None
        self._columns: dict[Column, int] = {}
        self._windows: dict[str, int] = {}
        self._placed: dict[str, Rect] = {}
        self._seen: object = None
        #: Tab bars that forget their tab on moving: item, tab, frame from which it can be set.
        self._tabs: list[tuple[int, int, int]] = []
        self.menu = SectionMenu(
            kit,
            {
                "up": lambda key: self.change(self.dock.shifted(key, -1, self._unseen)),
                "down": lambda key: self.change(self.dock.shifted(key, 1, self._unseen)),
                "across": lambda key: self.change(self.dock.across(key)),
                "float": self.float_out,
                "dock": lambda key: self.change(self.dock.returned(key)),
                "fold": lambda key: self.sections[key].toggle(),
                "alone": self.fold_others,
            },
        )
        for key, section in self.sections.items():
            section.show_menu, section.dock = self._opener(key), self._docker(key)

    def build(self, columns: dict[Column, int]) -> None:
        """Begin with the sections built in the columns where they stand by default."""
        self._columns = columns
        self.menu.build()
        self._rearrange()
        if self.dock.hidden:
            self.say_hidden()

    # Changes ----------------------------------------------------------------------------

    def show(self, dock: Dock) -> None:
        """Show another layout, without remembering it yet."""
        dock = dock.completed(*self._defaults)
        if dock != self.dock:
            self.dock = dock
            self._rearrange()

    def change(self, dock: Dock) -> None:
        """Show another layout and remember it."""
        self.show(dock)
        studio = self._kit.studio
        studio.change_settings(replace(studio.settings, dock=self.dock))

    def reset(self) -> None:
        """Everything at its default place."""
        self.show(Dock())
        studio = self._kit.studio
        studio.change_settings(replace(studio.settings, dock=Dock()))
        self.say_hidden()

    def toggle_columns(self) -> None:
        """Hide the columns and the floating windows, or show them."""
        self.change(replace(self.dock, hidden=not self.dock.hidden))
        self.say_hidden()

    def say_hidden(self) -> None:
        """Tell how to get back columns that are hidden."""
        studio = self._kit.studio
        if self.dock.hidden:
            studio.say(
                with_keys("The columns are hidden; show them again", "columns"), key="columns"
            )
        else:
            studio.notices.close_key("columns")
            studio.touch()

    def reveal(self, key: str) -> None:
        """Bring a section before the eyes: unfolded, in a column that is shown, scrolled to."""
        section = self.sections[key]
        section.fold(False)
        if self.dock.hidden:
            self.toggle_columns()
        if key in self._windows:
            dpg.focus_item(self._windows[key])
        elif (there := self.dock.place_of(key)) is not None and self.layout is not None:
            area: Rect = getattr(self.layout, there[0])
            box = section.box
            if box.y < area.y or box.bottom > area.bottom:
                self.scroll(there[0], int(box.y - area.y) - self._kit.px(PADDING))

    def fold_others(self, key: str) -> None:
        """Fold every section but one."""
        for section in self.sections.values():
            section.fold(section.key != key)

    def float_out(self, key: str) -> None:
        """Give a section a window of its own, over the picture beside its column."""
        if self.layout is None:
            return
        area, box = self.layout.viewport, self.size_of(key)
        there = self.dock.place_of(key)
        step = self._kit.px(INSET) * (1 + len(self.dock.floating))
        right = there is not None and there[0] == "right"
        x = area.right - box.width - step if right else area.x + step
        self.float_at(key, Rect(x, area.y + step, box.width, box.height))

    def float_at(self, key: str, box: Rect) -> None:
        """Give a section a window of its own at a place in the window, pixels."""
        scale = self._kit.scale
        place = self._fitted(box)
        self.change(
            self.dock.floated(
                key,
                Rect(place.x / scale, place.y / scale, place.width / scale, place.height / scale),
            )
        )

    def size_of(self, key: str) -> Rect:
        """How large the floating window of a section is, or would be, pixels."""
        kit, window = self._kit, self.dock.floating_of(key)
        if window is not None:
            return Rect(0, 0, kit.px(window.width), kit.px(window.height))
        box, column = self.sections[key].box, self.dock.place_of(key)
        width = self.dock.right_width if column and column[0] == "right" else self.dock.left_width
        # A folded section is given a height to unfold to.
        tall = kit.px(320) if self.sections[key].is_folded else box.height + 2 * kit.px(PADDING)
        return Rect(0, 0, kit.px(width), min(tall, self._room.height * 0.8))

    # Showing ----------------------------------------------------------------------------

    @property
    def extents(self) -> Extents:
        """How much room the columns ask for."""
        dock = self.dock
        return Extents(
            dock.left_width if self.shown("left") else None,
            dock.right_width if self.shown("right") else None,
            dock.timeline_height, dock.hidden,
        )  # fmt: skip

    def shown(self, column: Column) -> tuple[Section, ...]:
        """The sections of a column that are to be seen, from top to bottom."""
        sections = (self.sections[key] for key in self.dock.column(column))
        return tuple(section for section in sections if section.applies)

    def widest(self, column: Column) -> float:
        """How wide a column can be made now, in pixels at a scale of 1."""
        if self.layout is None:
            return 0.0
        extents, width = self.extents, int(self.layout.toolbar.width)
        other = extents.right if column == "left" else extents.left
        return widest(width, self._kit.scale, extents, other)

    def scroll(self, column: Column, by: int) -> None:
        """Scroll a column by so many pixels, within its limits."""
        window = self._columns[column]
        now, most = dpg.get_y_scroll(window), dpg.get_y_scroll_max(window)
        dpg.set_y_scroll(window, min(max(now + by, 0), most))

    def place(self, layout: Layout) -> None:
        """Follow the size of the window: put the floating windows into it."""
        self.layout = layout
        kit = self._kit
        for one in self.dock.floating:
            section, window = self.sections[one.key], self._windows[one.key]
            wished = Rect(*(kit.px(side) for side in (one.x, one.y, one.width, one.height)))
            box = self._fitted(wished)
            folded = section.is_folded
            height = kit.px(FOLDED_HEIGHT) if folded else box.height
            dpg.configure_item(
                window, pos=(int(box.x), int(box.y)), width=int(box.width), height=int(height),
                show=section.applies and not self.dock.hidden, no_resize=folded,
                no_scrollbar=folded,
            )  # fmt: skip
            self._placed[one.key] = Rect(int(box.x), int(box.y), int(box.width), int(height))

    def tick(self) -> None:
        """Notice what the settings and the open model change; call before each frame."""
        studio = self._kit.studio
        seen = studio.settings.folded, tuple(s.applies for s in self.sections.values())
        if seen != self._seen:
            self._seen = seen
            self.revision += 1
        now = int(dpg.get_frame_count())
        for bar, tab, frame in self._tabs:
            if now >= frame and dpg.does_item_exist(bar):
                dpg.set_value(bar, tab)
        self._tabs = [entry for entry in self._tabs if now < entry[2]]

    def see_resized(self) -> None:
        """Remember the floating windows that the mouse has made larger or smaller."""
        dock, scale = self.dock, self._kit.scale
        for key, window in self._windows.items():
            x, y = dpg.get_item_pos(window)
            width, height = dpg.get_item_width(window), dpg.get_item_height(window)
            box, was, one = Rect(x, y, width, height), self._placed.get(key), dock.floating_of(key)
            if was is None or one is None or box == was or self.sections[key].is_folded:
                continue
            size = Rect(x / scale, y / scale, width / scale, height / scale)
            if dpg.is_item_shown(window):
                dock = replace(
                    dock,
                    floating=tuple(
                        replace(f, x=size.x, y=size.y, width=size.width, height=size.height)
                        if f.key == key else f for f in dock.floating
                    ),
                )  # fmt: skip
        if dock != self.dock:
            self.change(dock)

    def described(self) -> dict[str, object]:
        """What stands where, for the tests."""
        dock = self.dock
        return {
            "left": list(dock.left), "right": list(dock.right), "hidden": dock.hidden,
            "menu": list(dpg.get_item_pos(self.menu.window)),
            "widths": [dock.left_width, dock.right_width], "timeline": dock.timeline_height,
            "floating": {
                key: [box.x, box.y, box.width, box.height]
                for key, box in self._placed.items() if key in self._windows
            },
        }  # fmt: skip

    def delete(self) -> None:
        """Take the floating windows and the menu away."""
        for window in (*self._windows.values(), self.menu.window):
            dpg.delete_item(window)

    def _rearrange(self) -> None:
        """Move what does not stand where it should; no widget is made anew."""
        dock, self.revision = self.dock, self.revision + 1
        for column in COLUMNS:
            window, keys = self._columns[column], dock.column(column)
            wanted = [self.sections[key].whole for key in keys]
            if list(dpg.get_item_children(window, 1) or []) != wanted:
                for key in keys:
                    self._move(key, window)
        for one in dock.floating:
            if one.key not in self._windows:
                self._windows[one.key] = self._window()
                self._move(one.key, self._windows[one.key])
        for key in set(self._windows) - {one.key for one in dock.floating}:
            self._kit.remove(self._windows.pop(key))
        for key, section in self.sections.items():
            section.show_floating(key in self._windows)

    def _move(self, key: str, window: int) -> None:
        item = self.sections[key].whole
        if dpg.get_item_parent(item) != window:
            ready = int(dpg.get_frame_count()) + 2
            # Before the first frame nothing is chosen yet.
            bars = [bar for bar in _tab_bars(item) if dpg.get_value(bar)]
            self._tabs += [(bar, int(dpg.get_value(bar)), ready) for bar in bars]
        dpg.move_item(item, parent=window)

    def _window(self) -> int:
        kit = self._kit
        least, most = (tuple(kit.px(side) for side in limit) for limit in (FLOAT_LEAST, FLOAT_MOST))
        with dpg.window(
            no_title_bar=True, no_move=True, no_collapse=True, no_close=True, show=False,
            no_saved_settings=True, min_size=(least[0], kit.px(FOLDED_HEIGHT)), max_size=most,
        ) as window:  # fmt: skip
            pass
        dpg.bind_item_theme(window, kit.themes.floating)
        return int(window)

    @property
    def _room(self) -> Rect:
        """Where floating windows may lie: between the bars."""
        if self.layout is None:
            return Rect(0, 0, 1, 1)
        bar, foot = self.layout.toolbar, self.layout.status
        return Rect(0, bar.bottom, bar.width, foot.y - bar.bottom)

    def _fitted(self, box: Rect) -> Rect:
        least = self._kit.px(FLOAT_LEAST[0]), self._kit.px(FLOAT_LEAST[1])
        return fit_float(box, self._room, least)

    @property
    def _unseen(self) -> tuple[str, ...]:
        return tuple(key for key, section in self.sections.items() if not section.applies)

    def _opener(self, key: str) -> Callable[[], None]:
        return lambda: self.open_menu(key)

    def _docker(self, key: str) -> Callable[[], None]:
        return lambda: self.change(self.dock.returned(key))

    def open_menu(self, key: str) -> None:
        """Open the menu of a section at the mouse."""
        dock, floats = self.dock, self.dock.floating_of(key) is not None
        self.menu.open(
            key,
            {
                "up": dock.shifted(key, -1, self._unseen) != dock,
                "down": dock.shifted(key, 1, self._unseen) != dock,
                "across": not floats,
                "dock": floats,
                "float": not floats,
            },
            self.sections[key].is_folded,
        )


def _tab_bars(item: int) -> list[int]:
    """Every tab bar below an item."""
    found = []
    for child in dpg.get_item_children(item, 1) or []:
        if str(dpg.get_item_type(child)).endswith("mvTabBar"):
            found.append(int(child))
        found += _tab_bars(child)
    return found
