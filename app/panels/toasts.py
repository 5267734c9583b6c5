"""Notices over the lower part of the picture, the newest at the bottom."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from app.commands import tip
from app.engine_state import EngineState
from app.geometry import Rect
from app.kit import Kit
from app.notices import Notice
from app.studio import Studio

WIDTH, GAP = 400, 10


class Toasts:
    """One small window for each notice; they never take the keyboard."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._windows: dict[int, tuple[Notice, int]] = {}

    def update(self, studio: Studio) -> None:
        """Open and close windows so that they match the board."""
        shown = {n.number: n for n in studio.notices.notices}
        for number, (notice, window) in list(self._windows.items()):
            now = shown.get(number)
            if now is None or (now.text, now.count) != (notice.text, notice.count):
                self._kit.remove(window)
                del self._windows[number]
        for number, notice in shown.items():
            if number not in self._windows:
                self._windows[number] = (notice, self._open(notice, studio))

    def place(self, area: Rect) -> None:
        """Stack them upwards from the lower right corner of the picture's area."""
        bottom = area.bottom - self._kit.px(GAP)
        for _, window in sorted(self._windows.values(), key=lambda nw: -nw[0].number):
            width, height = dpg.get_item_rect_size(window)
            if height < 2:
                # Its height is known only after the first frame.
                dpg.set_item_pos(window, [-10_000, -10_000])
                continue
            bottom -= height
            left = area.right - width - self._kit.px(GAP)
            if list(dpg.get_item_pos(window)) != [int(left), int(bottom)]:
                dpg.set_item_pos(window, [int(left), int(bottom)])
            bottom -= self._kit.px(GAP)

    def clear(self) -> None:
        """Close every window; :meth:`update` opens them again."""
        for _, window in self._windows.values():
            self._kit.remove(window)
        self._windows.clear()

    def _open(self, notice: Notice, studio: Studio) -> int:
        kit = self._kit
        width = kit.px(WIDTH)
        with dpg.window(
            no_title_bar=True, no_resize=True, no_move=True, no_scrollbar=True, autosize=True,
            no_focus_on_appearing=True, no_saved_settings=True, min_size=(width, 1),
            max_size=(width, 10_000), pos=(-10_000, -10_000),
        ) as window:  # fmt: skip
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(10)):
                text = notice.text if notice.count == 1 else f"{notice.text}  ({notice.count} ×)"
                said = kit.text(text, theme=kit.themes.heading, wrap=width - kit.px(62))
                kit.copied(said, lambda: notice.text)
            close = int(
                dpg.add_button(
                    label="×", pos=(width - kit.px(38), kit.px(7)), width=kit.px(28),
                    callback=lambda: studio.close_notice(notice.number),
                )
            )  # fmt: skip
            kit.tip(close, tip("close_popup"))
            dpg.bind_item_theme(close, kit.themes.quiet)
            if studio.engine is EngineState.DEAD and notice.key == "engine":
                kit.button(
                    "Start it again", studio.restart_engine, "engine_restart", tip("engine_restart")
                )
        dpg.bind_item_theme(window, kit.themes.toast[notice.severity])
        return int(window)
