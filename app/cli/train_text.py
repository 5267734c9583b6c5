"""``maquette train --text``: what is said where a text leads instead of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from app.cli.describe import encoder_source, lasting_source
from app.cli.parsing import Flag, finite
from engine.errors import UserError
from engine.training.shift.options import ShiftOptions


def _own(metavar: str, default: str) -> object:
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})")


@dataclass(frozen=True)
class ByText:
    """A text in the place of pictures (StyleGAN-NADA)."""

    text: Annotated[str | None, _own("TEXT", "pictures lead")] = None
    """What should be seen, such as 'an old man with a grey beard'; no pictures are needed."""
    from_text: Annotated[str | None, _own("TEXT", "any person")] = None
    """What is seen now, such as 'a person'."""
    encoder: Annotated[str | None, _own("PATH|bundled", "the settings'")] = None
    """CLIP weights that read the text: a folder, a file, or NAME=FILE with a name of open_clip's."""
    freeze_shape: Flag = False
    """Change colours only: depths and meshes stay as they are, to the last bit."""
    strength: Annotated[float | None, _own("0.05..10", "1")] = None
    """How far to go: 1 is all that lies between the two texts."""

    def shift(self, prices: Mapping[str, float]) -> dict[str, Any]:
        """Options of a text-led run as plain data; empty without a text.

        Args:
            prices: numbers by name, of ``--loss``.

        Raises:
            UserError: an option without its text, or out of range.
        """
        given = {
            "--from-text": self.from_text, "--encoder": self.encoder,
            "--freeze-shape": self.freeze_shape or None, "--strength": self.strength,
        }  # fmt: skip
        if self.text is None:
            for name, value in given.items():
                if value is not None:
                    raise UserError(f"{name} needs --text, which says what should be seen.")
            return {}
        finite(strength=self.strength)
        encoder = lasting_source(encoder_source(self.encoder))
        shift = ShiftOptions(
            self.text, self.from_text or "", encoder, freeze_shape=self.freeze_shape
        ).with_prices(prices)
        if self.strength is not None:
            shift = shift.with_prices({"strength": self.strength})
        return shift.checked().to_json()
