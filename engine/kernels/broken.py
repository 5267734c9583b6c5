"""Kernels that broke a GPU's context here, remembered from one process to the next.

A kernel that reads from nowhere leaves its process without the GPU: torch cannot draw in its stead
there. The process that comes next must not try it again, and neither must it if the kernels are
still the same ones.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import torch

from engine.assets import data_dir
from engine.errors import GpuLost, UserError
from engine.export.files import make_folder, write_bytes
from engine.kernels.compile import cache_folder
from engine.kernels.launch import capability

#: How the names of marks begin.
_BROKEN = "broken-"


def mark_of(kernel: str, device: torch.device) -> Path:
    """The file that says so of a kernel, on GPUs of this capability, with these sources of kernels and
    launchers."""
    return cache_folder() / f"{_BROKEN}{kernel}-sm_{capability(device)}-{_sources()}.txt"


def marked(kernel: str, device: torch.device) -> Path | None:
    """The mark of a kernel, if there is one that may be seen."""
    mark = mark_of(kernel, device)
    try:
        return mark if mark.exists() else None
    except OSError:
        return None


def marks() -> list[Path]:
    """All such files, those of earlier sources, too."""
    try:
        return sorted(cache_folder().glob(f"{_BROKEN}*.txt"))
    except OSError:
        return []


@cache
def _sources() -> str:
    digest = hashlib.sha256(torch.__version__.encode())
    launchers = Path(__file__).parent.glob("*.py")  # none in a bundle, which is replaced as a whole
    for source in sorted([*data_dir("cuda").glob("*.cu*"), *launchers]):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def must_live(*devices: torch.device) -> None:
    """To be called where something failed, or is to be blamed if it does.

    Args:
        devices: GPUs; those that torch keeps memory of if none is named.

    Raises:
        GpuLost: one does not answer any more, for a reason that is not known.
    """
    if not devices and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        all_of_them = (torch.device("cuda", i) for i in range(torch.cuda.device_count()))
        devices = tuple(one for one in all_of_them if torch.cuda.memory_reserved(one))
    for reason in filter(None, map(_lost, devices)):
        raise GpuLost(
            f"The GPU stopped working for Maquette ({reason}); start again, and if it happens again "
            "set MAQUETTE_KERNELS=0, which does without Maquette's own kernels."
        )


def must_have_survived(kernel: str, device: torch.device) -> None:
    """To be called once a kernel was tried out.

    Raises:
        GpuLost: the device does not answer any more; the mark is made.
    """
    reason = _lost(device)
    if reason is None:
        return
    mark = mark_of(kernel, device)
    try:
        make_folder(mark.parent)
        write_bytes(mark, reason.encode())
    except (OSError, UserError):
        noted, then = False, "start again with MAQUETTE_KERNELS=0, since that could not be noted"
    else:
        noted, then = True, "start again: that kernel is left out from now on"
    raise GpuLost(
        f"The GPU stopped working for Maquette when its kernel {kernel} was tried out ({reason}); {then}.",
        left_out=noted,
    )


def _lost(device: torch.device) -> str | None:
    """Why a device does not answer, or ``None`` if it does, and while it is being recorded, when nothing may
    be asked of it."""
    if torch.cuda.is_current_stream_capturing():
        return None
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return None
