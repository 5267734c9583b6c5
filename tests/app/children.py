"""Processes for ``test_child.py``: each does one thing to the window, on its end of the pipe."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from app.child import Child, spawn

#: Nothing waits this long: what sleeps here is killed, or ends with its pipe.
FOREVER = 600.0


def echo(pipe: Connection, mark: str) -> None:
    """Answers until the pipe closes."""
    try:
        while True:
            pipe.send((mark, pipe.recv()))
    except (EOFError, OSError):
        os._exit(0)


def last_words(pipe: Connection, count: int, signum: int, code: int) -> None:
    """Says so many numbers at once, then dies by a signal, or with an exit code."""
    for number in range(count):
        pipe.send(number)
    if signum:
        os.kill(os.getpid(), signum)
    os._exit(code)


def hang_up(pipe: Connection) -> None:
    """Closes the pipe and lives on."""
    pipe.send("bye")
    pipe.close()
    time.sleep(FOREVER)


def flood(pipe: Connection) -> None:
    """Says more than anybody can take in, without end."""
    try:
        while True:
            pipe.send(b"x" * 1000)
    except OSError:
        os._exit(0)


def silent(pipe: Connection) -> None:
    """Neither listens nor answers, nor lets itself be asked to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe.send("deaf")
    time.sleep(FOREVER)


def tidy(pipe: Connection, path: str) -> None:
    """Leaves a note once the pipe closes, and ends a little later."""
    pipe.send("ready")
    try:
        while True:
            pipe.recv()
    except EOFError:
        time.sleep(0.3)
        Path(path).write_text("tidied up")
    os._exit(0)


def window() -> None:
    """A window with a child: prints both process ids and dies by a signal once a line comes in."""
    child = Child(lambda: spawn("echo", echo, "of a window"))
    child.send("hello")
    heard = threading.Event()
    while not heard.is_set():
        child.hear(lambda message: heard.set())
    print(child.pid, flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    window()
