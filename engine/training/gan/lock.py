"""One process a run: two that write the same snapshots would spoil both."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO

from engine.errors import UserError
from engine.export.files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX

NAME = "run.lock"


if sys.platform == "win32":
    import msvcrt

    def _hold(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _hold(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """Holds a run's folder until :meth:`release`, or until the process ends in any way.

    Args:
        folder: of the run.

    Raises:
        UserError: another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] | None = None
        try:
            self._file = (folder / NAME).open("ab")
            _hold(self._file.fileno())
        except OSError as error:
            if isinstance(error, (BlockingIOError, PermissionError)) and self._file is not None:
                self.release()
                raise UserError(
                    f"The run in {folder} is being trained by another process; stop that first."
                ) from error
            # A disk that knows no locks is no reason not to train.
            self.release()

    def release(self) -> None:
        """Let others have it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def sweep(folder: Path) -> None:
    """Remove the half-written files that a killed process left. Only with the lock held."""
    for path in folder.rglob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
        path.unlink(missing_ok=True)
