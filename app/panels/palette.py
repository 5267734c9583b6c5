"""The palette: every command, found by a few letters of its name."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import commands
from app.chords import first_of
from app.commands import Command
from app.fuzzy import fit
from app.kit import Kit
from app.panels.popup import Popup
from app.studio import Studio

SIZE = (520, 430)
#: Of one line, at a scale of 1, pixels.
ROW_HEIGHT = 24
TITLE_WIDTH = 250


def found(query: str, why_not: Callable[[Command], str] = lambda _command: "") -> list[Command]:
    """The commands that a query fits, the best first, and of those that fit as well the ones
    first that can be done now; all of them, in their order, for an empty one."""
    marks = [(fit(query, c.title, c.group, c.tip), c) for c in commands.COMMANDS]
    fitting = [(mark, c) for mark, c in marks if mark is not None and c.name != "palette"]
    if query.strip():
        fitting.sort(key=lambda pair: (-pair[0], bool(why_not(pair[1]))))
    return [c for _mark, c in fitting]


class Palette(Popup):
    """A box to type in and a list below it; Up, Down and Enter choose, Escape closes.

    Args:
        kit: what every panel is given.
        perform: does the command that was chosen.
    """

    def __init__(self, kit: Kit, perform: Callable[[Command], None]) -> None:
        super().__init__(kit, SIZE)
        self._perform = perform
        self._rows: list[PaletteRow] = []
        #: What is listed now, and which of them Enter does.
        self.listed: list[Command] = []
        self.chosen = 0

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with dpg.window(
            label="Commands", show=False, no_resize=True, no_collapse=True, no_title_bar=True,
            no_move=True, no_scrollbar=True, width=kit.px(SIZE[0]), height=kit.px(SIZE[1]),
        ) as window:  # fmt: skip
            self._query = int(
                dpg.add_input_text(width=-1, hint="Type a command", callback=lambda: self._search())
            )
            kit.typed(kit.name("palette_query", self._query))
            kit.tip(self._query, "A few letters of its name; Up and Down choose, Enter does it")
            with dpg.child_window(border=False) as scroll:
                self._nothing = kit.text("No command is called so.", theme=kit.themes.muted)
                for place in range(len(commands.COMMANDS)):
                    row = PaletteRow(kit, place, self._do)
                    row.build()
                    self._rows.append(row)
        dpg.bind_item_theme(window, kit.themes.toast["info"])
        self.window, self._scroll = int(window), int(scroll)

    def toggle(self) -> None:
        """Open or close it."""
        typing = self._kit.typing
        super().toggle()
        if self.is_open:
            dpg.set_value(self._query, "")
            self._kit.ahead.into(self._query, self._search, typing)
            self._search()

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        if not self.is_open:
            return
        self._kit.show(self._nothing, not self.listed)
        for place, row in enumerate(self._rows):
            listed = self.listed[place] if place < len(self.listed) else None
            row.show(listed, place == self.chosen, studio)

    def key(self, code: int) -> bool:
        """Take a key while the palette is open; whether it was one of its own."""
        if code in (dpg.mvKey_Up, dpg.mvKey_Down):
            step = 1 if code == dpg.mvKey_Down else -1
            if self.listed:
                self.chosen = (self.chosen + step) % len(self.listed)
            self._follow()
        elif code in (dpg.mvKey_Return, dpg.mvKey_NumPadEnter):
            self._do(self.chosen)
        else:
            return False
        return True

    def leave(self) -> None:
        """The mouse went down somewhere: close unless it was here."""
        if not self.is_open:
            return
        x, y = dpg.get_mouse_pos(local=False)
        left, top = dpg.get_item_pos(self.window)
        inside = 0 <= x - left < dpg.get_item_width(
            self.window
        ) and 0 <= y - top < dpg.get_item_height(self.window)
        if not inside:
            self.close()

    def _search(self) -> None:
        studio = self._kit.studio
        self.listed = found(self._kit.ahead.value(self._query), lambda c: c.why_not(studio))
        self.chosen = 0
        self._follow()

    def _follow(self) -> None:
        """Scroll to what is chosen."""
        room = self._kit.px(SIZE[1] / 2)
        dpg.set_y_scroll(self._scroll, max(0, self.chosen * self._kit.px(ROW_HEIGHT) - room))
        self._kit.studio.touch()

    def _do(self, place: int) -> None:
        if place >= len(self.listed):
            return
        wanted = self.listed[place]
        # What cannot be done now stays in sight, with its reason.
        if not wanted.why_not(self._kit.studio):
            self.close()
        self._perform(wanted)


class PaletteRow:
    """One line: the title, and the keys or why it cannot be done."""

    def __init__(self, kit: Kit, place: int, do: Callable[[int], None]) -> None:
        self._kit, self._place, self._do = kit, place, do

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with dpg.group(horizontal=True, show=False, horizontal_spacing=kit.px(12)) as line:
            self._item = int(
                dpg.add_selectable(label="", width=kit.px(TITLE_WIDTH), callback=self._clicked)
            )
            kit.name(f"palette_{self._place}", self._item)
            self._tip = kit.tip(self._item, "")
            self._aside = kit.text("", font=kit.fonts.small)
        self._line = int(line)

    def show(self, listed: Command | None, chosen: bool, studio: Studio) -> None:
        """Show a command, or nothing."""
        kit = self._kit
        kit.show(self._line, listed is not None)
        if listed is None:
            return
        why, themes = listed.why_not(studio), kit.themes
        dpg.configure_item(self._item, label=listed.title)
        dpg.set_value(self._item, chosen)
        dpg.bind_item_theme(self._item, themes.faint if why else 0)
        kit.show_value(self._tip, why or commands.tip(listed.name))
        kit.show_value(self._aside, why or first_of(listed.keys))
        dpg.bind_item_theme(self._aside, themes.warning if why else themes.muted)

    def _clicked(self) -> None:
        self._do(self._place)
