"""The judgement over a soak: what each process held, and whether that stayed flat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.faults.vitals import MIB, Vitals, trend

#: Share of a window's life that is warming up, and seconds of it at least and at most: caches fill, panels are
#: opened for the first time, every length of text and size of picture is met once.
WARM_UP, WARM_UP_SECONDS = 0.25, (300.0, 1500.0)
#: Growth in an hour, and in all, up to which memory counts as flat, bytes. The history of undo keeps a
#: hundred thousand steps of half a kilobyte by design: three steps a second are 5 MiB in an hour.
SLOPE, RISE = 16 * MIB, 24 * MIB
#: The same for descriptors and threads.
MORE_IN_AN_HOUR, MORE_IN_ALL = 1.0, 2.0
#: Looks below which nothing is judged.
LEAST = 24


@dataclass(frozen=True)
class Look:
    """One look at everything.

    Attributes:
        time: ``time.monotonic()``.
        life: number of the window.
        engine_pid: 0 while there is none.
        window, engine, server: the processes; the engine may be gone.
        others: child processes of the window besides the engine.
        steps: of the undo history.
    """

    time: float
    life: int
    engine_pid: int
    window: Vitals
    engine: Vitals | None
    server: Vitals
    others: int
    steps: int

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


#: What is judged: name, value of a look (``None``: not there), slope, rise, unit.
_Row = tuple[str, Callable[[Look], float | None], float, float, float]
_ROWS: tuple[_Row, ...] = (
    ("window, memory of its own [MiB]", lambda k: k.window.private, SLOPE, RISE, MIB),
    ("window, resident [MiB]", lambda k: k.window.rss, SLOPE, RISE, MIB),
    ("engine, memory of its own [MiB]", lambda k: k.engine and k.engine.private, SLOPE, RISE, MIB),
    ("X server, resident [MiB]", lambda k: k.server.rss, SLOPE, RISE, MIB),
    ("window, descriptors", lambda k: k.window.descriptors, MORE_IN_AN_HOUR, MORE_IN_ALL, 1),
    ("engine, descriptors", lambda k: k.engine and k.engine.descriptors, MORE_IN_AN_HOUR, MORE_IN_ALL, 1),
    ("window, threads", lambda k: k.window.threads, MORE_IN_AN_HOUR, MORE_IN_ALL, 1),
    ("engine, threads", lambda k: k.engine and k.engine.threads, MORE_IN_AN_HOUR, MORE_IN_ALL, 1),
    ("window, child processes", lambda k: k.others, MORE_IN_AN_HOUR, MORE_IN_ALL, 1),
)  # fmt: skip


def judge(looks: Sequence[Look]) -> tuple[list[str], bool]:
    """A table of the longest life, and whether everything in it is flat.

    Only the longest of the windows is judged, after its warm-up, and of its engines the longest one.
    """
    lives = {look.life for look in looks}
    life = max(lives, key=lambda n: sum(look.life == n for look in looks), default=0)
    mine = [look for look in looks if look.life == life]
    if len(mine) < LEAST:
        return [f"only {len(mine)} looks at the longest window: too few to judge"], False
    seconds = mine[-1].time - mine[0].time
    warm = min(max(seconds * WARM_UP, WARM_UP_SECONDS[0]), WARM_UP_SECONDS[1])
    pids = [look.engine_pid for look in mine]
    engine = max(set(pids), key=pids.count)
    lines = [
        f"window {life}: {seconds / 3600:.2f} h, the first {warm / 60:.0f} minutes are warm-up; "
        f"{mine[-1].steps} steps of undo",
        "| | first quarter | last quarter | most | growth in an hour | |",
        "|---|---|---|---|---|---|",
    ]
    all_flat = True
    for name, value, slope, rise, unit in _ROWS:
        rows = [
            (look.time, float(found))
            for look in mine
            if look.time - mine[0].time >= warm
            and (not name.startswith("engine") or look.engine_pid == engine)
            and (found := value(look)) is not None
        ]
        if len(rows) < LEAST:
            lines.append(f"| {name} | | | | | too few looks |")
            all_flat = False
            continue
        line = trend([time for time, _ in rows], [found / unit for _, found in rows])
        flat = line.is_flat(slope / unit, rise / unit)
        all_flat &= flat
        lines.append(
            f"| {name} | {line.first:.1f} | {line.last:.1f} | {line.most:.1f} | {line.slope:+.1f} | "
            f"{'flat' if flat else 'GROWS'} |"
        )
    return lines, all_flat
