"""Where the processes that compute begin.

This module is imported by the window (to name the entry functions) and must stay free of
torch; the processes import it after their ear for the pipe is open, because importing torch
takes seconds and messages should be heard meanwhile.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from app.child import GPU_LOST, KERNEL_LEFT_OUT
from app.edit_mailbox import EditMailbox
from app.faults import log_failure
from app.mailboxes import EngineMailbox, ExportMailbox
from app.processor import wait_asleep
from app.wire import ProcessOptions, Ready
from engine.errors import GpuLost
from engine.memory import keep_freed


@contextmanager
def _logged(name: str) -> Iterator[None]:
    """What ends a process is written to its log; a lost GPU is told by the exit code."""
    try:
        yield
    except GpuLost as error:
        log_failure(name, error)
        sys.exit(KERNEL_LEFT_OUT if error.left_out else GPU_LOST)
    except BaseException as error:
        log_failure(name, error)
        raise


def run_engine(connection: Connection, options: ProcessOptions) -> None:
    """Entry of the engine process; returns never (the process ends with the pipe)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    mailbox = EngineMailbox(connection)
    mailbox.send(Ready())
    keep_freed()
    wait_asleep()
    with _logged("engine"):
        from app.worker import Engine

        Engine(mailbox, options).run()


def run_edits(connection: Connection, options: ProcessOptions) -> None:
    """Entry of the process that finds edits; returns never (the process ends with the pipe)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)  # the live picture goes first
    mailbox = EditMailbox(connection)
    keep_freed()
    wait_asleep()
    with _logged("edits"):
        from app.edit_finder import Finder

        Finder(mailbox, options).run()


def run_exports(connection: Connection, options: ProcessOptions) -> None:
    """Entry of the export process; returns when the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)  # the live picture goes first
    mailbox = ExportMailbox(connection)
    keep_freed()
    wait_asleep()
    with _logged("export"):
        from app.exporter import Exporter

        Exporter(mailbox, options).run()


def run_training(connection: Connection, device: str) -> None:
    """Entry of the training process; returns when the pipe is closed and the run is kept."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)  # the live picture goes first
    wait_asleep()
    with _logged("training"):
        from app.trainer import Trainer

        Trainer(connection, device).run()


def run_preparing(connection: Connection) -> None:
    """Entry of the process that prepares photographs; returns when the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)  # the live picture goes first
    wait_asleep()
    with _logged("photos"):
        from app.preparer import Preparer

        Preparer(connection).run()
