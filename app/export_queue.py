"""The queue of exports, seen from the window. Needs no torch."""

from __future__ import annotations

import secrets
import shutil
import time
from dataclasses import replace
from pathlib import Path

from app.child import Child, spawn
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
        self._child = Child(lambda: spawn("maquette-export", run_exports, self._options))
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
        return self._child.pid

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
            self._child.send(CancelJob(number), start=False)

    def poll(self) -> list[JobEvent]:
        """What happened since the last call."""
        if how := self._child.hear(self._take).ended:
            self._lost(how)
        self._advance()
        now = time.monotonic()
        if self._running is None:
            if self._child.is_there and now - self._idle_since > IDLE_SECONDS:
                self._end_process()
        elif self._running.state == "cancelling" and now - self._cancelled_at > _CANCEL_SECONDS:
            self._child.kill()  # its death is noticed by a later poll
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
        state, job = self._waiting.pop(0)
        try:
            self._child.start()
        except OSError as error:
            message = (
                f"{Path(job.path).name} was not begun: the system starts no more processes "
                f"({error.strerror or error}). Close other programs, then try again."
            )
            self._events.append(JobFailed(state.job, state.title, message))
            return
        self._running = replace(state, state="running")
        folder = Path(job.path).expanduser().resolve().parent
        self._staging = str(folder / f".maquette-{secrets.token_hex(6)}.tmp")
        self._child.send(RunJob(state.job, job, self._staging))

    def _lost(self, how: str) -> None:
        """The process is gone although nobody ended it."""
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
        # One without work ends with its pipe; nobody waits for that.
        self._child.end(patience, kill=bool(self._staging or patience))
        if self._staging:
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging = ""
