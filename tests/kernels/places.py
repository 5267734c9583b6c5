"""Where a kernel's equality test runs: on the emulation always, on a GPU where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from engine.kernels import launch
from tests.kernels.emulator import emulated

_NO_GPU = not launch.available()[0]

PLACES = [
    "emulated",
    pytest.param(
        "gpu",
        marks=[pytest.mark.cuda, pytest.mark.skipif(_NO_GPU, reason="needs an NVIDIA GPU")],
    ),
]
everywhere = pytest.mark.parametrize("place", PLACES)


@contextmanager
def at(place: str) -> Iterator[torch.device]:
    """The device to compute on. Memory that torch hands out is NaN, so that an element which a kernel
    forgets shows."""
    if place == "emulated":
        with emulated():
            yield torch.device("cpu")
        return
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    try:
        yield torch.device("cuda", 0)
        torch.cuda.synchronize()
    finally:
        torch.use_deterministic_algorithms(False)
