"""From what the mouse did and what the window noted to the numbers of a table: plain arithmetic.

Records are those of :mod:`app.timing_hook`; all times are seconds on one clock.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.pointer import Moved


@dataclass(frozen=True)
class Asked:
    """A wish for a picture while the window saw the mouse at a point of the screen."""

    time: float
    generation: int
    x: int
    y: int
    moving: bool


@dataclass(frozen=True)
class Shown:
    """A picture: handed to the texture, drawn on the screen."""

    handed: float
    drawn: float
    generation: int
    full: bool
    milliseconds: float
    resolution: int


@dataclass(frozen=True)
class Loop:
    """One turn of the window's loop."""

    began: float
    drawn: float
    ended: float


@dataclass(frozen=True)
class Record:
    """What the window noted."""

    asked: tuple[Asked, ...]
    #: generation -> when it left.
    sent: dict[int, float]
    shown: tuple[Shown, ...]
    loops: tuple[Loop, ...]


def read(path: Path, origin: tuple[int, int] = (0, 0)) -> Record:
    """What a window at ``origin`` of the screen noted in a file; a last line that is not whole is
    left out."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return record([json.loads(line) for line in lines], origin)


def record(notes: Iterable[Sequence[Any]], origin: tuple[int, int] = (0, 0)) -> Record:
    """Notes as records, with places on the screen."""
    asked, sent, shown, loops = [], {}, [], []
    for kind, *v in notes:
        if kind == "asked":
            at = round(v[2]) + origin[0], round(v[3]) + origin[1]
            asked.append(Asked(v[0], v[1], *at, v[4]))
        elif kind == "sent":
            # At the end of a drag the same picture is asked for once more.
            sent.setdefault(v[1], v[0])
        elif kind == "shown":
            shown.append(Shown(*v))
        elif kind == "loop":
            loops.append(Loop(*v))
    return Record(tuple(asked), sent, tuple(shown), tuple(loops))


def answers(moves: Sequence[Moved], noted: Record) -> list[float | None]:
    """For every movement the time at which the first request left that knew of it, or ``None``.

    A request knows of the newest movement to the place where the window saw the mouse, among those
    sent before it was made, and of all before that one. If a newer request overtook it, what counts is
    when the newer one left.
    """
    left = sorted(noted.sent.items())
    found: list[float | None] = [None] * len(moves)
    first = 0
    for wish in noted.asked:
        known = [
            i
            for i in range(first, len(moves))
            if moves[i].time <= wish.time and (moves[i].x, moves[i].y) == (wish.x, wish.y)
        ]
        gone = next((time for number, time in left if number >= wish.generation), None)
        if known and gone is not None:
            found[first : known[-1] + 1] = [gone] * (known[-1] + 1 - first)
            first = known[-1] + 1
    return found


@dataclass(frozen=True)
class Stroke:
    """One movement with the button held, a rest with it held, and the release.

    Attributes:
        moves: of the mouse while it was down.
        released: when the button went up.
        end: until when what came was waited for.
    """

    moves: tuple[Moved, ...]
    released: float
    end: float


@dataclass(frozen=True)
class Feel:
    """What strokes on one control came to.

    Attributes:
        rate: pictures a second that came while the mouse moved.
        latencies: seconds from each movement to the request that knew of it.
        behind: seconds from each movement to the first picture on the screen that knew of it.
        dropped: movements that no request ever knew of.
        moves: movements in all.
        rest: seconds from the last movement of each stroke to its full picture on the screen.
        let_go: seconds from each release to the full picture.
        missing: strokes whose full picture never came.
        resolutions: sides of the volume rendering of the pictures that came while it moved.
        engine: milliseconds that the engine spent on each.
        loop: seconds of each turn of the window's loop without its sleep.
    """

    rate: float
    latencies: tuple[float, ...]
    behind: tuple[float, ...]
    dropped: int
    moves: int
    rest: tuple[float, ...]
    let_go: tuple[float, ...]
    missing: int
    resolutions: tuple[int, ...]
    engine: tuple[float, ...]
    loop: tuple[float, ...]


def feel(strokes: Sequence[Stroke], noted: Record) -> Feel:
    """What strokes came to; see :class:`Feel`."""
    latencies: list[float] = []
    behind: list[float] = []
    rest: list[float] = []
    let_go: list[float] = []
    shown: list[Shown] = []
    loop: list[float] = []
    seconds, dropped, missing = 0.0, 0, 0
    for stroke in strokes:
        began, last = stroke.moves[0].time, stroke.moves[-1].time
        part = _between(noted, began, stroke.end)
        left = answers(stroke.moves, part)
        dropped += left.count(None)
        for move, time in zip(stroke.moves, left, strict=True):
            if time is not None:
                latencies.append(time - move.time)
        by_leaving = {time: number for number, time in part.sent.items()}
        for move, time in zip(stroke.moves, left, strict=True):
            number = by_leaving.get(time) if time is not None else None
            come = _first(part, number) if number is not None else None
            if come is not None:
                behind.append(come.drawn - move.time)
        shown += [s for s in part.shown if s.drawn <= last]
        seconds += last - began
        loop += [turn.ended - turn.began for turn in part.loops if turn.ended <= last]
        newest = next((by_leaving[t] for t in reversed(left) if t is not None), None)
        full = _first(part, newest, full=True) if newest is not None else None
        # A full picture that came while it still moved is at rest at once.
        rest += [] if full is None else [max(full.drawn - last, 0.0)]
        released = [a.generation for a in part.asked if a.time >= stroke.released and not a.moving]
        after = _first(part, released[0], full=True) if released else full
        missing += after is None
        let_go += [] if after is None else [max(after.drawn - stroke.released, 0.0)]
    return Feel(
        len(shown) / seconds if seconds else 0.0,
        tuple(latencies), tuple(behind), dropped, sum(len(s.moves) for s in strokes),
        tuple(rest), tuple(let_go), missing,
        tuple(s.resolution for s in shown), tuple(s.milliseconds for s in shown), tuple(loop),
    )  # fmt: skip


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of them do not exceed; NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _between(noted: Record, start: float, end: float) -> Record:
    return Record(
        tuple(a for a in noted.asked if start <= a.time <= end),
        {n: t for n, t in noted.sent.items() if start <= t <= end},
        tuple(s for s in noted.shown if start <= s.drawn <= end),
        tuple(turn for turn in noted.loops if start <= turn.began <= end),
    )


def _first(noted: Record, generation: int, full: bool = False) -> Shown | None:
    """The first picture on the screen that answers this or a later request."""
    found = (s for s in noted.shown if s.generation >= generation and (s.full or not full))
    return next(found, None)
