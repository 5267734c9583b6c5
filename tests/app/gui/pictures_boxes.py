"""Which part of the window a picture of the documentation keeps."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.app.gui.driver import App, State

#: Space around a panel, pixels.
EDGE = 6
Box = tuple[float, float, float, float]


def everything(app: App) -> Box:
    """The whole window."""
    return (0, 0, *app.state["window"])


def around(widget: str) -> Callable[[App], Box]:
    """The window that holds the middle of a widget."""

    def box(app: App) -> Box:
        state = app.wait(widget, lambda s: s["widgets"].get(widget, [0, 0, 0])[2] > 1)
        x, y, width, height = state["widgets"][widget]
        return topmost(state, x + width / 2, y + height / 2)

    return box


def closely(widget: str) -> Callable[[App], Box]:
    """The smallest window that holds the middle of a widget: a question has a veil above it."""

    def box(app: App) -> Box:
        state = app.wait(widget, lambda s: s["widgets"].get(widget, [0, 0, 0])[2] > 1)
        x, y, width, height = state["widgets"][widget]
        at = x + width / 2, y + height / 2
        boxes = [(a, b, a + w, b + h) for a, b, w, h in state["windows"]]
        found = [box for box in boxes if box[0] <= at[0] < box[2] and box[1] <= at[1] < box[3]]
        return min(found, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))

    return box


def around_newest(prefix: str) -> Callable[[App], Box]:
    """The window that holds the last of some numbered widgets: a long list has scrolled to it."""

    def box(app: App) -> Box:
        state = app.wait(prefix, lambda s: s["widgets"].get(f"{prefix}0", [0, 0, 0])[2] > 1)
        shown = [name for name, place in state["widgets"].items() if place[2] > 1]
        numbers = [name.removeprefix(prefix) for name in shown if name.startswith(prefix)]
        return around(prefix + max(filter(str.isdigit, numbers), key=int))(app)

    return box


def topmost(state: State, x: float, y: float) -> Box:
    """The window at a point that was made last, as left, top, right, bottom: popups are made
    after the parts that never move."""
    boxes = [(a, b, a + w, b + h) for a, b, w, h in state["windows"]]
    return [box for box in boxes if box[0] <= x < box[2] and box[1] <= y < box[3]][-1]


def section(key: str) -> Callable[[App], Box]:
    """A section of a column, unfolded between folded ones."""

    def box(app: App) -> Box:
        state = app.state
        x, top, _, _ = state["widgets"][f"fold_{key}"]
        left, _, right, bottom = topmost(state, x + 1, top + 1)
        heads = [place for name, place in state["widgets"].items() if name.startswith("fold_")]
        below = [y for at, y, *_ in heads if abs(at - x) < 2 and y > top]
        # A line parts it from the next one.
        return (left, top - EDGE, right, min([bottom, *(y - 2 * EDGE for y in below)]))

    return box


def in_the_middle(app: App) -> Box:
    """The window that lies over the middle of the picture."""
    return topmost(app.state, *app.middle())


def newest_notice(app: App) -> Box:
    """The notice in the lower right corner of the picture's area."""
    app.wait("a notice", lambda s: s["notices"])
    time.sleep(0.5)
    state = app.state
    small = [(x, y, x + w, y + h) for x, y, w, h in state["windows"] if h < 120 and w < 500]
    return max((box for box in small if box[0] > 300 and box[1] > 100), key=lambda box: box[3])
