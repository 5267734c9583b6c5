"""Launching kernels on torch's tensors: PyCUDA on torch's own context and stream.

Nothing here imports CUDA until a kernel is asked for. :func:`available` says whether kernels
can run and, if not, why; without them every caller uses its torch path.

Set ``MAQUETTE_KERNELS=0`` to turn the kernels off, or to names with commas between to have those
only (:mod:`engine.kernels.use`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from engine.kernels.compile import (
    CompileError,
    NvrtcMissing,
    architecture_for,
    compile_kernel,
    load_nvrtc,
)

#: Oldest compute capability that the kernels are compiled for (Ampere).
OLDEST_CAPABILITY = 80
#: Kinds of numbers that kernels read, and how the sources count them.
NUMBER_KINDS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
#: Shared memory that every block may have without asking, bytes.
SHARED_LIMIT = 48 * 1024

_off: list[str] = []


class Runner(Protocol):
    """What starts kernels in place of PyCUDA: the tests' emulation."""

    def reaches(self, device: torch.device) -> bool:
        """Whether it takes tensors of this device."""

    def processors(self, device: torch.device) -> int:
        """See :func:`processors`."""

    def launch(
        self,
        source: str,
        entry: str,
        parameters: np.ndarray,
        *,
        device: torch.device,
        blocks: int,
        threads: int,
        shared: int,
        defines: Mapping[str, int],
    ) -> None:
        """See :func:`launch`."""


_runners: list[Runner] = []


@contextmanager
def standing_in(runner: Runner) -> Iterator[None]:
    """Within, ``runner`` starts the kernels, and no GPU is needed or looked for."""
    _runners.append(runner)
    try:
        yield
    finally:
        _runners.remove(runner)


# ------------------------------------------------------------------ whether kernels run


def available() -> tuple[bool, str]:
    """Whether kernels can run here, and the reason if not (else an empty string)."""
    if os.environ.get("MAQUETTE_KERNELS", "") == "0":
        return False, "The kernels are turned off (MAQUETTE_KERNELS=0)."
    if _off:
        return False, _off[-1]
    return (True, "") if _runners else _probe()


def reaches(device: torch.device) -> bool:
    """Whether kernels can work on tensors of ``device``, if they run at all."""
    return _runners[-1].reaches(device) if _runners else device.type == "cuda"


@cache
def _probe() -> tuple[bool, str]:
    if torch.version.cuda is None or not torch.cuda.is_available():
        return False, "There is no NVIDIA GPU that torch can use."
    try:
        import pycuda.driver as driver

        driver.init()
    except ImportError as error:
        return False, f"PyCUDA is not installed or cannot be loaded ({error})."
    except Exception as error:  # PyCUDA's own errors derive from Exception alone
        return False, f"PyCUDA cannot reach the driver ({error})."
    try:
        load_nvrtc(_torch_major())
    except NvrtcMissing as error:
        return False, f"{error}."
    return True, ""


def driver_error() -> type[Exception]:
    """PyCUDA's error class; only called where kernels run."""
    if _runners:
        return NvrtcMissing
    import pycuda.driver as driver

    kind: type[Exception] = driver.Error
    return kind


@contextmanager
def disabled(reason: str = "The kernels are turned off for a comparison.") -> Iterator[None]:
    """Run a block on the torch paths."""
    _off.append(reason)
    try:
        yield
    finally:
        _off.remove(reason)


def _torch_major() -> int | None:
    return int(torch.version.cuda.split(".")[0]) if torch.version.cuda else None


# ------------------------------------------------------------------ one GPU


@dataclass
class _Gpu:
    """What is held for one GPU: torch's primary context, modules, and a stream of PyCUDA's."""

    context: Any
    capability: int
    processors: int
    functions: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    stream: Any = None
    torch_stream: torch.cuda.ExternalStream | None = None


_gpus: dict[int, _Gpu] = {}
_lock = threading.RLock()


def _gpu(index: int) -> _Gpu:
    with _lock:
        if index not in _gpus:
            import pycuda.driver as driver

            torch.cuda.init()  # type: ignore[no-untyped-call]
            driver.init()
            major, minor = torch.cuda.get_device_capability(index)
            processors = torch.cuda.get_device_properties(index).multi_processor_count
            context = driver.Device(index).retain_primary_context()
            _gpus[index] = _Gpu(context, 10 * major + minor, processors)
        return _gpus[index]


def processors(device: torch.device) -> int:
    """Multiprocessors of a GPU."""
    if _runners:
        return _runners[-1].processors(device)
    return _gpu(_index(device)).processors


def capability(device: torch.device) -> int:
    """Compute capability of a GPU, ``90`` for 9.0."""
    if _runners:
        return OLDEST_CAPABILITY
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index


@contextmanager
def _entered(gpu: _Gpu) -> Iterator[None]:
    """torch's primary context as PyCUDA's current one; what was current before comes back."""
    import pycuda.driver as driver

    gpu.context.push()
    try:
        yield
    finally:
        driver.Context.pop()


def _function(gpu: _Gpu, source: str, entry: str, defines: Mapping[str, int], shared: int) -> Any:
    """The kernel ``entry`` of ``source``, compiled and loaded once for each GPU."""
    key = (source, entry, tuple(sorted(defines.items())))
    with _lock:
        if key not in gpu.functions:
            import pycuda.driver as driver

            nvrtc = load_nvrtc(_torch_major())
            architecture = architecture_for(gpu.capability, nvrtc.architectures)
            code = compile_kernel(source, architecture, defines, nvrtc)
            module = driver.module_from_buffer(code)
            gpu.functions[key] = (module.get_function(entry), module, [SHARED_LIMIT])
        function, _, granted = gpu.functions[key]
        if shared > granted[0]:
            import pycuda.driver as driver

            function.set_attribute(driver.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES, shared)
            granted[0] = shared
    return function


def launch(
    source: str,
    entry: str,
    parameters: np.ndarray,
    *,
    device: torch.device,
    blocks: int,
    threads: int,
    shared: int,
    defines: Mapping[str, int],
) -> None:
    """Run one kernel in order with the other work of torch's current stream.

    Args:
        source: file in ``cuda/``.
        entry: name of the kernel, which takes one structure by value.
        parameters: that structure, a numpy record of no dimensions in C's layout.
        device: the GPU that all pointers in it belong to.
        blocks, threads: the one-dimensional grid.
        shared: dynamic shared memory of a block, bytes.
        defines: compile-time sizes.

    The kernel runs on the current stream itself where that is the default one. PyCUDA cannot
    launch on a stream it did not create, so on another stream the kernel runs on PyCUDA's own,
    which waits for the current stream first and which the current stream then waits for: the
    order is the same, memory is handed over safely, and CUDA graphs capture it.

    Raises:
        CompileError, NvrtcMissing: the kernel could not be compiled.
    """
    if _runners:
        _runners[-1].launch(
            source,
            entry,
            parameters,
            device=device,
            blocks=blocks,
            threads=threads,
            shared=shared,
            defines=defines,
        )
        return
    gpu = _gpu(_index(device))
    argument = parameters[()]  # PyCUDA passes a structure as numpy's scalar
    grid, block = (blocks, 1, 1), (threads, 1, 1)
    with torch.cuda.device(device), _entered(gpu):
        function = _function(gpu, source, entry, defines, shared)
        current = torch.cuda.current_stream(device)
        if current.cuda_stream == 0:
            function(argument, grid=grid, block=block, shared=shared)
            return
        with _lock:
            if gpu.stream is None:
                import pycuda.driver as driver

                gpu.stream = driver.Stream(1)  # 1: does not wait for the default stream
                handle = gpu.stream.handle
                gpu.torch_stream = torch.cuda.ExternalStream(  # type: ignore[no-untyped-call]
                    handle, device=device
                )
            assert gpu.torch_stream is not None
            gpu.torch_stream.wait_stream(current)
            function(argument, grid=grid, block=block, shared=shared, stream=gpu.stream)
            current.wait_stream(gpu.torch_stream)


# ------------------------------------------------------------------ checks


def check_tensor(
    name: str,
    tensor: Tensor,
    shape: tuple[int | None, ...],
    device: torch.device | None = None,
    dtypes: tuple[torch.dtype, ...] = (torch.float32,),
) -> None:
    """Refuse a tensor that a kernel would misread.

    Args:
        name: the argument's name, for the message.
        shape: what it must be; ``None`` is any size.
        device: where it must lie; ``None`` is anywhere.

    Raises:
        TypeError: its data type.
        ValueError: its shape, its device, or that it is not contiguous or 16-byte aligned.
    """
    if tensor.dtype not in dtypes:
        wanted = " or ".join(str(dtype) for dtype in dtypes)
        raise TypeError(f"{name} must be {wanted}, not {tensor.dtype}.")
    fits = tensor.dim() == len(shape) and all(
        want is None or want == have for want, have in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have the shape [{wanted}], not {list(tensor.shape)}.")
    if device is not None and tensor.device != device:
        raise ValueError(f"{name} must be on {device}, not on {tensor.device}.")
    if not tensor.is_contiguous():
        raise ValueError(f"{name} must be contiguous.")


def check_aligned(name: str, tensor: Tensor) -> None:
    """Refuse memory that 16-byte loads cannot read.

    Raises:
        ValueError: the first element is not at a multiple of 16 bytes.
    """
    if tensor.data_ptr() % 16:
        raise ValueError(f"{name} must start at a multiple of 16 bytes.")


__all__ = [
    "NUMBER_KINDS",
    "OLDEST_CAPABILITY",
    "SHARED_LIMIT",
    "CompileError",
    "NvrtcMissing",
    "Runner",
    "available",
    "capability",
    "check_aligned",
    "check_tensor",
    "disabled",
    "driver_error",
    "launch",
    "processors",
    "reaches",
    "standing_in",
]
