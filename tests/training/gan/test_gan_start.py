"""From a plan to a trained model that opens like any other, and back into a run's folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoints import read_checkpoint
from engine.draw import Painter
from engine.errors import ExportError, UserError
from engine.generators.registry import open_model
from engine.recipe import Recipe
from engine.training.gan.events import Event, Notice, SamplesDrawn, ScoresMeasured, StepDone
from engine.training.gan.families import MODULES, SMALL_JUDGE
from engine.training.gan.lock import Lock
from engine.training.gan.logs import read_journal
from engine.training.gan.plan import RunFacts, RunPlan
from engine.training.gan.result import export_authors
from engine.training.gan.start import begin, resume_run
from tests.training.gan import teams
from tests.training.gan.pictures import write_pictures

GOLDEN = Path(__file__).parents[2] / "data" / "goldens" / "eg3d_ffhq" / "checkpoint.pkl"
QUICK = {
    "batch": 2, "steps": 2, "minutes": 0.0, "samples": 2, "judge_first": 0, "device": "cpu",
    "snapshot_minutes": 0.0, "snapshot_steps": 1, "log_steps": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "discs")


def plan_in(folder: Path, data: Path, **changes: Any) -> RunPlan:
    return RunPlan(
        str(folder / "run"), str(data), family="eg3d", resolution=16, preset="full",
        changes={**QUICK, **changes},
    )  # fmt: skip


def losses(events: list[Event]) -> dict[int, dict[str, float]]:
    return {event.step: dict(event.losses) for event in events if isinstance(event, StepDone)}


def test_a_model_that_is_there_is_trained_on_and_opens_like_any_other(
    tmp_path: Path, pictures: Path
) -> None:
    events: list[Event] = []
    plan = RunPlan(str(tmp_path / "run"), str(pictures), str(GOLDEN), name="Discs", changes=QUICK)
    run = begin(plan, events.append)
    before = {name: value.clone() for name, value in run.loop.average.items()}
    stated = RunFacts.read(tmp_path / "run").plan.family_options
    assert stated["judge_channels"] == SMALL_JUDGE and stated["r1_gamma"] == 1.0
    done = run.train()
    assert (done.step, done.why) == (2, "budget")
    assert any(not torch.equal(before[name], run.loop.average[name]) for name in before)
    opened = open_model(done.model, "cpu")
    drawn = Painter(opened).picture(Recipe(size=32))
    live = Painter(run.drawable()).picture(Recipe(size=32))
    assert torch.equal(drawn, live)
    base = Painter(open_model(GOLDEN, "cpu")).picture(Recipe(size=32))
    assert not torch.equal(drawn, base)
    checkpoint = read_checkpoint(Path(done.model))
    assert checkpoint.title == "Discs" and checkpoint.native_family == "eg3d"
    card = Path(done.model).with_suffix(".md").read_text()
    for words in ("# Discs", "2 steps, 4 pictures shown", "6 pictures of 32 pixels", "- batch: 2"):
        assert words in card
    shown = [event.path for event in events if isinstance(event, SamplesDrawn)]
    assert len(shown) == 3 and all(Path(path).is_file() for path in shown)


@pytest.mark.parametrize("family", sorted(MODULES))
def test_a_run_goes_on_where_it_stopped_to_the_last_bit(
    tmp_path: Path, pictures: Path, family: str
) -> None:
    whole: list[Event] = []
    plan = replace(plan_in(tmp_path / "a", pictures, steps=4, samples=0), family=family)
    begin(plan, whole.append).train()
    first: list[Event] = []
    plan = replace(plan_in(tmp_path / "b", pictures, steps=2, samples=0), family=family)
    begin(plan, first.append).train()
    moved = shutil.move(tmp_path / "b" / "run", tmp_path / "elsewhere")
    rest: list[Event] = []
    again = resume_run(moved, listener=rest.append, changes={"steps": 4})
    assert again.loop.position.step == 2
    again.train()
    assert losses(first) | losses(rest) == losses(whole)
    assert not [event for event in rest if isinstance(event, Notice)]
    assert RunFacts.read(Path(moved)).options.steps == 4


def test_the_base_need_not_be_there_any_more(tmp_path: Path, pictures: Path) -> None:
    model = shutil.copy(GOLDEN, tmp_path / "face.pkl")
    plan = RunPlan(
        str(tmp_path / "run"),
        str(pictures),
        str(model),
        changes={**QUICK, "samples": 0, "steps": 1},
    )
    begin(plan).train()
    Path(model).unlink()
    again = resume_run(tmp_path / "run", changes={"steps": 2})
    assert again.train().step == 2


def test_scores_are_measured_and_named(tmp_path: Path, pictures: Path) -> None:
    events: list[Event] = []
    run = begin(plan_in(tmp_path, pictures, steps=1, samples=0, score_samples=4), events.append)
    done = run.train()
    scores = [event for event in events if isinstance(event, ScoresMeasured)]
    assert [event.step for event in scores] == [0, 1]
    assert set(scores[0].values) == {"fid", "kid"} and "encoder" in scores[0].features
    assert (
        f"| fid | {scores[-1].values['fid']:.4g} |"
        in Path(done.model).with_suffix(".md").read_text()
    )


def test_the_authors_layout_is_read_as_theirs(tmp_path: Path, pictures: Path) -> None:
    run = begin(plan_in(tmp_path, pictures, steps=1, samples=0))
    done = run.train()
    written = export_authors(run.loop.training, run.loop.average, tmp_path)
    models = [open_model(path, "cpu") for path in (done.model, *written)]
    ours, *theirs = (Painter(model).picture(Recipe(size=16)) for model in models)
    assert len(theirs) == 2 and all(torch.equal(one, ours) for one in theirs)


def test_pictures_that_changed_are_told_of(tmp_path: Path, pictures: Path) -> None:
    data = Path(shutil.copytree(pictures, tmp_path / "data"))
    begin(plan_in(tmp_path, data, steps=1, samples=0)).train()
    (data / "img0000.png").unlink()
    events: list[Event] = []
    resume_run(tmp_path / "run", listener=events.append)
    assert "not the same as before" in next(e.text for e in events if isinstance(e, Notice))


def test_what_cannot_start_leaves_nothing_behind(tmp_path: Path, pictures: Path) -> None:
    bare = write_pictures(tmp_path / "bare", posed=False)
    plan = plan_in(tmp_path, pictures)
    wrong = {
        "have no cameras": replace(plan, data=str(bare)),
        "nowhere": replace(plan, data=str(tmp_path / "nowhere")),
        "no preset 'slow'": replace(plan, preset="slow"),
        "cannot be trained": replace(plan, family="dalle"),
        "16, 32, 64": replace(plan, resolution=24),
        "--batch": replace(plan, changes={"batch": 0}),
        "'hat'": replace(plan, changes={"hat": 1}),
        "knows mapping": replace(plan, changes={"layers": ("hair",)}),
        "no option 'r9'": replace(plan, family_options={"r9": 1.0}),
    }
    for sentence, one in wrong.items():
        with pytest.raises(UserError, match=sentence):
            begin(one)
        assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        begin(plan)


def test_a_run_without_an_end_says_so(tmp_path: Path, pictures: Path) -> None:
    for steps, said in ((0, ["No length was given"]), (1, [])):
        told: list[Event] = []
        begin(plan_in(tmp_path / str(steps), pictures, steps=steps), told.append).close()
        assert [event.text[:19] for event in told if isinstance(event, Notice)] == said


def test_a_disk_that_is_full_at_the_start_leaves_no_run(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_facts: RunFacts) -> None:
        raise ExportError("The disk is full.")

    monkeypatch.setattr(RunFacts, "write", full)
    with pytest.raises(ExportError):
        begin(plan_in(tmp_path, pictures))
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    with pytest.raises(ExportError):
        begin(plan_in(tmp_path, pictures))
    assert list((tmp_path / "run").iterdir()) == []


def test_a_run_that_cannot_go_on_says_why(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(UserError, match="holds no training run"):
        resume_run(tmp_path)
    begin(plan_in(tmp_path, pictures, steps=1, samples=0)).train()
    folder = tmp_path / "run"
    with pytest.raises(UserError, match="holds a run already"):
        begin(plan_in(tmp_path, pictures))
    with pytest.raises(UserError, match="--batch of a run cannot change"):
        resume_run(folder, changes={"batch": 4})
    stated = (folder / "run.json").read_bytes()
    with pytest.raises(UserError, match="no snapshot of step 5"):
        resume_run(folder, step=5, changes={"steps": 9})
    other = Lock(folder)
    with pytest.raises(UserError, match="is being trained by another process"):
        resume_run(folder, changes={"steps": 9})
    other.release()
    assert (folder / "run.json").read_bytes() == stated
    snapshots, model = folder / "snapshots", (folder / "model.safetensors").read_bytes()
    snapshots.rename(folder / "elsewhere")
    with pytest.raises(
        UserError, match=r"no snapshot any more.*start a new one from .*model\.json"
    ):
        resume_run(folder)
    assert (folder / "model.safetensors").read_bytes() == model
    good = json.loads((folder / "run.json").read_text())
    for broken in (
        "{", "[]", "[" * 100_000, json.dumps({**good, "format": "x"}),
        json.dumps({**good, "options": {"batch": 0}}), json.dumps({**good, "plan": {}}),
        json.dumps({**good, "plan": {**good["plan"], "data": 3}}), json.dumps({**good, "data": []}),
    ):  # fmt: skip
        (folder / "run.json").write_text(broken)
        with pytest.raises(UserError, match=r"run\.json"):
            resume_run(folder)


def test_two_processes_train_a_family_as_one_does(tmp_path: Path, pictures: Path) -> None:
    """EG3D's phases, second derivatives among them, through DistributedDataParallel."""
    words = ["-m", "app", "train", str(pictures), "--from-nothing", "eg3d", "--resolution", "16",
             "--batch", "4", "--pass-size", "2", "--steps", "2", "--samples", "0", "--log-steps", "1",
             "--device", "cpu"]  # fmt: skip
    told = {}
    for name, size in (("one", 1), ("two", 2)):
        folder = tmp_path / name
        teams.together([*words, "--out", str(folder)], size)
        told[name] = losses(read_journal(folder))
    assert set(told["one"]) == {1, 2}
    for step, values in told["one"].items():
        assert told["two"][step] == pytest.approx(values, abs=1e-4), step


def test_samples_of_a_model_that_has_just_begun_to_grow(tmp_path: Path, pictures: Path) -> None:
    events: list[Event] = []
    plan = replace(plan_in(tmp_path, pictures, steps=1, samples=1), family="stylenerf")
    begin(plan, events.append).train()
    assert len([event for event in events if isinstance(event, SamplesDrawn)]) == 2
    assert not [event for event in events if isinstance(event, Notice)]
