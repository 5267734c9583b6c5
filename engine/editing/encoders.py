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
    """

    encoder: TextImageEncoder
    identity: str


def open_encoder(source: str = "", device: str | torch.device = "cpu") -> OpenEncoder:
    """The bundled encoder, or the user's (see :func:`engine.text.encoder.load`). Nothing is
    downloaded.

    Raises:
        UserError: the weights are missing, damaged, unsafe, or of an unknown network.
    """
    spec = find_spec(source or str(asset(BUNDLED)))
    return OpenEncoder(load(source, device), file_sha256(Path(spec.weights)))
