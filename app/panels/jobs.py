"""The list of jobs: everything that is exported or was."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app.copying import HINT
from app.exports import Export, time_left
from app.file_manager import show_folder
from app.geometry import LEFT_WIDTH
from app.job_list import JobList
from app.kit import Kit
from app.panels.confirm import Confirm
from app.panels.popup import Popup
from app.studio import Studio

SIZE = (470, 380)
#: How far its edges stay from the column and from the foot of the window, at a scale of 1, pixels.
GAP, FOOT = 12, 44


def summary(jobs: JobList) -> str:
    """How many there are: ``1 runs, 2 wait, 3 are over``."""
    running = sum(e.state in ("running", "cancelling") for e in jobs.entries)
    waiting = sum(e.state == "waiting" for e in jobs.entries)
    over = sum(e.is_over for e in jobs.entries)
    parts = [
        f"{running} running" if running else "",
        f"{waiting} waiting" if waiting else "",
        f"{over} over" if over else "",
    ]
    return ", ".join(part for part in parts if part) or "Nothing was exported yet."


def button_label(jobs: JobList) -> str:
    """The label of the button in the status line: the number of those that are not over."""
    active = len(jobs.active)
    if not active:
        return "Jobs"
    return f"{active} job" if active == 1 else f"{active} jobs"


def progress_text(entry: Export) -> str:
    """How far an export got, in words."""
    match entry.state:
        case "waiting":
            return "Waiting"
        case "cancelling":
            return "Cancelling ..."
        case "running":
            share = f"{entry.share:.0%}" if entry.total else "Starting ..."
            left = time_left(entry.seconds_left)
            return f"{share}, {left}" if left else share
        case "finished":
            return f"Saved to {entry.path}"
        case "failed":
            return entry.message
        case _:
            return "Cancelled; no file was left."


class JobsWindow(Popup):
    """Opened from the status line; stays open while work goes on.

    Args:
        kit: what every panel is given.
        confirm: asks before a file is replaced.
    """

    def __init__(self, kit: Kit, confirm: Confirm) -> None:
        super().__init__(kit, SIZE)
        self._confirm = confirm
        self._rows: list[JobRow] = []
        self._listed: tuple[object, ...] = ()

    def build(self) -> None:
        """Create the items."""
        kit = self._kit
        with dpg.window(
            label="Jobs", show=False, no_resize=True, no_collapse=True, width=kit.px(SIZE[0]),
            height=kit.px(SIZE[1]), no_scrollbar=True,
        ) as window:  # fmt: skip
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
                self._summary = kit.name("jobs_summary", kit.label("", width=SIZE[0] - 32 - 126))
                self._clear = kit.button(
                    "Clear finished", kit.studio.jobs.clear, "jobs_clear",
                    "Take what is over out of this list; the files stay", width=kit.px(120),
                )  # fmt: skip
            dpg.add_separator()
            with dpg.child_window(border=False) as rows:
                pass
        self.window, self._list = int(window), int(rows)

    def toggle(self) -> None:
        """Open or close it, over the lower left of the picture: the export panel stays free."""
        super().toggle()
        if self.is_open:
            px = self._kit.px
            foot = dpg.get_viewport_client_height() - px(SIZE[1] + FOOT)
            dpg.set_item_pos(self.window, [px(LEFT_WIDTH + GAP), max(0, foot)])
            self.update(self._kit.studio)

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        if not self.is_open:
            return
        kit, jobs = self._kit, studio.jobs
        entries = tuple(reversed(jobs.entries))
        listed = tuple((entry.job, entry.is_over) for entry in entries)
        if listed != self._listed:
            self._listed = listed
            self._fill(entries)
        for row, entry in zip(self._rows, entries, strict=True):
            row.show(entry)
        dpg.configure_item(self._summary, label=summary(jobs))
        kit.enable(self._clear, len(jobs.active) < len(jobs.entries))

    def _fill(self, entries: tuple[Export, ...]) -> None:
        kit = self._kit
        kit.clear(self._list)
        self._rows = [JobRow(kit, self._confirm) for _ in entries]
        dpg.push_container_stack(self._list)
        for row, entry in zip(self._rows, entries, strict=True):
            row.build(entry)
        dpg.pop_container_stack()


class JobRow:
    """One export: title, how far it is, and what can be done with it."""

    def __init__(self, kit: Kit, confirm: Confirm) -> None:
        self._kit, self._confirm = kit, confirm

    def build(self, entry: Export) -> None:
        """Create the items for an export that is, or is not, over."""
        kit, number = self._kit, entry.job
        title = kit.text(entry.title, font=kit.fonts.strong, theme=kit.themes.heading)
        kit.tip(title, f"{entry.path}\n{HINT}")
        kit.copied(title, lambda: entry.path, tip=False)
        self._bar = 0
        if entry.is_over:
            self._state = kit.copied(kit.text("", font=kit.fonts.small, wrap=0))
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
                self._button(
                    "Open folder", lambda: show_folder(entry.path), number, "folder",
                    "Show where it lies",
                )  # fmt: skip
                self._button("Again", lambda: self._again(entry), number, "again",
                             "The same export once more")  # fmt: skip
                self._button("×", lambda: kit.studio.jobs.remove(number), number, "remove",
                             "Take it out of this list; the file stays")  # fmt: skip
        else:
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(6)):
                self._bar = int(dpg.add_progress_bar(width=-kit.px(92), height=kit.px(26)))
                self._state = self._bar
                self._cancel = self._button(
                    "Cancel", lambda: kit.studio.jobs.cancel(number), number, "cancel",
                    "Stop it; no file is left",
                )  # fmt: skip
        dpg.add_spacer(height=kit.px(4))

    def show(self, entry: Export) -> None:
        """Show how far it is."""
        kit, text = self._kit, progress_text(entry)
        if self._bar:
            dpg.set_value(self._bar, entry.share)
            dpg.configure_item(self._bar, overlay=text)
            kit.enable(self._cancel, entry.state != "cancelling")
            return
        kit.show_value(self._state, text)
        themes = {"finished": kit.themes.good, "failed": kit.themes.error}
        dpg.bind_item_theme(self._state, themes.get(entry.state, kit.themes.muted))

    def _button(
        self, label: str, action: Callable[[], None], number: int, name: str, tip: str
    ) -> int:
        return self._kit.button(label, action, f"job_{number}_{name}", tip)

    def _again(self, entry: Export) -> None:
        # What was there before it began is asked about again: it may be another file by now.
        self._confirm.export(entry.spec, lambda: self._kit.studio.jobs.remove(entry.job))
