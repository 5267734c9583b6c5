"""A process behind the window, with real ones that die, flood, hang up and keep silent."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.child import MOST_AT_ONCE, Child, Heard, how_it_ended, spawn
from tests.app import children
from tests.app.harness import process_runs, until

Starts = Callable[..., Child]


@pytest.fixture
def start() -> Iterator[Starts]:
    """Makes children; those that are left are ended."""
    made: list[Child] = []

    def make(entry: Callable[..., None], *args: object) -> Child:
        made.append(Child(lambda: spawn("test", entry, *args)))
        return made[-1]

    yield make
    for child in made:
        child.end()


def listen(child: Child, stop: Callable[[list[Any], Heard], bool]) -> tuple[list[Any], str]:
    """Hear until ``stop``: all that was said, and how it ended."""
    said: list[Any] = []
    heard = Heard(False, "")

    def enough() -> bool:
        nonlocal heard
        before = len(said)
        heard = child.hear(said.append)
        assert heard.any == (len(said) > before)
        return stop(said, heard)

    until(enough, "the child")
    return said, heard.ended


def to_the_end(child: Child) -> tuple[list[Any], str]:
    return listen(child, lambda said, heard: bool(heard.ended))


def first_words(child: Child) -> list[Any]:
    return listen(child, lambda said, heard: bool(said))[0]


def test_it_is_started_by_the_first_message_and_answers(start: Starts) -> None:
    child = start(children.echo, "a")
    assert child.pid is None and not child.is_there
    assert child.hear(pytest.fail) == Heard(False, "")
    child.send("nobody is there for this", start=False)
    assert not child.is_there
    child.send(1)
    child.send(2, start=False)
    said, ended = listen(child, lambda said, heard: len(said) == 2)
    assert said == [("a", 1), ("a", 2)] and ended == "" and child.is_there
    pid = child.pid
    assert pid is not None and process_runs(pid)
    child.end()
    assert child.pid is None and not process_runs(pid)
    child.end()
    # Another one in its place.
    child.send(3)
    assert first_words(child) == [("a", 3)] and child.pid != pid


@pytest.mark.parametrize(
    ("signum", "code", "how"),
    [
        (signal.SIGKILL, 0, "killed by signal 9"),
        (signal.SIGSEGV, 0, "killed by signal 11"),
        (0, 3, "exit code 3"),
        (0, 0, "exit code 0"),
    ],
)
def test_a_death_is_told_once_after_the_last_words(
    start: Starts, signum: int, code: int, how: str
) -> None:
    # More than are taken in at once: the end waits until all of them are heard.
    count = 2 * MOST_AT_ONCE + 7
    child = start(children.last_words, count, signum, code)
    child.send("go")
    pid = child.pid
    said, ended = to_the_end(child)
    assert said == list(range(count)) and ended == how
    assert pid is not None and not process_runs(pid)
    assert child.pid is None and child.hear(pytest.fail) == Heard(False, "")


def test_what_is_sent_to_a_dead_one_is_no_error(start: Starts) -> None:
    child = start(children.last_words, 0, 0, 1)
    child.send("go")
    pid = child.pid
    assert pid is not None
    until(lambda: not process_runs(pid), "its death")
    for _ in range(3):
        child.send("is anybody there?")
    assert to_the_end(child) == ([], "exit code 1")


def test_one_that_hangs_up_is_ended(start: Starts) -> None:
    child = start(children.hang_up)
    child.send("go")
    pid = child.pid
    assert to_the_end(child) == (["bye"], "no answer")
    assert pid is not None and not process_runs(pid)


def test_a_flood_does_not_hold_the_window(start: Starts) -> None:
    child = start(children.flood)
    child.send("go")
    pid = child.pid
    counts: list[int] = []

    def look() -> bool:
        said: list[bytes] = []
        assert child.hear(said.append).ended == ""
        counts.append(len(said))
        return sum(counts) > 4 * MOST_AT_ONCE

    until(look, "the flood")
    assert max(counts) <= MOST_AT_ONCE
    child.end()
    assert pid is not None and not process_runs(pid)


def test_a_silent_one_is_not_waited_for_and_can_be_killed(start: Starts) -> None:
    child = start(children.silent)
    child.send("go")
    assert first_words(child) == ["deaf"]
    for _ in range(3):
        assert child.hear(pytest.fail) == Heard(False, "")
    pid = child.pid
    assert pid is not None and process_runs(pid)
    child.kill()
    assert child.is_there, "its death is told, like any other"
    assert to_the_end(child) == ([], "killed by signal 9") and not process_runs(pid)
    child.kill()
    child.send("again")
    assert first_words(child) == ["deaf"]
    child.end(patience=0.05)
    assert child.pid is None


def test_it_is_given_time_to_end_by_itself(start: Starts, tmp_path: Path) -> None:
    note = tmp_path / "note"
    child = start(children.tidy, str(note))
    child.send("go")
    assert first_words(child) == ["ready"]
    pid = child.pid
    child.end(patience=30.0)
    assert note.read_text() == "tidied up" and pid is not None and not process_runs(pid)


def test_it_can_be_left_to_itself(start: Starts) -> None:
    child = start(children.echo, "a")
    child.send(1)
    first_words(child)
    pid = child.pid
    child.end(kill=False)
    assert child.pid is None and pid is not None
    until(lambda: not process_runs(pid), "its end with the pipe")


def test_it_may_be_ended_by_what_it_says(start: Starts) -> None:
    child = start(children.last_words, 3, signal.SIGKILL, 0)
    child.send("go")
    said: list[int] = []

    def take(message: int) -> None:
        said.append(message)
        child.end()

    until(lambda: child.hear(take).any, "its first word")
    assert said == [0] and child.hear(pytest.fail) == Heard(False, "")


def test_a_fault_in_what_takes_loses_nothing_else(start: Starts) -> None:
    child = start(children.last_words, 3, 0, 5)
    child.send("go")
    said: list[int] = []

    def take(message: int) -> None:
        said.append(message)
        if message == 1:
            raise ValueError("what is 1?")

    def fails() -> bool:
        try:
            child.hear(take)
        except ValueError:
            return True
        return False

    until(fails, "the fault")
    assert to_the_end(child) == ([2], "exit code 5") and said == [0, 1]


def test_it_ends_with_a_window_that_is_killed() -> None:
    window = subprocess.Popen(
        [sys.executable, "-m", "tests.app.children"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert window.stdout is not None and window.stdin is not None
    pid = int(window.stdout.readline())
    assert process_runs(pid)
    window.stdin.write("\n")
    window.stdin.flush()
    assert window.wait(30) == -signal.SIGKILL
    until(lambda: not process_runs(pid), "the child's end")
    window.stdin.close()
    window.stdout.close()


def test_exit_codes_in_words() -> None:
    assert [how_it_ended(code) for code in (None, -15, 0, 2)] == [
        "no answer", "killed by signal 15", "exit code 0", "exit code 2",
    ]  # fmt: skip
