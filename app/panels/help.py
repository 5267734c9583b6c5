"""The list of keys and of what the mouse does."""

from __future__ import annotations

import dearpygui.dearpygui as dpg

from app.commands import COMMANDS, MOUSE, command
from app.kit import Kit
from app.panels.popup import Popup

COLUMNS = 3
#: Room for the keys in front of what they do, at a scale of 1, pixels.
KEYS_WIDTH = 118
#: About how large the list is at a scale of 1, pixels: it is as large as its lines.
SIZE = (1030, 745)
Lines = list[tuple[str, str]]


def lists() -> dict[str, Lines]:
    """Heading -> (keys, what they do), made from the one table of commands."""
    found: dict[str, Lines] = {}
    for entry in COMMANDS:
        if entry.keys:
            keys = entry.keys.replace(", ", " or ")
            found.setdefault(entry.group, []).append((keys, entry.title))
    return {**found, "Mouse": list(MOUSE)}


def columns(groups: dict[str, Lines], count: int = COLUMNS) -> list[list[str]]:
    """Headings of ``groups`` in columns of about the same length, in their order where that
    allows it."""
    split: list[list[str]] = [[] for _ in range(count)]
    lengths = [0] * count
    for name, lines in groups.items():
        shortest = lengths.index(min(lengths))
        split[shortest].append(name)
        # A heading and the gap after a list take about two lines.
        lengths[shortest] += len(lines) + 2
    return split


class HelpWindow(Popup):
    """Opened by F1 or ?."""

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit, SIZE)

    def build(self) -> None:
        """Create the items."""
        kit, groups = self._kit, lists()
        with dpg.window(
            label="Keys", show=False, no_resize=True, no_collapse=True, autosize=True,
        ) as window:  # fmt: skip
            with dpg.group(horizontal=True, horizontal_spacing=kit.px(32)):
                for names in columns(groups):
                    with dpg.group():
                        for name in names:
                            self._lines(name, groups[name])
                            dpg.add_spacer(height=kit.px(2))
            every = f"{command('palette').keys} finds these and every other command by name."
            kit.text(every, theme=kit.themes.faint, font=kit.fonts.small)
        self.window = int(window)

    def toggle(self) -> None:
        """Open or close it; it is no higher than the room there is, and scrolls then."""
        room = dpg.get_viewport_client_height() - self._kit.px(16)
        dpg.configure_item(self.window, max_size=(10_000, max(room, 1)))
        super().toggle()
        if self.is_open:
            # Once its lines have been laid out, and with them its own size is known.
            self._kit.later(self._place)

    def _place(self) -> None:
        """In the middle, with its foot inside."""
        space = dpg.get_viewport_client_width(), dpg.get_viewport_client_height()
        size = dpg.get_item_rect_size(self.window)
        corner = [int(max(0, room - side) // 2) for room, side in zip(space, size, strict=True)]
        dpg.set_item_pos(self.window, corner)

    def _lines(self, name: str, lines: Lines) -> None:
        kit = self._kit
        kit.text(name, font=kit.fonts.strong, theme=kit.themes.accent)
        widest = max(len(keys) for keys, _ in lines)
        width = KEYS_WIDTH if widest < 15 else KEYS_WIDTH + 64
        with dpg.group() as block:
            for keys, text in lines:
                with dpg.group(horizontal=True, xoffset=kit.px(width)):
                    kit.text(keys, theme=kit.themes.heading)
                    kit.text(text, theme=kit.themes.muted)
        dpg.bind_item_font(block, kit.fonts.small)
