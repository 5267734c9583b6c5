"""The grid of layers and faces as geometry: where cells, letters and groups lie, and what is
under the mouse. Pure arithmetic in pixels, y down, from the grid's upper left corner."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.geometry import Rect

#: Sizes at a scale of 1, pixels. Rows share this height, within these bounds.
HEADER, NUMBERS, GRID_HEIGHT = 20, 20, 208
LEAST_ROW, MOST_ROW = 9, 18
LEAST_COLUMN, MOST_COLUMN = 8, 40
#: Beside a group's name: room for its bracket and some air.
BRACKET, AIR = 9, 7

Cell = tuple[int, int]  # row of w, column: 0 is A, 1 the first source


@dataclass(frozen=True)
class Bracket:
    """A group of rows at the side of the grid.

    Attributes:
        name: the group's.
        start, stop: half-open range of rows.
        lane: 0 is next to the cells.
    """

    name: str
    start: int
    stop: int
    lane: int


def brackets(groups: Mapping[str, tuple[int, int]]) -> tuple[Bracket, ...]:
    """A lane for each group such that no two in a lane overlap: the large ones outside."""
    lanes: list[list[tuple[str, tuple[int, int]]]] = []
    by_size = sorted(groups.items(), key=lambda item: (item[1][0] - item[1][1], item[1]))
    for name, (start, stop) in by_size:
        if start >= stop:
            continue
        for lane in lanes:
            if all(stop <= first or last <= start for _, (first, last) in lane):
                lane.append((name, (start, stop)))
                break
        else:
            lanes.append([(name, (start, stop))])
    return tuple(
        Bracket(name, *span, lane=lane)
        for lane, members in enumerate(reversed(lanes))
        for name, span in members
    )


class MixGrid:
    """Where everything lies.

    Args:
        width: of the panel's content, pixels.
        rows: of w, 1 or more.
        columns: faces with A, 1 or more.
        groups: name -> half-open range of rows.
        measure: width of a text in pixels.
        scale: the UI scale.
    """

    def __init__(
        self,
        width: float,
        rows: int,
        columns: int,
        groups: Mapping[str, tuple[int, int]],
        measure: Callable[[str], float],
        scale: float = 1.0,
    ) -> None:
        self.rows, self.columns = rows, columns
        self.top, self.left = HEADER * scale, NUMBERS * scale
        pitch = min(max(GRID_HEIGHT / rows, LEAST_ROW), MOST_ROW)
        self.row_height = float(math.floor(pitch * scale))
        self.brackets = brackets(groups)
        count = 1 + max((b.lane for b in self.brackets), default=-1)
        self.lanes = [
            max(measure(b.name) for b in self.brackets if b.lane == lane) + (BRACKET + AIR) * scale
            for lane in range(count)
        ]
        free = (width - self.left - sum(self.lanes)) / columns
        self.column_width = float(
            math.floor(min(max(free, LEAST_COLUMN * scale), MOST_COLUMN * scale))
        )
        self._bracket = BRACKET * scale
        self.height = self.top + rows * self.row_height + scale

    @property
    def cells(self) -> Rect:
        """All cells together."""
        return Rect(
            self.left, self.top, self.columns * self.column_width, self.rows * self.row_height
        )

    def cell(self, row: int, column: int) -> Rect:
        """One cell, without the line between it and the next one."""
        area = self.cells
        return Rect(
            area.x + column * self.column_width,
            area.y + row * self.row_height,
            self.column_width - 1,
            self.row_height - 1,
        )

    def header(self, column: int) -> Rect:
        """The letter above a column."""
        x = self.cells.x + column * self.column_width
        return Rect(x, 0, self.column_width - 1, self.top - 2)

    def bracket(self, bracket: Bracket) -> Rect:
        """A group's bracket and name."""
        x = self.cells.right + self._bracket / 2 + sum(self.lanes[: bracket.lane])
        y = self.top + bracket.start * self.row_height
        tall = (bracket.stop - bracket.start) * self.row_height - 1
        return Rect(x, y, self.lanes[bracket.lane] - self._bracket / 2, tall)

    # Under the mouse --------------------------------------------------------------------

    def cell_at(self, x: float, y: float) -> Cell | None:
        """The cell under a point."""
        return self.nearest(x, y) if self.cells.contains(x, y) else None

    def nearest(self, x: float, y: float) -> Cell:
        """The cell under or nearest to a point."""
        row = math.floor((y - self.top) / self.row_height)
        column = math.floor((x - self.left) / self.column_width)
        return min(max(row, 0), self.rows - 1), min(max(column, 0), self.columns - 1)

    def header_at(self, x: float, y: float) -> int | None:
        """The column whose letter is under a point."""
        if not 0 <= y < self.top or not self.cells.x <= x < self.cells.right:
            return None
        return self.nearest(x, self.top)[1]

    def bracket_at(self, x: float, y: float) -> Bracket | None:
        """The group whose name or bracket is under a point."""
        return next((b for b in self.brackets if self.bracket(b).contains(x, y)), None)

    def crossed(self, start: tuple[float, float], end: tuple[float, float]) -> tuple[Cell, ...]:
        """The cells on the way between two points, in order and each once: a quick hand
        leaves no gaps."""
        reach = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
        steps = max(1, math.ceil(2 * reach / min(self.row_height, self.column_width)))
        way = (
            self.nearest(
                start[0] + (end[0] - start[0]) * n / steps,
                start[1] + (end[1] - start[1]) * n / steps,
            )
            for n in range(steps + 1)
        )
        return tuple(dict.fromkeys(way))
