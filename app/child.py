"""A process that serves the window over a pipe, seen from the window. Needs no torch.

Training, preparing photographs, finding edits and exporting each have one. What is asked and answered is
their own; how a process is started, heard, found dead and ended is the same for all, and stands here.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

#: A process, and the window's end of its pipe.
Started = tuple[SpawnProcess, Connection]
#: Messages that are taken in one after the other before the window goes on; the rest waits.
MOST_AT_ONCE = 500
#: Exit codes of processes that lost the GPU: to a kernel that the next one leaves out, and otherwise.
KERNEL_LEFT_OUT, GPU_LOST = 75, 74
#: Seconds until the system has ended a process: one that closed its pipe, and one that was killed.
_ENDING_SECONDS, _KILLED_SECONDS = 0.2, 2.0


class Heard(NamedTuple):
    """What :meth:`Child.hear` met with.

    Attributes:
        any: whether there was a message.
        ended: how the process ended, in words, if it did and nobody here had ended it; else empty.
    """

    any: bool
    ended: str


class Child:
    """See the module's docstring. There is no process before the first :meth:`start` or :meth:`send`.

    A process ends with its pipe: it must listen in a thread of its own and end, or be quick to, when the
    window's end is closed. So none outlives the window, however that ends.

    Args:
        start: starts a process; called again for another one after the first has ended.
    """

    def __init__(self, start: Callable[[], Started]) -> None:
        self._start = start
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Process id, ``None`` while there is no process."""
        return None if self._process is None else self._process.pid

    @property
    def is_there(self) -> bool:
        """Whether there is a process; one that has died is there until :meth:`hear` tells so."""
        return self._process is not None

    def start(self) -> None:
        """Start a process if there is none.

        Raises:
            OSError: none could be started.
        """
        if self._process is None:
            self._process, self._connection = self._start()

    def send(self, message: object, start: bool = True) -> None:
        """Tell it something. That it is dead is no error here: the next :meth:`hear` tells.

        Args:
            message: what to tell; must pickle.
            start: start a process if there is none; otherwise nothing is sent then.

        Raises:
            OSError: no process could be started.
        """
        if start:
            self.start()
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.send(message)

    def hear(self, take: Callable[[Any], None]) -> Heard:
        """Take in what it has said since the last call, oldest first, without waiting for more.

        That it ended is told once, after the last thing it said, and then there is no process. One that
        has closed its end of the pipe is as good as dead, and is killed.

        Args:
            take: called with each message; at most :data:`MOST_AT_ONCE` times.
        """
        process, connection = self._process, self._connection
        if process is None or connection is None:
            return Heard(False, "")
        # Asked first: what it says before it ends is in the pipe by then.
        ended, count = process.exitcode is not None, 0
        while count < MOST_AT_ONCE:
            try:
                if not connection.poll():
                    break
                message = connection.recv()
            except (EOFError, OSError):
                ended = True
                break
            take(message)
            count += 1
        else:
            return Heard(True, "")
        if not ended or self._process is not process:
            return Heard(count > 0, "")
        process.join(_ENDING_SECONDS)
        how = how_it_ended(process.exitcode)
        self.end()
        return Heard(count > 0, how)

    def kill(self) -> None:
        """Kill it as if it had died by itself: :meth:`hear` tells."""
        if self._process is not None:
            self._process.kill()

    def end(self, patience: float = 0.0, kill: bool = True) -> None:
        """Close the pipe and end the process, if there is one.

        Args:
            patience: seconds that it may take to end by itself.
            kill: kill it then, and wait for that; otherwise it is left to itself.
        """
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if process is None:
            return
        if patience > 0.0:
            process.join(patience)
        if kill and process.exitcode is None:
            process.kill()
            process.join(_KILLED_SECONDS)


def spawn(name: str, entry: Callable[..., None], *args: object) -> Started:
    """Start a process with a pipe to it.

    Args:
        name: of the process.
        entry: called there with its end of the pipe and ``args``; a function of a module without torch.

    Raises:
        OSError: the system starts no more processes.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=entry, args=(theirs, *args), name=name, daemon=True)
    try:
        process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        # Only the process may hold its end, or nobody would notice that it is gone.
        theirs.close()
    return process, ours


def how_it_ended(exitcode: int | None) -> str:
    """An exit code in words: ``"killed by signal 9"``, ``"exit code 1"``."""
    if exitcode is None:
        return "no answer"
    if exitcode == KERNEL_LEFT_OUT:
        return "the GPU stopped working when a kernel was tried out, which is left out from now on"
    if exitcode == GPU_LOST:
        return "the GPU stopped working; MAQUETTE_KERNELS=0 does without Maquette's own kernels"
    return f"killed by signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"
