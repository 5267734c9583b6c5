"""The photographs and what became of each, page by page."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from app.kit import Kit
from app.preparing import Preparing
from app.preparing_wire import PhotoSeen

PAGE = 12
WORDS = {
    "found": "found",
    "guessed": "guessed: confirm it",
    "by hand": "confirmed",
    "no face": "no face",
    "refused": "no face, as you say",
    "skipped": "left out",
    "several": "several faces: choose",
    "left": "not taken",
}
#: Letters of a name that fit.
_LETTERS = 34


class PrepareList:
    """The middle of the window for photographs.

    Args:
        kit: what every panel is given.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._page = 0
        self._waiting_only = False
        self._followed = ""
        self._rows: list[tuple[int, int, int, int]] = []
        self.shown: list[str] = []

    @property
    def _preparing(self) -> Preparing:
        return self._kit.studio.training.preparing

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        kit.heading("What was found", first=True)
        with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
            for word, by in (("Previous", -1), ("Next", 1)):
                kit.button(
                    word, lambda by=by: self._turn(by), f"prepare_{word.lower()}",  # type: ignore[misc]
                    f"{word} page", width=kit.px(84),
                )  # fmt: skip
            self._only = int(
                dpg.add_checkbox(
                    label="Waiting", callback=lambda _sender, on: self._filter(bool(on))
                )
            )
            kit.tip(kit.name("prepare_waiting", self._only), "Show only those that wait for you")
        self._empty = kit.text(
            "Choose photographs and let the faces be found. Then click one to see where its face is.",
            theme=kit.themes.faint, font=kit.fonts.small, wrap=0,
        )  # fmt: skip
        with dpg.child_window(border=False):
            for index in range(PAGE):
                self._build_row(index)

    def _build_row(self, index: int) -> None:
        kit = self._kit
        with dpg.group(show=False) as group:
            button = int(
                dpg.add_selectable(
                    label="", callback=lambda: self._choose(index), span_columns=True
                )
            )
            tip = kit.tip(kit.name(f"prepare_photo_{index}", button), "")
            word = kit.text("", font=kit.fonts.small, wrap=0)
        self._rows.append((int(group), button, tip, word))

    def update(self) -> None:
        """Show the present state."""
        kit, preparing = self._kit, self._preparing
        names = preparing.waiting if self._waiting_only else list(preparing.photos)
        if preparing.chosen != self._followed:
            # The page follows what is chosen, but may be turned away from it.
            self._followed = preparing.chosen
            if self._followed in names:
                self._page = names.index(self._followed) // PAGE
        self._page = max(0, min(self._page, (len(names) - 1) // PAGE))
        self.shown = names[self._page * PAGE : (self._page + 1) * PAGE]
        kit.show(self._empty, not preparing.photos)
        for row, (group, button, tip, word) in enumerate(self._rows):
            kit.show(group, row < len(self.shown))
            if row < len(self.shown):
                photo = preparing.photos[self.shown[row]]
                self._show(photo, button, tip, word, photo.name == preparing.chosen)

    def _show(self, photo: PhotoSeen, button: int, tip: int, word: int, chosen: bool) -> None:
        kit, themes = self._kit, self._kit.themes
        name = photo.name
        # Photographs differ in what comes first, or in the number at the end.
        half = _LETTERS // 2 - 1
        label = name if len(name) <= _LETTERS else f"{name[:half]}...{name[-half:]}"
        if dpg.get_item_label(button) != label:
            dpg.configure_item(button, label=label)
        dpg.set_value(button, chosen)
        said = WORDS[photo.kind] + (f": {photo.reason}" if photo.reason else "")
        if len(photo.faces) > 1 and photo.kind != "several":
            taken = sum(one.kind != "left" for one in photo.faces)
            said += f", {taken} of {len(photo.faces)} faces"
        kit.show_value(word, said)
        kit.show_value(tip, f"{name}\n{said}")
        theme = {
            "found": themes.good, "by hand": themes.good, "guessed": themes.warning,
            "several": themes.warning,
        }.get(photo.kind, themes.muted)  # fmt: skip
        if dpg.get_item_theme(word) != theme:
            dpg.bind_item_theme(word, theme)

    def _turn(self, by: int) -> None:
        self._page += by
        self._kit.studio.touch()

    def _filter(self, waiting: bool) -> None:
        self._waiting_only, self._page = waiting, 0
        self._kit.studio.touch()

    def _choose(self, index: int) -> None:
        if index < len(self.shown):
            self._preparing.choose(self.shown[index])
        self._kit.studio.touch()
