"""One item worked on ahead of the one that is made use of."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from engine.kernels.pieces import one_ahead


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_items_come_in_order_with_what_became_of_them(threads: int, count: int) -> None:
    found = list(one_ahead(lambda n: n * n, iter(range(count))))
    assert found == [(n, n * n) for n in range(count)]


def test_the_next_one_is_worked_on_meanwhile() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    begun = [threading.Event() for _ in range(3)]

    def work(n: int) -> int:
        begun[n].set()
        return n

    try:
        for n, _ in one_ahead(work, iter(range(3))):
            assert n == 2 or begun[n + 1].wait(30.0)
            assert n > 0 or not begun[2].is_set()  # one, not all
    finally:
        torch.set_num_threads(before)


def test_what_fails_is_told_and_nothing_is_left_running(threads: int) -> None:
    ended: list[int] = []

    def work(n: int) -> int:
        if n == 2:
            raise ArithmeticError("no such brick")
        ended.append(n)
        return n

    with pytest.raises(ArithmeticError, match="no such brick"):
        list(one_ahead(work, iter(range(5))))
    assert ended[:2] == [0, 1]
    started = one_ahead(work, iter(range(2)))
    assert next(started)[0] == 0
    started.close()
    assert 0 in ended[2:]
