"""Edits that come late, odd or at a bad moment: nothing is lost, and the window lives on."""

from __future__ import annotations

import numpy as np
import pytest

from app import edit_stack as stack
from app.document import Document
from app.edit_wire import TaskDone, TaskProgress, TaskStep, TaskStopped
from app.editing import Editing
from app.messages import ModelLoaded
from app.studio import Studio
from engine.edits import Offset
from engine.errors import UserError
from tests.app.editing.bench import HEAD, REF, Client, direction, drawn, optimising


def test_it_goes_on_with_an_engine_that_comes_back_and_ends_with_the_document(
    editing: Editing, studio: Studio, client: Client
) -> None:
    client.send(studio, ModelLoaded(REF, HEAD, "cpu", 0.1))
    optimising(editing, studio, client)
    client.send(studio, ModelLoaded(REF, HEAD, "cpu", 0.1))
    assert editing.trial is not None and client.tasks.stopped == []
    assert len(drawn(client).edits) == 1
    studio.place(Document())
    assert editing.trial is None and client.tasks.stopped == [1] and drawn(client).edits == ()
    # What is found later belongs to nobody.
    client.send(studio, TaskDone(1, (direction(),)))
    assert studio.document.recipe.edits == ()


def test_what_is_found_when_the_model_has_gone_is_told(
    editing: Editing, studio: Studio, client: Client
) -> None:
    editing.add_by_text("smiling", "")
    studio.model = None
    client.send(studio, TaskDone(1, (direction(),)))
    assert studio.notices.notices[-1].text.startswith("Open a model first")
    assert studio.document.recipe.edits == () and editing.seeking is None


def test_an_event_that_cannot_be_taken_in_is_told_and_the_next_one_is(
    editing: Editing, studio: Studio, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_event: object) -> bool:
        raise UserError("This cannot be taken in.")

    editing.add_by_text("smiling", "")
    with monkeypatch.context() as patch:
        patch.setattr(editing, "take", refuse)
        client.send(studio, TaskProgress(1, 1, 2))
    assert studio.notices.notices[-1].text == "This cannot be taken in."
    client.send(studio, TaskDone(1, (direction(),)))
    assert len(studio.document.recipe.edits) == 1


@pytest.mark.parametrize("text", ["می\u200cخندد", "\U0001f468\u200d\U0001f467 smiling", "a\x07b"])
def test_letters_that_cannot_be_shown_are_in_no_name(
    editing: Editing, studio: Studio, client: Client, text: str
) -> None:
    editing.method = "optimise"
    editing.add_by_text(text, "")
    client.send(studio, TaskStep(1, 1, 40, Offset.of(np.full((1, 6), 0.1)), 0.1))
    assert editing.trial is not None and editing.trial.edit.name.isprintable()
    editing.keep()
    assert len(studio.document.recipe.edits) == 1
    client.send(studio, TaskStopped(1))
    with pytest.raises(UserError, match="Write what should be seen"):
        editing.add_by_text("\u200b", "")


def test_what_was_tried_out_outlasts_a_full_stack(
    editing: Editing, studio: Studio, client: Client
) -> None:
    optimising(editing, studio, client)
    for _ in range(16):
        editing.add(direction(), 1.0)
    with pytest.raises(UserError, match="16 edits at most"):
        editing.keep()
    tried = editing.trial
    assert tried is not None and client.tasks.stopped == []
    studio.edit("Remove an edit", lambda d: stack.remove(d, 0))
    editing.keep()
    assert studio.document.recipe.edits[-1] == tried.edit and editing.trial is None
