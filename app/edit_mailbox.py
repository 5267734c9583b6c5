"""The end of the pipe in the process that finds edits: it listens in a thread of its own."""

from __future__ import annotations

import os
import threading
from multiprocessing.connection import Connection

from app.edit_wire import EditTask, StopTask, TaskEvent
from app.faults import log_failure


class EditMailbox:
    """Tasks in order, and whether the one that runs shall stop. When the window's end closes the
    process ends at once: nothing that it holds needs saving."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._tasks: list[EditTask] = []
        self._running: int | None = None
        self._unwanted: set[int] = set()
        threading.Thread(target=self._listen, name="mailbox", daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                message = self._connection.recv()
                with self._changed:
                    if isinstance(message, EditTask):
                        self._tasks.append(message)
                    elif isinstance(message, StopTask):
                        self._unwanted.add(message.number)
                    self._changed.notify_all()
        except (EOFError, OSError):
            os._exit(0)
        except BaseException as error:
            log_failure("edits", error)
            os._exit(1)

    def send(self, event: TaskEvent) -> None:
        """Send a record to the window; ends the process if the window is gone."""
        try:
            with self._sending:
                self._connection.send(event)
        except OSError:
            os._exit(0)

    def next_task(self) -> EditTask:
        """Wait for something to do."""
        with self._changed:
            while not self._tasks:
                self._changed.wait()
            task = self._tasks.pop(0)
            self._running = task.number
            return task

    @property
    def stopped(self) -> bool:
        """Whether the running task shall stop."""
        return self._running in self._unwanted
