"""Kernels that broke a GPU's context here, remembered from one process to the next.

A kernel that reads from nowhere leaves its process without the GPU: torch cannot draw in its stead
there. The process that comes next must not try it again, and neither must it if the kernels are
still the same ones.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import torch

from engine.assets import data_dir
from engine.errors import GpuLost, UserError
from engine.export.files import make_folder, write_bytes
from engine.kernels.compile import cache_folder
from engine.kernels.launch import capability


def mark_of(kernel: str, device: torch.device) -> Path:
    """The file that says so of a kernel, on GPUs of this capability, with these sources."""
    digest = hashlib.sha256()
    for source in sorted(data_dir("cuda").glob("*.cu*")):
        digest.update(source.read_bytes())
    name = f"broken-{kernel}-sm_{capability(device)}-{digest.hexdigest()[:12]}.txt"
    return cache_folder() / name


def must_have_survived(kernel: str, device: torch.device) -> None:
    """To be called once a kernel was tried out.

    Raises:
        GpuLost: the device does not answer any more; the mark is made.
    """
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        with contextlib.suppress(OSError, UserError):
            mark = mark_of(kernel, device)
            make_folder(mark.parent)
            write_bytes(mark, reason.encode())
        raise GpuLost(
            f"The GPU stopped working for Maquette when its kernel {kernel} was tried out ({reason}); "
            "start again: that kernel is left out from now on."
        ) from error
