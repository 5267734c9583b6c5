"""The window that makes pictures to train on of photographs: the form, what was found, and one
photograph to point at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dearpygui.dearpygui as dpg

from app.kit import Kit
from app.panels.popup import Popup
from app.panels.prepare_form import WIDTH, PrepareForm
from app.panels.prepare_list import PrepareList
from app.panels.prepare_points import PreparePoints
from app.studio import Studio

SIZE, LEAST = (1060, 690), (760, 420)
LIST_WIDTH = 290
#: Where no model is open.
_USUAL_SIDE = 256


class PrepareWindow(Popup):
    """Opened from the window for training.

    Args:
        kit: what every panel is given.
    """

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit, SIZE, fitted=True)
        self._form = PrepareForm(kit, self.close)
        self._list, self._points = PrepareList(kit), PreparePoints(kit)

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with (
            dpg.window(
                label="Prepare photographs", show=False, no_collapse=True, width=kit.px(SIZE[0]),
                height=kit.px(SIZE[1]), min_size=(kit.px(LEAST[0]), kit.px(LEAST[1])),
            ) as window,
            dpg.group(horizontal=True, horizontal_spacing=kit.px(14)),
        ):  # fmt: skip
            for width, part in (
                (kit.px(WIDTH), self._form), (kit.px(LIST_WIDTH), self._list), (0, self._points),
            ):  # fmt: skip
                # Where there is little room every part of the photograph can still be reached.
                sideways = part is self._points
                with dpg.child_window(width=width, border=False, horizontal_scrollbar=sideways):
                    part.build()
        self.window = int(window)

    def toggle(self) -> None:
        """Open or close it."""
        if not self.is_open:
            self._begin()
        super().toggle()
        self.update(self._kit.studio)

    def _begin(self) -> None:
        studio = self._kit.studio
        preparing = studio.training.preparing
        if not preparing.wish.resolution:
            known = studio.capabilities
            side = _USUAL_SIDE if known is None else min(max(known.resolution, 16), 4096)
            preparing.change(lambda wish: replace(wish, resolution=side))
        preparing.ask_finder()

    def update(self, studio: Studio) -> None:
        """Show the present state, if it can be seen."""
        if self.is_open:
            self._form.update()
            self._list.update()
            self._points.update()

    def after_frame(self) -> None:
        """Follow the mouse; call once a frame."""
        if self.is_open:
            self._points.after_frame(self.window)

    def described(self) -> dict[str, Any] | None:
        """What it shows, for the tests; ``None`` while it is closed."""
        if not self.is_open:
            return None
        preparing = self._kit.studio.training.preparing
        pointed, seen = preparing.pointed, preparing.photos.get(preparing.chosen)
        return {
            "state": preparing.state,
            "finder": None if preparing.finder is None else preparing.finder.ready,
            "resolution": preparing.wish.resolution,
            "kinds": {name: photo.kind for name, photo in preparing.photos.items()},
            "looked": preparing.looked,
            "listed": self._list.shown,
            "chosen": preparing.chosen,
            "shown": preparing.picture is not None,
            "points": [] if pointed is None else [list(point) for point in pointed.points],
            "places": self._points.places(),
            "at": preparing.at,
            "faces": [] if seen is None else [one.kind for one in seen.faces],
            "angles": [] if pointed is None else [pointed.yaw, pointed.pitch],
            "made": -1 if preparing.made is None else preparing.made.count,
            "pid": preparing.pid,
        }

    def delete(self) -> None:
        """Take away what is no part of the window."""
        self._points.delete()
