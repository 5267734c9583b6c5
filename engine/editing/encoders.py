"""The encoder that edits by text are made with, and what tells it from others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from engine.assets import asset
from engine.hashing import file_sha256
from engine.text.encoder import BUNDLED, TextImageEncoder, load
from engine.text.spec import find_spec


@dataclass(frozen=True)
class OpenEncoder:
    """An encoder with its name in caches.

    Attributes:
        encoder: ready to use.
        identity: the hash of its weights.
        weights: their file.
        stamp: of that file when it was read.
    """

    encoder: TextImageEncoder
    identity: str
    weights: Path = Path()
    stamp: tuple[int, int] | None = None

    @property
    def is_current(self) -> bool:
        """Whether its weights were not replaced since; what is gone from the disk was not."""
        return stamp_of(self.weights) in (self.stamp, None)


def stamp_of(file: Path) -> tuple[int, int] | None:
    """Size and time of change of a file, ``None`` where it is gone."""
    try:
        facts = file.stat()
    except (OSError, ValueError):
        return None
    return facts.st_size, facts.st_mtime_ns


def open_encoder(source: str = "", device: str | torch.device = "cpu") -> OpenEncoder:
    """The bundled encoder, or the user's (see :func:`engine.text.encoder.load`). Nothing is
    downloaded.

    Raises:
        UserError: the weights are missing, damaged, unsafe, or of an unknown network.
    """
    spec = find_spec(source or str(asset(BUNDLED)))
    weights = Path(spec.weights)
    stamp = stamp_of(weights)
    return OpenEncoder(load(source, device), file_sha256(weights), weights, stamp)
