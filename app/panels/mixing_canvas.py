"""The grid of layers and faces: drawn, and painted with the mouse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import dearpygui.dearpygui as dpg

from app import mixing_edits as mixing
from app import theme
from app.geometry import Rect
from app.kit import Kit
from app.mix_grid import Bracket, Cell, MixGrid
from app.studio import Studio
from engine.capabilities import Capabilities
from engine.identity import StyleSource

LEFT_BUTTON = 0
#: Height of the letters and numbers, and the least distance of two row numbers, pixels.
LETTERS, DIGITS, APART = 14, 12, 13
ABOUT = "Press and drag to take layers from a face, or to give them back."


class MixingCanvas:
    """A row for each layer, a column for each face; a cell is filled where a face gives a layer.

    Pressing a cell gives the layer to its face, or takes it back where the face has it, and
    dragging goes on with that; one drag is one step of the history.

    Args:
        kit: what every panel is given.
        select: told which face was chosen by its letter (``None`` is A).
    """

    def __init__(self, kit: Kit, select: Callable[[int | None], None]) -> None:
        self._kit, self._select = kit, select
        self.selected: int | None = None
        self._layout: MixGrid | None = None
        self._capabilities: Capabilities | None = None
        self._sources: tuple[StyleSource, ...] = ()
        self._width = 0.0
        self._stroke: str | None = None
        self._last = (0.0, 0.0)
        self._hover: object = None
        self._drawn: object = None

    def build(self) -> None:
        """Create the items."""
        # A tooltip cannot stand in a drawlist, but it can beside one, for the group of both.
        with dpg.group() as group:
            self._canvas = int(dpg.add_drawlist(1, 1))
        self._kit.name("mix_grid", self._canvas)
        # It would lie on the cells below: it comes only while the mouse rests.
        with dpg.tooltip(group, delay=0.5, hide_on_activity=True):
            self._tip = int(dpg.add_text(ABOUT, wrap=self._kit.px(320)))
        self._kit.name("mix_grid_tip", self._tip)
        self._group = int(group)

    def update(self, studio: Studio) -> None:
        """Show the present mix."""
        self._capabilities = studio.capabilities
        self._sources = studio.document.recipe.mixes[: mixing.MAX_SOURCES]
        self.fit()
        self._draw()

    def fit(self) -> None:
        """Follow the width of the panel; call after each frame."""
        width = float(dpg.get_item_state(self._group).get("content_region_avail", (0, 0))[0])
        if width > 1 and width != self._width:
            self._width = width
            self._draw()

    # Drawing ----------------------------------------------------------------------------

    def _draw(self) -> None:
        facts = self._capabilities
        if facts is None or self._width <= 1:
            return
        state = (
            self._width, facts.num_ws, tuple(facts.layer_groups.items()), self._sources,
            self.selected, self._hover,
        )  # fmt: skip
        if state == self._drawn:
            return
        self._drawn = state
        layout = self._layout = MixGrid(
            self._width, facts.num_ws, 1 + len(self._sources), facts.layer_groups,
            self._measure, self._kit.scale,
        )  # fmt: skip
        dpg.delete_item(self._canvas, children_only=True)
        dpg.configure_item(self._canvas, width=int(self._width), height=int(layout.height))
        dpg.push_container_stack(self._canvas)
        for column in range(layout.columns):
            self._draw_column(layout, column)
        every = max(1, round(self._kit.px(APART) / layout.row_height + 0.49))
        for row in range(0, layout.rows, every):
            self._draw_number(layout, row)
        for bracket in layout.brackets:
            self._draw_bracket(layout, bracket)
        dpg.pop_container_stack()

    def _draw_column(self, layout: MixGrid, column: int) -> None:
        index = None if column == 0 else column - 1
        color, box = theme.FACES[column], layout.header(column)
        chosen = index == self.selected
        if chosen:
            dpg.draw_rectangle(
                (box.x, box.y), (box.right, box.bottom), color=color, fill=color,
                rounding=self._kit.px(3),
            )  # fmt: skip
        name, size = mixing.letter(index), self._kit.px(LETTERS)
        x, y = box.center
        wide = self._measure(name) * LETTERS / DIGITS
        ink = theme.ON_ACCENT if chosen else color
        dpg.draw_text((x - wide / 2, y - size / 2), name, size=size, color=ink)
        weight = 1.0 if index is None else min(abs(self._sources[index].weight), 1.0)
        for row in range(layout.rows):
            cell = layout.cell(row, column)
            held = mixing.owner(self._sources, row) == index
            fill = theme.FIELD
            if held:
                fill = theme.mixed(
                    theme.FIELD, color, 0.45 if index is None else 0.25 + 0.75 * weight
                )
            edge = theme.TEXT if self._hover == (row, column) else fill
            dpg.draw_rectangle((cell.x, cell.y), (cell.right, cell.bottom), color=edge, fill=fill)

    def _draw_number(self, layout: MixGrid, row: int) -> None:
        text, size = str(row), self._kit.px(DIGITS)
        cell = layout.cell(row, 0)
        x = layout.left - self._measure(text) - self._kit.px(5)
        y = cell.center[1] - size / 2
        dpg.draw_text((x, y), text, size=size, color=theme.FAINT)

    def _draw_bracket(self, layout: MixGrid, bracket: Bracket) -> None:
        box, size = layout.bracket(bracket), self._kit.px(DIGITS)
        hot = self._hover == bracket
        color = theme.TEXT if hot else theme.MUTED
        tick = self._kit.px(3)
        line = [(box.x, box.y + 1), (box.x + tick, box.y + 1), (box.x + tick, box.bottom - 1),
                (box.x, box.bottom - 1)]  # fmt: skip
        dpg.draw_polyline(line, color=theme.TEXT if hot else theme.FAINT, thickness=1)
        at = (box.x + tick + self._kit.px(4), box.center[1] - size / 2)
        dpg.draw_text(at, bracket.name, size=size, color=color)

    def _measure(self, text: str) -> float:
        """Width of a text of the size of numbers."""
        measured = dpg.get_text_size(text, font=self._kit.fonts.small)
        small = 14 * self._kit.scale
        wide = float(measured[0]) if measured else 0.52 * small * len(text)
        return wide * self._kit.px(DIGITS) / small

    @property
    def places(self) -> dict[str, Rect]:
        """Where the cells and the groups lie in the window, by name."""
        layout = self._layout
        if layout is None or not self._sources:
            return {}
        left, top = dpg.get_item_rect_min(self._canvas)
        boxes = {f"mix_group_{b.name}": layout.bracket(b) for b in layout.brackets}
        boxes["mix_cells"] = layout.cells
        return {n: Rect(left + b.x, top + b.y, b.width, b.height) for n, b in boxes.items()}

    # The mouse --------------------------------------------------------------------------

    def press(self, button: int, x: float, y: float) -> None:
        """A button went down somewhere in the window."""
        layout = self._layout
        if button != LEFT_BUTTON or layout is None or not self._is_mine():
            return
        at = self._local(x, y)
        column, bracket, cell = layout.header_at(*at), layout.bracket_at(*at), layout.cell_at(*at)
        if column is not None:
            self._select(None if column == 0 else column - 1)
        elif bracket is not None:
            self._give(bracket)
        elif cell is not None:
            index = None if cell[1] == 0 else cell[1] - 1
            held = index is not None and mixing.owner(self._sources, cell[0]) == index
            self._stroke = "erase" if held else "paint"
            self._last = at
            self._select(index)
            self._paint((cell,))

    def move(self, x: float, y: float) -> None:
        """The mouse moved, anywhere."""
        layout, at = self._layout, self._local(x, y)
        if layout is None:
            return
        if self._stroke is not None:
            if at != self._last:
                cells = layout.crossed(self._last, at)
                self._last = at
                self._paint(cells)
            self._point(layout.nearest(*at))
            return
        hover: Cell | Bracket | None = None
        if self._is_mine():
            hover = layout.cell_at(*at) or layout.bracket_at(*at)
            if hover is None and (column := layout.header_at(*at)) is not None:
                hover = (-1, column)
        self._point(hover)

    def release(self, button: int) -> None:
        """A button went up, anywhere."""
        if button == LEFT_BUTTON and self._stroke is not None:
            self._stroke = None
            self._kit.studio.end_gesture()

    def _paint(self, cells: tuple[Cell, ...]) -> None:
        count, erase = len(self._sources), self._stroke == "erase"
        columns: dict[int, list[int]] = {}
        for row, column in cells:
            if column <= count and not (erase and column == 0):
                columns.setdefault(column, []).append(row)
        for column, rows in columns.items():
            index = None if column == 0 else column - 1
            if erase and index is not None:
                change, name = partial(mixing.erase, index=index, rows=rows), "Erase layers"
            else:
                change, name = partial(mixing.paint, index=index, rows=rows), "Paint layers"
            self._kit.studio.edit(name, change, "mix-paint")

    def _give(self, bracket: Bracket) -> None:
        """A whole group to the chosen face, or back to A where that face has all of it."""
        rows, index = range(bracket.start, bracket.stop), self.selected
        if all(mixing.owner(self._sources, row) == index for row in rows):
            index = None
        name = f"{bracket.name.capitalize()} layers from {mixing.letter(index)}"
        self._kit.studio.edit(name, lambda d: mixing.paint(d, index, rows))

    def _point(self, hover: Cell | Bracket | None) -> None:
        if hover != self._hover:
            self._hover = hover
            self._kit.show_value(self._tip, self._explain(hover))
            self._draw()

    def _explain(self, hover: Cell | Bracket | None) -> str:
        facts = self._capabilities
        if facts is None or hover is None:
            return ABOUT
        if isinstance(hover, Bracket):
            to = mixing.letter(self.selected)
            last = hover.stop - 1
            return f"The {hover.name} layers, {hover.start} to {last}: click to take them from {to}"
        row, column = hover
        index = None if column == 0 else column - 1
        who = "A, the face above" if index is None else self._named(index)
        if row < 0:
            return f"{who}: click to choose it"
        groups = ", ".join(facts.groups_of(row))
        layer = f"Layer {row}" + (f" ({groups})" if groups else "")
        giver = mixing.owner(self._sources, row)
        if giver != index:
            return f"{layer}: press to take it from {who}"
        return f"{layer}: from {who}" + ("" if index is None else "; press to give it back to A")

    def _named(self, index: int) -> str:
        if index >= len(self._sources):
            return mixing.letter(index)
        return f"{mixing.letter(index)}, seed {self._sources[index].seed}"

    def _local(self, x: float, y: float) -> tuple[float, float]:
        left, top = dpg.get_item_rect_min(self._canvas)
        return x - left, y - top

    def _is_mine(self) -> bool:
        """Whether the mouse is on the grid with no other window above it."""
        return bool(dpg.is_item_hovered(self._canvas))
