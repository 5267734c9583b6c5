"""Work on a CPU cut into pieces for torch's number of threads."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import torch

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
