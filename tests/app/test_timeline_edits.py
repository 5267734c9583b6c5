"""Edits of the timeline on documents, and that projects keep it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app import document as edits
from app import timeline_edits as t
from app.document import Document
from app.project import Project, read_project, write_project
from engine.camera import OrbitPose
from engine.errors import UserError
from engine.faces import Face, Identity
from engine.keyframe import EASINGS, Keyframe
from engine.recipe import ModelRef, Recipe
from engine.timeline import Timeline, load_timeline, save_timeline
from tests.generators.tiny_eg3d import tiny_model


def shown(seed: int, yaw: float = 0.0) -> Document:
    return Document(Recipe(seed=seed, pose=OrbitPose(yaw=yaw)), timeline=Timeline(fps=10.0))


def at(document: Document, seed: int, yaw: float = 0.0) -> Document:
    """The document showing somebody else."""
    return replace(document, recipe=shown(seed, yaw).recipe)


def two_keys() -> Document:
    return t.set_key(at(t.set_key(shown(1, -20), 0.0), 2, 20), 4.0)


def times(document: Document) -> list[float]:
    return [key.time for key in document.timeline.keys]


def seeds(document: Document) -> list[int]:
    return [key.identity.face.seed for key in document.timeline.keys]


def test_keys_are_set_replaced_and_shown() -> None:
    document = two_keys()
    assert times(document) == [0.0, 4.0] and seeds(document) == [1, 2]
    document = t.go_to(document, 2.0)
    assert document.recipe.pose.yaw == pytest.approx(0.0)
    assert document.recipe.identity.shares == pytest.approx({Face(1): 0.5, Face(2): 0.5})
    document = t.go_to(document, 4.0)
    assert t.shows_key(document, 1) and not t.shows_key(document, 0)
    # On the frame of a key it is replaced, and keeps its time and its easing.
    document = t.set_easing(document, 1, "hold")
    document = t.set_key(at(document, 9), 4.04)
    assert times(document) == [0.0, 4.0] and seeds(document) == [1, 9]
    assert document.timeline.keys[1].easing == "hold"
    # Between frames the nearest one is taken.
    assert times(t.set_key(document, 1.26)) == [0.0, 1.3, 4.0]
    assert seeds(t.delete_key(document, 0)) == [9]
    assert t.clear(document).timeline == replace(document.timeline, keys=())


def test_a_face_chosen_between_keys_is_that_face_alone() -> None:
    document = t.go_to(two_keys(), 1.0)
    assert document.recipe.fades
    assert edits.set_seed(document, 5).recipe.identity == Identity(Face(5))
    # Turning the camera keeps the face between faces, and a key can hold it.
    turned = edits.orbit(document, 30, 0)
    assert turned.recipe.identity == document.recipe.identity
    kept = t.set_key(turned, 1.0)
    assert t.go_to(kept, 1.0).recipe == turned.recipe


def test_truncation_between_keys_is_that_of_all_faces() -> None:
    document = edits.set_cutoff(edits.set_psi(t.go_to(two_keys(), 1.0), 0.25), 3)
    assert set(document.recipe.identity.shares) == {Face(1, 0.25, 3), Face(2, 0.25, 3)}
    # The keys keep theirs.
    assert {key.identity.face.psi for key in document.timeline.keys} == {0.7}


def test_keys_move_past_each_other_and_never_onto_each_other() -> None:
    document, index = t.move_key(two_keys(), 0, 4.6)
    assert index == 1 and times(document) == [4.0, 4.6] and seeds(document) == [2, 1]
    document, index = t.move_key(document, 1, 4.01)
    assert times(document)[1 - index] == 4.0 and abs(times(document)[index] - 4.0) == pytest.approx(
        0.1
    )
    document, index = t.move_key(document, index, 99.0)
    assert times(document) == [4.0, 5.0] and index == 1
    document, index = t.move_key(document, index, -5.0)
    assert times(document) == [0.0, 4.0] and index == 0


def test_a_copy_goes_to_the_playhead_or_a_second_on() -> None:
    document, index = t.duplicate_key(two_keys(), 0, 2.0)
    assert index == 1 and times(document) == [0.0, 2.0, 4.0] and seeds(document) == [1, 1, 2]
    document, index = t.duplicate_key(two_keys(), 0, 0.0)
    assert index == 1 and times(document) == [0.0, 1.0, 4.0]
    document, index = t.duplicate_key(t.set_duration(two_keys(), 4.0), 1, 4.0)
    assert times(document) == [0.0, 3.9, 4.0] and index == 1
    full = Timeline(
        tuple(Keyframe(i / 10, OrbitPose(), Identity(Face())) for i in range(11)), 1.0, 10.0
    )
    with pytest.raises(UserError, match="make it longer"):
        t.duplicate_key(Document(timeline=full), 0, 0.0)


def test_length_rate_loop_and_tension() -> None:
    document = two_keys()
    assert t.set_duration(document, 2.0).timeline.duration == 4.0
    assert t.set_duration(document, 9.0).timeline.duration == 9.0
    assert t.set_tension(document, 7.0).timeline.tension == 1.0
    ended = t.set_duration(document, 4.0)
    loop = t.set_loop(ended, True)
    # There is as much time to lead back as there was to lead there.
    assert loop.timeline.loop and loop.timeline.duration == 8.0
    assert t.go_to(loop, 6.0).recipe.pose.yaw == pytest.approx(0.0)
    assert t.set_duration(loop, 1.0).timeline.duration == pytest.approx(4.1)
    assert t.set_loop(document, True).timeline.duration == 5.0
    assert not t.set_loop(loop, False).timeline.loop
    assert t.set_fps(loop, 24.0).timeline.fps == 24.0
    assert times(t.move_key(loop, 1, 99.0)[0])[-1] == pytest.approx(7.9)
    for wrong in (0.0, 500.0, float("nan")):
        with pytest.raises(UserError, match="frame rate"):
            t.set_fps(document, wrong)
    with pytest.raises(UserError, match="more than 10000"):
        t.set_duration(document, 3000.0)


def test_projects_and_files_keep_it(tmp_path: Path) -> None:
    document = t.set_loop(t.set_easing(two_keys(), 0, "ease"), True)
    write_project(tmp_path / "a.maquette", Project(document))
    assert read_project(tmp_path / "a.maquette").document == document
    save_timeline(document.timeline, tmp_path / "path.json")
    other = t.take_over(shown(7), load_timeline(tmp_path / "path.json"))
    assert other.timeline == document.timeline and other.recipe.seed == 7


def test_a_path_takes_the_distances_of_the_model_that_it_is_loaded_for(tmp_path: Path) -> None:
    document = two_keys()
    save_timeline(t.to_keep(document), tmp_path / "path.json")
    kept = load_timeline(tmp_path / "path.json")
    assert t.take_over(document, kept) == document
    small = replace(document, home=replace(document.home, radius=document.home.radius / 10))
    keys = t.take_over(small, kept).timeline.keys
    assert [key.pose.radius * 10 for key in keys] == pytest.approx(
        [key.pose.radius for key in document.timeline.keys]
    )


def test_a_project_from_before_has_an_empty_one() -> None:
    data = Document().to_json({})
    for later in ("timeline", "favourites"):
        del data[later]
    assert Document.from_json({**data, "version": 1}, {}) == Document()
    # The first files of version 2 had favourites, but no timeline.
    second = Document().to_json({}) | {"version": 2}
    del second["timeline"], second["reference"]
    assert Document.from_json(second, {}) == Document()
    with pytest.raises(UserError, match="not a Maquette timeline"):
        Document.from_json({**Document().to_json({}), "timeline": {"keys": 3}}, {})


def test_another_models_keys_come_into_its_range() -> None:
    facts = tiny_model().capabilities
    document = replace(two_keys(), home=OrbitPose(radius=5.4))
    opened = edits.set_model(document, ModelRef("other"), facts)
    factor = facts.default_pose.radius / 5.4
    for before, after in zip(document.timeline.keys, opened.timeline.keys, strict=True):
        assert after.pose.yaw == before.pose.yaw and after.pose.center == facts.default_pose.center
        assert after.pose.radius == pytest.approx(before.pose.radius * factor)
    # A model of the same framing keeps them to the bit.
    assert edits.set_model(opened, ModelRef("third"), facts).timeline == opened.timeline


ACTS = st.lists(
    st.tuples(
        st.sampled_from(("key", "delete", "move", "copy", "loop", "length", "rate", "ease", "go")),
        st.integers(0, 9),
        st.floats(-1, 12),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(ACTS)
# A path that is shorter than a frame; and one of a single frame has no room for a copy.
@example([("length", 0, 0.0), ("rate", 0, 0.0), ("key", 0, 1.0)])
@example([("key", 0, 0.0), ("loop", 0, 0.0), ("length", 0, 0.0), ("copy", 0, 0.0)])
def test_whatever_is_done_the_timeline_stays_whole(acts: list[tuple[str, int, float]]) -> None:
    document = shown(1)
    for act, number, value in acts:
        count = len(document.timeline.keys)
        index = number % count if count else 0
        if act == "key":
            document = t.set_key(at(document, number, 10 * value), value)
            assert t.key_at(document.timeline, value) is not None
        elif act == "loop":
            document = t.set_loop(document, number % 2 == 0)
        elif act == "length":
            document = t.set_duration(document, value)
        elif act == "rate":
            document = t.set_fps(document, 5.0 + number)
        elif act == "go":
            document = t.go_to(document, value)
        elif not count:
            continue
        elif act == "delete":
            document = t.delete_key(document, index)
        elif act == "ease":
            document = t.set_easing(document, index, sorted(EASINGS)[number % 5])  # type: ignore[arg-type]
        else:
            before = document.timeline.keys[index]
            change = t.move_key if act == "move" else t.duplicate_key
            if act == "copy" and count == document.timeline.frame_count:
                with pytest.raises(UserError, match="make it longer"):
                    change(document, index, value)
                continue
            document, place = change(document, index, value)
            moved = document.timeline.keys[place]
            assert (moved.pose, moved.identity) == (before.pose, before.identity)
            assert len(document.timeline.keys) == count + (act == "copy")
        line = document.timeline
        assert list(line.keys) == sorted(line.keys, key=lambda key: key.time)
        assert Timeline.from_json(line.to_json()) == line
