"""Searching a folder for models in a thread, so that the window never waits for a disk."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from engine.errors import Cancelled, UserError
from engine.folder_scan import Scan, scan

log = logging.getLogger(__name__)


@dataclass
class _Task:
    """One search: its thread puts how many folders it has seen, then how it ended."""

    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    news: SimpleQueue[int | Scan | str] = field(default_factory=SimpleQueue)

    def run(self) -> None:
        try:
            self.news.put(scan(self.folder, self._check, lambda s: self.news.put(s.folders)))
        except Cancelled:
            return
        except UserError as error:
            self.news.put(str(error))
        except Exception as error:
            log.exception("The search of %s failed", self.folder)
            self.news.put(f"The search of {self.folder} failed ({type(error).__name__}: {error}).")

    def _check(self) -> None:
        if self.stop.is_set():
            raise Cancelled


class FolderSearch:
    """At most one search at a time; what it finds arrives through :meth:`poll`.

    Attributes:
        result: of the last search that ended.
        error: the sentence of a search that could not be done, else empty.
        folders: how many the present search has looked into.
    """

    def __init__(self) -> None:
        self.result: Scan | None = None
        self.error = ""
        self.folders = 0
        self._task: _Task | None = None

    @property
    def folder(self) -> Path | None:
        """What is being searched now."""
        return None if self._task is None else self._task.folder

    def start(self, folder: str) -> None:
        """Search a folder; a search under way is given up.

        Raises:
            UserError: no folder is named.
        """
        if not folder.strip():
            raise UserError("Choose a folder first, or type its path.")
        self.cancel()
        self.error, self.folders = "", 0
        where = Path(folder.strip()).expanduser()
        self._task = _Task(where if where.is_absolute() else where.absolute())
        # A daemon, since a network disk that hangs must not keep the program from ending.
        threading.Thread(target=self._task.run, name="maquette-models", daemon=True).start()

    def cancel(self) -> None:
        """Give the present search up; the last result stays."""
        if self._task is not None:
            self._task.stop.set()
            self._task = None

    def poll(self) -> bool:
        """Take in what the thread has found; True when something changed."""
        changed = False
        while self._task is not None and not self._task.news.empty():
            news = self._task.news.get()
            changed = True
            if isinstance(news, int):
                self.folders = news
            else:
                self._task = None
                if isinstance(news, str):
                    self.error = news
                else:
                    self.result = news
        return changed
