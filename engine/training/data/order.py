"""Which picture is shown when: a function of seed and position and of nothing else.

There is no state to keep: a run that goes on asks for the position it stopped at. The order comes
from a fixed mixing function and not from a library's shuffle, which may change with its version.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of 64-bit numbers that leaves no pattern (the finaliser of SplitMix64: Steele,
    Lea and Flood 2014, figure 19)."""
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """``[count]`` the numbers 0 to count - 1, each once, shuffled for one time through all."""
    base = _mixed(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64))
    base = _mixed(base + np.uint64(epoch))
    numbers: NDArray[np.uint64] = np.arange(count, dtype=np.uint64)
    keys = _mixed(base + numbers)
    order = np.argsort(keys, kind="stable").astype(np.int64)
    order.setflags(write=False)
    return order


def items_at(seed: int, count: int, first: int, many: int) -> NDArray[np.int64]:
    """``[many]`` which of ``count`` items stand at the positions ``first``, ``first + 1`` ... of
    the endless sequence: all of them in one order, then all of them in another."""
    found = np.empty(many, np.int64)
    done = 0
    while done < many:
        epoch, offset = divmod(first + done, count)
        part = epoch_order(seed, epoch, count)[offset : offset + many - done]
        found[done : done + len(part)] = part
        done += len(part)
    return found
