"""The latent pad: a square of seeds that one moves through, with a smooth blend of the four
nearest ones. It knows neither the toolkit nor torch.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from app.document import MAX_SEED, Document
from engine.identity import Blend

if TYPE_CHECKING:
    from app.studio import Studio

#: Seeds along a side.
SMALLEST, LARGEST = 2, 6
#: Cells a second.
SLOWEST, FASTEST = 0.1, 3.0
GESTURE = "latent-pad"
#: Turns of the animation's two directions stand in this ratio, so that it hardly repeats.
_RATIO = (math.sqrt(5) - 1) / 2


def smoothstep(t: float) -> float:
    """0 at 0, 1 at 1, level at both ends (Hermite's cubic)."""
    return t * t * (3.0 - 2.0 * t)


def seed_at(first: int, size: int, column: int, row: int) -> int:
    """The seed of a cell: row by row from ``first`` on, wrapping around at the end."""
    return (first + row * size + column) % (MAX_SEED + 1)


def pad_blend(first: int, size: int, x: float, y: float) -> Blend:
    """The face at a place of the pad.

    Args:
        first: seed of the upper left cell.
        size: cells along a side.
        x, y: 0 to ``size - 1``; whole numbers are the seeds themselves. Brought into range.

    Returns:
        One to four seeds with bilinear weights in w; the way from cell to cell is smooth.
    """
    x, y = (min(max(value, 0.0), size - 1.0) for value in (x, y))
    column, row = min(int(x), size - 2), min(int(y), size - 2)
    across, down = smoothstep(x - column), smoothstep(y - row)
    parts = {
        seed_at(first, size, column + right, row + below): (across if right else 1.0 - across)
        * (down if below else 1.0 - down)
        for below in (0, 1)
        for right in (0, 1)
    }
    kept = {seed: weight for seed, weight in parts.items() if weight > 0.0}
    return Blend(tuple(kept), tuple(kept.values()), "w")


def set_place(document: Document, blend: Blend) -> Document:
    """The face of a place; truncation and who is mixed in stay."""
    return replace(document, recipe=document.recipe.of_blend(blend).checked())


class LatentPad:
    """Where one is on the pad, and the animation.

    Args:
        studio: the state behind the window.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.size = 4
        self.place = (0.0, 0.0)
        #: Cells a second of the animation.
        self.speed = 0.6
        self.is_moving = False
        self._phase = (0.0, 0.0)
        self._last: tuple[float, Document] | None = None

    def resize(self, size: int) -> None:
        """So many seeds along a side."""
        self.pause()
        self.size = min(max(int(size), SMALLEST), LARGEST)
        last = self.size - 1.0
        self.place = (min(self.place[0], last), min(self.place[1], last))
        self._studio.touch()

    def set_speed(self, speed: float) -> None:
        """Let the animation go so fast, cells a second."""
        self.speed = min(max(speed, SLOWEST), FASTEST)
        self._studio.touch()

    def is_shown(self, first: int) -> bool:
        """Whether the face that is shown is the one of the present place."""
        return self._studio.document.recipe.blend == pad_blend(first, self.size, *self.place)

    def go_to(self, first: int, x: float, y: float) -> None:
        """Show the face of a place; a drag is one step until it is ended."""
        last = self.size - 1.0
        self.place = (min(max(x, 0.0), last), min(max(y, 0.0), last))
        blend = pad_blend(first, self.size, *self.place)
        self._studio.edit("Latent pad", lambda d: set_place(d, blend), GESTURE)

    def let_go(self) -> None:
        """The drag is over."""
        self._studio.end_gesture()

    # Animation --------------------------------------------------------------------------

    def play(self) -> None:
        """Move by itself, from the present place on."""
        if self.is_moving:
            return
        half = (self.size - 1.0) / 2.0
        self._phase = tuple(math.asin(value / half - 1.0) for value in self.place)  # type: ignore[assignment]
        self._studio.end_gesture()
        self._last = (self._studio.clock(), self._studio.document)
        self.is_moving = True
        self._studio.touch()

    def pause(self) -> None:
        """Stay; the way since :meth:`play` is one step."""
        if self.is_moving:
            self.is_moving, self._last = False, None
            self._studio.end_gesture()
            self._studio.touch()

    def tick(self, first: int) -> None:
        """Go on; call often. Any other change of the document ends it."""
        if self._last is None:
            return
        now, (then, document) = self._studio.clock(), self._last
        if self._studio.document is not document:
            # The step of that change is its own: only the animation's state ends here.
            self.is_moving, self._last = False, None
            self._studio.touch()
            return
        half = (self.size - 1.0) / 2.0
        turn = self.speed * min(now - then, 0.25) / half
        self._phase = (self._phase[0] + turn, self._phase[1] + turn * _RATIO)
        self.go_to(first, *(half * (1.0 + math.sin(angle)) for angle in self._phase))
        self._last = (now, self._studio.document)
