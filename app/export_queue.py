"""The queue of exports, seen from the window. Needs no torch."""

from __future__ import annotations

import contextlib
import multiprocessing
import secrets
import shutil
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from app.jobs import Job, JobState
from app.messages import JobCancelled, JobEvent, JobFailed, JobProgress
from app.processes import run_exports
from app.wire import CancelJob, ProcessOptions, RunJob

#: An export process without work is ended after so many seconds, to give its memory back.
IDLE_SECONDS = 60.0
_CLOSE_SECONDS = 2.0
#: An export that does not stop by itself so long after it was cancelled is killed.
_CANCEL_SECONDS = 4.0


class ExportQueue:
    """The queue of exports and the process that works through it, seen from the window.

    Never blocks (but for up to two seconds in :meth:`close` while an export removes its
    unfinished files). The process is started with the first export.

    Args:
        options: how the export process is started.
    """

    def __init__(self, options: ProcessOptions) -> None:
        self._options = options
        self._waiting: list[tuple[JobState, Job]] = []
        self._running: JobState | None = None
        self._staging = ""
        self._events: list[JobEvent] = []
        self._last_number = 0
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._idle_since = 0.0
        self._cancelled_at = 0.0

    @property
    def jobs(self) -> tuple[JobState, ...]:
        """The running export, then those that wait."""
        running = () if self._running is None else (self._running,)
        return running + tuple(state for state, _ in self._waiting)

    @property
    def pid(self) -> int | None:
        """Process id of the export process, ``None`` while there is none."""
        return None if self._process is None else self._process.pid

    def set_options(self, options: ProcessOptions) -> None:
        """Start later export processes with these; one that is idle is ended."""
        self._options = options
        if self._running is None:
            self._end_process()

    def add(self, job: Job) -> int:
        """Put an export at the end of the queue; its number."""
        self._last_number += 1
        self._waiting.append((JobState(self._last_number, job.title, job.path, "waiting"), job))
        self._advance()
        return self._last_number

    def cancel(self, number: int) -> None:
        """Stop an export that waits or runs; anything else is left alone."""
        for entry in self._waiting:
            if entry[0].job == number:
                self._waiting.remove(entry)
                self._events.append(JobCancelled(number, entry[0].title))
                return
        running = self._running
        if running is not None and running.job == number and running.state == "running":
            self._cancelled_at = time.monotonic()
            self._running = replace(running, state="cancelling", seconds_left=None)
            self._send(CancelJob(number))

    def poll(self) -> list[JobEvent]:
        """What happened since the last call."""
        gone = False
        if self._connection is not None:
            try:
                while self._connection.poll():
                    self._take(self._connection.recv())
            except (EOFError, OSError):
                gone = True
        if self._process is not None and (gone or self._process.exitcode is not None):
            self._lost()
        self._advance()
        now = time.monotonic()
        if self._process is not None:
            if self._running is None:
                if now - self._idle_since > IDLE_SECONDS:
                    self._end_process()
            elif self._running.state == "cancelling" and now - self._cancelled_at > _CANCEL_SECONDS:
                self._process.kill()  # its death is noticed by a later poll
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Stop everything; unfinished files are removed."""
        self._waiting.clear()
        self._end_process(patience=_CLOSE_SECONDS)
        self._running = None

    def _take(self, event: JobEvent) -> None:
        self._events.append(event)
        if isinstance(event, JobProgress):
            if self._running is not None and self._running.state == "running":
                self._running = replace(
                    self._running,
                    done=event.done,
                    total=event.total,
                    seconds_left=event.seconds_left,
                )
        else:
            self._running, self._staging = None, ""
            self._idle_since = time.monotonic()

    def _advance(self) -> None:
        """Hand the next export to the process when it is free."""
        if self._running is not None or not self._waiting:
            return
        if self._process is None:
            self._spawn()
        state, job = self._waiting.pop(0)
        self._running = replace(state, state="running")
        folder = Path(job.path).expanduser().resolve().parent
        self._staging = str(folder / f".maquette-{secrets.token_hex(6)}.tmp")
        self._send(RunJob(state.job, job, self._staging))

    def _send(self, message: object) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):  # its death is noticed by the next poll
                self._connection.send(message)

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=run_exports, args=(theirs, self._options), name="maquette-export", daemon=True
        )
        self._process.start()
        theirs.close()

    def _lost(self) -> None:
        """The process is gone although nobody ended it."""
        assert self._process is not None
        self._process.join(0.2)
        how = how_it_ended(self._process.exitcode)
        self._end_process()
        if self._running is not None:
            number, title = self._running.job, self._running.title
            if self._running.state == "cancelling":
                self._events.append(JobCancelled(number, title))
            else:
                message = (
                    f"The export process stopped ({how}) before {Path(self._running.path).name} was "
                    "complete; nothing was left of it. Try again, at a lower resolution if memory "
                    "was short."
                )
                self._events.append(JobFailed(number, title, message))
            self._running = None

    def _end_process(self, patience: float = 0.0) -> None:
        process, self._process = self._process, None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if process is not None:
            if patience:
                process.join(patience)
            if process.exitcode is None and (self._staging or patience):
                process.kill()
                process.join(_CLOSE_SECONDS)
        if self._staging:
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging = ""


def how_it_ended(exitcode: int | None) -> str:
    """An exit code in words: ``"killed by signal 9"``, ``"exit code 1"``."""
    if exitcode is None:
        return "no answer"
    return f"killed by signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"
