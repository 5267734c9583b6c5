"""The Edit section's state, with a client that only notes what it is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app import edit_stack as stack
from app import swap_edits
from app.document import Document
from app.edit_memory import EditMemory, memory_key
from app.edit_wire import (
    FindDirection,
    Optimise,
    TaskDone,
    TaskFailed,
    TaskProgress,
    TaskStep,
    TaskStopped,
    TryEncoder,
)
from app.editing import Editing, Trial
from app.messages import ModelLoaded
from app.studio import Studio
from engine.editing.directions import Direction, Kind, write_direction
from engine.edits import Offset
from engine.errors import UserError
from engine.layer_swap import joined_sha256
from engine.recipe import ModelRef, Recipe
from tests.app.editing.bench import HEAD, REF, Client, direction, drawn, optimising
from tests.app.harness import until

ROWS = 8


def test_a_text_becomes_a_slider_that_can_be_undone(
    editing: Editing, studio: Studio, client: Client
) -> None:
    editing.lock = "appearance"
    editing.add_by_text("  smiling ", "a  face")
    assert client.tasks.asked == [(FindDirection("smiling", "a face"), studio.document.recipe, "")]
    with pytest.raises(UserError, match="already"):
        editing.add_by_text("a hat", "")
    client.send(studio, TaskProgress(1, 20, 400, "Looking"))
    assert editing.seeking is not None and editing.seeking.share == 0.05
    client.send(studio, TaskDone(1, (direction(),)))
    (edit,) = studio.document.recipe.edits
    assert edit.name == "smiling" and edit.strength == 3.0 and edit.rows == HEAD.look_rows
    assert editing.seeking is None and editing.chosen == 0
    assert drawn(client).edits == (edit,)
    studio.undo()
    assert studio.document.recipe.edits == ()


def test_a_text_that_was_found_before_needs_nobody(
    editing: Editing, studio: Studio, client: Client
) -> None:
    editing.add_by_text("smiling", "")
    client.send(studio, TaskDone(1, (direction(),)))
    editing.lock = "shape"
    editing.add_by_text("Smiling", "")
    assert len(client.tasks.asked) == 1
    assert [edit.rows for edit in studio.document.recipe.edits] == [None, (0, 1, 2, 3)]


def test_just_enough_for_this_face_is_asked_even_of_what_is_known(
    editing: Editing, studio: Studio, client: Client
) -> None:
    editing.add_by_text("smiling", "")
    client.send(studio, TaskDone(1, (direction(),)))
    editing.just_enough, editing.lock = True, "shape"
    editing.add_by_text("smiling", "")
    wish, recipe, _ = client.tasks.asked[-1]
    assert wish == FindDirection("smiling", "", True, (0, 1, 2, 3))
    assert recipe == studio.document.recipe
    client.send(studio, TaskDone(2, (direction(),), note="It shows it.", strength=0.0))
    assert [e.strength for e in studio.document.recipe.edits] == [3.0, 0.0]
    assert studio.notices.notices[-1].text == "It shows it."
    editing.just_enough = False
    editing.add_by_text("smiling", "")
    assert len(client.tasks.asked) == 2


def test_what_a_text_led_to_is_read_from_the_disk_next_time(tmp_path: Path) -> None:
    first, second = EditMemory(tmp_path), EditMemory(tmp_path)
    key = memory_key(Recipe(), "", "smiling", "")
    first.keep(key, direction())
    first.close()
    assert second.get(key) is None
    second.look_up(key)
    until(lambda: second.get(key) is not None, "the direction")
    assert second.get(key) == direction()
    (tmp_path / f"{key}.json").write_text("{")
    third = EditMemory(tmp_path)
    third.look_up(key)
    third.close()
    assert third.get(key) is None
    second.close()


def test_a_direction_is_known_by_all_that_it_follows_from(tmp_path: Path) -> None:
    weights = tmp_path / "clip.pt"
    weights.write_bytes(b"one")
    recipe = Recipe(model=REF)
    second = ModelRef("b.head", "cd" * 32)
    swapped = swap_edits.lend(Document(recipe), second, ("4", "8"), ("4", "8")).recipe
    keys = [
        memory_key(recipe, "", "smiling", ""),
        memory_key(recipe, "", "smiling", "frowning"),
        memory_key(recipe, "", "old", ""),
        memory_key(recipe, str(weights), "smiling", ""),
        memory_key(recipe.with_settings({"samples": 3}), "", "smiling", ""),
        memory_key(swapped, "", "smiling", ""),
    ]
    weights.write_bytes(b"another")
    keys.append(memory_key(recipe, f"ViT-B-32={weights}", "smiling", ""))
    keys.append(memory_key(recipe, str(weights), "smiling", ""))
    assert len(set(keys)) == len(keys)
    # Who is seen, and from where, is no part of it.
    assert memory_key(recipe.of_seed(9), "", "smiling", "") == keys[0]


def test_an_optimisation_is_seen_but_no_step_until_it_is_kept(
    editing: Editing, studio: Studio, client: Client
) -> None:
    editing.keep_pose, editing.lock = False, "shape"
    before = studio.history
    optimising(editing, studio, client)
    wish = client.tasks.asked[0][0]
    assert wish == Optimise("a beard", "", (0, 1, 2, 3), keep_pose=False, keep_background=True)
    assert editing.trial is not None and editing.trial.running and editing.trial.step == 2
    assert studio.history.past == before.past and studio.document.recipe.edits == ()
    (tried,) = drawn(client).edits
    assert np.allclose(tried.offset.numbers, 0.2)
    editing.keep()
    assert client.tasks.stopped == [1] and editing.trial is None
    assert studio.document.recipe.edits == (tried,)
    # Steps that were under way come too late.
    client.send(studio, TaskStep(1, 3, 40, Offset.of(np.full((1, 6), 0.3)), 0.3), TaskStopped(1))
    assert editing.trial is None and editing.seeking is None
    assert drawn(client).edits == (tried,)


def test_discarding_shows_the_face_as_it_was(
    editing: Editing, studio: Studio, client: Client
) -> None:
    optimising(editing, studio, client)
    editing.discard()
    assert drawn(client) == studio.document.recipe and drawn(client).edits == ()
    client.send(studio, TaskStopped(1))
    assert studio.history.past == () and editing.seeking is None


def test_stopping_leaves_what_is_reached_to_be_kept_or_not(
    editing: Editing, studio: Studio, client: Client
) -> None:
    optimising(editing, studio, client)
    editing.stop()
    editing.stop()
    assert client.tasks.stopped == [1]
    client.send(studio, TaskStopped(1))
    assert editing.trial is not None and not editing.trial.running
    assert len(drawn(client).edits) == 1
    editing.keep()
    assert len(studio.document.recipe.edits) == 1


def test_an_end_by_itself_leaves_it_to_be_kept(
    editing: Editing, studio: Studio, client: Client
) -> None:
    optimising(editing, studio, client)
    client.send(studio, TaskDone(1, (direction("a beard", 0.2),)))
    assert editing.seeking is None and studio.document.recipe.edits == ()
    assert isinstance(editing.trial, Trial) and not editing.trial.running


def test_another_model_ends_what_is_tried_out(
    editing: Editing, studio: Studio, client: Client
) -> None:
    optimising(editing, studio, client)
    client.send(studio, ModelLoaded(ModelRef("b.head", "cd" * 32, "B"), HEAD, "cpu", 0.1))
    assert editing.trial is None and client.tasks.stopped == [1]
    assert drawn(client).edits == ()


def test_ways_of_two_joined_models_are_at_home_with_both(
    editing: Editing, studio: Studio, client: Client
) -> None:
    second = ModelRef("b.head", "cd" * 32)
    studio.edit("Second", lambda d: swap_edits.lend(d, second, ("4", "8"), ("4", "8")))
    recipe = studio.document.recipe
    joined = replace(direction(), model=joined_sha256(recipe.model, recipe.swap))
    assert joined.model != REF.sha256
    for own in (joined, direction()):
        editing.add(own, 1.0)
    assert not studio.notices.notices
    studio.edit("Alone", swap_edits.clear)
    editing.add(joined, 1.0)
    assert "found with another model" in studio.notices.notices[-1].text


@pytest.mark.parametrize("event", [TaskFailed(1, "It says nothing."), TaskStopped(1)])
def test_a_failure_is_told_and_the_next_text_can_come(
    editing: Editing, studio: Studio, client: Client, event: TaskFailed | TaskStopped
) -> None:
    editing.add_by_text("smiling", "")
    client.send(studio, event)
    assert editing.seeking is None
    said = [notice.text for notice in studio.notices.notices]
    assert said == (["It says nothing."] if isinstance(event, TaskFailed) else [])
    editing.add_by_text("smiling", "")
    assert len(client.tasks.asked) == 2


def test_what_cannot_be_asked_is_told(editing: Editing, studio: Studio, client: Client) -> None:
    with pytest.raises(UserError, match="Write what should be seen"):
        editing.add_by_text("  ", "a face")
    with pytest.raises(UserError, match="No edit is being tried"):
        editing.keep()
    for _ in range(16):
        editing.add(direction(), 1.0)
    with pytest.raises(UserError, match="16 edits at most"):
        editing.add_by_text("smiling", "")
    assert client.tasks.asked == []


def test_directions_go_to_files_and_come_back(
    editing: Editing, studio: Studio, tmp_path: Path
) -> None:
    editing.add(direction(), 2.0)
    written = editing.save(0, tmp_path / "smile.json")
    editing.load(written)
    first, second = studio.document.recipe.edits
    assert first.offset == second.offset and first.strength == second.strength == 2.0
    other = Direction("x", Offset.of(np.ones((1, 5))), "other")
    with pytest.raises(UserError, match="cannot be applied"):
        editing.add(other, 1.0)
    foreign = Direction("y", Offset.of(np.ones((1, 6))), "pca", "head", "ee" * 32)
    editing.add(foreign, 1.0)
    assert any("found with another model" in n.text for n in studio.notices.notices)


@pytest.mark.parametrize(("kind", "strength"), [("text", 3.0), ("pca", 1.0), ("optimised", 1.0)])
def test_a_loaded_direction_begins_as_strong_as_its_kind_is(
    editing: Editing, studio: Studio, tmp_path: Path, kind: Kind, strength: float
) -> None:
    editing.load(write_direction(tmp_path / "d", replace(direction(), kind=kind)))
    assert [edit.strength for edit in studio.document.recipe.edits] == [strength]


def test_a_text_that_says_nothing_is_told_while_it_goes_on(
    editing: Editing, studio: Studio, client: Client
) -> None:
    editing.method = "optimise"
    editing.add_by_text("qwxz", "")
    client.send(studio, TaskProgress(1, 0, 0, "Beginning", "It says next to nothing."))
    assert studio.notices.notices[-1].text == "It says next to nothing."
    assert editing.seeking is not None


def test_the_text_encoder_is_tried_and_named(
    editing: Editing, studio: Studio, client: Client
) -> None:
    editing.try_encoder()
    assert isinstance(client.tasks.asked[0][0], TryEncoder)
    client.send(studio, TaskDone(1, note="the bundled one"))
    assert studio.notices.notices[-1].text == "Texts are read by the bundled one."
    editing.try_encoder()
    client.send(studio, TaskFailed(2, "There are no CLIP weights at x."))
    assert studio.notices.notices[-1].text == "There are no CLIP weights at x."


def test_the_stack_knows_its_locks() -> None:
    assert stack.lock_rows("shape", HEAD) == (0, 1, 2, 3)
    assert stack.lock_rows("appearance", HEAD) == (4, 5, 6, 7)
