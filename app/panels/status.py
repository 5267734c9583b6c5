"""The line at the foot of the window."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app.commands import tip
from app.engine_state import EngineState
from app.kit import Kit
from app.panels.jobs import button_label
from app.studio import Studio


def device_title(device: str) -> str:
    """``"cpu"`` -> ``"CPU"``, ``"cuda:0"`` -> ``"GPU 0"``."""
    if device.startswith("cuda"):
        _, _, number = device.partition(":")
        return f"GPU {number or 0}"
    return {"cpu": "CPU", "mps": "Apple GPU"}.get(device, device)


def resolution_title(neural: int, side: int) -> str:
    """``64 -> 512 px`` for an upsampled picture, ``128 px`` for a raw one."""
    return f"{side} px" if neural == side else f"{neural} px, upsampled to {side} px"


#: Said while the head is seen from where it is seen at first.
FIRST_STEP = "Drag the head to turn it; the wheel comes closer"


class StatusLine:
    """Engine state, model, time, rate, resolution, device, and how many jobs there are."""

    def __init__(
        self, kit: Kit, show_jobs: Callable[[], None], show_timeline: Callable[[], None]
    ) -> None:
        self._kit, self._show_jobs, self._show_timeline = kit, show_jobs, show_timeline

    def build(self) -> None:
        """Create the items."""
        kit, small = self._kit, self._kit.fonts.small
        with dpg.table(
            header_row=False,
            policy=dpg.mvTable_SizingFixedFit,
            no_pad_outerX=True,
            pos=(kit.px(16), kit.px(5)),
        ):
            dpg.add_table_column(init_width_or_weight=kit.px(190), width_fixed=True)
            dpg.add_table_column(width_stretch=True)
            for width in (80, 70, 200, 54, 76, 72):
                dpg.add_table_column(init_width_or_weight=kit.px(width), width_fixed=True)
            with dpg.table_row():
                self._state = kit.text("", theme=kit.themes.muted, font=small)
                self._model = kit.name(
                    "status_model", kit.text("", theme=kit.themes.muted, font=small)
                )
                self._time = kit.text("", theme=kit.themes.muted, font=small)
                self._rate = kit.text("", theme=kit.themes.muted, font=small)
                self._size = kit.text("", theme=kit.themes.muted, font=small)
                self._device = kit.text("", theme=kit.themes.muted, font=small)
                # A tooltip takes a cell of its own unless it stands in a group.
                with dpg.group():
                    self._timeline = int(
                        dpg.add_button(
                            label="Timeline", small=True, width=-1,
                            callback=lambda: self._show_timeline(),
                        )
                    )  # fmt: skip
                    kit.tip(kit.name("timeline", self._timeline), tip("timeline"))
                dpg.bind_item_font(self._timeline, small)
                dpg.bind_item_theme(self._timeline, kit.themes.quiet)
                self._jobs = int(
                    dpg.add_button(
                        label="Jobs", small=True, width=-1, callback=lambda: self._show_jobs()
                    )
                )
                kit.tip(kit.name("jobs", self._jobs), tip("jobs"))
                dpg.bind_item_font(self._jobs, small)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, frame, model = self._kit, studio.frame, studio.model
        state = studio.engine
        dpg.configure_item(self._jobs, label=button_label(studio.jobs))
        busy = bool(studio.jobs.active)
        dpg.bind_item_theme(self._jobs, kit.themes.primary if busy else kit.themes.quiet)
        themes = {
            EngineState.READY: kit.themes.good,
            EngineState.DEAD: kit.themes.error,
            EngineState.RESTARTING: kit.themes.warning,
        }
        dpg.bind_item_theme(self._state, themes.get(state, kit.themes.muted))
        kit.show_value(self._state, state.value)
        title = model.ref.name or model.ref.path if model else ""
        if model is not None and studio.document.pose == studio.document.home:
            title += f"   {FIRST_STEP}"
        kit.show_value(self._model, title)
        kit.show_value(self._device, device_title(model.device) if model else "")
        kit.show_value(self._time, f"{frame.milliseconds:.0f} ms" if frame else "")
        kit.show_value(self._size, resolution_title(*frame.resolution) if frame else "")
        rate = studio.frames_per_second
        kit.show_value(self._rate, f"{rate:.0f} fps" if rate else "")
