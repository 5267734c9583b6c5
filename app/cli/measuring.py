"""What ``maquette evaluate`` says before and while it measures."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.cli.terminal import progress, warn

if TYPE_CHECKING:
    from engine.metrics.effort import Stage

#: Seconds between two lines where there is no bar.
EVERY = 15.0
_WHAT = {
    "samples": "FID and KID of {count} samples",
    "depths": "depths of {people}",
    "views": "views of {people}",
    "speed": "the speed",
}
#: Called with (what is done, done, of how many).
Told = Callable[[str, int, int], None]


def announcement(model: str, device: str, work: Sequence[Stage], seconds: float) -> str:
    """One sentence: what is measured, on what, and for how long.

    Args:
        seconds: that a picture takes.
    """
    from engine.metrics.effort import drawn

    parts = [
        _WHAT[stage.what].format(
            count=stage.count, people=f"{stage.count} {'person' if stage.count == 1 else 'people'}"
        )
        for stage in work
        if stage.what in _WHAT
    ]
    listed = ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]
    count = drawn(work)
    return (
        f"Measuring {listed}: {count} pictures of {model} on {device}, {spoken(count * seconds)}."
    )


def spoken(seconds: float) -> str:
    """``about 20 seconds``, ``about 3 minutes``, ``about 2 hours``: rounded, for an estimate."""
    for unit, length in (("hour", 3600.0), ("minute", 60.0)):
        if seconds >= 1.5 * length:
            return f"about {round(seconds / length)} {unit}s"
    tens = max(10, 10 * round(seconds / 10.0))
    return f"about {tens} seconds" if seconds >= 5.0 else "a few seconds"


@contextmanager
def following(
    work: Sequence[Stage], *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Told]:
    """A bar of all pictures together, or, where the error stream is no terminal, a line now and then.

    Args:
        quiet: neither.

    Yields:
        what :func:`engine.metrics.evaluate.evaluate` tells of its work to.
    """
    from engine.metrics.effort import drawn

    total, begin = drawn(work), clock()
    last = begin
    lines = not quiet and not sys.stderr.isatty()

    def line(what: str, done: int, count: int) -> None:
        nonlocal last
        now = clock()
        if not lines or now - last < EVERY:
            return
        last, there = now, drawn(work, what, done)
        left = f", {spoken((now - begin) / there * (total - there))} left" if there else ""
        warn(f"{what}, {done} of {count}{left}.")

    with progress("Measuring", quiet=quiet) as bar:

        def told(what: str, done: int, count: int) -> None:
            bar(drawn(work, what, done), total)
            line(what, done, count)

        yield told
