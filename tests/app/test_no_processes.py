"""A system that starts no more processes, in the middle of work: told, and the window goes on."""

from __future__ import annotations

import errno
import os

import pytest

from app import edit_tasks
from app.edit_tasks import EditTasks
from app.edit_wire import EditTask, TaskFailed, TryEncoder
from app.wire import ProcessOptions
from engine.recipe import Recipe


def full(*_arguments: object) -> None:
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_edits_that_waited_for_a_process_that_died(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edit_tasks, "spawn", full)
    tasks = EditTasks(lambda: ProcessOptions("cpu"))
    tasks.open = [EditTask(number, TryEncoder(), Recipe(), "") for number in (1, 2, 3)]
    tasks._lost("killed by signal 9")
    events = tasks.poll()
    assert [event.number for event in events if isinstance(event, TaskFailed)] == [1, 2, 3]
    assert "no more processes" in events[-1].message  # type: ignore[union-attr]
    assert tasks.open == []
