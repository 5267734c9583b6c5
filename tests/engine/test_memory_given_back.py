"""What is freed is kept for what comes next, and what is free between what stays goes back to the system."""

from __future__ import annotations

import subprocess
import sys

_BEGIN = """
import ctypes, resource
from pathlib import Path
from engine.memory import give_back, keep_freed

C = ctypes.CDLL(None)
C.malloc.restype, C.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def mine():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

"""
_HOLES = """
blocks = [C.malloc(16384) for _ in range(4000)]
for block in blocks:
    ctypes.memset(block, 1, 16384)
for number, block in enumerate(blocks):
    if number % 100 != 99:  # the last one stays, too
        C.free(block)
before = mine()
give_back()
print(before - mine())
"""

#: Pages asked of the system by a block of 100 MB before and after, and what is taken then and given back, KiB.
_LARGE = """
def use():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = C.malloc(100 << 20)
    ctypes.memset(block, 1, 100 << 20)
    C.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

use()
early, small = use(), mine()
keep_freed()
use()
late, large = use(), mine()
give_back()
print(early, late, large - small, large - mine())
"""


def numbers(program: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + program], check=True, capture_output=True, text=True
    )
    return [int(word) for word in done.stdout.split()]


def test_holes_go_back_to_the_system() -> None:
    (given_back,) = numbers(_HOLES)
    assert given_back > 40_000  # of 64,000 KiB


def test_what_is_freed_is_kept_until_it_is_given_back() -> None:
    early, late, kept, given_back = numbers(_LARGE)
    # Pages may be large ones: 50 of them.
    assert early >= 50 and late <= early / 10
    assert kept > 90_000 and given_back > 90_000
