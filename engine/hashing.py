"""The fingerprint by which documents and pictures name a model. Needs no torch, so that the
window can look for a model that has moved."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from engine.errors import CheckpointError

_BLOCK = 1 << 20


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits.

    Remembered by path, size and time of change, so that asking again costs nothing.

    Raises:
        CheckpointError: the file cannot be read.
    """
    path = Path(path)
    try:
        facts = path.stat()
        return _sha256(path.resolve(), facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror or error}); check the path."
        ) from error


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
