"""The window for training: what and how on the left, how it goes on the right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dearpygui.dearpygui as dpg

from app.kit import Kit
from app.panels.popup import Popup
from app.panels.train_form import WIDTH, TrainForm
from app.panels.train_view import TrainView
from app.studio import Studio

SIZE, LEAST = (980, 700), (760, 420)


class TrainWindow(Popup):
    """Opened above the picture; a run goes on while it is closed.

    Args:
        kit: what every panel is given.
        show_pictures: opens or closes the window with the pictures.
        show_prepare: opens or closes the window that makes pictures of photographs.
    """

    def __init__(
        self, kit: Kit, show_pictures: Callable[[], None], show_prepare: Callable[[], None]
    ) -> None:
        super().__init__(kit, SIZE, fitted=True)
        self._form, self._view = TrainForm(kit, show_pictures, show_prepare), TrainView(kit)

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with (
            dpg.window(
                label="Train", show=False, no_collapse=True, width=kit.px(SIZE[0]),
                height=kit.px(SIZE[1]), min_size=(kit.px(LEAST[0]), kit.px(LEAST[1])),
            ) as window,
            dpg.group(horizontal=True, horizontal_spacing=kit.px(14)),
        ):  # fmt: skip
            with dpg.child_window(width=kit.px(WIDTH), border=False, no_scrollbar=True):
                self._form.build()
            with dpg.child_window(border=False):
                self._view.build()
        self.window = int(window)

    def toggle(self) -> None:
        """Open or close it."""
        super().toggle()
        self.update(self._kit.studio)

    def update(self, studio: Studio) -> None:
        """Show the present state, if it can be seen."""
        if self.is_open:
            self._form.update(studio)
            self._view.update()

    def described(self) -> dict[str, Any] | None:
        """What it shows, for the tests; ``None`` while it is closed."""
        training = self._kit.studio.training
        if not self.is_open:
            return None
        return {
            "state": training.state,
            "step": training.last.step if training.last else 0,
            "groups": list(training.seen.groups) if training.seen else [],
            "layers": list(training.plan.layers),
            "snapshots": list(training.snapshots),
            "aside": [list(one) for one in training.aside],
            "model": training.model,
            "data": training.plan.data,
            "live": training.live.step if training.live else -1,
            "samples": len(training.grid.pictures),
            "yaw": training.grid.yaw,
            "parts": self._form.parts_shown(),
        }

    def after_frame(self) -> None:
        """Follow the mouse; call once a frame."""
        if self.is_open:
            self._view.after_frame(self.window)

    def delete(self) -> None:
        """Take away what is no part of the window."""
        self._view.delete()
