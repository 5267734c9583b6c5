"""Which picture the engine draws next: the present one, or the reference beside it.

Pure bookkeeping, without a clock and without torch:

- The present picture comes first. The reference is drawn only where it changed: while a slider
  of the present face moves, nothing is lost on it; while the camera moves, the two are drawn in
  turn, both as previews.
- A reference that cannot be seen (the split is off) waits until the camera rests, and is then
  ready for the key that shows it.
- At rest both come at full quality.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.messages import Part
from app.wire import Draw
from engine.recipe import Recipe


@dataclass(frozen=True)
class Shot:
    """One picture to draw.

    Attributes:
        part: the present picture or the reference.
        recipe: what it shows.
        full: at full quality; otherwise as a preview.
    """

    part: Part
    recipe: Recipe
    full: bool


class Turns:
    """What has been drawn of the newest request, and what is to come.

    Args:
        settle_seconds: rest after which a preview is followed by the full-quality picture.
    """

    def __init__(self, settle_seconds: float) -> None:
        self._settle = settle_seconds
        self.forget()

    def forget(self) -> None:
        """Nothing that was drawn counts any more: another model is open."""
        self._answered: int | None = None
        self._settled = True
        self._reference: Recipe | None = None
        self._reference_settled = True
        self._last: Part = "reference"

    def next(self, request: Draw, resting: float) -> Shot | None:
        """What to draw now, if anything.

        Args:
            request: the newest.
            resting: seconds since it came.
        """
        new, behind = request.generation != self._answered, self._is_behind(request)
        if request.moving and self.shares(request) and not (new and self._last == "reference"):
            assert request.reference is not None
            return Shot("reference", request.reference, False)
        if new:
            return Shot("present", request.recipe, not request.moving)
        if request.moving and resting < self._settle:
            return None
        if not self._settled:
            return Shot("present", request.recipe, True)
        if request.reference is not None and (behind or not self._reference_settled):
            return Shot("reference", request.reference, True)
        return None

    def rest(self, request: Draw, resting: float) -> float | None:
        """Seconds until something is to be drawn that is not yet; ``None`` if nothing is."""
        later = max(resting, self._settle)
        return None if self.next(request, later) is None else max(self._settle - resting, 0.0)

    def shares(self, request: Draw) -> bool:
        """Whether a request in motion needs both pictures, so that each has half of the time."""
        return request.seen and self._is_behind(request)

    def drawn(self, shot: Shot, request: Draw, complete: bool) -> None:
        """A picture was drawn, or cannot be.

        Args:
            shot: which.
            request: what it was drawn for.
            complete: nothing better is to come.
        """
        self._last = shot.part
        if shot.part == "present":
            self._answered, self._settled = request.generation, complete
        else:
            self._reference, self._reference_settled = shot.recipe, complete

    def _is_behind(self, request: Draw) -> bool:
        return request.reference is not None and request.reference != self._reference
