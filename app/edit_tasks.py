"""The tasks of the process that finds edits, seen from the window. Needs no torch."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from app.edit_wire import (
    EditTask,
    StopTask,
    TaskEvent,
    TaskFailed,
    TaskProgress,
    TaskStep,
    TaskStopped,
    Wish,
)
from app.export_queue import how_it_ended
from app.processes import run_edits
from app.wire import ProcessOptions
from engine.recipe import Recipe

#: A process without work is ended after so many seconds, to give its memory back.
IDLE_SECONDS = 300.0
#: A task that does not stop by itself so long after it was told to is ended with its process.
STOP_SECONDS = 6.0


class EditTasks:
    """Starts the process with the first task, and collects what it says. Never blocks.

    Args:
        options: how the process is started, asked for at each start.
    """

    def __init__(self, options: Callable[[], ProcessOptions]) -> None:
        self._options = options
        self._last = 0
        #: Tasks that are not over: the first one runs.
        self.open: list[EditTask] = []
        self._stopping: dict[int, float] = {}
        self._events: list[TaskEvent] = []
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._idle_since = 0.0

    @property
    def pid(self) -> int | None:
        """Process id, ``None`` while there is none."""
        return None if self._process is None else self._process.pid

    def add(self, wish: Wish, recipe: Recipe, encoder: str = "") -> int:
        """Put a task at the end of the queue; its number."""
        if self._process is None:
            self._spawn()
        self._last += 1
        task = EditTask(self._last, wish, recipe, encoder)
        self.open.append(task)
        self._send(task)
        return self._last

    def stop(self, number: int) -> None:
        """Stop a task that waits or runs; ``TaskStopped`` follows, unless it is over."""
        if number not in self._stopping and any(task.number == number for task in self.open):
            self._stopping[number] = time.monotonic()
            self._send(StopTask(number))

    def poll(self) -> list[TaskEvent]:
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
        now = time.monotonic()
        if self._process is not None:
            if not self.open and now - self._idle_since > IDLE_SECONDS:
                self._end()
            elif self.open and now - self._stopping.get(self.open[0].number, now) > STOP_SECONDS:
                self._process.kill()  # its death is noticed by a later poll
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """End the process; nothing that it holds needs saving."""
        self.open.clear()
        self._end()

    def _take(self, event: TaskEvent) -> None:
        self._events.append(event)
        if not isinstance(event, TaskProgress | TaskStep):
            self._over(event.number)

    def _over(self, number: int) -> None:
        self.open = [task for task in self.open if task.number != number]
        self._stopping.pop(number, None)
        self._idle_since = time.monotonic()

    def _send(self, message: object) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):  # its death is noticed by the next poll
                self._connection.send(message)

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=run_edits, args=(theirs, self._options()), name="maquette-edits", daemon=True
        )
        self._process.start()
        theirs.close()

    def _lost(self) -> None:
        """The process is gone although nobody ended it: what it did may have been its death."""
        assert self._process is not None
        self._process.join(0.2)
        how = how_it_ended(self._process.exitcode)
        self._end()
        first, rest = self.open[:1], self.open[1:]
        for task in first:
            if task.number in self._stopping:
                self._events.append(TaskStopped(task.number))
            else:
                message = (
                    f"The process that finds edits stopped ({how}); try again, with other programs "
                    "closed if memory was short."
                )
                self._events.append(TaskFailed(task.number, message))
            self._over(task.number)
        if rest:
            self._spawn()
            for task in rest:
                self._send(task)

    def _end(self) -> None:
        process, self._process = self._process, None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if process is not None and process.exitcode is None:
            process.kill()
            process.join(2.0)
