"""Layers of a second model in the real window, with two files of one family."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.checkpoints import read_checkpoint
from engine.generators.registry import find_source
from tests.app.gui.driver import App, State
from tests.app.gui.test_mixing import press, reveal

pytestmark = pytest.mark.gui

GOLDENS = Path(__file__).parents[2] / "data" / "goldens"
FIRST, SECOND = GOLDENS / "cips3d" / "checkpoint.pth", GOLDENS / "cips3d" / "second.pth"
LATE = ["32", "64", "128", "256", "512", "1024"]


@pytest.fixture(scope="module")
def window(display: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("second")
    with App(folder, display, FIRST) as app:
        app.resize(1280, 940)
        # Nine layers of nine widths: the picture is small and quick.
        yield app


@pytest.fixture
def alone(window: App) -> App:
    """The open model without another."""
    if "swap" in window.state["recipe"]:
        press(window, "second_clear")
    window.point(*window.middle())
    window.key("Escape", "Home")
    window.settled(lambda s: "swap" not in s["recipe"])
    return window


def swap(state: State) -> dict[str, Any]:
    found: dict[str, Any] = state["recipe"]["swap"]
    return found


def lend(app: App) -> None:
    reveal(app, "second_path")
    app.fill("second_path", str(SECOND))
    app.point(*app.middle())
    app.settled(lambda s: "swap" in s["recipe"])


def test_layers_and_share_are_chosen_by_mouse_and_seen(alone: App) -> None:
    app = alone
    before = app.picture()
    lend(app)
    state = app.state
    assert swap(state)["layers"] == LATE and swap(state)["gamma"] == 0.5
    assert swap(state)["model"]["name"] == "second"
    half = app.picture()
    assert np.abs(half - before).mean() > 1
    press(app, "second_none")
    app.point(*app.middle())
    app.settled(lambda s: swap(s)["layers"] == [])
    assert np.abs(app.picture() - before).mean() < 0.5
    press(app, "second_layer_1024")
    press(app, "second_layer_8")
    app.settled(lambda s: swap(s)["layers"] == ["8", "1024"])
    press(app, "second_late")
    reveal(app, "second_share")
    app.slide("second_share", 0.5, 0.97)
    app.point(*app.middle())
    app.settled(lambda s: swap(s)["gamma"] > 0.9)
    assert np.abs(app.picture() - half).mean() > 1


def test_a_drag_is_one_step_and_undo_takes_everything_back(alone: App) -> None:
    app = alone
    lend(app)
    reveal(app, "second_share")
    app.slide("second_share", 0.5, 0.1)
    app.settled(lambda s: swap(s)["gamma"] < 0.2)
    app.point(*app.middle())
    app.key("ctrl+z")
    app.settled(lambda s: swap(s)["gamma"] == 0.5)
    app.key("ctrl+z")
    app.settled(lambda s: "swap" not in s["recipe"])
    app.key("ctrl+shift+z")
    app.settled(lambda s: swap(s)["gamma"] == 0.5)


def test_the_head_turns_while_layers_are_borrowed(alone: App) -> None:
    app = alone
    lend(app)
    app.drag(60, 0)
    app.settled(
        lambda s: abs(s["recipe"]["pose"]["yaw"] - s["home"]["yaw"]) > 3 and "swap" in s["recipe"]
    )


def test_a_model_of_another_family_is_refused_in_one_sentence(alone: App) -> None:
    app = alone
    reveal(app, "second_path")
    app.fill("second_path", str(GOLDENS / "stylesdf" / "checkpoint.pt"))
    app.wait("the sentence", lambda _s: any("one family" in text for text in app.notices()))
    assert "swap" not in app.state["recipe"]


def test_both_are_saved_as_a_model(alone: App) -> None:
    app = alone
    lend(app)
    press(app, "second_save")
    app.wait("the question", lambda s: "prompt_path" in s["texts"])
    target = app.folder / "toon.json"
    app.still()
    app.fill("prompt_path", str(target))
    app.wait("the file", lambda _s: any(str(target) in text for text in app.notices()), 40)
    source = find_source(read_checkpoint(target))
    assert source.name == "toon" and "0.5 those of second" in source.assumptions[-1]
