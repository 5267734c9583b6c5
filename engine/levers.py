"""What a picture can do without while it moves, and at what price: pure arithmetic, no torch.

A preview may have fewer pixels, fewer samples along its rays, and, in families with an implicit network
behind the volume (CIPS-3D), fewer of its blocks. Which of them is seen least for the time that it saves
differs from model to model: halving the samples of the CIPS-3D that ships errs more than twice as
much as halving its side, and saves half as much. So they are tried (:mod:`engine.lever_trials`), and the
rungs of the ladder follow from what came out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Sides of previews are multiples of this, and at least :data:`LEAST_SIDE`, pixels.
STEP, LEAST_SIDE = 8, 32
#: Shares of the model's own side and samples that are tried.
SIDES, SAMPLES = (0.75, 0.5, 0.375, 0.25), (0.75, 0.5)
#: A rung has at most this share of the work of the one above it, and if possible at least the other.
_MOST, _LEAST = 0.72, 0.45


@dataclass(frozen=True)
class Trial:
    """One quality to try, by shares of the full one's side, samples and blocks."""

    side: float = 1.0
    samples: float = 1.0
    blocks: float = 1.0


@dataclass(frozen=True)
class Rung:
    """One quality of the ladder.

    Attributes:
        resolution: side of the volume rendering, pixels.
        samples: multiplier on the samples per ray.
        blocks: share of the implicit network's blocks.
        work: seconds, up to a constant.
        error: expected root mean square difference from the full picture, of 0 to 1.
    """

    resolution: int
    samples: float
    blocks: float
    work: float
    error: float


@dataclass(frozen=True)
class Levers:
    """What trials of one model found.

    Attributes:
        sides: (share of the side, error) ascending, ending with (1, 0).
        others: (share of the samples, share of the blocks, share of the time, error) beginning with
            all of both at price 1.
    """

    sides: tuple[tuple[float, float], ...]
    others: tuple[tuple[float, float, float, float], ...]

    @classmethod
    def of(
        cls,
        sides: Iterable[tuple[float, float]],
        samples: Iterable[tuple[float, float, float]],
        blocks: Iterable[tuple[float, float, float]],
    ) -> Levers:
        """Out of what each lever did by itself.

        Args:
            sides: (share of the side, error).
            samples, blocks: (share, share of the time, error).
        """
        plain = (1.0, 1.0, 0.0)
        found = []
        for share, price, error in (plain, *samples):
            for part, cost, more in (plain, *blocks):
                # What one saves the other cannot save again: their savings are of different parts.
                together = max(price + cost - 1.0, 0.05)
                found.append((share, part, min(together, 1.0), math.hypot(error, more)))
        return cls(tuple(sorted({(1.0, 0.0), *sides})), tuple(found))

    def side_error(self, share: float) -> float:
        """Error at a share of the full side, between those tried; beyond them as the last."""
        (low, worst), *_ = self.sides
        if share <= low:
            return worst
        for (a, first), (b, second) in zip(self.sides, self.sides[1:], strict=False):
            if share <= b:
                return first + (second - first) * (share - a) / (b - a)
        return 0.0

    def ladder(self, resolution: int, samples: float) -> tuple[Rung, ...]:
        """Rungs from the cheapest to full quality: of those with about so much less work than the one
        above, the one that is seen least.

        Args:
            resolution, samples: of full quality.
        """
        rungs = [Rung(resolution, samples, 1.0, resolution**2 * samples, 0.0)]
        left = [rung for rung in self._possible(resolution, samples) if rung.error > 0.0]
        while left:
            top = rungs[-1].work
            left = [rung for rung in left if rung.work <= _MOST * top]
            near = [rung for rung in left if rung.work >= _LEAST * top]
            if not left:
                break
            best = min(near or left, key=lambda rung: (rung.error, -rung.work))
            rungs.append(best)
        return tuple(reversed(rungs))

    def _possible(self, resolution: int, samples: float) -> Sequence[Rung]:
        lowest = min(LEAST_SIDE, resolution)
        sides = {resolution, *range(-(-lowest // STEP) * STEP, resolution, STEP), lowest}
        found = []
        for side in sides:
            far = self.side_error(side / resolution)
            for share, blocks, price, error in self.others:
                work = side**2 * samples * price
                found.append(Rung(side, samples * share, blocks, work, math.hypot(far, error)))
        return found
