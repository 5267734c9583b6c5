"""The mouse on headings and grips: sections are dragged to other places, columns made wider."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import dearpygui.dearpygui as dpg

from app import theme
from app.dock import COLUMNS, Column, Dock, slot
from app.geometry import LEFT_WIDTH, RIGHT_WIDTH, TIMELINE_HEIGHT, Rect
from app.kit import Kit
from app.panels.docking import Docking

LEFT, RIGHT = 0, 1
#: Pixels that the mouse moves before pressing a heading becomes dragging it.
SLACK = 6
#: How near the window's edge counts as an empty column, and how near a column's upper and lower
#: edge scrolls it, at a scale of 1, pixels.
REACH, SCROLL_ZONE, SCROLL_STEP = 48, 28, 14
Grip = Literal["left", "right", "timeline"]
GRIPS: tuple[Grip, ...] = ("left", "right", "timeline")


@dataclass(frozen=True)
class Landing:
    """Where a section that is let go now comes to stand: before a place of a column, or in a
    window of its own."""

    column: Column | None = None
    place: int = 0
    line: Rect | None = None


@dataclass
class Drag:
    """What the mouse holds: a heading or a grip."""

    start: tuple[float, float]
    key: str = ""
    grip: Grip | None = None
    before: Dock = Dock()  # noqa: RUF009 (it is frozen)
    offset: tuple[float, float] = (0.0, 0.0)
    moved: bool = False
    landing: Landing | None = None


class DockDrag:
    """Told about the mouse, as the parts that are drawn by hand are.

    Args:
        kit: what every panel is given.
        docking: what is changed.
    """

    def __init__(self, kit: Kit, docking: Docking) -> None:
        self._kit, self._docking = kit, docking
        self._drag: Drag | None = None
        self._clicks = True
        self._grips: dict[Grip, int] = {}
        self._handlers: list[int] = []
        for section in docking.sections.values():
            section.may_fold = lambda: self._clicks

    def build(self) -> None:
        """Create what is drawn over everything while a section is dragged."""
        self._over = int(dpg.add_viewport_drawlist(front=True))

    def build_grip(self, grip: Grip) -> None:
        """Create one of the grips, inside the window that is open."""
        kit = self._kit
        what = "The timeline" if grip == "timeline" else f"The {grip} column"
        button = kit.button(
            "", lambda: None, f"grip_{grip}",
            f"{what}: drag for another size, double-click for the usual one", width=1,
        )  # fmt: skip
        dpg.bind_item_theme(button, kit.themes.grip)
        with dpg.item_handler_registry() as registry:
            dpg.add_item_double_clicked_handler(LEFT, callback=lambda: self._usual(grip))
        dpg.bind_item_handler_registry(button, registry)
        self._handlers.append(int(registry))
        self._grips[grip] = button

    def place(self) -> None:
        """Follow the layout."""
        layout = self._docking.layout
        if layout is None:
            return
        boxes = layout.grip_left, layout.grip_right, layout.grip_timeline
        for grip, box in zip(GRIPS, boxes, strict=True):
            dpg.configure_item(
                self._grips[grip], width=max(int(box.width), 1), height=max(int(box.height), 1)
            )

    def delete(self) -> None:
        """Take away what stands in no window."""
        for item in (self._over, *self._handlers):
            dpg.delete_item(item)

    # The mouse --------------------------------------------------------------------------

    @property
    def dragging(self) -> bool:
        """Whether a section or a grip is being dragged."""
        return self._drag is not None and self._drag.moved

    def press(self, button: int, x: float, y: float) -> None:
        """A button went down."""
        docking = self._docking
        self._clicks = True
        if self._drag is not None:
            return
        held = next((key for key, one in docking.sections.items() if one.is_held), None)
        if button == RIGHT and held is not None:
            docking.open_menu(held)
        if button != LEFT:
            return
        for grip, item in self._grips.items():
            if dpg.is_item_visible(item) and dpg.is_item_hovered(item):
                self._drag = Drag((x, y), grip=grip, before=docking.dock)
                return
        if held is not None:
            box = docking.sections[held].box
            self._drag = Drag((x, y), held, before=docking.dock, offset=(x - box.x, y - box.y))

    def move(self, x: float, y: float) -> None:
        """The mouse moved, anywhere."""
        drag = self._drag
        if drag is None:
            return
        dx, dy = x - drag.start[0], y - drag.start[1]
        slack = 0 if drag.grip else SLACK * max(self._kit.scale, 1.0)
        if not drag.moved and max(abs(dx), abs(dy)) <= slack:
            return
        drag.moved, self._clicks = True, False
        if drag.grip is not None:
            self._resize(drag, dx, dy)
            return
        self._scroll(x, y)
        drag.landing = self._landing(drag.key, x, y)
        floating = drag.before.floating_of(drag.key)
        if floating is not None:
            scale = self._kit.scale
            moved = replace(floating, x=floating.x + dx / scale, y=floating.y + dy / scale)
            others = tuple(f for f in drag.before.floating if f is not floating)
            self._docking.show(replace(drag.before, floating=(*others, moved)))
        self._draw(drag, x, y)

    def release(self, button: int) -> None:
        """A button went up, anywhere."""
        drag = self._drag
        if button != LEFT:
            return
        if drag is None:
            self._docking.see_resized()
            return
        self._drag = None
        dpg.delete_item(self._over, children_only=True)
        if drag.moved:
            self._land(drag)

    def cancel(self) -> bool:
        """Put back what is being dragged; False if nothing is."""
        drag = self._drag
        if drag is None or not drag.moved:
            return False
        self._drag = None
        dpg.delete_item(self._over, children_only=True)
        self._docking.show(drag.before)
        return True

    def _land(self, drag: Drag) -> None:
        docking, landing = self._docking, drag.landing
        if drag.grip is not None:
            docking.change(docking.dock)
        elif landing is not None and landing.column is not None:
            docking.change(docking.dock.docked(drag.key, landing.column, landing.place))
        elif docking.dock.floating_of(drag.key) is not None:
            # It has gone along with the mouse; what lies outside comes back in.
            one, px = docking.dock.floating_of(drag.key), self._kit.px
            if one is not None:
                docking.float_at(
                    drag.key, Rect(px(one.x), px(one.y), px(one.width), px(one.height))
                )
        elif landing is not None:
            x, y = dpg.get_mouse_pos(local=False)
            size = docking.size_of(drag.key)
            corner = x - drag.offset[0] - self._kit.px(12), y - drag.offset[1] - self._kit.px(10)
            docking.float_at(drag.key, Rect(*corner, size.width, size.height))

    # Grips ------------------------------------------------------------------------------

    def _resize(self, drag: Drag, dx: float, dy: float) -> None:
        docking, before, scale = self._docking, drag.before, self._kit.scale
        layout = docking.layout
        if layout is None:
            return
        if drag.grip == "timeline":
            # Not higher than it can be shown.
            most = (layout.viewport.height + layout.timeline.height) / 2 / scale
            docking.show(before.heightened(min(before.timeline_height - dy / scale, most)))
        elif drag.grip is not None:
            left = drag.grip == "left"
            width = before.left_width if left else before.right_width
            width += (dx if left else -dx) / scale
            most = docking.widest(drag.grip)
            docking.show(before.widened(drag.grip, min(width, most)))

    def _usual(self, grip: Grip) -> None:
        self._drag = None
        dock = self._docking.dock
        if grip == "timeline":
            self._docking.change(dock.heightened(TIMELINE_HEIGHT))
        else:
            usual = LEFT_WIDTH if grip == "left" else RIGHT_WIDTH
            self._docking.change(dock.widened(grip, usual))

    # Sections ---------------------------------------------------------------------------

    def _landing(self, key: str, x: float, y: float) -> Landing | None:
        """Where the section lands if it is let go here; ``None`` for nowhere."""
        docking, layout = self._docking, self._docking.layout
        if layout is None or docking.dock.hidden:
            return None
        for column in COLUMNS:
            area: Rect = getattr(layout, column)
            sections = [one for one in docking.shown(column) if one.key != key]
            zone = area if docking.shown(column) else self._zone(column, area)
            if not zone.contains(x, y):
                continue
            boxes = [one.box for one in sections]
            at = slot([(box.y, box.bottom) for box in boxes], y)
            keys = docking.dock.column(column)
            place = keys.index(sections[at].key) if at < len(sections) else len(keys)
            top = area.y + self._kit.px(10)
            if boxes:
                top = boxes[at].y - self._kit.px(5) if at < len(boxes) else boxes[-1].bottom
            line = Rect(zone.x, max(top, area.y + 2), zone.width, self._kit.px(3))
            return Landing(column, place, line)
        over = layout.viewport.contains(x, y) or layout.timeline.contains(x, y)
        return Landing() if over else None

    def _zone(self, column: Column, area: Rect) -> Rect:
        """Where an empty column takes sections: wider than it looks."""
        wide = self._kit.px(REACH)
        return Rect(area.x if column == "left" else area.right - wide, area.y, wide, area.height)

    def _scroll(self, x: float, y: float) -> None:
        """Scroll a column whose upper or lower edge the mouse is near."""
        px, docking = self._kit.px, self._docking
        if docking.layout is None:
            return
        for column in COLUMNS:
            area: Rect = getattr(docking.layout, column)
            if area.contains(x, y):
                up, down = y < area.y + px(SCROLL_ZONE), y > area.bottom - px(SCROLL_ZONE)
                docking.scroll(column, px(SCROLL_STEP) * (down - up))

    # Drawing ----------------------------------------------------------------------------

    def _draw(self, drag: Drag, x: float, y: float) -> None:
        """The heading at the mouse, and where it would land."""
        kit, docking, landing, over = self._kit, self._docking, drag.landing, self._over
        dpg.delete_item(over, children_only=True)
        if docking.layout is None:
            return
        floats = drag.before.floating_of(drag.key) is not None
        text = docking.sections[drag.key].title
        if landing is not None and landing.line is not None:
            line = landing.line
            dpg.draw_rectangle(
                (line.x + 2, line.y), (line.right - 2, line.bottom), parent=over,
                color=theme.ACCENT, fill=theme.ACCENT, rounding=line.height / 2,
            )  # fmt: skip
        elif landing is not None and not floats:
            size, area = docking.size_of(drag.key), docking.layout.viewport
            left, top = x - drag.offset[0], y - drag.offset[1]
            dpg.draw_rectangle(
                (left, top), (left + size.width, min(top + size.height, area.bottom)), parent=over,
                color=theme.ACCENT, fill=theme.faded(theme.ACCENT, 0.12), rounding=kit.px(7),
            )  # fmt: skip
            text += "  ·  float here"
        if floats and (landing is None or landing.column is None):
            return
        high = kit.px(16)
        measured = dpg.get_text_size(text, font=kit.fonts.body)
        wide = measured[0] if measured else 8 * len(text)
        left, top, pad = x + kit.px(12), y + kit.px(10), kit.px(8)
        dpg.draw_rectangle(
            (left, top), (left + wide + 2 * pad, top + high + pad * 1.5), parent=over,
            color=theme.ACCENT, fill=theme.faded(theme.POPUP, 0.95), rounding=kit.px(5),
        )  # fmt: skip
        dpg.draw_text((left + pad, top + pad * 0.7), text, parent=over, size=high, color=theme.TEXT)
