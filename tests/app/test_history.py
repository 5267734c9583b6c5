"""The history: any step can be gone to, what is saved is known, and nothing is ever lost."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import document as d
from app import face_edits as faces
from app import mixing_edits as mixing
from app.document import Document
from app.history import MOST_STEPS, History
from app.latent_pad import pad_blend, set_place
from app.project import Project, read_project, write_project
from engine.camera import OrbitPose
from engine.capabilities import Capabilities, ModelSetting
from engine.errors import UserError
from engine.identity import Latent
from engine.recipe import ModelRef

SETTINGS = (
    ModelSetting("samples_per_ray", "Samples", "integer", 48, "", 1, 512),
    ModelSetting("sharpness", "Sharpness", "number", 0.5, "", 0.0, 1.0),
    ModelSetting("white", "White", "flag", False, ""),
    ModelSetting("planes", "Planes", "choice", "three", "", choices=("three", "six")),
)


def capabilities(num_ws: int = 14, radius: float = 2.7) -> Capabilities:
    return Capabilities(
        "eg3d", 4, num_ws, 4, 256, 64, 96, OrbitPose(radius=radius, look_at=(0.0, 0.0, 0.2)),
        ((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5)), 10.0, settings=SETTINGS,
    )  # fmt: skip


Edit = Callable[[Document], Document]


def random_edit(draw: random.Random) -> tuple[str, Edit, str | None]:
    """Any edit that the window makes: its name, what it does, and the drag it belongs to."""
    u, v = draw.uniform(-1.5, 1.5), draw.uniform(-1.5, 1.5)
    gesture = draw.choice([None, None, "a", "b"])
    value: dict[str, Any] = {
        "samples_per_ray": draw.randint(1, 512),
        "sharpness": draw.random(),
        "white": draw.random() < 0.5,
        "planes": draw.choice(["three", "six"]),
    }
    setting = draw.choice(SETTINGS)
    ref = ModelRef(f"/m/{draw.randrange(5)}.pkl", f"{draw.randrange(5):064x}", "Modell ä")
    seed, cutoff = draw.randrange(2**32), draw.choice([None, *range(14)])
    view = draw.choice(["picture", "raw", "depth", "normals", "opacity"])
    direction = draw.choice(["front", "back", "left", "right", "top", "bottom"])
    edits: list[tuple[str, Edit]] = [
        ("Seed", lambda x: d.set_seed(x, seed)),
        ("Next seed", d.next_seed),
        ("Previous seed", d.previous_seed),
        ("Truncation", lambda x: d.set_psi(x, u)),
        ("Cutoff", lambda x: d.set_cutoff(x, cutoff)),
        ("Orbit", lambda x: d.orbit(x, 90 * u, 45 * v)),
        ("Pan", lambda x: d.pan(x, u / 10, v / 10)),
        ("Zoom", lambda x: d.zoom(x, 1 + u / 2)),
        ("Field of view", lambda x: d.set_fov(x, 60 + 40 * u)),
        ("Roll", lambda x: d.set_roll(x, 100 * u)),
        ("Look", lambda x: d.look_from(x, direction)),
        ("Reset", d.reset_view),
        ("View", lambda x: d.set_view(x, view)),
        ("Setting", lambda x: d.set_setting(x, setting, value[setting.name])),
        ("Open model", lambda x: d.set_model(x, ref, capabilities(radius=draw_radius))),
    ]
    edits += face_edits(draw)
    draw_radius = draw.choice([2.7, 1.0])
    name, change = draw.choice(edits)
    return name, change, gesture


def face_edits(draw: random.Random) -> list[tuple[str, Edit]]:
    """Edits of who is shown, and of the favourites."""
    seed, strength = draw.randrange(2**32), draw.random()
    name = draw.choice(["Anna", "Zoë", "", "a" * 60])
    latent = Latent.of(
        np.array([[draw.gauss(0, 1) for _ in range(4)] for _ in range(draw.choice([1, 14]))]),
        "w", draw.choice(["", "projected_w"]),
    )  # fmt: skip
    source, place = random.Random(seed), (3 * draw.random(), 3 * draw.random())

    def chosen(document: Document) -> int:
        return seed % max(1, len(document.favourites))

    def show(document: Document) -> Document:
        if not document.favourites:
            return document
        who = document.favourites[chosen(document)].who
        return faces.show(document, who, capabilities())

    def named(document: Document) -> Document:
        return faces.rename(document, chosen(document), name) if document.favourites else document

    def moved(document: Document) -> Document:
        by = draw.choice([-1, 1])
        return faces.move(document, chosen(document), by) if document.favourites else document

    return [
        ("Pin", lambda x: faces.pin(x, name)),
        ("Unpin", lambda x: faces.unpin(x, chosen(x))),
        ("Rename", named),
        ("Move", moved),
        ("Favourite", show),
        ("More like this", lambda x: faces.vary(x, strength, source)),
        ("Load latent", lambda x: d.set_latent(x, latent, capabilities())),
        ("Latent pad", lambda x: set_place(x, pad_blend(seed, 4, *place))),
        ("Blend", lambda x: mixing.set_blend(x, seed, strength, draw.choice(["w", "z"]))),  # type: ignore[arg-type]
        ("Add face", lambda x: mixing.add_face(x, capabilities(), source)),
        ("Clear", mixing.clear),
    ]


def run(history: History, seed: int, count: int) -> History:
    """``count`` edits, with undoing, redoing, jumps and ended drags between them."""
    draw = random.Random(seed)
    for _ in range(count):
        chance = draw.random()
        if chance < 0.1:
            history = history.end_gesture()
        elif chance < 0.15:
            history = history.undo()
        elif chance < 0.2:
            history = history.redo()
        elif chance < 0.22:
            history = history.go_to(draw.randrange(-1, len(history.names) + 2))
        else:
            name, change, gesture = random_edit(draw)
            with contextlib.suppress(UserError):  # the camera cannot stand just anywhere
                history = history.edit(name, change(history.document), gesture)
    return history.end_gesture()


@settings(max_examples=20, deadline=None, database=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 4000))
def test_undo_all_redo_all_save_load_gives_the_identical_document(seed: int, count: int) -> None:
    start = d.set_model(Document(), ModelRef("a.pkl", "aa", "A"), capabilities())
    history = run(History.starting(start), seed, count)
    end, places = history.document, len(history.names)

    seen = [history.go_to(place).document for place in range(places + 1)]
    assert seen[len(history.past)] == end

    back = history
    for place in reversed(range(len(history.past))):
        back = back.undo()
        assert back.document == seen[place] and len(back.past) == place
    assert back.document == start and not back.can_undo and back.undo() == back
    assert back.is_saved and back.names == history.names

    forth = back
    while forth.can_redo:
        forth = forth.redo()
        assert forth.document == seen[len(forth.past)]
    assert len(forth.past) == places
    assert forth.go_to(len(history.past)).document == end

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.maquette"
        write_project(path, Project(end))
        loaded = read_project(path).document
        assert loaded == end and repr(loaded) == repr(end)


def test_thousands_of_edits_in_one_history() -> None:
    start = d.set_model(Document(), ModelRef("a.pkl", "aa", "A"), capabilities())
    history = History.starting(start)
    draw, states = random.Random(5), [start]
    while len(states) <= 5000:
        name, change, _ = random_edit(draw)
        try:
            changed = change(history.document)
        except UserError:
            continue
        if changed != history.document:
            states.append(changed)
        history = history.edit(name, changed)
    assert len(history.past) == 5000
    for state in reversed(states):
        assert history.document == state
        history = history.undo()
    for state in states[1:]:
        history = history.redo()
        assert history.document == state
    assert not history.can_redo


@pytest.fixture
def three() -> History:
    history = History.starting(Document())
    for seed, name in ((1, "one"), (2, "two"), (3, "three")):
        history = history.edit(name, d.set_seed(history.document, seed))
    return history


def test_any_step_can_be_gone_to(three: History) -> None:
    seeds = [three.go_to(place).document.recipe.seed for place in range(4)]
    assert seeds == [0, 1, 2, 3]
    middle = three.go_to(1)
    assert middle.names == three.names == ("one", "two", "three")
    assert [middle.name_of(step) for step in (1, 2, 3)] == ["one", "two", "three"]
    assert (middle.undo_name, middle.redo_name) == ("one", "two")
    assert middle.go_to(3) == three and middle.go_to(0).go_to(2) == three.undo()
    assert three.go_to(4) == three.go_to(-1) == three


def test_what_is_saved_is_known(three: History) -> None:
    assert not three.is_saved and three.go_to(0).is_saved
    saved = three.undo().mark_saved(three.undo().document)
    assert saved.is_saved and not saved.redo().is_saved and saved.redo().undo().is_saved
    # What becomes known without an edit needs no saving.
    recipe = saved.document.recipe
    known = saved.amend(replace(saved.document, recipe=replace(recipe, model=ModelRef(sha256="1"))))
    assert known.is_saved
    assert not three.amend(known.document).is_saved
    assert not History.starting(Document(), saved=False).is_saved


def test_the_oldest_steps_are_forgotten_beyond_the_limit() -> None:
    history = History(limit=3)
    for seed in range(1, 6):
        history = history.edit(f"{seed}", d.set_seed(history.document, seed))
    assert history.names == ("3", "4", "5") and history.go_to(0).document.recipe.seed == 2
    assert MOST_STEPS >= 100_000
