"""Worker processes end with the process that started them, also where it was killed."""

from __future__ import annotations

import os
import threading
from multiprocessing import parent_process


def end_with_parent() -> None:
    """Have this process end as soon as its parent has.

    A killed parent has no time to stop its workers, which would go on for hours beside those of
    the next command. Called in a worker (a pool's ``initializer``, or a target's first line); in a
    process that ``multiprocessing`` did not start it does nothing.
    """
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)  # from a thread nothing else ends a process that is at work in another

    threading.Thread(target=wait, name="parent", daemon=True).start()
