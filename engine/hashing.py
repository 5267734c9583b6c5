"""The fingerprint by which documents and pictures name a model. Needs no torch, so that the
window can look for a model that has moved."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from engine.errors import CheckpointError

_BLOCK = 1 << 20
#: Endings of files that averages may lie beside.
_WITH_AVERAGES = (".pth", ".pt")


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


def model_sha256(path: Path | str) -> str:
    """The hash that stands for a model: that of the file with its tensors, and where averages lie
    beside it that take their place (pi-GAN's ``ema.pth``) the SHA-256 of both hashes, as text one
    after the other.

    Args:
        path: the file that holds the tensors.

    Raises:
        CheckpointError: a file cannot be read.
    """
    path = Path(path)
    own, beside = file_sha256(path), averages_path(path)
    if path.suffix not in _WITH_AVERAGES or beside == path or not beside.is_file():
        return own
    return hashlib.sha256((own + file_sha256(beside)).encode()).hexdigest()


def averages_path(path: Path) -> Path:
    """Where pi-GAN's scripts look for the averages of a model: ``ema.pth`` in place of
    ``generator.pth``, with what stands before it (``10000_generator.pth``) kept."""
    before, found, _ = path.name.rpartition("generator")
    return path.with_name(f"{before}ema.pth" if found else "ema.pth")


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
