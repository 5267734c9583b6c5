"""How fine pictures may be while memory is short: pure bookkeeping, no clock, no torch.

A picture that does not fit into memory is drawn smaller at once, and so are those after it. After a
while one step back up is tried; where that fails, the next try waits twice as long.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.notices import NoticeBoard
from engine.capabilities import Capabilities

if TYPE_CHECKING:
    from engine.generators.base import Quality

#: From what was asked down to the least: share of the volume rendering's side, and whether the
#: super-resolution runs.
STEPS = ((1.0, True), (0.5, True), (0.5, False), (0.25, False), (0.125, False))
#: Sides of the volume rendering are multiples of this, and never smaller than the second, pixels.
_MULTIPLE, _LEAST = 8, 16
#: Seconds until a step back up is tried, at first and at most.
PATIENCE, MOST_PATIENCE = 60.0, 3840.0


def tell(board: NoticeBoard, message: str, now: float) -> None:
    """Show that memory is short for as long as it is.

    Args:
        board: of the window.
        message: as :class:`~app.messages.MemoryShort` has it.
        now: on the board's clock, seconds.
    """
    if message:
        board.post(message, "warning", now, "memory", sticky=True)
    else:
        board.close_key("memory")


class Frugality:
    """See the module's docstring. Time comes in as an argument, in seconds of any clock.

    Args:
        level: to begin with: an index into :data:`STEPS`.
    """

    def __init__(self, level: int = 0) -> None:
        self._level = min(level, len(STEPS) - 1)
        self._since = 0.0
        self._patience = PATIENCE
        #: The level that people were told of.
        self._told = 0

    @property
    def is_lowered(self) -> bool:
        """Whether pictures are drawn smaller than asked."""
        return self._level > 0

    def of(self, quality: Quality, facts: Capabilities) -> Quality:
        """What may be drawn of a quality.

        Args:
            quality: what was asked for.
            facts: of the model.
        """
        share, upsample = STEPS[self._level]
        side = quality.neural_resolution or facts.neural_resolution
        if share < 1.0 and not facts.why_not("neural_resolution"):
            fewer = max(round(side * share / _MULTIPLE) * _MULTIPLE, _LEAST)
            quality = replace(quality, neural_resolution=min(side, fewer))
        return replace(quality, upsample=quality.upsample and upsample)

    def less(self, now: float) -> bool:
        """A picture did not fit: the next is smaller. ``False`` where that was the least."""
        if self._level + 1 >= len(STEPS):
            return False
        self._level += 1
        self._since = now
        return True

    def ease(self, now: float) -> None:
        """A picture is about to be drawn: see whether there is more memory again, once in a while."""
        if self._level and now - self._since >= self._patience:
            self._level -= 1
            self._since = now
            self._patience = min(2.0 * self._patience, MOST_PATIENCE)

    def news(self, side: int) -> str | None:
        """A picture was drawn: what to tell about it; empty where nothing is short any more, and
        ``None`` where there is no news.

        Args:
            side: of the volume rendering that there was memory for, pixels.
        """
        before, self._told = self._told, self._level
        if self._level == 0:
            self._patience = PATIENCE
            return "" if before else None
        if self._level <= before:
            self._told = before
            return None
        return (
            f"There is not enough memory for the whole picture; it is drawn from {side} x {side} pixels "
            "until there is more. Closing other programs, or a lower resolution, helps."
        )
