"""The window of the model's own ways: small pictures of each to both sides, to choose from."""

from __future__ import annotations

from typing import Any

import dearpygui.dearpygui as dpg

from app.edit_wire import Ways
from app.kit import Kit
from app.panels.gallery import Textures
from app.panels.popup import Popup
from app.studio import Studio
from app.ways import PAGE, SIGMA, TABS, Way, WaysOfModel

SIZE = (768, 496)
#: Side of a picture, and how many ways stand side by side, at a scale of 1.
SHOWN, COLUMNS, GAP = 84, 4, 14


class WaysWindow(Popup):
    """Opened above the picture; it draws only while it is open."""

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit, SIZE, fitted=True)
        self._cells = [WayCell(kit, index) for index in range(PAGE)]
        self._tabs: dict[Ways, int] = {}

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        self._textures = Textures()
        with dpg.window(
            label="Ways of the model", show=False, no_collapse=True, width=kit.px(SIZE[0]),
            height=kit.px(SIZE[1]), on_close=self._ways.close,
        ) as window:  # fmt: skip
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(4)):
                for tab, (title, about) in TABS.items():
                    self._tabs[tab] = kit.button(
                        title, lambda tab=tab: self._ways.choose(tab),  # type: ignore[misc]
                        f"ways_{tab}", about, width=kit.px(160),
                    )  # fmt: skip
                kit.arrows(lambda by: self._ways.turn(by), "ways", "page")
                self._state = kit.name("ways_state", kit.text("", theme=kit.themes.muted))
            kit.text(
                f"The present face, {SIGMA:g} standard deviations to either side. Click a picture to "
                "edit the face that way.",
                theme=kit.themes.faint, font=kit.fonts.small,
            )  # fmt: skip
            dpg.add_separator()
            for start in range(0, PAGE, COLUMNS):
                with dpg.group(horizontal=True, horizontal_spacing=kit.px(GAP)):
                    for cell in self._cells[start : start + COLUMNS]:
                        cell.build(self._ways)
        self.window = int(window)

    @property
    def _ways(self) -> WaysOfModel:
        return self._kit.studio.ways

    def toggle(self) -> None:
        """Open or close it."""
        super().toggle()
        if self.is_open:
            self._ways.open()

    def close(self) -> None:
        """Close it; what is not drawn yet is not drawn."""
        super().close()
        self._ways.close()

    def described(self) -> dict[str, Any] | None:
        """What it shows, for the tests; ``None`` while it is closed."""
        ways = self._ways
        if not self.is_open:
            return None
        shown = ways.ways()
        return {
            "kind": ways.kind,
            "names": [way.direction.name for way in shown],
            "drawn": sum(way.less is not None and way.more is not None for way in shown),
        }

    def delete(self) -> None:
        """Close it and take away what is no part of the window."""
        self.close()
        self._textures.delete()

    def update(self, studio: Studio) -> None:
        """Show the present state, if it can be seen."""
        if not self.is_open:
            return
        kit, ways = self._kit, studio.ways
        for tab, item in self._tabs.items():
            dpg.bind_item_theme(item, kit.themes.chosen if tab == ways.kind else kit.themes.segment)
        shown = ways.ways()
        if ways.note:
            state = ways.note
        elif ways.is_looking:
            state = "Looking at the model's people ..."
        else:
            left = f"   {ways.waiting} still to be drawn" if ways.waiting else ""
            state = f"Page {ways.page + 1} of {ways.pages}{left}" if shown else ""
        kit.show_value(self._state, state)
        for index, cell in enumerate(self._cells):
            way = shown[index] if index < len(shown) else None
            pictures = (None, None) if way is None else (way.less, way.more)
            cell.show(way, *(self._textures.of(picture) for picture in pictures))

    def after_frame(self) -> None:
        """Free what no picture needs any more; call once after each frame."""
        self._textures.after_frame()


class WayCell:
    """One way: two pictures and its name."""

    def __init__(self, kit: Kit, index: int) -> None:
        self._kit, self._name = kit, f"way_{index}"
        self._way: Way | None = None
        self._textures = [0, 0]

    def build(self, ways: WaysOfModel) -> None:
        """Create the items."""
        kit, self._ways = self._kit, ways
        side = kit.px(SHOWN)
        with dpg.group(show=False) as group:
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(2)):
                self._buttons = [
                    int(
                        dpg.add_image_button(
                            Textures.blank(), width=side, height=side, frame_padding=0,
                            user_data=strength, callback=lambda _s, _a, strength: self._add(strength),
                        )
                    )
                    for strength in (-SIGMA, SIGMA)
                ]  # fmt: skip
            for word, item, sign in zip(("less", "more"), self._buttons, "-+", strict=True):
                kit.tip(kit.name(f"{self._name}_{word}", item), f"Click: this way, {sign}{SIGMA:g}")
            self._title = kit.label("", width=2 * SHOWN)
        dpg.bind_item_font(self._title, kit.fonts.small)
        self._group = int(group)

    def show(self, way: Way | None, less: int, more: int) -> None:
        """Show a way with the textures of its pictures, or nothing."""
        self._way = way
        self._kit.show(self._group, way is not None)
        if way is None:
            return
        for place, texture in enumerate((less, more)):
            if texture != self._textures[place]:
                self._textures[place] = texture
                dpg.configure_item(self._buttons[place], texture_tag=texture)
        if dpg.get_item_label(self._title) != way.direction.name:
            dpg.configure_item(self._title, label=way.direction.name)

    def _add(self, strength: float) -> None:
        if self._way is not None:
            self._kit.studio.editing.add(self._way.direction, strength)
