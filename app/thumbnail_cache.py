"""Thumbnails on disk: a folder for each model, a PNG for each face.

Reading and writing happen in a thread of their own, so that the window never waits for a disk.
A file that is damaged, or is no thumbnail, counts as missing; where the folder cannot be used
there is just no cache.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import queue
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.settings import cache_folder
from app.thumbnail_queue import SIDE
from engine.errors import UserError
from engine.export.files import write_bytes

log = logging.getLogger(__name__)

#: Most bytes of all thumbnails together, and of one.
MOST_BYTES, MOST_FILE = 64 << 20, 128 << 10
#: The folder is looked over after so many new ones.
_PRUNE_EVERY = 200
_PLAIN = re.compile(r"[0-9a-f]{16,64}")
Pixels = NDArray[np.uint8]


class ThumbnailCache:
    """See the module's docstring.

    Args:
        folder: where; ``None`` for the program's own cache.
    """

    def __init__(self, folder: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder or cache_folder() / "thumbnails"
        self._most = most_bytes
        self._found: queue.SimpleQueue[tuple[str, Pixels | None]] = queue.SimpleQueue()
        self._thread = ThreadPoolExecutor(1, "thumbnails")
        self._written = 0

    def look_up(self, model: str, key: str) -> None:
        """Ask for a thumbnail; the answer comes through :meth:`found`.

        Args:
            model: hash of the model's file, hexadecimal digits.
            key: of the face, hexadecimal digits.
        """
        self._thread.submit(self._look_up, model, key)

    def keep(self, model: str, key: str, pixels: Pixels) -> None:
        """Write a thumbnail, some time soon."""
        self._thread.submit(self._keep, model, key, pixels)

    def found(self) -> list[tuple[str, Pixels | None]]:
        """The answers that have come since: key and ``[S, S, 3]``, or ``None``."""
        answers = []
        with contextlib.suppress(queue.Empty):
            while True:
                answers.append(self._found.get_nowait())
        return answers

    def close(self) -> None:
        """Finish what is being written and forget the rest."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    # In the thread ----------------------------------------------------------------------

    def _path(self, model: str, key: str) -> Path | None:
        if not (_PLAIN.fullmatch(model) and _PLAIN.fullmatch(key)):
            return None
        return self._folder / model[:16] / f"{key}.png"

    def _look_up(self, model: str, key: str) -> None:
        path = self._path(model, key)
        self._found.put((key, None if path is None else read_thumbnail(path)))

    def _keep(self, model: str, key: str, pixels: Pixels) -> None:
        path = self._path(model, key)
        if path is None:
            return
        # A hundredth of a second that the window's start does without.
        from PIL import Image

        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, out.getvalue())
            self._written += 1
            if self._written % _PRUNE_EVERY == 1:
                self.prune()
        except (OSError, UserError) as error:
            log.warning("a thumbnail was not kept: %s", error)

    def prune(self) -> None:
        """Remove the files that were not looked at for longest, until the rest is small enough."""
        files = []
        for path in self._folder.rglob("*.png"):
            with contextlib.suppress(OSError):
                state = path.stat()
                files.append((state.st_mtime, state.st_size, path))
        excess = sum(size for _, size, _ in files) - self._most
        for _, size, path in sorted(files):
            if excess <= 0:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                excess -= size


def read_thumbnail(path: Path) -> Pixels | None:
    """``[S, S, 3]`` of a file, or ``None`` where there is none, or it is no thumbnail."""
    from PIL import Image

    try:
        if path.stat().st_size > MOST_FILE:
            return None
        with Image.open(path, formats=("PNG",)) as image:
            if image.size != (SIDE, SIDE) or image.mode != "RGB":
                return None
            pixels: Pixels = np.asarray(image)
        os.utime(path)
        return pixels
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, Image.DecompressionBombError):
        return None
