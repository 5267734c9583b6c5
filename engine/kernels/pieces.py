"""Work on a CPU cut into pieces for torch's number of threads."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")
U = TypeVar("U")

#: Rays and points of one piece: some milliseconds of work, after which a picture that is no
#: longer wanted can be given up.
RAYS, POINTS = 512, 8192


@cache
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, os.cpu_count() or 1), thread_name_prefix="march")


def in_pieces(
    count: int, size: int, work: Callable[[int, int], None], check: Callable[[], None] | None
) -> None:
    """``work(first, last)`` for pieces of ``count``, on torch's number of threads, one of which
    is the caller's; ``check`` is called there before each piece, and what it raises is
    raised when no piece is being worked on any more."""
    left = deque((first, min(first + size, count)) for first in range(0, count, size))
    lock = threading.Lock()

    def take() -> tuple[int, int] | None:
        with lock:
            return left.popleft() if left else None

    def run() -> None:
        while (piece := take()) is not None:
            work(*piece)

    helpers: list[Future[None]] = []
    more = min(torch.get_num_threads(), len(left)) - 1
    helpers = [_helpers().submit(run) for _ in range(more)]
    try:
        while True:
            if check is not None:
                check()
            piece = take()
            if piece is None:
                break
            work(*piece)
    finally:
        with lock:
            left.clear()
        for helper in helpers:
            helper.result()


def one_ahead(work: Callable[[T], U], items: Iterator[T]) -> Generator[tuple[T, U]]:
    """``(item, work(item))`` in order, the next one being worked on by another thread while this one is made use
    of, where torch has more than one. It gains what ``work`` does without Python's lock."""
    if torch.get_num_threads() < 2:
        yield from ((item, work(item)) for item in items)
        return
    ahead: tuple[T, Future[U]] | None = None
    try:
        for item in items:
            before, ahead = ahead, (item, _helpers().submit(work, item))
            if before is not None:
                yield before[0], before[1].result()
        if ahead is not None:
            yield ahead[0], ahead[1].result()
    finally:
        if ahead is not None:
            wait([ahead[1]])
