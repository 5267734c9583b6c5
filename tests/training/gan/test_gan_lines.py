"""The lines of a run: what is on the way, what was set aside, and what a damaged file costs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ExportError, UserError
from engine.export import files
from engine.training.gan.events import Event, Notice, Returned, SamplesDrawn, StepDone
from engine.training.gan.lines import NAME, Lines, Snapshot
from engine.training.gan.logs import Journal, read_journal
from engine.training.gan.run import Run
from tests.training.gan.test_gan_run import OPTIONS, losses, start, texts

Key = tuple[int, int]


class Folder:
    """Lines of empty files."""

    def __init__(self, folder: Path) -> None:
        self.lines = Lines(folder)
        self.folder = folder

    def add(self, *steps: int) -> None:
        for step in steps:
            self.lines.path(step).touch()

    def go(self, step: int, line: int | None = None) -> int | None:
        return self.lines.go_to(self.lines.find(step, line))

    @property
    def kept(self) -> list[Key]:
        return keys(self.lines.kept())

    @property
    def aside(self) -> list[Key]:
        return keys(self.lines.aside())


def keys(snapshots: list[Snapshot]) -> list[Key]:
    return [(one.step, one.line) for one in snapshots]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.add(0, 40, 80, 120)
    return made


def test_what_comes_later_is_set_aside_and_can_be_gone_to(folder: Folder) -> None:
    assert folder.go(120) is None and folder.aside == [], "the newest: the same line goes on"
    assert folder.go(40) == 1
    assert folder.kept == [(0, 0), (40, 0)] and folder.aside == [(80, 0), (120, 0)]
    folder.add(60, 80)
    assert [path.name for path in sorted(folder.folder.glob("*80*"))] == [
        "step-000000080-1.safetensors", "step-000000080.safetensors",
    ]  # fmt: skip
    assert folder.kept == [(0, 0), (40, 0), (60, 1), (80, 1)]
    assert folder.aside == [(80, 0), (120, 0)]
    # On the present line first, else where there is one.
    assert folder.lines.find(80).line == 1 and folder.lines.find(80, 0).line == 0
    assert folder.go(120) == 2
    assert folder.kept == [(0, 0), (40, 0), (80, 0), (120, 0)]
    assert folder.aside == [(60, 1), (80, 1)]


def test_a_line_that_left_another_one_comes_back_with_the_way_to_it(folder: Folder) -> None:
    folder.go(40)
    folder.add(60, 100)
    folder.go(60)
    folder.add(70)
    assert folder.kept == [(0, 0), (40, 0), (60, 1), (70, 2)]
    folder.go(120)
    folder.add(130)
    assert folder.kept == [(0, 0), (40, 0), (80, 0), (120, 0), (130, 3)]
    assert folder.aside == [(60, 1), (100, 1), (70, 2)]
    folder.go(70, 2)
    assert folder.kept == [(0, 0), (40, 0), (60, 1), (70, 2)]
    assert folder.aside == [(80, 0), (120, 0), (100, 1), (130, 3)]


def test_what_is_not_there_is_told_with_what_is(folder: Folder) -> None:
    with pytest.raises(
        UserError, match=r"no snapshot of step 7 in .* there are: 0, 40, 80, 120\.$"
    ):
        folder.go(7)
    folder.go(80)
    folder.add(120)
    folder.go(40)
    with pytest.raises(
        UserError, match=r"Several snapshots of step 120 .* say which, 120/0, 120/1\."
    ):
        folder.go(120)
    with pytest.raises(
        UserError, match=r"of step 80 on line 1 .* 0, 40; set aside: 80/0, 120/0, 120/1\."
    ):
        folder.go(80, 1)
    assert folder.go(120, 1) == 3 and folder.kept[-2:] == [(80, 0), (120, 1)]


def test_pruning_leaves_alone_what_was_set_aside_and_deleting_does_not(folder: Folder) -> None:
    (folder.folder / "step-80.safetensors").touch()
    folder.go(80)
    folder.add(90, 100, 110)
    folder.lines.prune(2)
    assert folder.kept == [(0, 0), (100, 1), (110, 1)] and folder.aside == [(120, 0)]
    folder.lines.prune(2)
    folder.lines.prune(9)
    assert folder.kept == [(0, 0), (100, 1), (110, 1)]
    assert folder.lines.delete_aside() == 1 and folder.aside == []
    assert folder.kept == [(0, 0), (100, 1), (110, 1)]
    # A number is never given again.
    assert folder.go(100) == 2
    assert (folder.folder / "step-80.safetensors").exists()
    assert Lines(folder.folder / "nowhere").kept() == []


@pytest.mark.parametrize("text", [
    "", "[]", "{", "[" * 100_000, '{"format": "other"}',
    '{"format": "maquette-lines/1", "present": 1, "began": [[1, 2, 40], [2, 1, 40]]}',
    '{"format": "maquette-lines/1", "present": 1, "began": [[1, 1, 40]]}',
    '{"format": "maquette-lines/1", "present": 1, "began": [[1, 0, "40"]]}',
    '{"format": "maquette-lines/1", "present": true, "began": []}',
    '{"format": "maquette-lines/1", "present": 1, "began": [[1, 0]]}',
])  # fmt: skip
def test_a_damaged_file_loses_no_snapshot(folder: Folder, text: str) -> None:
    folder.go(40)
    folder.add(60)
    (folder.folder / NAME).write_text(text)
    # The newest line stands for itself, the rest is set aside, and all can be gone to.
    assert folder.kept == [(60, 1)]
    assert folder.aside == [(0, 0), (40, 0), (80, 0), (120, 0)]
    assert folder.go(120) == 2
    assert folder.kept == [(0, 0), (40, 0), (80, 0), (120, 0)] and folder.aside == [(60, 1)]


def test_what_cannot_be_written_down_changes_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "_flush_to_disk", full)
        with pytest.raises(ExportError, match="the disk is full"):
            folder.go(40)
    assert folder.aside == [] and folder.lines.present == 0


def full(path: Path) -> None:
    raise OSError(28, "No space left on device")


# The run ----------------------------------------------------------------------------------


def returning(run: Run, at: int, step: int, line: int | None = None) -> None:
    """Tell a run to go to a snapshot once it has done a step for the first time."""
    told: list[int] = []

    def once(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == at and not told:
            told.append(1)
            run.back_to(step, line)

    run._listeners.listeners.append(once)


def test_nothing_is_lost_by_going_back_and_forth(tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=9, keep=100)
    run, _events = start(tmp_path, options)
    returning(run, 8, 3)
    run.train()
    # The steps since the newest snapshot were kept, too.
    assert keys(run.aside()) == [(6, 0), (8, 0)]
    assert keys(run.snapshots()) == [(0, 0), (3, 0), (6, 1), (9, 1)]
    again, events = start(tmp_path, replace(options, steps=10))
    assert again.resume(8) == 8 and Returned(8, 2, 0) in events
    assert keys(again.aside()) == [(6, 1), (9, 1)]
    again.train()
    assert keys(again.snapshots()) == [(0, 0), (3, 0), (6, 0), (8, 0), (9, 2), (10, 2)]
    # A plain resume goes on with the line that was the present one.
    last, events = start(tmp_path, options)
    assert last.resume() == 10 and events == [Returned(10, None, 2)]
    assert last.delete_aside() == 2 and keys(last.aside()) == []
    last.close()


def test_the_log_tells_of_the_way_to_where_the_run_is(tmp_path: Path) -> None:
    def told(*steps: int) -> list[StepDone]:
        return [StepDone(step, step, {"a": float(step)}, {}) for step in steps]

    journal = Journal(tmp_path)
    first, second, third = told(1, 2, 3, 4), told(3, 4, 5), told(5, 6)
    said = Notice(5, "said")
    for event in (*first, Returned(2, 1, 0), *second, said, Returned(4, 2, 0), *third):
        journal(event)
    assert read_journal(tmp_path) == [*first, said, Returned(4, 2, 0), *third]
    # Within a line, as ever: a run that went on after a crash.
    journal(Returned(5, None, 2))
    assert read_journal(tmp_path)[-2:] == [third[0], Returned(5, None, 2)]
    journal(Returned(4, 3, 1))
    way = [*first[:2], Returned(2, 1, 0), *second[:2], said, Returned(4, 3, 1)]
    assert read_journal(tmp_path) == way
    # A line that makes no sense is no new one.
    journal(Returned(1, 2, 9))
    assert read_journal(tmp_path)[0] == first[0]


def test_samples_of_lines_do_not_write_over_each_other(tmp_path: Path) -> None:
    run, events = start(tmp_path, replace(OPTIONS, steps=6, keep=100, samples=1))
    shown: list[str] = []
    run._show = lambda step, name: shown.append(name)  # type: ignore[method-assign]
    returning(run, 6, 3)
    run.train()
    assert shown == ["step-000000000", "step-000000003", "step-000000006"]
    assert not any(isinstance(event, SamplesDrawn) for event in events)
    again, _ = start(tmp_path, replace(OPTIONS, steps=6, keep=100, samples=1))
    again._show = lambda step, name: shown.append(name)  # type: ignore[method-assign]
    again.resume(3)
    again.train()
    assert shown[3:] == ["step-000000006-1"]


def test_where_the_present_cannot_be_kept_training_does_not_go_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, events = start(tmp_path, replace(OPTIONS, steps=6, keep=100))
    returning(run, 5, 3)
    real: Any = files._flush_to_disk
    monkeypatch.setattr(
        files, "_flush_to_disk", lambda path: (full if run.loop.position.step == 5 else real)(path)
    )
    run.train()
    (said,) = texts(events)
    assert "the disk is full" in said and "Training did not go back" in said
    assert set(losses(events)) == set(range(1, 7)) and keys(run.aside()) == []


def test_a_damaged_snapshot_is_not_gone_to(tmp_path: Path) -> None:
    run, events = start(tmp_path, replace(OPTIONS, steps=6, keep=100))
    returning(run, 5, 3)
    worn = tmp_path / "snapshots" / "step-000000003.safetensors"
    run._listeners.listeners.append(
        lambda event: worn.write_bytes(b"worn") and None if getattr(event, "step", 0) == 5 else None
    )
    run.train()
    (said,) = texts(events)
    assert "is damaged" in said and keys(run.aside()) == []
    assert json.loads((tmp_path / "snapshots" / NAME).read_text())["present"] == 0
    assert keys(run.snapshots()) == [(0, 0), (3, 0), (5, 0), (6, 0)]
