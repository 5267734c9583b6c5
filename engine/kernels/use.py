"""Whether a kernel is used: asked for, able to run here, and right at first sight.

No GPU has run some of these kernels yet (docs/performance.md says which), so each one draws a tiny
input at its first use on a device and is held against torch there. Where it differs, does not
compile or does not start, it is left alone for the rest of the process, with a warning in the log, and
torch draws. One that breaks the GPU's context ends the process, and the next leaves it out
(:mod:`.broken`). ``MAQUETTE_KERNELS`` names those that may run, with commas between
(``march,field``); ``0`` is none, nothing is all.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from engine.kernels.broken import marked, must_have_survived, must_live
from engine.kernels.launch import (
    OLDEST_CAPABILITY,
    CompileError,
    NvrtcMissing,
    available,
    capability,
    driver_error,
    reaches,
)
from engine.memory import is_memory_full

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Kernel:
    """One kernel, or a few that are used together.

    Args:
        name: what ``MAQUETTE_KERNELS`` calls it.
        check: runs it on a device with a tiny input and raises :class:`Wrong` where it differs from
            torch.
    """

    def __init__(self, name: str, check: Callable[[torch.device], None]) -> None:
        self.name = name
        self._check = check
        self._lock = threading.RLock()
        self._checked: set[torch.device] = set()
        self._off: str | None = None

    def problem(self, *tensors: Tensor | None) -> str | None:
        """Why it cannot work on these tensors, in one sentence, or ``None`` if it can. The first
        time on a device it is tried out there.

        ``None`` among the tensors is passed over. Gradients are wanted where they are enabled and a
        tensor requires them.

        Raises:
            GpuLost: it broke the device's context when it was tried out, or that was lost before.
        """
        device: torch.device | None = None
        for tensor in tensors:
            if tensor is None:
                continue
            if not reaches(tensor.device) or device not in (None, tensor.device):
                return "The tensors are not on a GPU, or not on the same."
            device = tensor.device
            if tensor.requires_grad and torch.is_grad_enabled():
                return "The kernels have no gradients."
        assert device is not None
        running, reason = available()
        if not running:
            return reason
        asked = os.environ.get("MAQUETTE_KERNELS", "")
        if asked not in ("", "1") and self.name not in asked.split(","):
            return f"The kernel {self.name} is turned off (MAQUETTE_KERNELS={asked})."
        if capability(device) < OLDEST_CAPABILITY:
            return "The kernels need a GPU of compute capability 8.0 or newer."
        with self._lock:
            if self._off is None and device not in self._checked:
                # Before the check, which asks for this kernel as everybody does.
                self._checked.add(device)
                try:
                    self._try_out(device)
                except BaseException:
                    self._checked.discard(device)  # it was not held against torch
                    raise
            return self._off

    def run(self, work: Callable[[], _T]) -> _T | None:
        """What ``work`` gives, or ``None`` where the kernel turned out not to compile or start.

        Raises:
            torch.OutOfMemoryError: the card's memory is full, which is no fault of the kernel.
        """
        try:
            return work()
        except (CompileError, NvrtcMissing, driver_error()) as error:
            if is_memory_full(error):  # PyCUDA's own, which nobody else knows
                raise torch.OutOfMemoryError(str(error)) from error
            self.turn_off(f"{type(error).__name__}: {error}")
            return None

    def turn_off(self, reason: str) -> None:
        """Leave it alone from now on."""
        with self._lock:
            if self._off is None:
                self._off = f"The kernel {self.name} is not used: {reason}"
                _log.warning(self._off)

    def _try_out(self, device: torch.device) -> None:
        real = device.type == "cuda"  # not an emulated one
        if real:
            must_live(device)  # what is lost by now is no fault of this kernel
            if (mark := marked(self.name, device)) is not None:
                self.turn_off(f"it broke the GPU when it was last tried out ({mark} says so).")
                return
        try:
            with torch.inference_mode():
                self.run(lambda: self._check(device))
        except Wrong as error:
            self.turn_off(f"it draws wrongly here ({error}).")
        except (RuntimeError, TypeError, ValueError) as error:
            if real:
                # A lost context may say that there was no memory.
                must_have_survived(self.name, device)
            if is_memory_full(error):
                raise  # it is tried out again when there is room
            self.turn_off(f"{type(error).__name__}: {error}")
        if real:
            must_have_survived(self.name, device)


class Wrong(Exception):
    """A kernel's first result is not torch's."""


def compare(what: str, mine: Tensor | None, expected: Tensor, bound: float) -> None:
    """Hold a kernel's result against torch's, which is best computed on the CPU: on a GPU torch may
    multiply with fewer bits.

    Args:
        what: its name.
        mine: ``None`` if the kernel refused.
        bound: of the largest absolute difference.

    Raises:
        Wrong: with both numbers. A number that is not one differs.
    """
    if mine is None:
        raise Wrong(f"{what} was not computed")
    if mine.shape != expected.shape:
        raise Wrong(f"{what} has the shape {list(mine.shape)}, not {list(expected.shape)}")
    difference = (mine.cpu().double() - expected.cpu().double()).abs().nan_to_num(nan=torch.inf)
    largest = float(difference.max()) if difference.numel() else 0.0
    if largest > bound:
        raise Wrong(f"{what} differs by {largest:.2g}, more than {bound:.2g}")
