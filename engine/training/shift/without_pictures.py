"""What stands in a data set's place in a run that a text leads."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import torch

from engine.training.data.summary import DataWarning
from engine.training.gan.contract import Batch
from engine.training.shift.options import ShiftOptions


@dataclass(frozen=True)
class TextSummary:
    """What a run learns from, for the card and for resuming.

    Attributes:
        shift: the texts and what reads them. encoder_name: for people.
    """

    shift: ShiftOptions
    encoder_name: str

    @property
    def name(self) -> str:
        """What stands where the name of a folder would."""
        return f"the text {self.shift.text!r}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what leads."""
        known = json.dumps(self.shift.to_json(), sort_keys=True)
        return hashlib.sha256(known.encode()).hexdigest()

    def sentences(self) -> list[str]:
        """What a person wants to know first."""
        shift = self.shift
        lines = [
            f"No pictures: the text {shift.text!r} against {shift.against!r} led.",
            f"The text encoder was {self.encoder_name} (SHA-256 {shift.encoder_sha256}).",
        ]
        if shift.freeze_shape:
            lines.append("What makes shapes was left as it was.")
        if shift.chosen:
            lines.append(
                "Layers by the text's choice were trained: " + ", ".join(shift.chosen) + "."
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "fingerprint": self.fingerprint,
            "encoder_name": self.encoder_name,
            **self.shift.to_json(),
        }


class NoPictures:
    """An endless sequence of nothing: places in a batch, that pairs of pictures are drawn for.

    Args:
        summary: what leads instead.
        warnings: what to know before training.
    """

    def __init__(self, summary: TextSummary, warnings: tuple[DataWarning, ...] = ()) -> None:
        self.summary, self.warnings = summary, warnings

    def batch(self, first: int, many: int) -> Batch:
        """So many places, without pixels."""
        return Batch(torch.zeros(many, 3, 0, 0), None)
