"""Recovery files: kept while a window lives, offered when it is gone, never fought over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app import document as d
from app.document import Document
from app.project import Project, read_project
from app.recovery import Recovery
from engine.errors import UserError

ROOT = Path(__file__).parents[2]


def project(seed: int, origin: str = "") -> Project:
    return Project(d.set_seed(Document(), seed), origin=origin)


def keep(recovery: Recovery, seed: int) -> None:
    recovery.keep(lambda: project(seed))


def until(condition: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_clean_end_leaves_nothing(tmp_path: Path) -> None:
    recovery = Recovery(tmp_path)
    keep(recovery, 1)
    recovery.close()
    assert list(tmp_path.iterdir()) == []


def test_the_last_state_is_kept_and_what_is_saved_is_forgotten(tmp_path: Path) -> None:
    recovery = Recovery(tmp_path)
    done: list[str] = []
    for seed in range(5):
        keep(recovery, seed)
    recovery.keep(lambda: project(7, "/p/anna.maquette"), lambda: done.append("written"))
    until(lambda: done)
    assert recovery.path is not None
    kept = read_project(recovery.path)
    assert (kept.document.recipe.seed, kept.origin) == (7, "/p/anna.maquette")
    recovery.forget()
    until(lambda: not recovery.path.exists())
    recovery.close(keep=True)
    assert list(tmp_path.iterdir()) == []


def test_an_end_without_asking_keeps_the_file(tmp_path: Path) -> None:
    recovery = Recovery(tmp_path)
    keep(recovery, 4)
    recovery.close(keep=True)
    other = Recovery(tmp_path)
    (left,) = other.leftovers()
    assert left.read().document.recipe.seed == 4
    left.discard()
    assert other.leftovers() == []
    other.close()
    assert list(tmp_path.iterdir()) == []


def test_two_windows_do_not_touch_each_other(tmp_path: Path) -> None:
    one, two = Recovery(tmp_path), Recovery(tmp_path)
    keep(one, 1)
    keep(two, 2)
    assert one.path != two.path and one.path and two.path
    until(lambda: one.path.exists() and two.path.exists())
    assert one.leftovers() == two.leftovers() == []
    one.close()
    assert two.path.exists()
    two.close()


CHILD = """
import sys, time
from pathlib import Path
from tests.app.test_recovery import Recovery, keep
recovery = Recovery(Path(sys.argv[1]))
keep(recovery, 11)
while not recovery.path.exists():
    time.sleep(0.01)
print("kept", flush=True)
time.sleep(60)
"""


def killed_window(folder: Path) -> None:
    """A process that keeps a file and is killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None and child.stdout.readline() == "kept\n"
    with child.stdout:
        # As long as it lives its file is its own.
        watcher = Recovery(folder)
        assert watcher.leftovers() == []
        watcher.close()
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)


def test_what_a_killed_window_left_is_found_once(tmp_path: Path) -> None:
    killed_window(tmp_path)
    first, second = Recovery(tmp_path), Recovery(tmp_path)
    (left,) = first.leftovers()
    assert left.read().document.recipe.seed == 11
    # The other window that starts at the same time does not get it too ...
    assert second.leftovers() == []
    # ... unless it is put back.
    left.release()
    (again,) = second.leftovers()
    again.discard()
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_told_once_and_put_aside(tmp_path: Path) -> None:
    (tmp_path / "77-aa.maquette").write_bytes(b"half a file")
    recovery = Recovery(tmp_path)
    (left,) = recovery.leftovers()
    with pytest.raises(UserError, match="cannot be opened"):
        left.read()
    assert recovery.leftovers() == []
    recovery.close()
    assert [p.name for p in tmp_path.iterdir()] == ["77-aa.maquette.bad"]


def test_rubbish_of_killed_windows_is_swept(tmp_path: Path) -> None:
    (tmp_path / "9-bb.lock").touch()
    for name, age in ((".maquette-old.tmp", 7200), (".maquette-new.tmp", 5)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    recovery = Recovery(tmp_path)
    assert recovery.leftovers() == []
    recovery.close()
    assert [p.name for p in tmp_path.iterdir()] == [".maquette-new.tmp"]


def test_a_folder_that_cannot_be_made_is_told_and_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    recovery = Recovery(tmp_path / "file" / "recovery")
    keep(recovery, 1)
    recovery.forget()
    assert recovery.leftovers() == []
    fault = recovery.take_fault()
    assert fault is not None and "cannot be kept for recovery" in fault
    assert recovery.take_fault() is None
    recovery.close()


def test_a_write_that_fails_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "recovery"
    recovery = Recovery(folder)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    keep(recovery, 1)
    faults: list[str] = []

    def told() -> bool:
        faults.extend(filter(None, [recovery.take_fault()]))
        return bool(faults)

    until(told)
    assert "could not be kept for recovery" in faults[0] and "does not exist" in faults[0]
    recovery.close()
