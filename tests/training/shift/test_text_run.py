"""A text-led run: kept, stopped and gone on with like any other, and a model with a card."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.checkpoints import read_checkpoint
from engine.draw import Painter
from engine.editing.encoders import OpenEncoder
from engine.errors import UserError
from engine.generators.registry import open_model
from engine.hashing import file_sha256
from engine.recipe import Recipe
from engine.training.gan.events import Event, Finished, Notice, Returned, SamplesDrawn, StepDone
from engine.training.gan.plan import RunFacts, RunPlan
from engine.training.gan.run import Run
from engine.training.gan.start import begin, resume_run
from engine.training.shift.options import ShiftOptions
from tests.generators.test_every_family import GOLDENS, checkpoint

QUICK = {
    "steps": 4, "samples": 0, "device": "cpu", "snapshot_minutes": 0.0, "snapshot_steps": 1,
}  # fmt: skip


@pytest.fixture
def encoder(opened: OpenEncoder, tmp_path: Path) -> str:
    """The folder of a small text encoder."""
    return str(tmp_path / "tiny")


def plan_in(folder: Path, encoder: str, family: str = "pigan", **changes: Any) -> RunPlan:
    """Four quick steps; the family is the quickest where it is not the point."""
    shift = ShiftOptions("an old  man", encoder=encoder, side=16, crops=1)
    return RunPlan(
        str(folder), "", str(checkpoint(GOLDENS / family)), changes={**QUICK, **changes},
        shift=shift.to_json(),
    )  # fmt: skip


def shifted(plan: RunPlan, **changes: Any) -> RunPlan:
    return replace(plan, shift={**plan.shift, **changes})


def losses(events: list[Event]) -> dict[int, dict[str, float]]:
    return {event.step: dict(event.losses) for event in events if isinstance(event, StepDone)}


def test_the_model_opens_at_once_and_its_card_says_what_led(tmp_path: Path, encoder: str) -> None:
    events: list[Event] = []
    plan = shifted(plan_in(tmp_path / "run", encoder, samples=1), neutral="a boy")
    done = begin(plan, events.append).train()
    assert (done.step, done.why) == (4, "budget")
    drawn = Painter(open_model(done.model, "cpu")).picture(Recipe(size=24))
    base = Painter(open_model(plan.model, "cpu")).picture(Recipe(size=24))
    assert not torch.equal(drawn, base)
    assert read_checkpoint(Path(done.model)).title.endswith("trained on the text 'an old man'")
    card = Path(done.model).with_suffix(".md").read_text()
    sha = file_sha256(Path(encoder) / "open_clip_model.safetensors")
    for words in (
        "4 steps, 8 pairs of pictures drawn", "the text 'an old man' against 'a boy' led",
        f"(SHA-256 {sha})", "- preset: text",
    ):  # fmt: skip
        assert words in card
    assert [e.step for e in events if isinstance(e, SamplesDrawn)] == [0, 1, 2, 3, 4]
    told = losses(events)[1]
    assert {"direction", "reach", "still", "score/reached"} == set(told)
    rates = [e.rates for e in events if isinstance(e, StepDone)]
    assert set(rates[0]) == {"generator"}


@pytest.mark.parametrize("family", ["eg3d_ffhq", "stylenerf_default"])
def test_a_run_goes_on_where_it_stopped_to_the_last_bit(
    tmp_path: Path, encoder: str, family: str
) -> None:
    whole: list[Event] = []
    begin(plan_in(tmp_path / "a", encoder, family), whole.append).train()
    first: list[Event] = []
    running: list[Run] = []

    def stops(event: Event) -> None:
        first.append(event)
        if isinstance(event, StepDone) and event.step == 2:
            running[0].stop()

    plan = shifted(plan_in(tmp_path / "b", encoder, family), freeze_shape=False)
    running.append(begin(plan, stops))
    done = running[0].train()
    assert (done.step, done.why) == (2, "stopped") and Path(done.model).is_file()
    moved = shutil.move(tmp_path / "b", tmp_path / "elsewhere")
    rest: list[Event] = []
    again = resume_run(moved, listener=rest.append)
    assert again.loop.position.step == 2
    assert again.train() == Finished(4, "budget", str(Path(moved) / "model.json"))
    assert losses(first) | losses(rest) == losses(whole)
    assert not [event for event in rest if isinstance(event, Notice)]
    models = [load_file(Path(f) / "model.safetensors") for f in (tmp_path / "a", moved)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_what_was_written_half_is_not_needed(tmp_path: Path, encoder: str) -> None:
    """A kill between two snapshots: what came after the newest is done again, alike."""
    whole: list[Event] = []
    begin(plan_in(tmp_path / "a", encoder), whole.append).train()
    part: list[Event] = []
    begin(plan_in(tmp_path / "b", encoder, steps=3, snapshot_steps=2), part.append).train()
    (tmp_path / "b" / "snapshots" / "step-000000003.safetensors").unlink()
    rest: list[Event] = []
    again = resume_run(tmp_path / "b", listener=rest.append, changes={"steps": 4})
    assert again.loop.position.step == 2
    again.train()
    assert losses(rest) == {step: told for step, told in losses(whole).items() if step > 2}


def test_numbers_that_are_not_finite_lead_back(tmp_path: Path, encoder: str) -> None:
    events: list[Event] = []
    run = begin(plan_in(tmp_path / "run", encoder), events.append)
    real = run.loop.training.losses
    hits: list[int] = []

    def broken(*words: Any) -> Any:
        told = dict(real(*words))
        if words[2].step == 2 and not hits:
            hits.append(1)
            told["reach"] = told["reach"] * float("nan")
        return told

    run.loop.training.losses = broken  # type: ignore[method-assign, assignment]
    assert run.train().step == 4
    assert [event.step for event in events if isinstance(event, Returned)] == [2]
    assert run.loop.position.rate_scale < 1.0


def test_texts_that_say_nothing_are_refused_before_a_folder_is_made(
    tmp_path: Path, encoder: str
) -> None:
    plan = plan_in(tmp_path / "run", encoder, "eg3d_ffhq")
    for changes, words in (
        ({"text": "   "}, "The text is empty"),
        ({"text": "x" * 201}, "201 letters"),
        ({"text": "a man", "neutral": "a man"}, "say the same"),
        ({"encoder": str(tmp_path / "nowhere")}, "There are no CLIP weights at"),
        ({"strength": 0.0}, "strength must be 0.05 to 10"),
        ({"colour": 1.0}, "'colour' is no option of a text-led run"),
        ({"crops": 1.5}, "'crops' is no option"),
        ({"direction": 0.0, "reach": 0.0}, "no text leads"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            begin(shifted(plan, **changes))
    with pytest.raises(UserError, match="--score-samples compares with real pictures"):
        begin(replace(plan, changes={**plan.changes, "score_samples": 8}))
    with pytest.raises(UserError, match="makes none from nothing"):
        begin(replace(plan, family="eg3d"))
    frozen = shifted(plan, freeze_shape=True)
    with pytest.raises(UserError, match="--freeze-shape keeps the layers 'geometry'"):
        begin(replace(frozen, changes={**plan.changes, "layers": ("geometry",)}))
    assert not (tmp_path / "run").exists()


def test_a_text_that_the_encoder_does_not_know_is_told_of(tmp_path: Path) -> None:
    """The bundled encoder has read a few hundred words, and this is none of them."""
    run = begin(plan_in(tmp_path / "run", ""))
    assert run.loop.data.warnings == ()  # type: ignore[attr-defined]
    run.close()
    for place, text in enumerate(("a bronze statue", "qwxz")):
        run = begin(shifted(plan_in(tmp_path / str(place), ""), text=text))
        (warning,) = run.loop.data.warnings  # type: ignore[attr-defined]
        assert "says next to nothing to the text encoder" in warning.text
        run.close()


def test_a_run_goes_on_with_its_own_encoder_only(tmp_path: Path, encoder: str) -> None:
    begin(plan_in(tmp_path / "run", encoder, steps=1)).train()
    with pytest.raises(UserError, match="leave the pictures out"):
        resume_run(tmp_path / "run", data_path=tmp_path)
    weights = Path(encoder) / "open_clip_model.safetensors"
    other = {name: value + 0.01 for name, value in load_file(weights).items()}
    save_file(other, weights)
    with pytest.raises(UserError, match="is not the one that the run was started with"):
        resume_run(tmp_path / "run", changes={"steps": 2})


def test_runs_from_before_there_were_texts_are_read(tmp_path: Path, encoder: str) -> None:
    begin(plan_in(tmp_path / "run", encoder, steps=1)).train()
    path = tmp_path / "run" / "run.json"
    plain = json.loads(path.read_text())
    assert plain["plan"]["shift"]["text"] == "an old man"
    del plain["plan"]["shift"]
    path.write_text(json.dumps(plain))
    assert RunFacts.read(tmp_path / "run").plan.shift == {}
