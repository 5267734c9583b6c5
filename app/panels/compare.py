"""Comparing the present state with a pinned one."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app.commands import command, tip
from app.kit import Kit
from app.studio import Studio

NOBODY = "Choose a favourite"
SPLIT = "Beside the picture, with a line to drag between the two"
OWN = "The reference is seen by the camera that it was pinned with; otherwise by the present one"


class ComparePanel:
    """Pin, swap, unpin; the split; whose camera; a favourite as the reference."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._names: list[str] = []

    def build(self) -> None:
        """Create the items."""
        kit, compare = self._kit, self._kit.studio.compare
        self._state = kit.name("compare_state", kit.text("", theme=kit.themes.muted, wrap=0))
        dpg.bind_item_font(self._state, kit.fonts.small)
        self._pin = kit.button(
            "Pin as reference", compare.pin, "compare_pin", tip("compare_pin"), width=-1
        )
        with kit.row():
            self._swap = kit.button(
                "Swap", compare.swap, "compare_swap", tip("compare_swap"), width=-kit.px(132)
            )
            self._unpin = kit.button(
                "Unpin", compare.unpin, "compare_unpin", tip("compare_unpin"), width=-1
            )
        with kit.row():
            self._split = self._check("Split", compare.toggle_split, "compare_split", SPLIT)
            self._own = self._check(
                "Keeps its own camera",
                lambda: compare.keep_camera(bool(dpg.get_value(self._own))),
                "compare_camera",
                OWN,
            )
        with kit.row("Or pin", "A favourite of this project as the reference"):
            self._faces = int(
                dpg.add_combo([], default_value=NOBODY, width=-1, callback=lambda: self._chosen())
            )
            kit.explain(kit.name("compare_favourite", self._faces))

    def _check(self, label: str, action: Callable[[], None], name: str, about: str) -> int:
        item = int(dpg.add_checkbox(label=label, callback=lambda: action()))
        self._kit.tip(item, f"{about} ({command(name).keys})" if command(name).keys else about)
        return self._kit.name(name, item)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, compare = self._kit, studio.compare
        pinned, apart = compare.pinned, compare.why_apart
        if pinned is None:
            text = f"Nothing is pinned. Hold {command('compare_hold').keys} to see the state before the last edit."
        else:
            text = (
                apart
                or f"Reference: {pinned.name}. Hold {command('compare_hold').keys} to see it whole."
            )
        kit.show_value(self._state, text)
        dpg.bind_item_theme(self._state, kit.themes.warning if apart else kit.themes.muted)
        kit.enable(self._pin, studio.model is not None)
        shown = pinned is not None and not apart
        for item in (self._swap, self._split, self._own):
            kit.enable(item, shown)
        kit.enable(self._unpin, pinned is not None)
        kit.show_value(self._split, compare.split)
        kit.show_value(self._own, pinned is not None and pinned.own_camera)
        names = [f"{n}  {f.name}" for n, f in enumerate(studio.document.favourites, 1)]
        if names != self._names:
            self._names = names
            dpg.configure_item(self._faces, items=names)
        kit.enable(self._faces, bool(names) and studio.model is not None)

    def _chosen(self) -> None:
        chosen = dpg.get_value(self._faces)
        dpg.set_value(self._faces, NOBODY)
        if chosen in self._names:
            self._kit.studio.compare.pin_favourite(self._names.index(chosen))
