"""Edits and their history."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from app import document as d
from app.document import Document
from app.history import History
from engine.camera import OrbitPose
from engine.capabilities import Capabilities, ModelSetting
from engine.errors import UserError
from engine.recipe import ModelRef

HOME = OrbitPose(radius=2.0, look_at=(0.0, 0.0, 0.2))
RAYS = ModelSetting("rays", "Samples a ray", "integer", 24, "Finer.", 4, 96)
NOISE = ModelSetting("noise", "Noise", "choice", "stored", "Grain.", choices=("stored", "none"))


def capabilities(**changes: object) -> Capabilities:
    facts = Capabilities(
        family="eg3d",
        z_dim=4,
        num_ws=14,
        w_dim=4,
        resolution=256,
        neural_resolution=64,
        samples_per_ray=96,
        default_pose=HOME,
        bounds=((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5)),
        mesh_level=10.0,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


@pytest.fixture
def document() -> Document:
    return d.set_model(Document(), ModelRef("a.pkl", "aa", "A"), capabilities())


def test_a_model_brings_its_own_framing(document: Document) -> None:
    assert document.pose == document.home == HOME
    assert document.model.name == "A"


def test_a_model_with_the_same_framing_keeps_the_camera(document: Document) -> None:
    turned = d.orbit(document, 20, 0)
    again = d.set_model(turned, ModelRef("b.pkl"), capabilities())
    assert again.pose.yaw == 20
    other = d.set_model(turned, ModelRef("c.pkl"), capabilities(default_pose=OrbitPose(radius=9)))
    assert other.pose == OrbitPose(radius=9)


def test_values_that_a_new_model_lacks_are_dropped(document: Document) -> None:
    edited = d.set_view(d.set_cutoff(document, 14), "normals")
    small = capabilities(num_ws=10, view_modes=("picture", "depth"))
    changed = d.set_model(edited, ModelRef("b.pkl"), small).recipe
    assert changed.cutoff is None and changed.view == "picture"


def test_what_a_new_model_cannot_do_is_dropped(document: Document) -> None:
    edited = d.set_view(d.set_cutoff(document, 3), "raw")
    absent = {"cutoff": "It has no layers.", "raw": "It has no upsampler."}
    changed = d.set_model(edited, ModelRef("b.pkl"), capabilities(absent=absent)).recipe
    assert changed.cutoff is None and changed.view == "picture"


def test_settings_are_kept_only_while_they_differ_from_the_defaults(document: Document) -> None:
    changed = d.set_setting(d.set_setting(document, RAYS, 48), NOISE, "none")
    assert dict(changed.recipe.settings) == {"rays": 48, "noise": "none"}
    assert dict(d.set_setting(changed, RAYS, 24).recipe.settings) == {"noise": "none"}
    assert d.reset_settings(changed) == document
    with pytest.raises(UserError, match="from 4 to 96"):
        d.set_setting(document, RAYS, 97)


def test_settings_are_edits_with_names(document: Document) -> None:
    history = History(document)
    for rays in (30, 40, 50):
        edited = d.set_setting(history.document, RAYS, rays)
        history = history.edit(RAYS.title, edited, gesture="rays")
    history = history.end_gesture()
    assert (history.undo_name, len(history.past)) == ("Samples a ray", 1)
    assert history.undo().document == document
    assert dict(history.undo().redo().document.recipe.settings) == {"rays": 50}


def test_a_new_model_takes_over_the_settings_that_it_has(document: Document) -> None:
    edited = d.set_setting(d.set_setting(document, RAYS, 48), NOISE, "none")
    fewer = replace(RAYS, high=32)
    other = d.set_model(edited, ModelRef("b.pkl"), capabilities(settings=(fewer, NOISE)))
    assert dict(other.recipe.settings) == {"noise": "none"}
    assert d.set_model(edited, ModelRef("c.pkl"), capabilities()).recipe.settings == ()


def test_seeds_wrap_around(document: Document) -> None:
    assert d.previous_seed(document).recipe.seed == 2**32 - 1
    assert d.next_seed(d.previous_seed(document)).recipe.seed == 0
    assert d.next_seed(document).recipe.seed == 1


def test_a_random_seed_is_never_the_same_again(document: Document) -> None:
    class Stubborn(random.Random):
        draws = iter([0, 0, 5])

        def randrange(self, *args: int) -> int:  # type: ignore[override]
            return next(self.draws)

    assert d.random_seed(document, Stubborn()).recipe.seed == 5


def test_edits_clamp_to_their_ranges(document: Document) -> None:
    assert d.set_psi(document, 5).recipe.psi == 2.0
    assert d.set_fov(document, 500).pose.fov_y == 120.0
    assert d.zoom(document, 1e-9).pose.radius == pytest.approx(0.4)
    assert d.zoom(document, 1e9).pose.radius == pytest.approx(16.0)
    assert d.orbit(document, 0, 200).pose.pitch == 89.0
    assert d.set_cutoff(document, -3).recipe.cutoff == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(document: Document, value: float) -> None:
    for edit in (d.set_psi, d.set_fov, d.set_radius, d.set_roll):
        with pytest.raises(UserError, match="must be a number"):
            edit(document, value)


def test_looking_from_the_sides(document: Document) -> None:
    moved = d.zoom(d.pan(d.set_roll(document, 30), 0.3, 0.1), 2.0)
    left = d.look_from(moved, "left").pose
    assert (left.yaw, left.pitch, left.roll, left.radius) == (90, 0, 0, 4.0)
    assert left.look_at == HOME.look_at
    # The camera stands at the person's left hand, which is +X.
    assert left.camera().position[0] == pytest.approx(4.0)
    assert d.look_from(moved, "top").pose.camera().position[1] > 3.99
    assert d.reset_view(moved).pose == HOME


def test_pan_shows_what_lies_to_the_right(document: Document) -> None:
    front = d.look_from(document, "front")
    panned = d.pan(front, 0.1, 0.0).pose.camera()
    # Facing the person, the picture's right is the person's left: +X.
    assert panned.position[0] > front.pose.camera().position[0]


def test_undo_and_redo(document: Document) -> None:
    history = History(document)
    first = history.edit("Seed", d.set_seed(history.document, 1))
    second = first.edit("Truncation", d.set_psi(first.document, 0.5))
    assert (second.undo_name, second.redo_name) == ("Truncation", None)
    back = second.undo()
    assert back.document == first.document
    assert (back.undo_name, back.redo_name) == ("Seed", "Truncation")
    assert back.undo().document == document
    assert back.undo().redo().redo().document == second.document
    assert not back.undo().can_undo and back.undo().can_redo


def test_undo_at_the_ends_changes_nothing(document: Document) -> None:
    history = History(document)
    assert history.undo() == history.redo() == history


def test_a_new_edit_drops_the_redo_steps(document: Document) -> None:
    history = History(document).edit("Seed", d.set_seed(document, 1)).undo()
    history = history.edit("Seed", d.set_seed(document, 2))
    assert not history.can_redo and history.undo().document == document


def test_an_edit_that_changes_nothing_is_no_step(document: Document) -> None:
    history = History(document).edit("Seed", d.set_seed(document, 1)).undo()
    same = history.edit("Seed", d.set_seed(history.document, 0))
    assert not same.can_undo and same.can_redo


def drag(history: History, key: str, degrees: int) -> History:
    for _ in range(degrees):
        history = history.edit("Orbit", d.orbit(history.document, 1, 0), gesture=key)
    return history


def test_a_drag_is_one_step(document: Document) -> None:
    history = drag(History(document), "orbit", 20).end_gesture()
    assert len(history.past) == 1 and history.document.pose.yaw == pytest.approx(20)
    assert history.undo().document == document


def test_two_drags_are_two_steps(document: Document) -> None:
    history = drag(drag(History(document), "orbit", 3).end_gesture(), "orbit", 4)
    assert len(history.past) == 2
    assert history.undo().document.pose.yaw == pytest.approx(3)


def test_another_gesture_or_a_plain_edit_ends_a_drag(document: Document) -> None:
    history = drag(drag(History(document), "a", 3), "b", 3)
    assert len(history.past) == 2
    history = history.edit("Seed", d.set_seed(history.document, 9))
    history = drag(history, "b", 1)
    assert [step.name for step in history.past] == ["Orbit", "Orbit", "Seed", "Orbit"]


def test_a_drag_back_to_where_it_began_leaves_no_step(document: Document) -> None:
    history = drag(History(document), "orbit", 2)
    history = history.edit("Orbit", document, gesture="orbit").end_gesture()
    assert not history.can_undo


def test_undo_during_a_drag_takes_the_whole_drag_back(document: Document) -> None:
    assert drag(History(document), "orbit", 5).undo().document == document


def test_amend_is_no_step(document: Document) -> None:
    hashed = d.set_model(document, replace(document.model, sha256="bb"), capabilities())
    history = History(document).edit("Seed", d.set_seed(document, 1)).amend(hashed)
    assert len(history.past) == 1 and history.document == hashed


def test_old_steps_are_forgotten_at_the_limit(document: Document) -> None:
    history = History(document, limit=3)
    for seed in range(1, 6):
        history = history.edit("Seed", d.set_seed(history.document, seed))
    assert [step.document.recipe.seed for step in history.past] == [2, 3, 4]
