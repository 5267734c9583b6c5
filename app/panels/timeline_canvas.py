"""The strip of the timeline: ruler, keys and playhead, drawn, and moved with the mouse."""

from __future__ import annotations

from itertools import pairwise

import dearpygui.dearpygui as dpg

from app import theme
from app.geometry import Rect
from app.kit import Kit
from app.playback import Playback
from app.studio import Studio
from app.timeline_strip import DIAMOND, TimeStrip
from engine.keyframe import EASINGS

LEFT_BUTTON = 0
DIGITS = 12
#: Pixels that the mouse moves before pressing a key becomes dragging it.
SLACK = 3
ABOUT = "Drag along the times to scrub. Click a key to go to it, drag it to another time."


class TimelineCanvas:
    """A ruler above, keys as diamonds below, the playhead through both.

    Pressing anywhere but on a key moves the playhead there and drags it; a key is gone to by a
    click, and dragged.
    """

    def __init__(self, kit: Kit, playback: Playback) -> None:
        self._kit, self._playback = kit, playback
        self._width = self._height = 0.0
        self._strip = TimeStrip(1, 1)
        self._drag: str | None = None
        self._held = 0
        self._pressed = 0.0
        self._hover: int | None = None
        self._drawn: object = None

    def build(self) -> None:
        """Create the items."""
        # A tooltip cannot stand in a drawlist, but it can beside one, for the group of both.
        with dpg.group() as group:
            self._canvas = int(dpg.add_drawlist(1, 1))
        with dpg.tooltip(group, delay=0.5, hide_on_activity=True):
            self._tip = int(dpg.add_text(ABOUT, wrap=self._kit.px(320)))
        self._kit.name("timeline_tip", self._tip)

    def place(self, width: float, height: float) -> None:
        """Take another size."""
        self._width, self._height = width, height
        self.update(self._kit.studio)

    def update(self, studio: Studio) -> None:
        """Show the present timeline."""
        line, playback = studio.document.timeline, self._playback
        state = (line, playback.time, playback.selected, self._hover, self._width, self._height)
        if state == self._drawn or self._width <= 1:
            return
        self._drawn = state
        strip = self._strip = TimeStrip(self._width, line.duration, self._kit.scale, self._height)
        dpg.delete_item(self._canvas, children_only=True)
        dpg.configure_item(self._canvas, width=int(strip.width), height=int(strip.height))
        dpg.push_container_stack(self._canvas)
        dpg.draw_rectangle(
            (0, 0), (strip.width, strip.height), color=theme.FIELD, fill=theme.FIELD,
            rounding=self._kit.px(4),
        )  # fmt: skip
        for time, text in strip.ticks():
            self._draw_tick(strip, time, text)
        self._draw_way(strip)
        for index, key in enumerate(line.keys):
            self._draw_key(strip, index, strip.x_of(key.time))
        self._draw_playhead(strip, strip.x_of(playback.time))
        dpg.pop_container_stack()

    def _draw_tick(self, strip: TimeStrip, time: float, text: str) -> None:
        px, x = self._kit.px, strip.x_of(time)
        foot = strip.ruler.bottom
        dpg.draw_line((x, foot - px(4)), (x, strip.height), color=theme.LINE, thickness=1)
        wide = 0.55 * px(DIGITS) * len(text)
        at = (min(x - wide / 2, strip.width - wide - 2), px(2))
        dpg.draw_text(at, text, size=px(DIGITS), color=theme.MUTED)

    def _draw_way(self, strip: TimeStrip) -> None:
        """The line from key to key: broken where a key is held."""
        line, y = self._playback.timeline, strip.middle
        keys, thick = line.keys, max(self._kit.px(2), 1)
        if not keys:
            text = "No keys yet: press Add key (K) to keep this view and face here"
            size = self._kit.px(13)
            wide = 0.47 * size * len(text)
            at = (max((strip.width - wide) / 2, self._kit.px(20)), y - size / 2)
            dpg.draw_text(at, text, size=size, color=theme.FAINT)
            return
        for key, after in pairwise(keys):
            start, end = strip.x_of(key.time), strip.x_of(after.time)
            color = theme.LINE if key.easing == "hold" else theme.faded(theme.ACCENT, 0.55)
            dpg.draw_line((start, y), (end, y), color=color, thickness=thick)
        if line.loop and len(keys) > 1:
            color = theme.faded(theme.ACCENT, 0.25)
            for start, end in ((keys[-1].time, line.duration), (0.0, keys[0].time)):
                ends = (strip.x_of(start), y), (strip.x_of(end), y)
                dpg.draw_line(*ends, color=color, thickness=thick)

    def _draw_key(self, strip: TimeStrip, index: int, x: float) -> None:
        reach, y = self._kit.px(DIAMOND), strip.middle
        chosen, hot = index == self._playback.selected, index == self._hover
        fill = theme.ACCENT if chosen else theme.MUTED
        edge = theme.TEXT if hot or chosen else theme.PANEL
        corners = [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y), (x, y - reach)]
        dpg.draw_polygon(corners, color=edge, fill=fill, thickness=self._kit.px(1.5))

    def _draw_playhead(self, strip: TimeStrip, x: float) -> None:
        px, foot = self._kit.px, strip.ruler.bottom
        dpg.draw_line((x, foot - px(3)), (x, strip.height), color=theme.TEXT, thickness=px(1.5))
        dpg.draw_triangle(
            (x - px(6), foot - px(11)), (x + px(6), foot - px(11)), (x, foot - px(2)),
            color=theme.TEXT, fill=theme.TEXT,
        )  # fmt: skip

    @property
    def places(self) -> dict[str, Rect]:
        """Where the strip, its ruler and its keys lie in the window, by name."""
        if not self._playback.is_open or self._width <= 1:
            return {}
        left, top = dpg.get_item_rect_min(self._canvas)
        strip, px = self._strip, self._kit.px(DIAMOND)
        boxes = {
            f"timeline_key_{i}": Rect(strip.x_of(k.time) - px, strip.middle - px, 2 * px, 2 * px)
            for i, k in enumerate(self._playback.timeline.keys)
        }
        start = strip.x_of(0.0)
        boxes["timeline_ruler"] = Rect(
            start, 0, strip.x_of(strip.duration) - start, strip.ruler.height
        )
        return {n: Rect(left + b.x, top + b.y, b.width, b.height) for n, b in boxes.items()}

    # The mouse --------------------------------------------------------------------------

    @property
    def dragging(self) -> bool:
        """Whether the playhead is being dragged."""
        return self._drag == "scrub"

    def press(self, button: int, x: float, y: float) -> None:
        """A button went down somewhere in the window."""
        if button != LEFT_BUTTON or not self._is_mine():
            return
        at = self._local(x, y)
        key = self._strip.key_under(self._times, *at)
        if key is None:
            self._drag = "scrub"
            self._playback.scrub(self._strip.time_at(at[0]))
        else:
            self._drag, self._held, self._pressed = "press", key, at[0]
            self._playback.pause()
            self._playback.select(key)

    def move(self, x: float, y: float) -> None:
        """The mouse moved, anywhere."""
        if not self._playback.is_open:
            return
        at = self._local(x, y)
        if self._drag == "scrub":
            self._playback.scrub(self._strip.time_at(at[0]))
        elif self._drag == "press" and abs(at[0] - self._pressed) > SLACK * self._kit.scale:
            self._drag = "key"
        if self._drag == "key":
            self._held = self._playback.move(self._held, self._strip.time_at(at[0]))
        hover = self._strip.key_under(self._times, *at) if self._is_mine() else None
        if self._drag is None and hover != self._hover:
            self._hover = hover
            self._kit.show_value(self._tip, self._explain(hover))
            self._kit.studio.touch()

    def release(self, button: int) -> None:
        """A button went up, anywhere."""
        if button != LEFT_BUTTON or self._drag is None:
            return
        was, self._drag = self._drag, None
        if was == "press" and self._held < len(self._times):
            self._playback.go_to_key(self._held)
        else:
            self._kit.studio.end_gesture()

    def _explain(self, index: int | None) -> str:
        if index is None or index >= len(self._times):
            return ABOUT
        key = self._playback.timeline.keys[index]
        return (
            f"Key {index + 1} at {key.time:.2f} s, seed {key.identity.face.seed}, "
            f"yaw {key.pose.yaw:.0f}\u00b0; {key.easing}: {EASINGS[key.easing]}"
        )

    @property
    def _times(self) -> list[float]:
        return [key.time for key in self._playback.timeline.keys]

    def _local(self, x: float, y: float) -> tuple[float, float]:
        left, top = dpg.get_item_rect_min(self._canvas)
        return x - left, y - top

    def _is_mine(self) -> bool:
        """Whether the mouse is on the strip with no other window above it."""
        return self._playback.is_open and bool(dpg.is_item_hovered(self._canvas))
