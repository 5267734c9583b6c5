"""Directions that texts have led to, in memory and on disk, so that they come at once the next
time. Reading and writing happen in a thread of their own. Needs no torch."""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.settings import cache_folder
from engine.editing.directions import (
    SUFFIX,
    Direction,
    direction_paths,
    read_direction,
    write_direction,
)
from engine.errors import UserError
from engine.recipe import Recipe

#: Directions that stay on disk.
MOST = 500
#: Raised when texts come to mean something else.
_VERSION = 2


def memory_key(recipe: Recipe, encoder: str, text: str, neutral: str) -> str:
    """What a direction follows from, as a hash: the model with its settings and the layers of a
    second one, the encoder, the texts."""
    swap = None
    if recipe.swap is not None and recipe.swap.changes:
        swap = [recipe.swap.model.sha256, recipe.swap.layers, recipe.swap.gamma]
    model = [recipe.model.sha256, recipe.settings, swap]
    facts = [_VERSION, model, _stamped(encoder), text.casefold(), neutral.casefold()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _stamped(encoder: str) -> list[object]:
    """The setting with the time at which its file was changed."""
    with contextlib.suppress(OSError, ValueError):
        facts = Path(encoder.rpartition("=")[2] or encoder).expanduser().stat()
        return [encoder, facts.st_size, facts.st_mtime_ns]
    return [encoder]


class EditMemory:
    """See the module's docstring.

    Args:
        folder: where; ``None`` for the program's own cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder() / "texts"
        self._known: dict[str, Direction] = {}
        self._asked: set[str] = set()
        self._found: queue.SimpleQueue[tuple[str, Direction]] = queue.SimpleQueue()
        self._thread = ThreadPoolExecutor(1, "edit-memory")

    def look_up(self, key: str) -> None:
        """Read a direction from the disk, some time soon, if it is there."""
        if key not in self._asked:
            self._asked.add(key)
            self._thread.submit(self._read, key)

    def get(self, key: str) -> Direction | None:
        """A direction that is in memory by now."""
        with contextlib.suppress(queue.Empty):
            while True:
                found, direction = self._found.get_nowait()
                self._known.setdefault(found, direction)
        return self._known.get(key)

    def keep(self, key: str, direction: Direction) -> None:
        """Keep a direction, on disk some time soon."""
        self._known[key] = direction
        self._thread.submit(self._write, key, direction)

    def close(self) -> None:
        """Finish what is being written."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    # In the thread ----------------------------------------------------------------------

    def _read(self, key: str) -> None:
        with contextlib.suppress(UserError, OSError):
            self._found.put((key, read_direction(self._folder / key)))

    def _write(self, key: str, direction: Direction) -> None:
        with contextlib.suppress(UserError, OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_direction(self._folder / key, direction)
            kept = sorted(self._folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
            for old in kept[:-MOST]:
                for path in direction_paths(old):
                    path.unlink(missing_ok=True)
