"""Recovery files: what a window was working on, should it end without asking.

Every window keeps at most one file, ``<name>.maquette``, in a folder of the program's state, and
holds a lock on ``<name>.lock`` for as long as it lives; the system frees the lock when the
process ends, however it ends. A file whose lock is free was left behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.project import PROJECT_SUFFIX, Project, read_project, write_project
from app.settings import state_folder
from engine.errors import UserError
from engine.export.files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX

log = logging.getLogger(__name__)

_LOCK_SUFFIX = ".lock"
#: An unfinished file of a process that was killed is removed when it is so old, seconds.
_STALE_SECONDS = 3600.0


class _Lock:
    """A lock on a file that ends with the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    @classmethod
    def take(cls, path: Path) -> _Lock | None:
        """The lock, or ``None`` while another process holds it."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return None
        try:
            _lock(descriptor)
            # Who held it before may have removed the file between our two steps.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return cls(path, descriptor)
        except OSError:
            pass
        os.close(descriptor)
        return None

    def release(self) -> None:
        """Free the lock and remove its file; may be called twice."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
            self._descriptor = -1


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Leftover:
    """A recovery file that nobody holds any more; this process holds it now.

    Attributes:
        path: the file.
        modified: when it was written, seconds since 1970.
    """

    def __init__(self, path: Path, lock: _Lock) -> None:
        self.path, self._lock = path, lock
        self.modified = path.stat().st_mtime

    def read(self) -> Project:
        """What is in it.

        Raises:
            UserError: it cannot be read. It is kept under another name and not offered again.
        """
        try:
            return read_project(self.path)
        except UserError:
            with contextlib.suppress(OSError):
                self.path.replace(self.path.with_name(self.path.name + ".bad"))
            self.release()
            raise

    def discard(self) -> None:
        """Remove it."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.release()

    def release(self) -> None:
        """Leave it for another time."""
        self._lock.release()


class Recovery:
    """This window's recovery file, written by a thread of its own.

    Args:
        folder: where such files lie; ``None`` is the program's own place.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or state_folder() / "recovery"
        self._lock: _Lock | None = None
        self._faults: list[str] = []
        self._closed = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="maquette-recovery")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for _ in range(5):
                name = f"{os.getpid()}-{secrets.token_hex(4)}"
                self._lock = _Lock.take(self._folder / (name + _LOCK_SUFFIX))
                if self._lock is not None:
                    break
        except OSError as error:
            log.info("No recovery folder: %s", error)
        self.path = self._folder / (name + PROJECT_SUFFIX) if self._lock else None
        if self.path is None:
            self._faults.append(
                f"Changes cannot be kept for recovery in {self._folder}; save often, and see whether that "
                "folder can be written and its disk has room."
            )

    def keep(self, make: Callable[[], Project], then: Callable[[], None] | None = None) -> None:
        """Write the recovery file soon.

        Args:
            make: gives its content; called in the thread.
            then: called in the thread once the file is there.
        """
        if self.path is not None and not self._closed:
            self._writer.submit(self._write, self.path, make, then)

    def forget(self) -> None:
        """Remove the recovery file soon: nothing is unsaved."""
        if self.path is not None and not self._closed:
            self._writer.submit(self._remove, self.path)

    def take_fault(self) -> str | None:
        """A sentence on what went wrong since the last call."""
        return self._faults.pop(0) if self._faults else None

    def leftovers(self) -> list[Leftover]:
        """Recovery files of windows that have ended, the newest first, held by this process
        from now on."""
        found: list[Leftover] = []
        with contextlib.suppress(OSError):
            self._sweep()
            for path in self._folder.glob("*" + PROJECT_SUFFIX):
                if path == self.path:
                    continue
                lock = _Lock.take(path.with_suffix(_LOCK_SUFFIX))
                if lock is None:
                    continue
                try:
                    found.append(Leftover(path, lock))
                except OSError:  # removed meanwhile by who held the lock
                    lock.release()
        return sorted(found, key=lambda leftover: -leftover.modified)

    def close(self, keep: bool = False) -> None:
        """Finish writing and let go. May be called twice.

        Args:
            keep: leave the file for the next start; otherwise it is removed.
        """
        if self._closed:
            return
        if not keep:
            self.forget()
        self._closed = True
        self._writer.shutdown(wait=True)
        if self._lock is not None:
            self._lock.release()

    def _sweep(self) -> None:
        """Remove what killed windows left that holds nothing: locks and unfinished files."""
        for lock in self._folder.glob("*" + _LOCK_SUFFIX):
            mine = self.path is not None and lock.stem == self.path.stem
            if not mine and not lock.with_suffix(PROJECT_SUFFIX).exists():
                held = _Lock.take(lock)
                if held is not None:
                    held.release()
        for path in self._folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink()

    def _write(
        self, path: Path, make: Callable[[], Project], then: Callable[[], None] | None
    ) -> None:
        try:
            write_project(path, make())
        except UserError as error:
            self._faults.append(f"Changes could not be kept for recovery. {error}")
        except Exception as error:
            log.exception("The recovery file could not be written")
            self._faults.append(f"Changes could not be kept for recovery ({error}).")
        else:
            if then is not None:
                then()

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
