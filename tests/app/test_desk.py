"""New, open, save and leave: what is asked, and that nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app import document as edits
from app.engine_state import EngineState
from app.messages import FrameReady, ModelFailed
from app.project import read_project
from engine.errors import UserError
from tests.app.bench import Bench, sha
from tests.app.test_studio import CAPABILITIES

pytestmark = pytest.mark.usefixtures("own_place")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.start()
    return bench


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "face.pkl"
    path.write_bytes(b"tensors")
    return path


def test_what_the_window_opens_with_needs_no_saving(bench: Bench) -> None:
    assert not bench.desk.is_dirty and bench.desk.title == "Untitled"
    bench.seed(5)
    assert bench.desk.title == "Untitled*"
    bench.studio.undo()
    assert not bench.desk.is_dirty
    bench.desk.close()
    assert bench.desk.closed and bench.desk.talk.question is None


def test_saving_asks_for_a_name_once(bench: Bench, tmp_path: Path) -> None:
    bench.seed(5)
    bench.desk.save()
    prompt = bench.desk.talk.prompt
    assert prompt is not None and prompt.path == str(tmp_path / "Untitled.maquette")
    # A name alone goes beside what was proposed, with the ending of projects.
    bench.answer("anna")
    path = tmp_path / "anna.maquette"
    assert bench.desk.path == path and bench.desk.title == "anna" and not bench.desk.talk.is_open
    assert read_project(path).document == bench.studio.document
    assert bench.studio.settings.recent_projects == (str(path),)
    bench.seed(6)
    assert bench.desk.title == "anna*"
    bench.desk.save()
    assert read_project(path).document.recipe.seed == 6 and not bench.desk.is_dirty
    bench.studio.undo()
    assert bench.desk.is_dirty
    bench.studio.redo()
    assert not bench.desk.is_dirty


def test_another_project_is_replaced_only_after_asking(bench: Bench, tmp_path: Path) -> None:
    other = tmp_path / "other.maquette"
    other.write_bytes(b"precious")
    bench.desk.ask_save_as()
    bench.answer("other")
    bench.choose("replace_no")
    assert bench.desk.talk.prompt is not None and other.read_bytes() == b"precious"
    bench.answer("other")
    bench.choose("replace_yes")
    assert bench.desk.path == other and not bench.desk.talk.is_open
    assert read_project(other).document == bench.studio.document


@pytest.mark.parametrize("path", ["", "  ", "/proc/x.maquette", "no/folder/x", "a\0b"])
def test_a_place_that_cannot_be_is_told_and_asked_again(bench: Bench, path: str) -> None:
    bench.seed(5)
    bench.desk.save()
    with pytest.raises(UserError):
        bench.answer(path)
    assert bench.desk.talk.prompt is not None and bench.desk.is_dirty and bench.desk.path is None
    bench.desk.talk.dismiss()
    assert not bench.desk.talk.is_open and bench.desk.is_dirty


def test_leaving_with_changes_asks(bench: Bench, tmp_path: Path) -> None:
    bench.seed(5)
    for stays in ("unsaved_cancel", None):
        bench.desk.close()
        if stays:
            bench.choose(stays)
        else:
            bench.desk.talk.dismiss()
        assert not bench.desk.closed and bench.desk.is_dirty
    bench.desk.close()
    bench.choose("unsaved_save")
    # It has no name yet: it asks for one, and a cancel there stays.
    bench.desk.talk.dismiss()
    assert not bench.desk.closed
    bench.desk.close()
    bench.choose("unsaved_save")
    bench.answer(tmp_path / "kept.maquette")
    assert bench.desk.closed and read_project(tmp_path / "kept.maquette").document.recipe.seed == 5


def test_leaving_without_saving(bench: Bench, tmp_path: Path) -> None:
    bench.seed(5)
    bench.desk.close()
    bench.choose("unsaved_discard")
    assert bench.desk.closed and not list(tmp_path.glob("*.maquette"))


def test_the_small_picture_is_of_the_face_that_is_saved(bench: Bench, tmp_path: Path) -> None:
    """The face was changed and saved at once: what is still shown is the one before."""
    path = tmp_path / "a.maquette"

    def drawn() -> None:
        image = np.full((8, 8, 4), 0.5, np.float32)
        recipe = bench.studio.document.recipe
        bench.client.send(bench.studio, FrameReady(image, recipe, (8, 8), 5.0, True, 1))

    def saved() -> bool:
        bench.desk.save()
        return read_project(path).thumbnail is not None

    bench.seed(1)
    drawn()
    bench.desk.ask_save_as()
    bench.answer(path)
    assert read_project(path).thumbnail is not None
    bench.seed(2)
    assert not saved()
    drawn()
    bench.studio.edit("Orbit", lambda d: edits.orbit(d, 5, 0))
    assert saved()  # the same face from a little beside


def test_a_failed_save_does_not_leave(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    bench.desk.ask_save_as()
    bench.answer(folder / "a.maquette")
    bench.seed(5)
    (folder / "a.maquette").unlink()
    folder.rmdir()
    bench.desk.close()
    bench.choose("unsaved_save")
    # What was told of the saving before is no longer so, and the other way round.
    (told,) = bench.told
    assert "does not exist" in told
    assert not bench.desk.closed and bench.desk.is_dirty
    folder.mkdir()
    bench.desk.save()
    assert bench.told == [f"Saved to {folder / 'a.maquette'}"]


def test_new_starts_over_on_the_present_model(bench: Bench) -> None:
    bench.desk.ask_save_as()
    bench.answer("a")
    bench.seed(5)
    bench.desk.new()
    assert bench.studio.document.recipe.seed == 5
    bench.choose("unsaved_discard")
    document = bench.studio.document
    assert (document.recipe.seed, document.model.path) == (0, "bundled")
    assert document.pose == CAPABILITIES.default_pose
    assert bench.desk.title == "Untitled" and not bench.studio.history.can_undo
    assert bench.client.asked[-1] == (document.recipe, False)


def test_a_project_comes_with_its_model(bench: Bench, model: Path) -> None:
    path = bench.project("anna.maquette", model, 7)
    before = bench.studio.document
    bench.desk.open(path)
    bench.searched()
    assert bench.client.opened[-1] == str(model)
    # Until the model is open what was there stays; an edit would be lost, so it waits.
    bench.seed(99)
    assert bench.studio.document == before and any("being opened" in text for text in bench.told)
    bench.opened()
    recipe = bench.studio.document.recipe
    assert (recipe.seed, recipe.pose.yaw, recipe.model.path) == (7, 12.5, str(model))
    assert bench.studio.document == read_project(path).document
    assert bench.desk.title == "anna" and not bench.studio.history.can_undo
    assert bench.client.asked[-1][0] == recipe
    assert bench.studio.settings.recent_projects[0] == str(path)
    bench.seed(8)
    assert bench.desk.title == "anna*"


def test_a_project_of_the_present_model_opens_at_once(bench: Bench, model: Path) -> None:
    bench.studio.open_model(str(model))
    bench.opened()
    bench.desk.open(bench.project("anna.maquette", model, 7))
    bench.choose("unsaved_discard")
    assert bench.studio.document.recipe.seed == 7 and bench.client.opened[-1:] == [str(model)]
    assert len(bench.client.opened) == 2


def test_a_checkpoint_box_takes_a_project_too(bench: Bench, model: Path) -> None:
    bench.studio.open_model(str(bench.project("anna.maquette", model, 7)))
    bench.searched()
    bench.opened()
    assert bench.desk.name == "anna"


def test_opening_with_changes_asks_and_a_bad_file_changes_nothing(
    bench: Bench, model: Path, tmp_path: Path
) -> None:
    bench.seed(5)
    before = bench.studio.history
    bad = tmp_path / "bad.maquette"
    bad.write_bytes(b"PK nonsense")
    for wrong in (bad, tmp_path / "none.maquette"):
        with pytest.raises(UserError, match=wrong.name):
            bench.desk.open(wrong)
    bench.desk.ask_open()
    with pytest.raises(UserError):
        bench.answer(bad)
    assert bench.studio.history == before and bench.desk.talk.prompt is not None
    bench.desk.open(bench.project("anna.maquette", model, 7))
    bench.choose("unsaved_cancel")
    assert bench.studio.history == before and bench.client.opened == ["bundled"]


def test_a_moved_model_is_found_again(bench: Bench, model: Path, tmp_path: Path) -> None:
    path = bench.project("anna.maquette", model, 7)
    (tmp_path / "models").mkdir()
    moved = model.rename(tmp_path / "models" / "renamed.pkl")
    settings = replace(bench.studio.settings, models_folder=str(tmp_path / "models"))
    bench.studio.change_settings(settings)
    bench.desk.open(path)
    bench.searched()
    bench.opened()
    assert bench.studio.document.model.path == str(moved)
    assert bench.studio.document.recipe.seed == 7 and not bench.desk.is_dirty
    assert any("found at" in text for text in bench.told)


def lost(bench: Bench, model: Path) -> Path:
    """A project whose model is gone, opened."""
    path = bench.project("anna.maquette", model, 7)
    model.unlink()
    bench.desk.open(path)
    bench.searched()
    question = bench.desk.talk.question
    assert question is not None and str(model) in question.text and "anna" in question.text
    return path


def test_a_lost_model_can_be_pointed_at(bench: Bench, model: Path, tmp_path: Path) -> None:
    lost(bench, model)
    bench.choose("model_choose")
    with pytest.raises(UserError, match="no file"):
        bench.answer(tmp_path / "nothing.pkl")
    other = tmp_path / "elsewhere.pkl"
    other.write_bytes(b"other tensors")
    bench.answer(other)
    bench.opened()
    assert bench.studio.document.model.path == str(other) and bench.desk.name == "anna"
    # It is not the model that the file names: there is something to save.
    assert bench.studio.document.recipe.seed == 7 and bench.desk.is_dirty


def test_a_lost_model_can_be_done_without(bench: Bench, model: Path) -> None:
    lost(bench, model)
    bench.choose("model_present")
    assert bench.studio.document.model.path == "bundled" and bench.desk.name == "anna"
    assert bench.studio.document.recipe.seed == 7 and bench.desk.is_dirty


@pytest.mark.parametrize("how", ["cancel", "escape", "escape the prompt"])
def test_a_lost_model_can_be_cancelled(bench: Bench, model: Path, how: str) -> None:
    before = bench.studio.history
    lost(bench, model)
    if how == "cancel":
        bench.choose("model_cancel")
    elif how == "escape":
        bench.desk.talk.dismiss()
    else:
        bench.choose("model_choose")
        bench.desk.talk.dismiss()
    assert bench.studio.history == before and bench.desk.title == "Untitled"
    bench.seed(3)
    assert bench.studio.document.recipe.seed == 3


def test_a_changed_model_is_told(bench: Bench, model: Path) -> None:
    path = bench.project("anna.maquette", model, 7)
    model.write_bytes(b"retrained")
    bench.desk.open(path)
    bench.searched()
    question = bench.desk.talk.question
    assert question is not None and "not the one" in question.text
    bench.choose("model_open")
    bench.opened()
    assert bench.studio.document.recipe.seed == 7 and bench.desk.is_dirty
    assert bench.studio.document.model.sha256 == sha(b"retrained")


def test_a_model_that_does_not_open_keeps_the_present_work(bench: Bench, model: Path) -> None:
    before = bench.studio.history
    bench.desk.open(bench.project("anna.maquette", model, 7))
    bench.searched()
    bench.client.send(bench.studio, ModelFailed(str(model), "It is damaged."))
    assert bench.studio.history == before and "It is damaged." in bench.told
    bench.seed(3)
    assert bench.studio.document.recipe.seed == 3


def test_another_model_opened_meanwhile_wins(bench: Bench, model: Path) -> None:
    bench.desk.open(bench.project("anna.maquette", model, 7))
    bench.searched()
    bench.studio.open_model("bundled")
    bench.opened()
    assert bench.studio.document.recipe.seed == 0 and bench.desk.title == "Untitled"
    bench.seed(1)
    assert bench.studio.document.recipe.seed == 1


def test_a_window_that_begins_with_a_project(tmp_path: Path, model: Path) -> None:
    bench = Bench(tmp_path)
    path = bench.project("anna.maquette", model, 7)
    bench.studio.open_model(str(path))
    assert bench.client.opened == [] and bench.studio.engine is EngineState.STARTING
    bench.searched()
    bench.opened()
    assert bench.client.opened == [str(model)] and bench.studio.document.recipe.seed == 7
    assert bench.desk.title == "anna"


def test_a_window_that_begins_with_a_project_without_model(tmp_path: Path, model: Path) -> None:
    bench = Bench(tmp_path)
    lost(bench, model)
    # Something to look at, and to stay with.
    assert bench.client.opened == ["bundled"]
    bench.opened()
    bench.choose("model_present")
    assert bench.studio.document.recipe.seed == 7 and bench.desk.name == "anna"
