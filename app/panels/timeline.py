"""The timeline under the picture: keys of camera and face in time, and playing them."""

from __future__ import annotations

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import timeline_edits as edits
from app.commands import tip
from app.conversation import Prompt
from app.document import Document
from app.geometry import TIMELINE_HEIGHT, Rect
from app.kit import Kit
from app.panels.timeline_canvas import TimelineCanvas
from app.playback import Playback
from app.studio import Studio
from app.timeline_strip import RULER, TRACK
from app.typed_paths import keep_folder, kept_folder, new_file, whole_path
from engine.export.files import check_writable
from engine.keyframe import EASINGS, MAX_SECONDS, Easing
from engine.timeline import MAX_FPS, MIN_FPS, MIN_SECONDS, load_timeline, save_timeline

SUFFIX = ".json"
#: Of the folder that is remembered.
PURPOSE = "timelines"
#: Space at the sides and above, at a scale of 1, pixels.
PAD, TOP = 12, 8
#: Height of all but the strip.
CONTROLS = TIMELINE_HEIGHT - RULER - TRACK
EASING_TITLES: dict[str, str] = {
    "linear": "Even", "ease-in": "Ease in", "ease-out": "Ease out", "ease": "Ease", "hold": "Hold",
}  # fmt: skip


class TimelinePanel:
    """Two lines of controls above the strip.

    Args:
        kit: what every panel is given.
        playback: the playhead, which outlives the panel.
        film: exports a video of the timeline.
    """

    def __init__(self, kit: Kit, playback: Playback, film: Callable[[], None]) -> None:
        self._kit, self._film = kit, film
        self.playback: Playback = playback
        self.canvas = TimelineCanvas(kit, playback)

    def build(self) -> None:
        """Create the items."""
        kit, playback = self._kit, self.playback
        with dpg.group(pos=(kit.px(PAD), kit.px(TOP))) as whole:
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(5)):
                self._play = self._button("Play", playback.play_or_pause, "timeline_play", 56)
                self._back = self._button("<", lambda: playback.step(-1), "timeline_previous", 26)
                self._on = self._button(">", lambda: playback.step(1), "timeline_next", 26)
                with dpg.group():
                    # Down to the line of the buttons' letters.
                    dpg.add_spacer(height=0)
                    self._clock = kit.text("", theme=kit.themes.muted)
                self._add = self._button("Add key", self.set_key, "timeline_add", 86)
                self._copy = self._button("Duplicate", playback.duplicate, "timeline_duplicate", 78)
                self._delete = self._button("Delete", playback.delete, "timeline_delete", 58)
                self._easing = int(
                    dpg.add_combo(
                        list(EASING_TITLES.values()), width=kit.px(92),
                        callback=lambda _sender, title: self._ease(title),
                    )
                )  # fmt: skip
                kit.name("timeline_easing", self._easing)
                about = (f"{EASING_TITLES[name]}: {what}" for name, what in EASINGS.items())
                kit.tip(self._easing, "From the chosen key to the next. " + "; ".join(about))
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(5)):
                self._length = kit.number(
                    self._set_length, "timeline_length", MIN_SECONDS, MAX_SECONDS, 0.02, "%.2f s",
                    kit.px(68), tip="Length in seconds: drag sideways, or double-click to type",
                )  # fmt: skip
                self._fps = kit.number(
                    self._set_fps, "timeline_fps", MIN_FPS, MAX_FPS, 0.1, "%.4g fps",
                    kit.px(64), tip="Frames a second of the video",
                )  # fmt: skip
                self._loop = int(
                    dpg.add_checkbox(label="Loop", callback=lambda _s, value: self._set_loop(value))
                )
                kit.name("timeline_loop", self._loop)
                kit.tip(self._loop, "Lead from the last key back to the first, over and over")
                self._tension = kit.number(
                    self._set_tension, "timeline_tension", 0.0, 1.0, 0.005, "Tension %.2f",
                    kit.px(98), tip="0: a soft curve through the keys; 1: straight from key to "
                    "key, resting at each",
                )  # fmt: skip
                self._clear = self._button("Clear", self.clear, "timeline_clear", 48)
                self._load = self._button("Load", self.ask_load, "timeline_load", 46)
                self._save = self._button("Save", self.ask_save, "timeline_save", 46)
                self._export = self._button(
                    "Export video", self._film, "timeline_export", 100, kit.themes.primary
                )
            dpg.add_spacer(height=kit.px(1))
            self.canvas.build()
        dpg.bind_item_theme(whole, kit.themes.compact)
        dpg.bind_item_font(whole, kit.fonts.small)

    def _button(
        self,
        label: str,
        action: Callable[[], None],
        name: str,
        width: int,
        theme: int | None = None,
    ) -> int:
        kit = self._kit
        return kit.button(label, action, name, tip(name), width=kit.px(width), theme=theme)

    def place(self, area: Rect) -> None:
        """Take another place in the window."""
        px = self._kit.px
        self.canvas.place(area.width - 2 * px(PAD), area.height - px(CONTROLS))

    def update(self, studio: Studio) -> None:
        """Show the present state."""
        kit, playback, line = self._kit, self.playback, studio.document.timeline
        if not playback.is_open:
            return
        count, chosen = len(line.keys), playback.selected
        dpg.configure_item(self._play, label="Pause" if playback.is_playing else "Play")
        kit.enable(self._play, count > 1)
        for item in (self._back, self._on, self._clear, self._save, self._export):
            kit.enable(item, count > 0)
        for item in (self._copy, self._delete, self._easing):
            kit.enable(item, chosen is not None)
        there = edits.key_at(line, playback.time)
        dpg.configure_item(self._add, label="Add key" if there is None else "Update key")
        news = there is None or not edits.shows_key(studio.document, there)
        kit.enable(self._add, studio.model is not None and news)
        kit.show_value(self._clock, f"{playback.time:5.2f} / {line.duration:.2f} s")
        easing = line.keys[chosen].easing if chosen is not None else None
        kit.show_value(self._easing, EASING_TITLES[easing] if easing else "")
        kit.show_value(self._length, line.duration)
        kit.show_value(self._fps, line.fps)
        kit.show_value(self._loop, line.loop)
        kit.show_value(self._tension, line.tension)
        self.canvas.update(studio)

    def set_key(self) -> None:
        """Keep what is shown in a key at the playhead; shows the timeline."""
        self.playback.is_open = True
        self.playback.set_key()

    def described(self) -> dict[str, object]:
        """What it shows, for the tests."""
        playback, line = self.playback, self.playback.timeline
        return {
            "open": playback.is_open, "playing": playback.is_playing, "time": playback.time,
            "selected": playback.selected, "duration": line.duration, "loop": line.loop,
            "fps": line.fps, "tension": line.tension,
            "keys": [[k.time, k.pose.yaw, k.identity.face.seed, k.easing] for k in line.keys],
        }  # fmt: skip

    def clear(self) -> None:
        """Remove all keys."""
        self.playback.pause()
        self._kit.studio.edit("Clear the timeline", edits.clear)

    # Settings of the timeline -----------------------------------------------------------

    def _ease(self, title: str) -> None:
        index = self.playback.selected
        easing: Easing | None = next(
            (name for name, text in EASING_TITLES.items() if text == title),  # type: ignore[misc]
            None,
        )
        if index is not None and easing is not None:
            self._kit.studio.edit(title, lambda d: edits.set_easing(d, index, easing))

    def _set_length(self, seconds: float) -> None:
        self._edit("Timeline's length", lambda d: edits.set_duration(d, round(seconds, 3)))

    def _set_fps(self, fps: float) -> None:
        self._edit("Timeline's frame rate", lambda d: edits.set_fps(d, round(fps, 3)))

    def _set_tension(self, tension: float) -> None:
        self._edit("Timeline's tension", lambda d: edits.set_tension(d, tension))

    def _edit(self, name: str, change: Callable[[Document], Document]) -> None:
        self.playback.pause()
        self._kit.studio.edit(name, change, gesture=name)

    def _set_loop(self, loop: bool) -> None:
        self.playback.pause()
        name = "Loop the timeline" if loop else "Timeline without a loop"
        self._kit.studio.edit(name, lambda d: edits.set_loop(d, loop))

    # Files ------------------------------------------------------------------------------

    def ask_load(self) -> None:
        """Ask for a saved path."""
        self._kit.studio.desk.talk.ask_path(
            Prompt(
                "open timeline",
                "Load a timeline",
                "Load",
                f"{kept_folder(self._kit.studio.settings, PURPOSE)}/",
                self._load_from,
            )
        )

    def _load_from(self, path: str) -> None:
        studio = self._kit.studio
        where = whole_path(path, kept_folder(studio.settings, PURPOSE), f"a {SUFFIX} file")
        line, facts = load_timeline(where), studio.capabilities
        if facts is not None:
            # It may come from another model.
            line = line.for_model(facts)
        self.playback.pause()
        studio.edit("Load timeline", lambda d: edits.take_over(d, line))
        self.playback.is_open = True
        keep_folder(studio, PURPOSE, where.parent)
        studio.desk.talk.end()

    def ask_save(self) -> None:
        """Ask where to save the path."""
        start = kept_folder(self._kit.studio.settings, PURPOSE) / f"path{SUFFIX}"
        self._kit.studio.desk.talk.ask_path(
            Prompt("save timeline", "Save the timeline", "Save", str(start), self._save_to)
        )

    def _save_to(self, path: str) -> None:
        studio = self._kit.studio
        where = new_file(path, kept_folder(studio.settings, PURPOSE), SUFFIX)
        save_timeline(edits.to_keep(studio.document), check_writable(where))
        keep_folder(studio, PURPOSE, where.parent)
        studio.desk.talk.end()
        studio.say(f"Saved to {where}", "good", "timeline")
