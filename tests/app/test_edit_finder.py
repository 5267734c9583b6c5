"""The process that finds edits, on the analytic head with the bundled text encoder."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from app import edit_tasks
from app.edit_tasks import EditTasks
from app.edit_wire import (
    FindDirection,
    FindWays,
    Optimise,
    OrderFaces,
    TaskDone,
    TaskEvent,
    TaskFailed,
    TaskProgress,
    TaskStep,
    TaskStopped,
    TryEncoder,
)
from app.wire import ProcessOptions
from engine.editing.optimise import OptimiseOptions
from engine.editing.samples import COUNT, ModelId
from engine.editing.strength import MOST
from engine.hashing import model_sha256
from engine.layer_swap import LayerSwap
from engine.recipe import ModelRef, Recipe
from tests.app.gui.head_generator import HeadGenerator
from tests.app.harness import until

RECIPE = Recipe(
    model=ModelRef("a.head", "ab" * 32), pose=HeadGenerator().capabilities.default_pose, seed=4
)
E = TypeVar("E", bound=TaskEvent)
PATIENCE = 240.0


class Found:
    """The tasks, with all that was told."""

    def __init__(self) -> None:
        options = ProcessOptions("cpu", "tests.app.gui.head_generator:open_model")
        self.tasks = EditTasks(lambda: options)
        self.events: list[TaskEvent] = []

    def wait(self, number: int, kind: type[E]) -> E:
        """The first event of a kind of a task."""
        got: list[E] = []

        def look() -> bool:
            self.events += self.tasks.poll()
            got.extend(e for e in self.events if isinstance(e, kind) and e.number == number)
            over = [e for e in self.events if isinstance(e, TaskFailed) and e.number == number]
            assert kind is TaskFailed or not over, over
            return bool(got)

        until(look, kind.__name__, PATIENCE)
        return got[0]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path_factory.mktemp("edits")))
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Found()
        yield made
        made.tasks.close()


def test_ways_come_from_the_models_people(found: Found) -> None:
    number = found.tasks.add(FindWays("pca", 4), RECIPE)
    ways = found.wait(number, TaskDone).directions
    assert [way.name for way in ways] == [f"Component {n}" for n in range(1, 5)]
    assert all(way.offset.shape == (1, 6) and way.model == "ab" * 32 for way in ways)
    assert found.tasks.open == []


def test_what_cannot_be_found_is_told_and_the_next_task_runs(found: Found) -> None:
    first = found.tasks.add(FindWays("sefa", 4), RECIPE)
    second = found.tasks.add(FindWays("pca", 1), RECIPE)
    assert "cannot be looked into" in found.wait(first, TaskFailed).message
    assert len(found.wait(second, TaskDone).directions) == 1


@pytest.mark.slow
def test_a_text_becomes_a_direction_with_progress(found: Found) -> None:
    number = found.tasks.add(FindDirection("a person with fair skin"), RECIPE)
    done = found.wait(number, TaskDone)
    (direction,) = done.directions
    assert direction.name == "a person with fair skin" and direction.kind == "text"
    assert float(np.abs(direction.offset.numbers).max()) > 0
    told = [e for e in found.events if isinstance(e, TaskProgress) and e.number == number]
    stages = list(dict.fromkeys(e.doing for e in told if e.total))
    assert stages == ["Looking at the model's people", "Refining the slider"]
    assert max(e.done for e in told if e.doing == stages[0]) == COUNT
    again = found.tasks.add(FindDirection("a person with fair skin"), RECIPE)
    plain = found.wait(again, TaskDone)
    assert plain.directions == (direction,) and plain.strength is None
    just = found.tasks.add(FindDirection("a person with fair skin", enough=True), RECIPE)
    told_enough = found.wait(just, TaskDone)
    assert told_enough.directions == (direction,)
    assert told_enough.strength is not None and 0.0 <= told_enough.strength <= MOST
    # Where nothing may move, nothing is reached.
    still = found.tasks.add(FindDirection("a person with fair skin", "", True, ()), RECIPE)
    nowhere = found.wait(still, TaskDone)
    assert nowhere.strength == 0.0 and nowhere.note


def test_a_model_whose_file_was_replaced_is_opened_anew_or_refused(
    found: Found, tmp_path: Path
) -> None:
    """What is found is kept under the model's hash, so that it has to be that model's."""

    def written(content: bytes) -> Recipe:
        file = tmp_path / "a.head"
        file.write_bytes(content)
        return replace(RECIPE, model=ModelRef(str(file), model_sha256(file)))

    def opened(number: int) -> bool:
        found.wait(number, TaskDone)
        told = [e for e in found.events if isinstance(e, TaskProgress) and e.number == number]
        return any(e.doing == "Opening the model" for e in told)

    first = written(b"one")
    assert opened(found.tasks.add(FindWays("pca", 1), first))
    second = written(b"another")
    assert not opened(found.tasks.add(FindWays("pca", 1), first))  # it is in memory
    assert opened(found.tasks.add(FindWays("pca", 1), second))
    failed = found.wait(found.tasks.add(FindWays("pca", 1), first), TaskFailed)
    assert "was replaced since it was opened" in failed.message


def test_an_empty_text_is_one_sentence(found: Found) -> None:
    number = found.tasks.add(FindDirection(" "), RECIPE)
    assert "is empty" in found.wait(number, TaskFailed).message


def test_an_optimisation_tells_every_step_and_stops_in_the_middle(found: Found) -> None:
    number = found.tasks.add(Optimise("a person with dark skin"), RECIPE)
    first = found.wait(number, TaskStep)
    most = OptimiseOptions("dark skin").steps
    assert (first.step, first.steps) == (1, most) and first.offset.shape[1] == 6
    found.tasks.stop(number)
    found.wait(number, TaskStopped)
    steps = [e.step for e in found.events if isinstance(e, TaskStep) and e.number == number]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) < most


def test_the_same_wish_takes_the_same_steps_and_leaves_locked_layers_alone(found: Found) -> None:
    wish = Optimise("a person with dark skin", rows=(0, 1, 2, 3))
    offsets = []
    for _ in range(2):
        number = found.tasks.add(wish, RECIPE)
        offsets.append(found.wait(number, TaskStep).offset)
        found.tasks.stop(number)
        found.wait(number, TaskStopped)
    assert offsets[0] == offsets[1]
    assert not offsets[0].numbers[4:].any() and offsets[0].numbers[:4].any()


@pytest.mark.parametrize("wish", [Optimise("qwxz flurb"), OrderFaces("qwxz flurb", (RECIPE,))])
def test_nonsense_is_told_at_once(found: Found, wish: Optimise | OrderFaces) -> None:
    number = found.tasks.add(wish, RECIPE)
    found.wait(number, TaskStep if isinstance(wish, Optimise) else TaskDone)
    found.tasks.stop(number)
    notes = [e.note for e in found.events if isinstance(e, TaskProgress) and e.number == number]
    assert any("'qwxz flurb' says next to nothing" in note for note in notes)
    until(lambda: bool(found.tasks.poll() or not found.tasks.open), "the end", PATIENCE)


def test_a_task_that_waits_can_be_stopped(found: Found) -> None:
    first = found.tasks.add(Optimise("a person with dark skin"), RECIPE)
    second = found.tasks.add(FindWays("pca", 1), RECIPE)
    found.tasks.stop(second)
    found.tasks.stop(first)
    found.wait(first, TaskStopped)
    found.wait(second, TaskStopped)


def test_faces_are_ordered_by_a_text(found: Found) -> None:
    faces = tuple(RECIPE.of_seed(seed) for seed in range(6))
    number = found.tasks.add(OrderFaces("a person with fair skin", faces), RECIPE)
    order = found.wait(number, TaskDone).order
    told = [e for e in found.events if isinstance(e, TaskProgress) and e.number == number]
    assert told and not any(e.note for e in told)
    assert sorted(order) == list(range(6))
    other = found.tasks.add(OrderFaces("a person with dark skin", faces), RECIPE)
    assert found.wait(other, TaskDone).order != order


def test_the_encoder_is_tried(found: Found, tmp_path: Path) -> None:
    assert found.wait(found.tasks.add(TryEncoder(), RECIPE), TaskDone).note
    gone = str(tmp_path / "clip.pt")
    failed = found.wait(found.tasks.add(TryEncoder(), RECIPE, gone), TaskFailed)
    assert f"There are no CLIP weights at {gone}" in failed.message


def test_a_process_that_is_killed_fails_what_it_did_and_the_rest_goes_on(found: Found) -> None:
    first = found.tasks.add(Optimise("a person with dark skin"), RECIPE)
    second = found.tasks.add(FindWays("pca", 1), RECIPE)
    found.wait(first, TaskStep)
    assert found.tasks.pid is not None
    os.kill(found.tasks.pid, signal.SIGKILL)
    assert "stopped (killed by signal 9)" in found.wait(first, TaskFailed).message
    found.wait(second, TaskDone)


def test_an_idle_process_gives_its_memory_back(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    found.wait(found.tasks.add(FindWays("pca", 1), RECIPE), TaskDone)
    assert found.tasks.pid is not None
    monkeypatch.setattr(edit_tasks, "IDLE_SECONDS", -1.0)
    found.tasks.poll()
    assert found.tasks.pid is None


def test_two_models_joined_are_another_model_in_caches() -> None:
    swap = LayerSwap(ModelRef("b.head", "cd" * 32), ("4",), 0.5)
    plain, joined = ModelId.of(RECIPE), ModelId.of(replace(RECIPE, swap=swap))
    assert plain.sha256 == RECIPE.model.sha256 != joined.sha256 and len(joined.sha256) == 64
    assert ModelId.of(replace(RECIPE, swap=replace(swap, gamma=0.0))) == plain
