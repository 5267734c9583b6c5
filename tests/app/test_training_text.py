"""Training that a text leads, as the window asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.settings import Settings
from app.training_wire import Begin, LookAt, Seen, TrainingPlan
from engine.errors import UserError
from engine.training.gan import start
from engine.training.gan.plan import RunPlan
from engine.training.shift.options import ShiftOptions
from tests.app.test_training import Bench

WISH = TrainingPlan(
    "/faces", "bundled", "/runs/1", by_text=True, shift=ShiftOptions("an  old man"), steps=40
)


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.studio.settings = Settings(text_encoder="/clip")  # type: ignore[attr-defined]
    return made


def test_a_text_is_needed_and_no_pictures(bench: Bench) -> None:
    training = bench.training
    training.change(lambda plan: replace(plan, by_text=True, folder="/runs/1"))
    with pytest.raises(UserError, match="The text is empty"):
        training.begin()
    assert training.state == "idle" and not bench.pipe.sent
    training.change(lambda _: WISH)
    training.begin()
    (sent,) = bench.pipe.sent
    assert isinstance(sent, Begin)
    # Read by the encoder of the settings; the form itself names none.
    assert sent.plan == replace(WISH, shift=ShiftOptions("an old man", encoder="/clip"))
    assert training.plan.shift.encoder == ""


def test_the_model_alone_is_looked_at(bench: Bench) -> None:
    training = bench.training
    training.change(lambda _: replace(WISH, data=""))
    training.look()
    assert bench.pipe.sent == [LookAt("", "bundled")]
    bench.tell(Seen("", "bundled", ("mapping", "geometry")))
    assert training.seen is not None and training.state == "idle"
    training.change(lambda plan: replace(plan, data="/faces"))
    assert training.seen is not None
    training.change(lambda plan: replace(plan, by_text=False))
    assert training.seen is None


@pytest.mark.parametrize("by_text", [True, False])
def test_only_what_counts_is_asked_of_the_engine(
    by_text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunPlan] = []

    def begin(plan: RunPlan, *_: Any) -> None:
        asked.append(plan)

    monkeypatch.setattr(start, "begin", begin)
    start.start_run(replace(WISH, by_text=by_text, preset="appearance", mirror=False), "cpu")
    (plan,) = asked
    if by_text:
        assert (plan.data, plan.shift["text"]) == ("", "an  old man")
        assert plan.changes == {"device": "cpu", "steps": 40} and plan.mirror
    else:
        assert (plan.data, plan.shift, plan.preset) == ("/faces", {}, "appearance")
        assert plan.changes == {"device": "cpu", "minutes": 20.0, "score_samples": 0}
        assert not plan.mirror
