"""Random numbers of a run: a function of its seed and of where it is, and of nothing else.

Every pass of every phase has a generator of its own, made from the names of the place. There
is no state to keep: a run that goes on draws what it would have drawn, in however many processes,
and a pass that is repeated after a failure draws other numbers than before.
"""

from __future__ import annotations

import hashlib

import torch


def chance(device: torch.device, *place: int | str) -> torch.Generator:
    """Random numbers that belong to ``place`` (seed, attempt, step, phase, pass ...)."""
    words = "/".join(str(part) for part in place).encode()
    number = int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little")
    # Seeds of torch are 64-bit; one bit less is the same number on every device.
    return torch.Generator(device=device).manual_seed(number >> 1)
