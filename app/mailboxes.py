"""The ends of the pipes in the engine process and in the export process.

Each listens in a thread of its own, so that a wish of the window is heard while something is
being computed.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from app.faults import log_failure
from app.wire import CancelJob, Draw, DropThumbnails, OpenModel, RunJob, Taken

#: How long an export may take to notice that the window is gone before it is ended.
_GRACE_SECONDS = 5.0


class EngineMailbox:
    """The engine's end of the pipe: a thread listens all the time, drawing or not.

    Holds one slot for the newest request; everything else waits in order. When the window's
    end closes, the process ends at once, in the middle of whatever it does: nobody is left
    to draw for, and nothing that it holds needs saving.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._request: Draw | None = None
        self._received = 0.0
        self._opening: OpenModel | None = None
        self._before_opening: Draw | None = None
        self._controls: list[Any] = []
        self._drops = 0
        threading.Thread(target=self._listen, name="mailbox", daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                message = self._connection.recv()
                with self._changed:
                    self._file(message)
                    self._changed.notify_all()
                if isinstance(message, Draw):
                    self.send(Taken(message.generation))
        except (EOFError, OSError):
            os._exit(0)
        except BaseException as error:
            log_failure("engine", error)
            os._exit(1)

    def _file(self, message: Any) -> None:
        if isinstance(message, Draw):
            self._request, self._received = message, time.monotonic()
        elif isinstance(message, OpenModel):
            # What was asked before belongs to the model that is about to be replaced; it is
            # kept until opening has succeeded, see forget_earlier_request.
            self._opening = message
            self._before_opening = self._request
        else:
            self._drops += isinstance(message, DropThumbnails)
            self._controls.append(message)

    def poke(self) -> None:
        """End the drawing thread's sleep: something that it waits for is ready."""
        with self._changed:
            self._controls.append(None)
            self._changed.notify_all()

    def send(self, message: object) -> None:
        """Send a record to the window; ends the process if the window is gone."""
        try:
            with self._sending:
                self._connection.send(message)
        except (BrokenPipeError, ConnectionError, OSError):
            os._exit(0)

    @property
    def request(self) -> Draw | None:
        """The newest request; it stays here until a newer one comes."""
        return self._request

    @property
    def received(self) -> float:
        """When it came (``time.monotonic``)."""
        return self._received

    @property
    def opening(self) -> OpenModel | None:
        """The newest wish for a model that has not been taken yet."""
        return self._opening

    @property
    def drops(self) -> int:
        """How often thumbnails have become unwanted."""
        return self._drops

    def take_opening(self) -> OpenModel | None:
        """Take that wish."""
        with self._changed:
            taken, self._opening = self._opening, None
            return taken

    def forget_earlier_request(self) -> None:
        """A model was opened: drop the request that came before the wish for it."""
        with self._changed:
            if self._request is self._before_opening:
                self._request = None
            self._before_opening = None

    def take_controls(self) -> list[Any]:
        """Take the other messages, oldest first."""
        with self._changed:
            taken, self._controls = self._controls, []
            return taken

    def wait(self, seconds: float | None, known: Draw | None) -> None:
        """Sleep until a message comes or the time is over. Returns at once if a request
        other than ``known``, a model or a control waits already."""
        with self._changed:
            if self._controls or self._opening is not None or self._request is not known:
                return
            self._changed.wait(seconds)

    def wait_for_control(self) -> None:
        """Sleep until there is something for :meth:`take_controls`."""
        with self._changed:
            while not self._controls:
                self._changed.wait()


class ExportMailbox:
    """The exporter's end of the pipe.

    When the window's end closes, the running export is told to stop so that it removes its
    unfinished files; if it does not within a few seconds, they are removed from here.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._changed = threading.Condition()
        self._jobs: list[RunJob] = []
        self._running: RunJob | None = None
        self._unwanted: set[int] = set()
        self._cancelled = False
        self._closed = False
        threading.Thread(target=self._listen, name="mailbox", daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                message = self._connection.recv()
                with self._changed:
                    if isinstance(message, RunJob):
                        self._jobs.append(message)
                    elif isinstance(message, CancelJob):
                        self._cancel(message.number)
                    self._changed.notify_all()
        except (EOFError, OSError):
            pass
        except BaseException as error:
            log_failure("export", error)
        with self._changed:
            self._closed = self._cancelled = True
            self._changed.notify_all()
        time.sleep(_GRACE_SECONDS)
        if self._running is not None:
            shutil.rmtree(self._running.staging, ignore_errors=True)
        os._exit(1)

    def _cancel(self, number: int) -> None:
        if self._running is not None and self._running.number == number:
            self._cancelled = True
        else:
            self._unwanted.add(number)  # it still lies in the mailbox

    def send(self, message: object) -> None:
        """Send a record to the window; if it is gone, the running export stops."""
        try:
            self._connection.send(message)
        except (BrokenPipeError, ConnectionError, OSError):
            self._cancelled = True

    def next_job(self) -> RunJob | None:
        """Wait for an export to do; ``None`` when the window is gone."""
        with self._changed:
            self._running = None
            while not self._jobs and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            self._running = self._jobs.pop(0)
            self._cancelled = self._running.number in self._unwanted
            return self._running

    @property
    def cancelled(self) -> bool:
        """Whether the running export shall stop."""
        return self._cancelled
