"""Training that a text leads from the window, with a real mouse: a tiny model, the bundled encoder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.checkpoints import read_checkpoint
from tests.app.gui.driver import App, State
from tests.app.gui.test_training import opened

__all__ = ["opened"]
pytestmark = pytest.mark.gui


def bottom(state: State, widget: str) -> float:
    """Where a named widget ends, pixels from the top of the window."""
    _, top, _, height = state["widgets"][widget]
    return float(top + height)


def test_a_text_leads_and_shapes_stay(opened: App, tmp_path: Path) -> None:
    app, run = opened, tmp_path / "run"
    assert app.state["train"]["parts"] == ["pictures", "preset", "layers"]
    app.choose("train_leads", 1, "A text")
    # What belongs to pictures is gone, and what belongs to a text is there.
    app.wait("a text's", lambda s: s["train"]["parts"] == ["layers", "text", "strength"])
    app.click("train_start")
    app.wait("what is missing", lambda _s: any("The text is empty" in n for n in app.notices()))
    app.fill("train_text", "an old man")
    app.fill("train_neutral", "a man")
    app.click("train_open_model")
    app.click("train_look")
    app.wait("the model's layers", lambda s: s["train"]["groups"])
    app.wait("a box for each", lambda s: "train_layer_geometry" in s["widgets"])
    # They lie below the others, and can be come by.
    here = app.state["widgets"]["train_freeze"][:2]
    app.point(*here)
    for _ in range(10):
        app.turn(up=False)
    app.wait(
        "the last one in sight",
        lambda s: bottom(s, "train_layer_adaptive") <= bottom(s, "train_folder") - 40,
    )
    app.click("train_layer_adaptive")
    app.wait("layers of the text's choice", lambda s: "adaptive" in s["train"]["layers"])
    app.point(*here)
    for _ in range(10):
        app.turn(up=True)
    app.wait("the others", lambda s: s["widgets"]["train_freeze"][:2] == here)
    app.click("train_freeze")
    app.wait("no boxes", lambda s: "layers" not in s["train"]["parts"])
    app.slide("train_strength", 0.5, 0.3)
    app.fill("train_folder", "run")
    app.click("train_start")
    app.wait("a run", lambda s: s["train"]["state"] == "training")
    app.wait("two steps", lambda s: s["train"]["step"] >= 2, 90)
    app.click("train_watch")
    app.wait("it to look at", lambda s: s["train"]["live"] >= 0)
    app.wait("it open", lambda s: s["model_path"] == str(run / "live.json"))
    app.wait("all samples", lambda s: s["train"]["samples"] == 8)
    app.click("train_stop")
    app.wait("the end", lambda s: s["train"]["state"] == "over")
    app.click("train_result")
    app.wait("it open", lambda s: s["model_path"] == str(run / "model.json"))
    shift = json.loads((run / "run.json").read_text())["plan"]["shift"]
    assert (shift["text"], shift["neutral"], shift["freeze_shape"]) == ("an old man", "a man", True)
    assert shift["strength"] < 1.0
    assert "trained on the text 'an old man'" in read_checkpoint(run / "model.json").title
