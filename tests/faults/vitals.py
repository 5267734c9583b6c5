"""What processes hold, from ``/proc``, and whether that grows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

MIB = 1024 * 1024
#: Groups that a trend is fitted through: their medians do not follow single peaks.
GROUPS = 24


@dataclass(frozen=True)
class Vitals:
    """One look at a process.

    Attributes:
        rss: resident memory, bytes; what is shared counts whole.
        private: the part of it that belongs to no file and to no shared memory, bytes.
        descriptors: open files, pipes and sockets.
        threads: of the process.
    """

    rss: int
    private: int
    descriptors: int
    threads: int


def vitals(pid: int) -> Vitals | None:
    """Look at a process; ``None`` if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    if "VmRSS" not in fields:  # a zombie
        return None
    rss, private = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))
    return Vitals(rss, private, descriptors, int(fields["Threads"]))


def children(pid: int) -> list[int]:
    """Processes that a process has started and that are there, zombies included."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:
        pass
    return sorted(found)


@dataclass(frozen=True)
class Trend:
    """A straight line through what was measured.

    Attributes:
        slope: growth in an hour.
        first, last: medians of the first and of the last quarter.
        most: the largest value.
        hours: between the first and the last look.
    """

    slope: float
    first: float
    last: float
    most: float
    hours: float

    def is_flat(self, slope: float, rise: float) -> bool:
        """Whether it grows by at most ``slope`` in an hour, or by at most ``rise`` in all.

        Either is enough: a short time makes slopes out of single steps, and a long one makes a sum of
        steps that are no leak.
        """
        return self.slope <= slope or self.last - self.first <= rise


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Theil's and Sen's line: the median of the slopes between all pairs of groups, each the median
    of equally many looks in a row. Up to 29 % of the groups can be off without moving it.

    Args:
        times: seconds, growing.
        values: as many; at least four.
    """
    if len(times) != len(values) or len(times) < 4:
        raise ValueError("A trend needs four looks or more.")
    count = min(GROUPS, len(times))
    cuts = [round(len(times) * n / count) for n in range(count + 1)]
    points = [
        (statistics.median(times[a:b]), statistics.median(values[a:b])) for a, b in pairwise(cuts)
    ]
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for n, earlier in enumerate(points)
        for later in points[n + 1 :]
    ]
    quarter = max(len(values) // 4, 1)
    return Trend(
        statistics.median(slopes) * 3600.0,
        statistics.median(values[:quarter]),
        statistics.median(values[-quarter:]),
        max(values),
        (times[-1] - times[0]) / 3600.0,
    )
