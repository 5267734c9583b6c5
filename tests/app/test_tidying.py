"""When the engine gives back what is free in its heap."""

from __future__ import annotations

from typing import Any

import pytest

from app.tidying import BETWEEN, REST, Tidying
from app.wire import ProcessOptions
from app.worker import Engine


class Bench:
    """The thing with a clock that is set by hand, counting."""

    def __init__(self) -> None:
        self.now, self.given = 5.0, 0
        self.tidying = Tidying(self._give, lambda: self.now)

    def _give(self) -> None:
        self.given += 1

    def rest(self, after: float = 0.0) -> float | None:
        self.now += after
        return self.tidying.rest()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_was_drawn_and_nothing_is_given_back(bench: Bench) -> None:
    assert bench.rest() is None and bench.rest(1000) is None and bench.given == 0


def test_it_waits_for_rest_and_does_it_once(bench: Bench) -> None:
    bench.tidying.worked()
    assert bench.rest() == pytest.approx(REST)
    assert bench.rest(REST / 2) == pytest.approx(REST / 2)
    bench.tidying.worked()  # somebody turns the face again
    assert bench.rest() == pytest.approx(REST) and bench.given == 0
    assert bench.rest(REST) is None and bench.given == 1
    assert bench.rest(1000) is None and bench.given == 1


def test_it_is_done_once_a_minute_at_most(bench: Bench) -> None:
    bench.tidying.worked()
    bench.rest(REST)
    bench.tidying.worked()
    assert bench.rest(REST) == pytest.approx(BETWEEN - REST) and bench.given == 1
    assert bench.rest(BETWEEN) is None and bench.given == 2


def test_the_engine_asks_for_it_when_it_rests() -> None:
    """Every wait without an end is one of a tidy engine."""
    waits: list[float | None] = []

    class Mailbox:
        request = opening = None

        def wait(self, seconds: float | None, _known: Any) -> None:
            waits.append(seconds)

    engine = Engine(Mailbox(), ProcessOptions("cpu"))  # type: ignore[arg-type]
    bench = Bench()
    engine._tidying = bench.tidying
    for spent in (0.0, REST, 0.0):
        if not waits:
            bench.tidying.worked()
        bench.now += spent
        engine._idle(None, None)  # type: ignore[arg-type]
    assert waits == [pytest.approx(REST), None, None] and bench.given == 1
