"""Faults on purpose in the real window."""

from __future__ import annotations

import pytest

from tests.app.gui.driver import App

pytestmark = pytest.mark.gui


def test_a_window_of_one_pixel_and_back(app: App) -> None:
    before = app.settled()
    try:
        for width, height in ((1, 1), (1, 500), (700, 1)):
            app.resize(width, height)
            # It goes on painting and answering.
            app.wait("the small window", lambda s: s["window"] != before["window"])
            app.key("bracketright")
    finally:
        app.resize(*before["window"])
    app.wait(
        "everything as it was",
        lambda s: (s["window"], s["picture"]) == (before["window"], before["picture"]),
    )
    state = app.settled()
    assert app.picture().std() > 3
    app.drag(60, 0)
    assert app.settled()["recipe"]["pose"]["yaw"] != state["recipe"]["pose"]["yaw"]
