"""What was found once and costs seconds to find again: arrays on disk, by a hash of what they
follow from. A file that is damaged, foreign or gone counts as missing; where the folder cannot be
used there is just no cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import UserError
from engine.export.files import atomic_path
from engine.zip_parts import BadArchive, read_array, read_parts

Arrays = dict[str, NDArray[Any]]
#: Most bytes of one entry and of all, and of one array.
MAX_ENTRY, MAX_ALL = 256 << 20, 1 << 30
#: Raised with every change of what entries mean.
_VERSION = 1


class Cache:
    """See the module's docstring.

    Args:
        folder: where; ``None`` keeps nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def key(self, **facts: Any) -> str:
        """The name of an entry: a hash of everything that it follows from, as plain data."""
        text = json.dumps({"version": _VERSION, **facts}, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def read(self, key: str, names: tuple[str, ...]) -> Arrays | None:
        """The arrays of an entry, if all are there and hold finite numbers."""
        if self.folder is None:
            return None
        try:
            with (self.folder / f"{key}.npz").open("rb") as file:
                parts = read_parts(file, {f"{name}.npy": MAX_ENTRY for name in names})
            found = {name: read_array(parts[f"{name}.npy"]) for name in names}
        except (BadArchive, OSError, KeyError, ValueError):
            return None
        sound = all(a.dtype.kind == "f" and bool(np.isfinite(a).all()) for a in found.values())
        return found if sound else None

    def write(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays; the entries that were not written for longest make room."""
        if self.folder is None:
            return
        with contextlib.suppress(OSError, UserError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(self.folder / f"{key}.npz") as temporary, temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            self._prune()

    def _prune(self) -> None:
        assert self.folder is not None
        entries = [(f.stat().st_mtime, f.stat().st_size, f) for f in self.folder.glob("*.npz")]
        total = 0
        for _, size, path in sorted(entries, reverse=True):
            total += size
            if total > MAX_ALL:
                path.unlink()
