"""How strongly the discriminator's pictures are augmented (Karras et al. 2020, ADA, section 3.2).

The mean sign of what the discriminator says of real pictures rises above the target once it
knows them by heart; then the strength rises, else it falls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.training.gan.options import TrainingOptions

if TYPE_CHECKING:
    from engine.training.gan.loop import Position

#: Steps whose signs are averaged before the strength moves.
EVERY = 4


class Steering:
    """Moves :attr:`Position.strength`; its own sums are part of the position."""

    def __init__(self, options: TrainingOptions) -> None:
        self._options = options

    def heard(self, position: Position, sign: float) -> None:
        """A step is over, in which the discriminator's mean sign on real pictures was ``sign``."""
        if self._options.augmentation != "adaptive":
            return
        position.sign_sum += sign
        position.sign_count += 1
        if position.sign_count < EVERY:
            return
        mean = position.sign_sum / position.sign_count
        moved = EVERY * self._options.batch / self._options.augmentation_images
        up = (mean > self._options.augmentation_target) - (mean < self._options.augmentation_target)
        position.strength = min(max(position.strength + up * moved, 0.0), 1.0)
        position.sign_sum, position.sign_count = 0.0, 0
