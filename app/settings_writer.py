"""Settings on their way to the disk, in a thread of their own.

A disk that other programs keep busy can take seconds to say that a file is safe, and the window must not stand still
for that. Writing begins at once; what changes meanwhile is written next, the newest only. The
thread ends when nothing is left, and a program that ends waits for it.
"""

from __future__ import annotations

import threading
from pathlib import Path

from app.settings import Settings, save_settings, settings_path
from engine.errors import UserError


class SettingsWriter:
    """Keeps settings.

    Args:
        settings: as they were read.
    """

    def __init__(self, settings: Settings) -> None:
        #: What the file has of this window; where writing fails, the next writing tries all of it again.
        self._base = settings
        self._wanted: tuple[Settings, Path] | None = None
        self._fault = ""
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def keep(self, settings: Settings) -> None:
        """Write settings soon; returns at once."""
        with self._lock:
            self._wanted = settings, settings_path()
            if self._thread is None:
                # No daemon: what was asked for is written before the program ends, however it does.
                self._thread = threading.Thread(target=self._write, name="maquette-settings")
                self._thread.start()

    def fault(self) -> str:
        """Why they could not be written, told once; empty if they could."""
        with self._lock:
            fault, self._fault = self._fault, ""
        return fault

    def flush(self) -> None:
        """Return when everything is written, or has failed to be."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _write(self) -> None:
        while True:
            with self._lock:
                if self._wanted is None:
                    self._thread = None
                    return
                (settings, path), self._wanted = self._wanted, None
            try:
                save_settings(settings, path, base=self._base)
                self._base = settings
            except UserError as error:
                with self._lock:
                    self._fault = str(error)
