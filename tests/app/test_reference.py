"""The pinned reference: edits of the document, files, and what the studio asks for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import document as d
from app import reference_edits as edits
from app.comparison import EDGE, NO_EARLIER
from app.document import Document
from app.favourites import identity_of
from app.history import History
from app.messages import FrameReady, ModelLoaded
from app.reference import Reference, same_model
from app.settings import Settings
from app.studio import Studio
from engine.camera import OrbitPose
from engine.capabilities import Capabilities
from engine.errors import UserError
from engine.identity import Latent, StyleSource
from engine.recipe import ModelRef, Recipe
from tests.app.test_studio import NotingClient

CAPABILITIES = Capabilities(
    "eg3d", 8, 14, 8, 256, 64, 48, OrbitPose(radius=2.0), ((-1, -1, -1), (1, 1, 1)), 10.0
)
MODEL = ModelRef("a.pkl", "aa", "A")


def some() -> Document:
    """Seed 3 with a mix and a setting, seen from the side."""
    recipe = Recipe(
        MODEL, 3, mixes=(StyleSource(8, (1, 2), 0.5),), pose=OrbitPose(yaw=30), view="depth"
    )
    return Document(recipe.with_settings({"noise": "none"}))


# Edits ----------------------------------------------------------------------------------------


def test_the_reference_is_the_face_and_its_settings_seen_as_the_present_one() -> None:
    pinned = edits.pin(some())
    assert pinned.reference is not None and pinned.reference.name == "Seed 3 (mix)"
    other = d.set_view(d.orbit(d.reset_settings(d.set_seed(pinned, 9)), -50, 10), "picture")
    beside = other.reference.beside(other.recipe)  # type: ignore[union-attr]
    assert identity_of(beside) == identity_of(some().recipe)
    assert dict(beside.settings) == {"noise": "none"}
    assert (beside.pose, beside.view) == (other.pose, "picture")
    # With its own camera it stays where it was.
    own = edits.keep_camera(other, True)
    beside = own.reference.beside(own.recipe)  # type: ignore[union-attr]
    assert beside.pose == OrbitPose(yaw=30) and beside.view == "picture"


def test_swap_exchanges_the_faces_and_twice_is_none() -> None:
    start = d.orbit(d.set_seed(edits.pin(some()), 9), 20, 0)
    swapped = edits.swap(start)
    assert swapped.recipe.seed == 3 and swapped.reference is not None
    assert swapped.reference.recipe == start.recipe and swapped.reference.name == "Seed 9 (mix)"
    assert swapped.pose == start.pose
    assert edits.swap(swapped).recipe == start.recipe
    own = edits.swap(edits.keep_camera(start, True))
    assert own.pose == OrbitPose(yaw=30) and own.reference is not None
    assert own.reference.recipe.pose == start.pose


def test_nothing_pinned_nothing_swapped() -> None:
    for change in (edits.swap, lambda x: edits.keep_camera(x, True)):
        with pytest.raises(UserError, match="No reference is pinned"):
            change(some())
    assert edits.unpin(edits.pin(some())) == some()


def test_a_reference_of_another_model_is_kept_and_told() -> None:
    pinned = edits.pin(some())
    moved = replace(pinned, recipe=replace(pinned.recipe, model=ModelRef("b.pkl", "aa", "A")))
    assert edits.why_apart(moved) == ""
    other = d.set_model(pinned, ModelRef("a.pkl", "bb", "B"), CAPABILITIES)
    assert other.reference == pinned.reference
    assert "another model (A)" in edits.why_apart(other)
    with pytest.raises(UserError, match="another model"):
        edits.swap(other)
    assert same_model(ModelRef("x"), ModelRef("x", "aa")) and not same_model(MODEL, ModelRef("x"))


# Files ----------------------------------------------------------------------------------------


def through_json(document: Document) -> Document:
    arrays: dict[str, Any] = {}
    text = json.dumps(document.to_json(arrays))
    return Document.from_json(json.loads(text), arrays)


def test_a_document_keeps_its_reference_to_the_last_bit() -> None:
    numbers = np.random.default_rng(1).normal(size=(14, 8)).astype(np.float32)
    state = replace(some().recipe, latent=Latent.of(numbers, "w", "anna"), mixes=())
    for document in (some(), edits.keep_camera(edits.pin(some(), state, "Anna"), True)):
        assert through_json(document) == document


def test_older_documents_open_without_one() -> None:
    data = some().to_json({})
    del data["reference"]
    for version in (1, 2):
        assert Document.from_json({**data, "version": version}, {}) == some()


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"name": "x" * 61}, {"recipe": {}}, {"recipe": None}],
)
def test_a_damaged_reference_is_one_sentence(change: dict[str, Any]) -> None:
    data = edits.pin(some()).to_json({})
    data["reference"] = {**data["reference"], **change}
    with pytest.raises(UserError):
        Document.from_json(data, {})
    for broken in ("text", [1], {"name": "A"}):
        with pytest.raises(UserError, match="damaged"):
            Document.from_json({**data, "reference": broken}, {})


def test_the_state_at_any_step_is_found_without_going_there() -> None:
    history = History()
    for seed in (1, 2, 3):
        history = history.edit("Seed", d.set_seed(history.document, seed))
    history = history.undo()
    assert [history.document_at(place).recipe.seed for place in range(4)] == [0, 1, 2, 3]
    for place in (-1, 4):
        with pytest.raises(IndexError):
            history.document_at(place)


# The studio -----------------------------------------------------------------------------------


class ComparingClient(NotingClient):
    """Notes what is compared, too."""

    def __init__(self) -> None:
        super().__init__()
        self.beside: list[tuple[Recipe | None, bool]] = []
        self.wanted: tuple[Recipe | None, bool] = (None, False)

    def compare(self, recipe: Recipe | None, *, seen: bool = True) -> None:
        self.wanted = recipe, seen

    def request(self, recipe: Recipe, *, moving: bool) -> int:
        self.beside.append(self.wanted)
        return super().request(recipe, moving=moving)


@pytest.fixture
def client() -> ComparingClient:
    return ComparingClient()


@pytest.fixture
def studio(client: ComparingClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setenv("MAQUETTE_CONFIG_DIR", str(tmp_path / "config"))
    made = Studio(client, Settings(), clock=lambda: 0.0)  # type: ignore[arg-type]
    client.send(made, ModelLoaded(MODEL, CAPABILITIES, "cpu", 0.1))
    return made


def picture_of(recipe: Recipe) -> FrameReady:
    image = np.zeros((4, 4, 4), np.float32)
    return FrameReady(image, recipe, (4, 4), 1.0, True, 1, "reference")


def test_the_reference_follows_every_edit_of_the_camera(
    studio: Studio, client: ComparingClient
) -> None:
    assert client.beside[-1] == (None, False)
    studio.compare.pin()
    studio.edit("Seed", lambda x: d.set_seed(x, 5))
    studio.edit("Orbit", lambda x: d.orbit(x, 10, 0), gesture="Orbit")
    reference, seen = client.beside[-1]
    assert reference is not None and seen
    assert (reference.seed, reference.pose.yaw) == (0, 10)
    assert client.asked[-1][0].seed == 5
    # Without the split it is drawn, but nobody waits for it.
    studio.compare.toggle_split()
    assert client.beside[-1] == (reference, False) and studio.compare.mode == "present"
    studio.undo()
    studio.undo()
    studio.undo()
    assert studio.document.reference is None and client.beside[-1] == (None, False)


def test_the_divider_and_the_split_are_no_steps(studio: Studio) -> None:
    studio.compare.pin()
    steps = len(studio.history.past)
    studio.compare.divide(0.3)
    studio.compare.toggle_split()
    assert len(studio.history.past) == steps and studio.compare.share == 0.3
    for share, kept in ((-1.0, EDGE), (2.0, 1 - EDGE)):
        studio.compare.divide(share)
        assert studio.compare.share == kept


def test_the_key_shows_the_reference_whole(studio: Studio, client: ComparingClient) -> None:
    studio.compare.pin()
    studio.edit("Seed", lambda x: d.set_seed(x, 5))
    studio.compare.take(picture_of(client.beside[-1][0]))  # type: ignore[arg-type]
    assert studio.compare.mode == "split"
    studio.compare.hold()
    assert studio.compare.mode == "reference" and studio.compare.picture is not None
    studio.compare.let_go()
    assert studio.compare.mode == "split" and studio.document.recipe.seed == 5


def test_without_a_reference_the_key_shows_the_face_before_the_last_edit(
    studio: Studio, client: ComparingClient
) -> None:
    assert studio.compare.why_not_held == NO_EARLIER
    studio.edit("Orbit", lambda x: d.orbit(x, 10, 0))
    with pytest.raises(UserError, match="no earlier state"):
        studio.compare.hold()
    studio.edit("Seed", lambda x: d.set_seed(x, 5))
    studio.edit("Seed", lambda x: d.set_seed(x, 6))
    studio.edit("Orbit", lambda x: d.orbit(x, 10, 0))
    studio.compare.hold()
    reference, seen = client.beside[-1]
    # Turning is not what is compared: it is seed 5, from where the camera is now.
    assert reference is not None and seen
    assert reference.seed == 5 and reference.pose.yaw == 20
    assert studio.compare.labels[1] == "Before: Seed 5 (drawing ...)"
    studio.compare.take(picture_of(reference))
    assert studio.compare.labels[1] == "Before: Seed 5"
    studio.compare.let_go()
    assert client.beside[-1] == (None, False) and studio.compare.picture is None


def test_a_picture_of_another_face_is_not_taken_for_the_reference(
    studio: Studio, client: ComparingClient
) -> None:
    studio.compare.pin()
    studio.compare.take(picture_of(Recipe(MODEL, 77)))
    assert studio.compare.picture is None and "drawing" in studio.compare.labels[1]
    studio.compare.take(picture_of(client.beside[-1][0]))  # type: ignore[arg-type]
    assert studio.compare.picture is not None


def test_steps_and_favourites_become_the_reference(studio: Studio) -> None:
    for seed in (5, 6):
        studio.edit("Seed", lambda x, seed=seed: d.set_seed(x, seed))  # type: ignore[misc]
    studio.compare.pin_step(1)
    assert studio.compare.pinned is not None
    assert studio.compare.pinned.recipe.seed == 5
    assert studio.compare.pinned.name == "Step 1, Seed 5"
    from app import face_edits

    studio.edit("Pin", lambda x: face_edits.pin(x, "Anna", Recipe(seed=44)))
    studio.compare.pin_favourite(0)
    assert studio.compare.pinned.name == "Anna"
    assert studio.compare.pinned.recipe.seed == 44
    assert studio.compare.pinned.recipe.model == MODEL


def test_another_model_says_why_and_shows_no_split(studio: Studio, client: ComparingClient) -> None:
    studio.compare.pin()
    client.send(studio, ModelLoaded(ModelRef("b.pkl", "bb", "B"), CAPABILITIES, "cpu", 0.1))
    assert studio.compare.mode == "present" and client.beside[-1] == (None, False)
    texts = [notice.text for notice in studio.notices.notices]
    assert sum("another model (A)" in text for text in texts) == 1
    assert "another model" in studio.compare.why_not_held
    with pytest.raises(UserError, match="another model"):
        studio.compare.toggle_split()
    assert isinstance(studio.compare.pinned, Reference)
    studio.undo()
    assert client.opened[-1] == "a.pkl"
    client.send(studio, ModelLoaded(MODEL, CAPABILITIES, "cpu", 0.1))
    assert studio.compare.mode == "split" and client.beside[-1][1]
    assert not any("another model" in notice.text for notice in studio.notices.notices)
