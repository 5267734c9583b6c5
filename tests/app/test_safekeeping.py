"""Unsaved changes outlive a crash, and are offered at the next start."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from app import document as edits
from app.project import read_project
from app.recovery import Recovery
from engine.errors import UserError
from tests.app.bench import Bench
from tests.app.test_recovery import until

pytestmark = pytest.mark.usefixtures("own_place")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "face.pkl"
    path.write_bytes(b"tensors")
    return path


def test_changes_are_kept_after_each_burst_and_never_during_a_drag(tmp_path: Path) -> None:
    recovery = Recovery(tmp_path / "r")
    assert recovery.path is not None
    bench = Bench(tmp_path, recovery)
    bench.start()

    def at(now: float) -> None:
        bench.clock.now = now
        bench.studio.poll()

    def kept() -> int:
        assert recovery.path is not None
        return read_project(recovery.path).document.recipe.seed

    at(10)
    assert not recovery.path.exists()
    bench.seed(1)
    at(10.0)
    at(10.5)
    bench.seed(2)
    at(10.5)
    at(11.2)
    time.sleep(0.1)
    assert not recovery.path.exists()
    at(11.6)
    until(lambda: recovery.path.exists())
    assert kept() == 2
    for degrees in range(3):
        bench.studio.edit("Orbit", lambda d: edits.orbit(d, 5, 0), gesture="Orbit")
        at(20 + 5 * degrees)
    time.sleep(0.1)
    assert read_project(recovery.path).document.pose.yaw == 0
    bench.studio.end_gesture()
    at(40)
    until(lambda: read_project(recovery.path).document.pose.yaw == 15)
    # Saving leaves nothing to recover.
    bench.desk.ask_save_as()
    bench.answer("a")
    at(50)
    until(lambda: not recovery.path.exists())
    bench.seed(9)
    at(60)
    at(62)
    until(lambda: recovery.path.exists())
    assert read_project(recovery.path).origin == str(tmp_path / "a.maquette")
    bench.desk.close()
    bench.choose("unsaved_discard")
    bench.desk.shut()
    assert list((tmp_path / "r").iterdir()) == []


def crashed(tmp_path: Path, seed: int, path: Path | None = None) -> None:
    """A window that ends with unsaved changes, without being asked."""
    bench = Bench(tmp_path, Recovery(tmp_path / "r"))
    bench.start()
    bench.desk.path = path
    bench.seed(seed)
    bench.desk.shut()


def test_unsaved_changes_come_back(tmp_path: Path) -> None:
    crashed(tmp_path, 41, tmp_path / "anna.maquette")
    recovery = Recovery(tmp_path / "r")
    bench = Bench(tmp_path, recovery)
    bench.start()
    bench.desk.safe.offer()
    question = bench.desk.talk.question
    assert question is not None and "anna" in question.text
    bench.choose("recover_yes")
    assert bench.studio.document.recipe.seed == 41 and bench.desk.title == "anna*"
    # It is in this window's file now, and in no other.
    until(lambda: [p.suffix for p in sorted((tmp_path / "r").iterdir())] == [".lock", ".maquette"])
    assert recovery.path is not None
    until(recovery.path.exists)
    bench.desk.save()
    bench.desk.close()
    bench.desk.shut()
    assert bench.desk.closed and list((tmp_path / "r").iterdir()) == []
    assert read_project(tmp_path / "anna.maquette").document.recipe.seed == 41


def test_unsaved_changes_can_be_discarded_or_left(tmp_path: Path) -> None:
    crashed(tmp_path, 41)
    crashed(tmp_path, 42)
    bench = Bench(tmp_path, Recovery(tmp_path / "r"))
    bench.start()
    bench.desk.safe.offer()
    bench.desk.talk.dismiss()
    assert not bench.desk.talk.is_open
    bench.desk.safe.offer()
    bench.choose("recover_no")
    # The next one is offered.
    bench.choose("recover_no")
    assert not bench.desk.talk.is_open and not list((tmp_path / "r").glob("*.maquette"))
    bench.desk.shut()


def test_a_saved_window_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Recovery(tmp_path / "r"))
    bench.start()
    bench.desk.shut()
    assert list((tmp_path / "r").iterdir()) == []


def test_a_recovered_project_whose_model_is_gone_is_not_lost(tmp_path: Path, model: Path) -> None:
    bench = Bench(tmp_path, Recovery(tmp_path / "r"))
    bench.studio.open_model(str(model))
    bench.opened()
    bench.seed(41)
    bench.desk.shut()
    model.unlink()
    for answer in ("model_cancel", "model_present"):
        bench = Bench(tmp_path, Recovery(tmp_path / "r"))
        bench.start()
        bench.desk.safe.offer()
        bench.choose("recover_yes")
        bench.searched()
        bench.choose(answer)
        if answer == "model_cancel":
            bench.desk.close()
        else:
            assert bench.studio.document.recipe.seed == 41 and bench.desk.is_dirty
        bench.desk.shut()


def recovering_on_a_full_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, project: Path | None = None
) -> tuple[Bench, Recovery]:
    """A window that took over what a crashed one left, while nothing can be written for recovery."""
    crashed(folder, 41, project)
    recovery = Recovery(folder / "r")
    bench = Bench(folder, recovery)
    bench.start()
    bench.desk.safe.offer()

    def full(*_what: object) -> None:
        raise UserError("The disk is full.")

    monkeypatch.setattr("app.recovery.write_project", full)
    bench.choose("recover_yes")
    return bench, recovery


def test_what_could_not_be_kept_is_kept_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full while a recovered project arrives: nothing of it is lost, before or after."""
    bench, recovery = recovering_on_a_full_disk(tmp_path, monkeypatch)
    (leftover,) = (tmp_path / "r").glob("*.maquette")
    assert recovery.path is not None

    def told() -> list[str]:
        bench.studio.poll()
        return [text for text in bench.told if "could not be kept" in text]

    until(told)
    assert leftover.exists() and not recovery.path.exists()
    # Tried again and again, and told once.
    for now in (30, 60, 90):
        bench.clock.now = now
        until(lambda: bench.desk.safe._again_at < math.inf)
        bench.studio.clear_notices()
        bench.studio.poll()
        time.sleep(0.05)
        assert not told()
    monkeypatch.undo()
    bench.clock.now = 200
    bench.studio.poll()
    until(recovery.path.exists)
    until(lambda: not leftover.exists())
    assert read_project(recovery.path).document.recipe.seed == 41
    bench.desk.shut()
    assert len(list((tmp_path / "r").glob("*.maquette"))) == 1


def test_a_recovered_project_that_was_saved_is_not_offered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the disk of the recovery files was full all the time."""
    bench, _ = recovering_on_a_full_disk(tmp_path, monkeypatch, tmp_path / "anna.maquette")
    bench.desk.save()
    bench.studio.poll()
    bench.desk.shut()
    assert read_project(tmp_path / "anna.maquette").document.recipe.seed == 41
    assert not list((tmp_path / "r").glob("*.maquette"))
