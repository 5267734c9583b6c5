"""One project in two windows: neither's work is lost without a word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.document import set_seed
from app.file_stamp import is_another, stamp
from app.project import Project, read_project, write_project
from app.recovery import Recovery
from tests.app.bench import Bench

pytestmark = pytest.mark.usefixtures("own_place")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "anna.maquette"


@pytest.fixture
def bench(tmp_path: Path, path: Path) -> Bench:
    """A window with a project that it has saved, and changed since."""
    bench = Bench(tmp_path)
    bench.start()
    bench.seed(5)
    bench.desk.ask_save_as()
    bench.answer(path)
    bench.seed(6)
    return bench


def saved_by_another(bench: Bench, path: Path, seed: int) -> None:
    document = read_project(path).document
    write_project(path, Project(set_seed(document, seed)))


def seed_of(path: Path) -> int | None:
    return read_project(path).document.recipe.seed


def asked(bench: Bench) -> list[str]:
    question = bench.desk.talk.question
    return [] if question is None else [choice.name for choice in question.choices]


def proposed(bench: Bench) -> str:
    assert bench.desk.talk.prompt is not None
    return bench.desk.talk.prompt.path


def test_what_another_window_saved_is_not_written_over_unasked(bench: Bench, path: Path) -> None:
    saved_by_another(bench, path, 7)
    bench.desk.save()
    # What is proposed loses nothing.
    assert asked(bench) == ["changed_name", "changed_over", "changed_cancel"]
    assert seed_of(path) == 7 and bench.desk.is_dirty
    bench.choose("changed_cancel")
    assert seed_of(path) == 7 and bench.desk.is_dirty
    bench.desk.save()
    bench.choose("changed_over")
    assert seed_of(path) == 6 and not bench.desk.is_dirty
    # What was chosen once is chosen: this window's file is the last again.
    bench.seed(8)
    bench.desk.save()
    assert seed_of(path) == 8 and not asked(bench)


def test_both_are_kept_under_two_names(bench: Bench, path: Path, tmp_path: Path) -> None:
    saved_by_another(bench, path, 7)
    bench.desk.save()
    bench.choose("changed_name")
    # What is proposed keeps both: Enter is enough.
    assert proposed(bench) == str(tmp_path / "anna-2.maquette")
    # The same name again is asked about again.
    bench.answer(path)
    assert asked(bench) == ["replace_yes", "replace_no"] and seed_of(path) == 7
    bench.choose("replace_no")
    assert proposed(bench) == str(tmp_path / "anna-2.maquette")
    bench.answer(tmp_path / "berta.maquette")
    assert (seed_of(path), seed_of(tmp_path / "berta.maquette")) == (7, 6)


def test_leaving_asks_as_well(bench: Bench, path: Path) -> None:
    saved_by_another(bench, path, 7)
    bench.desk.close()
    bench.choose("unsaved_save")
    assert not bench.desk.closed and "changed_over" in asked(bench)
    bench.choose("changed_cancel")
    assert not bench.desk.closed and seed_of(path) == 7
    bench.desk.close()
    bench.choose("unsaved_save")
    bench.choose("changed_over")
    assert bench.desk.closed and seed_of(path) == 6


def test_a_project_that_is_gone_is_written_again(bench: Bench, path: Path) -> None:
    path.unlink()
    bench.desk.save()
    assert not asked(bench) and seed_of(path) == 6


def test_what_changed_while_it_was_opened_is_another_file(bench: Bench, path: Path) -> None:
    bench.desk.save()
    bench.desk.open(path)
    assert not asked(bench)
    bench.seed(9)
    saved_by_another(bench, path, 7)
    bench.desk.save()
    assert asked(bench) and seed_of(path) == 7


def test_stamps(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert stamp(file) is None and not is_another(file, None)
    file.write_bytes(b"one")
    seen = stamp(file)
    assert seen is not None and not is_another(file, seen) and is_another(file, None)
    # Written in place, of the same length.
    file.write_bytes(b"two")
    os.utime(file, ns=(0, seen.modified + 1))
    assert is_another(file, seen)


@pytest.mark.parametrize("is_saved_meanwhile", [False, True])
def test_what_is_recovered_knows_what_its_window_knew(
    tmp_path: Path, path: Path, is_saved_meanwhile: bool
) -> None:
    """The other window saves before the last edit of the one that is killed: times tell nothing."""
    first = Bench(tmp_path, Recovery(tmp_path / "r"))
    first.start()
    first.seed(5)
    first.desk.ask_save_as()
    first.answer(path)
    if is_saved_meanwhile:
        saved_by_another(first, path, 7)
    first.seed(6)
    first.desk.shut()  # as if it had been killed
    second = Bench(tmp_path, Recovery(tmp_path / "r"))
    second.start()
    second.desk.safe.offer()
    second.choose("recover_yes")
    second.desk.save()
    assert seed_of(path) == (7 if is_saved_meanwhile else 6)
    assert bool(asked(second)) == is_saved_meanwhile
    second.desk.shut()
