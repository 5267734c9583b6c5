"""Favourites, variations and latents in the document."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app import document as edits
from app import face_edits as faces
from app import mixing_edits as mixing
from app.document import Document
from app.favourites import MAX_FAVOURITES, identity_of
from app.history import History
from app.project import Project, read_project, write_project
from engine.capabilities import Capabilities
from engine.draw import Painter
from engine.errors import UserError
from engine.faces import Face, Fade
from engine.identity import MAX_PARTS, Blend, Latent, StyleSource
from engine.recipe import ModelRef, Recipe
from tests.app.gui.head_generator import HeadGenerator

W = np.arange(48, dtype=np.float32).reshape(8, 6) / 7


@pytest.fixture
def facts() -> Capabilities:
    return HeadGenerator().capabilities


@pytest.fixture
def start(facts: Capabilities) -> Document:
    return edits.set_seed(edits.set_model(Document(), ModelRef("a.head"), facts), 5)


def names(document: Document) -> list[str]:
    return [favourite.name for favourite in document.favourites]


def three(document: Document) -> Document:
    for seed in (1, 2, 3):
        document = faces.pin(edits.set_seed(document, seed))
    return document


def test_favourites_are_pinned_once_named_moved_and_removed(start: Document) -> None:
    pinned = three(start)
    assert names(pinned) == ["Seed 1", "Seed 2", "Seed 3"]
    assert faces.pin(pinned) is pinned
    named = faces.rename(pinned, 1, "  Anna ")
    assert names(named) == ["Seed 1", "Anna", "Seed 3"]
    assert names(faces.move(named, 1, -1)) == ["Anna", "Seed 1", "Seed 3"]
    assert names(faces.move(named, 1, 9)) == ["Seed 1", "Seed 3", "Anna"]
    assert names(faces.move(named, 0, -1)) == names(named)
    assert names(faces.unpin(named, 0)) == ["Anna", "Seed 3"]
    for bad in ("", "  ", "x" * 61, "a\nb"):
        with pytest.raises(UserError, match="name"):
            faces.rename(named, 0, bad)


def test_a_favourite_is_the_whole_face_and_only_the_face(
    start: Document, facts: Capabilities
) -> None:
    mixed = mixing.add_source(mixing.set_blend(start, 9, 0.3, "z"), 8, (1, 2))
    mixed = edits.set_cutoff(edits.set_psi(mixed, 0.4), 3)
    kept = faces.pin(mixed)
    assert names(kept) == ["Seed 5 (blend, mix)"]
    away = edits.orbit(edits.set_view(edits.set_seed(mixing.clear(kept), 77), "depth"), 30, 0)
    away = edits.set_psi(mixing.clear_blend(away), 1.0)
    back = faces.show(away, kept.favourites[0].who, facts)
    assert identity_of(back.recipe) == identity_of(mixed.recipe)
    assert back.pose == away.pose and back.recipe.view == "depth"
    faded = replace(back, recipe=replace(back.recipe, fades=(Fade(Face(8), 0.3),)))
    again = faces.show(away, faces.pin(faded).favourites[-1].who, facts)
    assert again.recipe.fades == faded.recipe.fades
    # A smaller model has not all of it.
    small = replace(facts, num_ws=2)
    there = faces.show(away, kept.favourites[0].who, small).recipe
    assert there.mixes == (StyleSource(8, (1,)),) and there.cutoff is None


def test_there_is_a_limit(start: Document) -> None:
    full = replace(start, favourites=faces.pin(start).favourites * MAX_FAVOURITES)
    with pytest.raises(UserError, match="At most"):
        faces.pin(edits.set_seed(full, 6))


def test_projects_keep_favourites_and_latents(
    start: Document, facts: Capabilities, tmp_path: Path
) -> None:
    document = three(start)
    document = faces.pin(edits.set_latent(document, Latent.of(W, "w", "Anna"), facts), "Her")
    write_project(tmp_path / "a.maquette", Project(document))
    again = read_project(tmp_path / "a.maquette").document
    assert again == document and again.favourites[3].who.latent == Latent.of(W, "w", "Anna")
    # The numbers of a favourite are not in the text.
    arrays: dict[str, Any] = {}
    plain = document.to_json(arrays)
    assert list(arrays) == ["favourite-3"]
    assert "data" not in plain["favourites"][3]["latent"]


def test_documents_from_before_favourites_are_read(start: Document) -> None:
    plain = start.to_json({})
    del plain["favourites"]
    assert Document.from_json(json.loads(json.dumps(plain | {"version": 1})), {}) == start


@pytest.mark.parametrize(
    "damage",
    [
        None,
        7,
        [7],
        [{}],
        [{"name": "", "recipe": Recipe().to_json()}],
        [{"name": "A", "recipe": {}}],
        [{"name": "A", "recipe": Recipe().to_json(), "latent": 3}],
        [{"name": "A", "recipe": Recipe().to_json(), "latent": {"space": "w", "name": ""}}],
        [{"name": "A", "recipe": Recipe().to_json(),
          "latent": {"space": "w", "name": "", "array": "gone"}}],
        [{"name": "A", "recipe": Recipe().to_json(),
          "latent": {"space": "w", "name": "", "array": []}}],
        [{"name": "A", "recipe": Recipe().to_json(),
          "latent": {"space": "w", "name": "", "array": "flat"}}],
        [{"name": "A", "recipe": Recipe().to_json()}] * (MAX_FAVOURITES + 1),
    ],
)  # fmt: skip
def test_damaged_favourites_are_refused(start: Document, damage: object) -> None:
    plain = start.to_json({}) | {"favourites": damage}
    with pytest.raises(UserError):
        Document.from_json(plain, {"flat": np.zeros(4, np.float32)})


def test_a_latent_is_shown_until_a_seed_or_another_model_comes(
    start: Document, facts: Capabilities
) -> None:
    blended = mixing.set_blend(start, 9)
    given = edits.set_latent(blended, Latent.of(W), facts)
    assert given.recipe.latent == Latent.of(W) and given.recipe.blend is None
    assert edits.set_seed(given, 5).recipe == start.recipe
    with pytest.raises(UserError, match="but this model takes"):
        edits.set_latent(start, Latent.of(W[:3]), facts)
    again = edits.set_model(given, ModelRef("b.head"), facts)
    assert again.recipe.latent == Latent.of(W)
    other = edits.set_model(given, ModelRef("c.head"), replace(facts, w_dim=7))
    assert other.recipe.latent is None and other.recipe.seed == 5
    with pytest.raises(UserError, match="first of a blend"):
        mixing.swap(mixing.set_blend(given, 9))
    with pytest.raises(UserError, match="straight line"):
        mixing.set_blend(given, 9, space="z")
    with pytest.raises(UserError, match="but this model takes"):
        faces.show(start, given.recipe, replace(facts, num_ws=3))


def test_favourites_survive_another_model_and_are_undone(
    start: Document, facts: Capabilities
) -> None:
    history = History.starting(start)
    history = history.edit("Pin", faces.pin(start))
    history = history.edit("Model", edits.set_model(history.document, ModelRef("b"), facts))
    assert names(history.document) == ["Seed 5"]
    assert history.undo().undo().document == start


# Variations ---------------------------------------------------------------------------------


def test_a_seed_walks_along_the_great_circle(start: Document) -> None:
    near = faces.variation(start.recipe, 9, 0.25)
    assert near.blend == Blend((5, 9), (0.75, 0.25), "z")
    further = faces.variation(near, 4, 0.5).blend
    assert further is not None and further.seeds == (5, 9, 4)
    assert further.weights == pytest.approx((0.375, 0.125, 0.5)) and further.space == "z"


def test_strength_is_how_far_it_goes(start: Document, facts: Capabilities) -> None:
    painter = Painter(HeadGenerator())
    recipes = [
        replace(start.recipe, psi=1.0),
        replace(mixing.set_blend(start, 9, 0.5, "w").recipe, psi=1.0),
        replace(edits.set_latent(start, Latent.of(W), facts).recipe, psi=1.0),
        replace(start.recipe, psi=1.0, fades=(Fade(Face(8, 1.0), 0.3),)),
    ]
    for recipe in recipes:
        here = painter.latent(recipe)
        other = painter.latent(Recipe(seed=33, psi=1.0))
        steps = []
        for strength in (0.0, 0.2, 0.6, 1.0):
            w = painter.latent(faces.variation(recipe, 33, strength))
            steps.append(float((w - here).norm()))
        assert steps[0] == pytest.approx(0, abs=1e-5) and steps == sorted(steps)
        reached = painter.latent(faces.variation(recipe, 33, 1.0))
        assert torch.allclose(reached, other, atol=1e-5)


def test_variations_are_drawn_at_random_but_not_without_end(start: Document) -> None:
    one = faces.vary(start, 0.2, random.Random(1))
    assert one == faces.vary(start, 0.2, random.Random(1)) != faces.vary(start, 0.2)
    document = start
    for _ in range(MAX_PARTS - 1):
        document = faces.vary(document, 0.2)
    with pytest.raises(UserError, match="choose another one"):
        faces.vary(document, 0.2)
