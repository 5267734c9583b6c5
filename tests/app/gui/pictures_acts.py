"""What the pictures of the documentation do to the window: keys, clicks, words, sections."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.app.gui.driver import App

#: The face of the pictures, and others beside it.
SEED, OTHERS = 45, (12, 27, 88)
Act = Callable[[App], None]


def keys(*names: str) -> Act:
    """Press keys, with the mouse over the picture."""

    def act(app: App) -> None:
        app.point(*app.middle())
        app.key(*names)

    return act


def clicks(*widgets: str) -> Act:
    """Click widgets, one after the other."""

    def act(app: App) -> None:
        for widget in widgets:
            app.click(widget)
            time.sleep(0.3)

    return act


def typed(widget: str, text: str, enter: bool = False) -> Act:
    """Type into a box."""
    return lambda app: app.fill(widget, text, enter=enter)


def seed(number: int) -> Act:
    """Show a face."""

    def act(app: App) -> None:
        app.fill("seed", str(number))
        app.settled(lambda s: s["recipe"]["seed"] == number)

    return act


def fold(app: App, key: str, wanted: tuple[str, ...]) -> None:
    """Fold a section, or unfold it if it is wanted."""
    for _ in range(5):
        if (key in app.state["folded"]) != (key in wanted):
            return
        app.click(f"fold_{key}")
        end = time.monotonic() + 4
        while time.monotonic() < end and (key in app.state["folded"]) == (key in wanted):
            time.sleep(0.1)
        # What stands below moves a frame later. Where frames are slow a click may still have met
        # the heading at its old place; then it is clicked again.
        time.sleep(0.4)
    app.wait(f"section {key}", lambda s: (key in s["folded"]) != (key in wanted))


def only(*wanted: str) -> Act:
    """Unfold some sections and fold the others."""

    def act(app: App) -> None:
        heads = [name for name, place in app.state["widgets"].items()
                 if name.startswith("fold_") and place[2] > 1]  # fmt: skip
        for name in heads:
            fold(app, name.removeprefix("fold_"), wanted)

    return act


def all_unfolded(app: App) -> None:
    """The window as it is at first."""
    command(app, "reset the layout")
    app.wait("everything", lambda s: not s["folded"])
    time.sleep(0.5)


def asked(app: App, words: str) -> None:
    """Type into the palette."""
    app.point(*app.middle())
    app.key("ctrl+p")
    app.wait("the palette", lambda s: "palette_query" in s["active"])
    app.type(words)
    time.sleep(0.3)


def command(app: App, words: str) -> None:
    """Perform a command by the palette."""
    asked(app, words)
    app.key("Return")
    time.sleep(0.3)


def closed(app: App) -> None:
    """Nothing open over the window."""
    app.point(*app.middle())
    app.key("Escape", "Escape")
    time.sleep(0.3)
