"""How much quality a moving picture can afford: pure arithmetic, no clock, no torch.

Volume rendering costs about ``fixed + k * resolution^2 * samples``. To bring a measured time
to a target, the resolution is therefore multiplied by ``sqrt(target / measured)``. Left to
itself such a controller shivers: timings are noisy and every size has caches of its own. So
the qualities are a short ladder of rungs, timings are medians, a dead band around the target
changes nothing, and a rung that turned out too slow is not tried again for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from engine.levers import Levers

CPU_FPS, GPU_FPS = 15.0, 60.0
MIN_RESOLUTION = 32
MIN_SAMPLES = 0.5

#: Slower than this times the budget goes down; a climb must be predicted to stay below the
#: second. What lies between is the dead band.
_TOO_SLOW, _ROOM = 1.15, 0.9
#: Timings whose median makes the decision to go down, and to climb: stuttering is worse than
#: a soft picture, so going down is quick and climbing is careful.
_DOWN_WINDOW, _UP_WINDOW = 3, 8
#: A timing beyond this times the budget decides alone.
_FAR_TOO_SLOW = 2.0
#: Frames for which a rung that failed is left alone, doubled with every failure.
_BLOCK, _MAX_BLOCK = 60, 3840


def default_fps(device: str) -> float:
    """Pictures a second to hold on a device (``"cpu"``, ``"cuda:0"``)."""
    return CPU_FPS if device.startswith("cpu") else GPU_FPS


@dataclass(frozen=True)
class Preview:
    """One rung: side of the volume rendering in pixels, multiplier on the samples per ray, share of
    an implicit network's blocks, and what it costs where that was measured."""

    resolution: int
    samples: float
    blocks: float = 1.0
    cost: float | None = None

    @property
    def work(self) -> float:
        """Field evaluations, up to a constant."""
        return self.resolution**2 * self.samples if self.cost is None else self.cost


def ladder(resolution: int, samples: float = 1.0) -> tuple[Preview, ...]:
    """The rungs from the cheapest to full quality, each about 0.5 to 0.7 times the work of
    the next.

    Resolutions are multiples of 8 (so that few plane sizes occur) and never below 32, the
    multiplier never below 0.5, unless the full quality itself is lower.
    """
    lowest = min(MIN_RESOLUTION, resolution)
    fewest = min(MIN_SAMPLES, samples)
    rungs = [Preview(resolution, samples)]
    step = 1
    while True:
        side = max(lowest, round(resolution * 2 ** (-step / 4) / 8) * 8)
        share = 1.0 if step < 2 else 0.75 if step < 4 else 0.5
        rung = Preview(side, max(fewest, samples * share))
        if rung.work < rungs[-1].work and side <= rungs[-1].resolution:
            rungs.append(rung)
        if side == lowest and step >= 4:
            return tuple(reversed(rungs))
        step += 1


def measured_ladder(levers: Levers, resolution: int, samples: float = 1.0) -> tuple[Preview, ...]:
    """The rungs that trials of the open model chose: what is seen least for the time that it saves."""
    rungs = levers.ladder(resolution, samples)
    return tuple(Preview(r.resolution, r.samples, r.blocks, r.work) for r in rungs)


class AdaptiveQuality:
    """Chooses the quality of the next preview from the timings of the last ones.

    Args:
        resolution: side of the volume rendering at full quality, pixels.
        samples: multiplier on the samples per ray at full quality.
        fps: target, pictures a second.
    """

    def __init__(self, resolution: int, samples: float = 1.0, fps: float = CPU_FPS) -> None:
        self.rungs = ladder(resolution, samples)
        self.budget = 1.0 / fps
        self.upsample = True
        self._level = len(self.rungs) - 1
        self._times: list[tuple[float, float]] = []
        self._skip = 1
        self._primed = False
        self._frame = 0
        self._climbed_at = -_MAX_BLOCK
        #: After a climb that failed: from which rung on, and until which frame, not to climb.
        self._blocked = (len(self.rungs), 0)
        self._penalty = _BLOCK

    @property
    def quality(self) -> Preview:
        """What the next preview shall use."""
        return self.rungs[self._level]

    @property
    def at_floor(self) -> bool:
        """Whether there is nothing cheaper."""
        return self._level == 0

    @property
    def at_top(self) -> bool:
        """Whether previews have full quality."""
        return self._level == len(self.rungs) - 1 and self.upsample

    def prime(self, seconds: float, fixed: float = 0.0, upsample: float = 0.0) -> None:
        """Learn from a full-quality frame where to start, so that the first drag need not
        find out by stuttering. Ignored once previews have been timed."""
        if not self._primed:
            self.upsample = True
        self._judge_upsampler(upsample)
        if not self._primed:
            spent = fixed if self.upsample else max(0.0, fixed - upsample)
            total = seconds - (fixed - spent)
            self._move(self._affordable(len(self.rungs) - 1, total, spent))

    def use(self, rungs: tuple[Preview, ...]) -> None:
        """Go on with other rungs, at the highest that costs no more than the present one. What they
        cost is in the same units: at full quality the side's square times the samples."""
        if rungs == self.rungs:
            return
        limit = self.quality.work * (1.0 + 1e-6)
        self.rungs = rungs
        self._level = max(
            (level for level, rung in enumerate(rungs) if rung.work <= limit), default=0
        )
        self._times.clear()
        self._skip = 1
        self._blocked = (len(rungs), 0)

    def unlearn(self) -> None:
        """The same picture costs something else from now on (a setting of the model has
        changed): what was timed counts no more. The present rung stays until the next
        full-quality frame primes it anew, or previews tell."""
        self._times.clear()
        self._skip = 1
        self._primed = False
        self._climbed_at = self._frame - _MAX_BLOCK
        self._blocked = (len(self.rungs), 0)
        self._penalty = _BLOCK

    def record(
        self, quality: Preview, seconds: float, fixed: float = 0.0, upsample: float = 0.0
    ) -> None:
        """Learn from a finished preview.

        Args:
            quality: the rung it was drawn at; timings of another rung than the present one
                say nothing and are dropped.
            seconds: how long it took in all.
            fixed: the part of it that does not depend on the rung (mapping, planes,
                super-resolution).
            upsample: the part of ``fixed`` that the super-resolution took.
        """
        self._frame += 1
        if quality != self.quality:
            return
        if self._skip > 0:
            self._skip -= 1
            return
        self._primed = True
        if self._judge_upsampler(upsample):
            return
        self._times.append((seconds, min(fixed, seconds)))
        del self._times[:-_UP_WINDOW]
        if seconds > _FAR_TOO_SLOW * self.budget and len(self._times) < _DOWN_WINDOW:
            self._descend(seconds, fixed)
        elif len(self._times) >= _DOWN_WINDOW:
            typical, constant = self._typical(_DOWN_WINDOW)
            if typical > _TOO_SLOW * self.budget:
                self._descend(typical, constant)
            elif len(self._times) == _UP_WINDOW:
                level = self._affordable(self._level, *self._typical(_UP_WINDOW))
                if level > self._level:
                    self._climbed_at = self._frame
                    self._move(level)

    def _typical(self, count: int) -> tuple[float, float]:
        """Medians of the last so many times and of their fixed parts."""
        last = self._times[-count:]
        return median(t for t, _ in last), median(f for _, f in last)

    def too_slow(self, quality: Preview, seconds: float) -> None:
        """A preview was given up after so many seconds: it would have taken longer still."""
        self._frame += 1
        if quality == self.quality:
            self._primed = True
            self._descend(max(seconds, _FAR_TOO_SLOW * self.budget), 0.0)

    def _descend(self, seconds: float, fixed: float) -> None:
        if self._level == 0:
            return
        if self._frame - self._climbed_at <= _BLOCK:
            self._blocked = (self._level, self._frame + self._penalty)
            self._penalty = min(2 * self._penalty, _MAX_BLOCK)
        else:
            self._penalty = _BLOCK
        self._move(min(self._affordable(self._level, seconds, fixed), self._level - 1))

    def _affordable(self, at: int, seconds: float, fixed: float) -> int:
        """The highest rung predicted to fit, from a time measured at rung ``at``. A rung that
        failed a short while ago, and those above it, are out of bounds for a climb."""
        blocked, until = self._blocked
        variable = max(seconds - fixed, 0.0) / self.rungs[at].work
        best = 0
        for level, rung in enumerate(self.rungs):
            if level > self._level and level >= blocked and self._frame < until:
                break
            if fixed + variable * rung.work <= _ROOM * self.budget or level == 0:
                best = level
        return best

    def _judge_upsampler(self, upsample: float) -> bool:
        if self.upsample and upsample > self.budget:
            self.upsample = False
            self._times.clear()
            self._skip = 1
            return True
        return False

    def _move(self, level: int) -> None:
        if level != self._level:
            self._level = level
            self._times.clear()
            self._skip = 1
