"""The stack of edits in a document: adding, ordering, muting, locking, saving."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import edit_stack as e
from app import face_edits, timeline_edits
from app.document import DOCUMENT_VERSION, Document, set_model, set_seed
from app.favourites import Favourite, identity_of, title
from app.project import Project, read_project, write_project
from app.reference import Reference
from engine.edits import MAX_STACK, Edit, Offset
from engine.errors import UserError
from engine.recipe import ModelRef, Recipe
from tests.app.test_document import capabilities

FACTS = capabilities(layer_groups={"shape": (0, 5), "appearance": (5, 14)})
NUMBERS = np.random.RandomState(1).randn(14, 4).astype(np.float32)
SMILE, BEARD, AGE = (
    Edit(name, Offset.of(NUMBERS * k)) for k, name in ((1, "Smile"), (2, "Beard"), (3, "Age"))
)


def names(document: Document) -> list[str]:
    return [edit.name for edit in document.recipe.edits]


@pytest.fixture
def document() -> Document:
    document = Document()
    for edit in (SMILE, BEARD, AGE):
        document = e.add(document, edit, FACTS)
    return document


def test_edits_are_added_ordered_and_removed(document: Document) -> None:
    assert names(document) == ["Smile", "Beard", "Age"]
    assert names(e.move(document, 0, 1)) == ["Beard", "Smile", "Age"]
    assert names(e.move(document, 2, -9)) == ["Age", "Smile", "Beard"]
    assert names(e.remove(document, 1)) == ["Smile", "Age"]
    assert names(e.add(document, replace(AGE, name="Hat"), FACTS, 1))[1] == "Hat"
    assert names(e.clear(document)) == []


def test_strength_name_and_muting(document: Document) -> None:
    changed = e.set_strength(e.rename(document, 1, " Full beard "), 1, -99)
    assert changed.recipe.edits[1] == replace(BEARD, name="Full beard", strength=-20.0)
    muted = e.set_muted(document, 0, True)
    assert [edit.muted for edit in muted.recipe.edits] == [True, False, False]
    assert all(edit.muted for edit in e.mute_all(document, True).recipe.edits)
    assert e.mute_all(e.mute_all(document, True), False) == document
    with pytest.raises(UserError, match="strength"):
        e.set_strength(document, 0, float("nan"))
    with pytest.raises(UserError, match="name"):
        e.rename(document, 0, " ")


def test_locks_are_halves_of_the_layers(document: Document) -> None:
    shape = e.set_lock(document, 0, "shape", FACTS).recipe.edits[0]
    look = e.set_lock(document, 0, "appearance", FACTS).recipe.edits[0]
    assert shape.rows == tuple(range(5)) and look.rows == tuple(range(5, 14))
    assert [e.lock_of(edit, FACTS) for edit in (shape, look, SMILE)] == [
        "shape",
        "appearance",
        "all",
    ]
    odd = e.set_rows(document, 0, [3, 1, 3]).recipe.edits[0]
    assert odd.rows == (1, 3) and e.lock_of(odd, FACTS) is None
    assert e.set_rows(document, 0, None) == document


def test_the_stack_has_an_end_and_wants_a_fitting_model(document: Document) -> None:
    for _ in range(MAX_STACK - 3):
        document = e.add(document, SMILE, FACTS)
    with pytest.raises(UserError, match="16 edits at most"):
        e.add(document, SMILE, FACTS)
    with pytest.raises(UserError, match="made for a w of 14 x 4"):
        e.add(Document(), SMILE, capabilities(num_ws=10))


def test_edits_stay_with_another_seed_and_model(document: Document) -> None:
    assert set_seed(document, 5).recipe.edits == document.recipe.edits
    assert set_model(document, ModelRef("b"), FACTS).recipe.edits == document.recipe.edits
    assert set_model(document, ModelRef("b"), capabilities(w_dim=8)).recipe.edits == ()


def test_keys_hold_their_stack_and_the_way_between_them_its_strengths(document: Document) -> None:
    start = e.set_strength(document, 0, 0.0)
    line = timeline_edits.set_key(start, 0.0)
    line = timeline_edits.set_key(e.set_strength(line, 0, 4.0), 4.0)
    half = timeline_edits.go_to(line, 2.0)
    assert [edit.strength for edit in half.recipe.edits] == pytest.approx([2.0, 1.0, 1.0])
    assert timeline_edits.shows_key(timeline_edits.go_to(line, 4.0), 1)


def test_variations_keep_the_stack(document: Document) -> None:
    faded = timeline_edits.go_to(
        timeline_edits.set_key(set_seed(timeline_edits.set_key(document, 0.0), 8), 4.0), 2.0
    )
    assert faded.recipe.fades
    for base in (document, faded):
        assert face_edits.variation(base.recipe, 9, 0.25).edits == document.recipe.edits


def test_faces_with_edits_are_named_so(document: Document) -> None:
    assert title(document.recipe) == "Seed 0 (edited)"
    assert identity_of(document.recipe).edits == document.recipe.edits


def test_a_project_holds_every_direction_once(document: Document, tmp_path: Path) -> None:
    who = identity_of(set_seed(document, 7).recipe)
    document = replace(
        timeline_edits.set_key(document, 1.0),
        favourites=(Favourite("One", who), Favourite("Two", who)),
        reference=Reference("Before", document.recipe),
    )
    path = tmp_path / "a.maquette"
    write_project(path, Project(document))
    assert read_project(path).document == document
    arrays: dict[str, Any] = {}
    document.to_json(arrays)
    assert set(arrays) == {f"direction-{edit.offset.sha256}" for edit in (SMILE, BEARD, AGE)}


def test_a_project_without_its_directions_is_damaged(document: Document) -> None:
    arrays: dict[str, Any] = {}
    plain = document.to_json(arrays)
    for wrong in ({}, {name: a[:, :2] for name, a in arrays.items()},
                  {name: a.ravel() for name, a in arrays.items()}):  # fmt: skip
        with pytest.raises(UserError, match=r"damaged|as many numbers"):
            Document.from_json(plain, wrong)


def test_a_document_from_before_there_were_edits_opens() -> None:
    plain = Document(Recipe(seed=4)).to_json({}) | {"version": 3}
    assert DOCUMENT_VERSION > 3
    assert Document.from_json(plain, {}).recipe == Recipe(seed=4)
