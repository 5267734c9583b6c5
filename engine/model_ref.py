"""Which model, as documents and pictures name it. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelRef:
    """Which model: found again by hash, wherever the file has moved.

    Attributes:
        path: ``"bundled"`` or where the file was.
        sha256: hex digest that stands for the model's files
            (:func:`~engine.hashing.model_sha256`), empty if not known yet.
        name: title for people.
    """

    path: str = "bundled"
    sha256: str = ""
    name: str = ""
