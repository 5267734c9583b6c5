"""The pictures to train on, page by page, with a tick for each: keep it, or drop it."""

from __future__ import annotations

from typing import Any

import dearpygui.dearpygui as dpg

from app.kit import Kit
from app.panels.gallery import Textures
from app.panels.popup import Popup
from app.studio import Studio
from app.training import Training

SIZE = (800, 660)
COLUMNS, PAGE = 6, 24
CELL, GAP = 118, 8
#: Over a picture that takes no part.
OUT, IN = (255, 255, 255, 60), (255, 255, 255, 255)


class PicturesWindow(Popup):
    """Opened from the window for training, once the pictures were looked at.

    Args:
        kit: what every panel is given.
    """

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit, SIZE)
        self._page = 0
        self._doubtful = False
        self._cells: list[tuple[int, int, int, int]] = []
        self._shown: list[str] = []

    @property
    def _training(self) -> Training:
        return self._kit.studio.training

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        self._textures = Textures()
        with dpg.window(
            label="Pictures to train on", show=False, no_collapse=True, no_resize=True,
            width=kit.px(SIZE[0]), height=kit.px(SIZE[1]),
        ) as window:  # fmt: skip
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
                for word, by in (("Previous", -1), ("Next", 1)):
                    kit.button(
                        word, lambda by=by: self._turn(by), f"pictures_{word.lower()}",  # type: ignore[misc]
                        f"{word} page", width=kit.px(84),
                    )  # fmt: skip
                self._doubts = int(
                    dpg.add_checkbox(
                        label="Doubtful ones only", callback=lambda _s, on: self._filter(bool(on))
                    )
                )
                kit.tip(
                    kit.name("pictures_doubtful", self._doubts),
                    "Doubles, pictures that are too small, and what else was warned of",
                )
                kit.button(
                    "Keep all", lambda: self._training.drop(()), "pictures_all",
                    "Every picture takes part again", width=kit.px(84),
                )  # fmt: skip
                self._state = kit.name("pictures_state", kit.text("", theme=kit.themes.muted))
            kit.text(
                "Click a picture to drop it, or to take it back.", theme=kit.themes.faint,
                font=kit.fonts.small,
            )  # fmt: skip
            with dpg.child_window(border=False):
                for row in range(PAGE // COLUMNS):
                    with dpg.group(horizontal=True, horizontal_spacing=kit.px(GAP)):
                        for column in range(COLUMNS):
                            self._build_cell(row * COLUMNS + column)
        self.window = int(window)

    def _build_cell(self, index: int) -> None:
        kit, side = self._kit, self._kit.px(CELL)
        with dpg.group(show=False) as group:
            button = int(
                dpg.add_image_button(
                    Textures.blank(), width=side, height=side, frame_padding=0,
                    callback=lambda: self._toggle(index),
                )
            )  # fmt: skip
            tip = kit.tip(kit.name(f"pictures_{index}", button), "")
            label = kit.text("", theme=kit.themes.muted, font=kit.fonts.small)
        self._cells.append((int(group), button, tip, label))

    def toggle(self) -> None:
        """Open or close it."""
        super().toggle()
        self.update(self._kit.studio)

    def update(self, studio: Studio) -> None:
        """Show the present state, if it can be seen."""
        if not self.is_open:
            return
        kit, training, seen = self._kit, self._training, self._training.seen
        names = self._names()
        pages = max(1, -(-len(names) // PAGE))
        self._page = min(self._page, pages - 1)
        self._shown = names[self._page * PAGE : (self._page + 1) * PAGE]
        training.show_pictures(self._shown)
        state = "Look at both first, in the window for training."
        if seen is not None:
            state = f"Page {self._page + 1} of {pages}   {len(seen.names)} pictures"
            state += f", {len(seen.dropped)} dropped" if seen.dropped else ""
        kit.show_value(self._state, state)
        for index, (group, button, tip, label) in enumerate(self._cells):
            kit.show(group, index < len(self._shown))
            if index >= len(self._shown) or seen is None:
                continue
            name = self._shown[index]
            texture = self._textures.of(training.pictures.get(name))
            out = name in seen.dropped
            dpg.configure_item(button, texture_tag=texture, tint_color=OUT if out else IN)
            doubt = seen.doubts.get(name, "")
            kit.show_value(tip, f"{name}\n{doubt}" if doubt else name)
            kit.show_value(label, "dropped" if out else "doubtful" if doubt else "")

    def after_frame(self) -> None:
        """Free what is shown no more; call once a frame."""
        self._textures.after_frame()

    def described(self) -> dict[str, Any] | None:
        """What it shows, for the tests; ``None`` while it is closed."""
        seen = self._training.seen
        if not self.is_open:
            return None
        return {
            "page": self._page,
            "names": self._shown,
            "dropped": sorted(seen.dropped) if seen else [],
            "drawn": sum(bool(self._training.pictures[n].std() > 0) for n in self._shown
                         if n in self._training.pictures),
        }  # fmt: skip

    def delete(self) -> None:
        """Take away what is no part of the window."""
        self._textures.delete()

    def _names(self) -> list[str]:
        seen = self._training.seen
        if seen is None:
            return []
        return [name for name in seen.names if not self._doubtful or name in seen.doubts]

    def _turn(self, by: int) -> None:
        self._page = max(0, self._page + by)
        self._kit.studio.touch()

    def _filter(self, doubtful: bool) -> None:
        self._doubtful, self._page = doubtful, 0
        self._kit.studio.touch()

    def _toggle(self, index: int) -> None:
        seen = self._training.seen
        if seen is not None and index < len(self._shown):
            self._training.drop(seen.dropped ^ {self._shown[index]})
