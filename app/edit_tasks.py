"""The tasks of the process that finds edits, seen from the window. Needs no torch."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.child import Child, spawn
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
        self._last = 0
        #: Tasks that are not over: the first one runs.
        self.open: list[EditTask] = []
        self._stopping: dict[int, float] = {}
        self._events: list[TaskEvent] = []
        self._child = Child(lambda: spawn("maquette-edits", run_edits, options()))
        self._idle_since = 0.0

    @property
    def pid(self) -> int | None:
        """Process id, ``None`` while there is none."""
        return self._child.pid

    def add(self, wish: Wish, recipe: Recipe, encoder: str = "") -> int:
        """Put a task at the end of the queue; its number."""
        self._child.start()
        self._last += 1
        task = EditTask(self._last, wish, recipe, encoder)
        self.open.append(task)
        self._child.send(task)
        return self._last

    def stop(self, number: int) -> None:
        """Stop a task that waits or runs; ``TaskStopped`` follows, unless it is over."""
        if number not in self._stopping and any(task.number == number for task in self.open):
            self._stopping[number] = time.monotonic()
            self._child.send(StopTask(number), start=False)

    def poll(self) -> list[TaskEvent]:
        """What happened since the last call."""
        if how := self._child.hear(self._take).ended:
            self._lost(how)
        now = time.monotonic()
        if not self.open:
            if now - self._idle_since > IDLE_SECONDS:
                self._child.end()
        elif now - self._stopping.get(self.open[0].number, now) > STOP_SECONDS:
            self._child.kill()  # its death is noticed by a later poll
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """End the process; nothing that it holds needs saving."""
        self.open.clear()
        self._child.end()

    def _take(self, event: TaskEvent) -> None:
        self._events.append(event)
        if not isinstance(event, TaskProgress | TaskStep):
            self._over(event.number)

    def _over(self, number: int) -> None:
        self.open = [task for task in self.open if task.number != number]
        self._stopping.pop(number, None)
        self._idle_since = time.monotonic()

    def _lost(self, how: str) -> None:
        """The process is gone although nobody ended it: what it did may have been its death."""
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
        for task in rest:
            try:
                self._child.send(task)
            except OSError as error:
                message = f"The system starts no more processes ({error.strerror or error})."
                self._events.append(TaskFailed(task.number, message))
                self._over(task.number)
