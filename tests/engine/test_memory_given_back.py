"""What is freed between what stays goes back to the system."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import ctypes, sys
from pathlib import Path
from engine.memory import give_back

C = ctypes.CDLL(None)
C.malloc.restype, C.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def mine():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

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


def test_holes_go_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) > 40_000  # of 64,000 KiB
