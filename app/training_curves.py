"""The curves of a training run, thinned out so that a run of any length fits a plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.training.gan.events import StepDone

#: Most points of a curve; where there are more, two neighbours become their mean.
MOST_POINTS = 600


@dataclass
class Curve:
    """One number over the steps of a run: means of so many neighbouring values each.

    Attributes:
        steps, values: what is drawn.
    """

    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    _span: int = 1
    _sum: float = 0.0
    _count: int = 0

    def add(self, step: int, value: float) -> None:
        """The next value; steps only grow, but for :meth:`back_to`."""
        self._sum += value
        self._count += 1
        if self._count < self._span:
            return
        self.steps.append(float(step))
        self.values.append(self._sum / self._count)
        self._sum, self._count = 0.0, 0
        if len(self.steps) >= MOST_POINTS:
            # Each point stands at the end of what it is the mean of.
            self.steps = self.steps[1::2]
            pairs = zip(self.values[::2], self.values[1::2], strict=False)
            self.values = [(first + second) / 2 for first, second in pairs]
            self._span *= 2

    def back_to(self, step: int) -> None:
        """Training went back to a step: forget what came after."""
        kept = sum(one <= step for one in self.steps)
        del self.steps[kept:], self.values[kept:]
        self._sum, self._count = 0.0, 0


@dataclass
class Curves:
    """Curves by name, in the order in which they came up."""

    named: dict[str, Curve] = field(default_factory=dict)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """What a step measured."""
        for name, value in values.items():
            self.named.setdefault(name, Curve()).add(step, value)

    def back_to(self, step: int) -> None:
        """Training went back to a step."""
        for curve in self.named.values():
            curve.back_to(step)


def plotted(event: StepDone) -> dict[str, float]:
    """What is drawn of a step, by name; the part before the slash is the plot."""
    values = {f"losses/{n}": v for n, v in event.losses.items() if not n.startswith("score/")}
    values |= {
        f"scores/{n.removeprefix('score/')}": v
        for n, v in event.losses.items()
        if n.startswith("score/")
    }
    values |= {f"rates/{network}": rate for network, rate in event.rates.items()}
    return values | {
        "speed/images a second": event.images_per_second,
        "scores/augmentation": event.augmentation,
    }
