"""Where the cells of the grid of layers and faces lie."""

from __future__ import annotations

import pytest

from app.mix_grid import LEAST_COLUMN, Bracket, MixGrid, brackets

GROUPS = {"shape": (0, 3), "appearance": (3, 9), "coarse": (3, 5), "middle": (5, 7), "fine": (7, 9)}


def width_of(text: str) -> float:
    return 6.5 * len(text)


def grid(
    rows: int = 14,
    columns: int = 3,
    scale: float = 1.0,
    groups: dict[str, tuple[int, int]] = GROUPS,
) -> MixGrid:
    return MixGrid(249 * scale, rows, columns, groups, lambda t: width_of(t) * scale, scale)


def test_groups_that_overlap_stand_side_by_side() -> None:
    found = {b.name: b for b in brackets(GROUPS)}
    assert found["appearance"] == Bracket("appearance", 3, 9, 1)
    assert {name: b.lane for name, b in found.items()} == {
        "shape": 1, "appearance": 1, "coarse": 0, "middle": 0, "fine": 0,
    }  # fmt: skip
    assert brackets({"empty": (4, 4)}) == ()


@pytest.mark.parametrize("scale", [1.0, 1.25, 1.5, 2.0])
@pytest.mark.parametrize("rows", [9, 14, 18, 31])
@pytest.mark.parametrize("columns", [2, 9])
def test_everything_fits_the_column(rows: int, columns: int, scale: float) -> None:
    layout = grid(rows, columns, scale)
    assert layout.height <= 310 * scale and layout.row_height >= 9 * scale - 1
    assert layout.column_width >= LEAST_COLUMN * scale - 1
    for bracket in layout.brackets:
        area = layout.bracket(bracket)
        assert area.x >= layout.cells.right and area.right <= 249 * scale


def test_a_cell_is_found_under_every_one_of_its_points() -> None:
    layout = grid(rows=31, columns=9)
    for row in range(31):
        for column in range(9):
            box = layout.cell(row, column)
            for x, y in ((box.x, box.y), box.center, (box.right - 0.1, box.bottom - 0.1)):
                assert layout.cell_at(x, y) == (row, column)
    area = layout.cells
    assert layout.cell_at(area.x - 0.1, area.y) is None
    assert layout.cell_at(area.x, area.bottom) is None
    assert layout.nearest(-50, 1e4) == (30, 0) and layout.nearest(1e4, -50) == (0, 8)


def test_letters_and_groups_are_found() -> None:
    layout = grid(rows=9)
    assert [layout.header_at(*layout.header(c).center) for c in range(3)] == [0, 1, 2]
    assert layout.header_at(layout.cells.x + 1, layout.top) is None
    for bracket in layout.brackets:
        assert layout.bracket_at(*layout.bracket(bracket).center) == bracket
    assert layout.bracket_at(*layout.cells.center) is None


def test_a_quick_stroke_leaves_no_gaps() -> None:
    layout = grid(rows=31, columns=2)
    top, foot = layout.cell(2, 1).center, layout.cell(29, 1).center
    assert layout.crossed(top, foot) == tuple((row, 1) for row in range(2, 30))
    assert layout.crossed(foot, foot) == ((29, 1),)
    # Beyond the edge the nearest cells count.
    assert layout.crossed(foot, (foot[0] + 500, foot[1] + 500))[-1] == (30, 1)
