"""The kernels of ``cuda/`` on a CPU, in place of the GPU that a launcher starts them on.

``with emulated():`` every launcher works on tensors of the CPU: each launch compiles the kernel's own
source with the host's C++ compiler, against ``cuda.h`` here, and runs every thread of every block
(``block.h`` says how, and what that cannot show). At each launch:

- every pointer in the parameters must lie in a tensor that is alive;
- the kernel works on copies with pages around them that cannot be touched, so that reading or
  writing outside of a tensor ends the launch with the number of the thread;
- it runs four times, threads and blocks in ascending, descending and two shuffled orders, and must
  leave the same bits each time: else two threads use the same memory without a barrier between.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.assets import data_dir
from engine.kernels import launch

HERE = Path(__file__).resolve().parent
#: What was compiled is kept here, for the other workers and the next time.
KEPT = HERE.parents[2] / "build" / "emulator"
#: Orders of threads and blocks, see ``run_grid`` of ``block.h``.
ORDERS = (0, 1, 2, 3)
#: Largest alignment that loads rely on, bytes.
_ALIGNMENT = 16


class EmulationError(AssertionError):
    """A kernel did what a GPU would not forgive; the message says which thread."""


def _compiler() -> str:
    named = os.environ.get("CXX")
    found = shutil.which(named) if named else None
    found = found or shutil.which("g++") or shutil.which("clang++")
    if found is None:
        raise EmulationError("The emulation needs a C++20 compiler: install g++ or set CXX.")
    return found


@cache
def _compiler_version(compiler: str) -> str:
    return subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, check=True
    ).stdout


def _texts() -> Iterator[bytes]:
    """All that a kernel may include."""
    for folder, pattern in ((HERE, "*.h"), (data_dir("cuda"), "*.cu*")):
        for file in sorted(folder.glob(pattern)):
            yield file.name.encode()
            yield file.read_bytes()


@cache
def build(
    source: str, entry: str, defines: tuple[tuple[str, int], ...], text: str | None = None
) -> ctypes.CDLL:
    """One kernel as a shared library.

    Args:
        source: file in ``cuda/``.
        entry: name of the kernel.
        defines: compile-time sizes.
        text: CUDA C++ to compile in its place.
    """
    body = f'#include "{source}"' if text is None else text
    flags = ["-std=c++20", "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-U_FORTIFY_SOURCE"]
    flags += ["-fsanitize=undefined,float-cast-overflow", "-fsanitize-undefined-trap-on-error"]
    flags += ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
    flags += [f"-D{macro}={value}" for macro, value in defines]
    wrapper = f'#include "cuda.h"\n{body}\nEMULATE({entry})\n'
    compiler = _compiler()
    key = hashlib.sha256(repr((wrapper, flags, _compiler_version(compiler))).encode())
    for part in _texts():
        key.update(hashlib.sha256(part).digest())
    library = KEPT / f"{key.hexdigest()[:40]}.so"
    if not library.exists():
        _compile(compiler, flags, wrapper, library, source)
    loaded = ctypes.CDLL(str(library))
    loaded.emulator_params_size.restype = ctypes.c_size_t
    loaded.emulator_take.restype = ctypes.c_void_p
    return loaded


def _compile(compiler: str, flags: list[str], wrapper: str, library: Path, source: str) -> None:
    """Make a library, which appears when it is whole."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        made = Path(folder, "made.so")
        includes = [f"-I{HERE}", f"-I{data_dir('cuda')}"]
        run = subprocess.run(
            [compiler, *flags, *includes, "-x", "c++", "-", "-o", str(made)],
            input=wrapper, capture_output=True, text=True,
        )  # fmt: skip
        if run.returncode:
            raise EmulationError(f"{source} does not compile for the CPU:\n{run.stderr}")
        made.replace(library)


def _pointers(dtype: np.dtype, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of a record's fields that hold pointers: those of unsigned 64 bits."""
    for name in dtype.names or ():
        inner = dtype[name]
        if inner.names:
            yield from _pointers(inner, (*prefix, name))
        elif inner == np.dtype(np.uint64):
            yield (*prefix, name)


def _field(record: np.ndarray, path: tuple[str, ...]) -> tuple[np.ndarray, str]:
    for name in path[:-1]:
        record = record[name]
    return record, path[-1]


_Home = tuple[int, int]
#: Tensors that launches have used, by which later ones find most of theirs.
_seen: list[weakref.ref[Tensor]] = []


def _storage(tensor: Tensor) -> _Home:
    """Address and bytes of a tensor's memory."""
    storage = tensor.untyped_storage()
    return storage.data_ptr(), storage.nbytes()


def _holds(home: _Home, address: int) -> bool:
    return home[0] <= address < home[0] + max(home[1], 1)


def _homes(addresses: set[int]) -> dict[int, _Home]:
    """The memory of a living tensor on the CPU that each address lies in, if there is one."""
    found: dict[int, _Home] = {}

    def look(tensor: Tensor) -> bool:
        home = _storage(tensor)
        mine = [address for address in addresses - found.keys() if _holds(home, address)]
        found.update(dict.fromkeys(mine, home))
        return bool(mine)

    _seen[:] = [known for known in _seen if known() is not None]
    for known in _seen:
        tensor = known()
        if tensor is not None:
            look(tensor)
    for generation in range(3):  # the youngest first
        if found.keys() == addresses:
            break
        for thing in gc.get_objects(generation):
            if not issubclass(type(thing), Tensor) or thing.layout != torch.strided:
                continue
            if thing.device.type == "cpu" and look(thing):
                _seen.append(weakref.ref(thing))
    return found


class _Copy:
    """A tensor's memory between pages that cannot be touched, ending where they begin."""

    def __init__(self, library: ctypes.CDLL, address: int, count: int) -> None:
        self._library, self.address, self.count = library, address, count
        self._room = -(-count // _ALIGNMENT) * _ALIGNMENT
        self._first = library.emulator_take(ctypes.c_size_t(self._room))
        if not self._first:
            raise MemoryError("no memory for the emulation")
        page = os.sysconf("SC_PAGESIZE")
        inner = -(-self._room // page) * page or page
        self.place = self._first + inner - self._room
        self.original = ctypes.string_at(address, count)
        self._slack, self._before = self._room - count, inner - self._room

    def fill(self) -> None:
        """As the tensor was before the launch."""
        ctypes.memmove(self.place, self.original, self.count)
        ctypes.memset(self.place + self.count, 0xFF, self._slack)
        ctypes.memset(self._first, 0xFF, self._before)

    def read(self) -> bytes:
        """What the kernel left. Raises if it wrote behind the tensor."""
        if ctypes.string_at(self.place + self.count, self._slack) != b"\xff" * self._slack:
            raise EmulationError("The kernel wrote behind the end of a tensor.")
        if ctypes.string_at(self._first, self._before) != b"\xff" * self._before:
            raise EmulationError("The kernel wrote before the start of a tensor.")
        return ctypes.string_at(self.place, self.count)

    def leave(self) -> None:
        self._library.emulator_leave(ctypes.c_void_p(self._first), ctypes.c_size_t(self._room))


class Emulator:
    """Starts kernels on the CPU; see :class:`engine.kernels.launch.Runner`.

    Attributes:
        launched: the kernels that ran, in order.
    """

    def __init__(self, orders: tuple[int, ...] = ORDERS) -> None:
        self.launched: list[str] = []
        self._orders = orders

    def reaches(self, device: torch.device) -> bool:
        """Tensors of the CPU."""
        return device.type == "cpu"

    def processors(self, device: torch.device) -> int:
        """Few, so that blocks take more than one turn."""
        return 1

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
        """See :func:`engine.kernels.launch.launch`."""
        library = build(source, entry, tuple(sorted(defines.items())))
        self.launched.append(entry)
        run(library, parameters, blocks, threads, shared, self._orders)


def run(
    library: ctypes.CDLL,
    parameters: np.ndarray,
    blocks: int,
    threads: int,
    shared: int,
    orders: tuple[int, ...] = ORDERS,
) -> None:
    """Run what :func:`build` gave, in these orders.

    Raises:
        EmulationError: see the module.
    """
    if library.emulator_params_size() != parameters.dtype.itemsize:
        raise EmulationError(
            f"The source's parameters have {library.emulator_params_size()} bytes, the "
            f"launcher's {parameters.dtype.itemsize}."
        )
    record = parameters.copy()
    copies: dict[_Home, _Copy] = {}
    paths = {path: _field(record, path) for path in _pointers(parameters.dtype)}
    addresses = {path: int(holder[name]) for path, (holder, name) in paths.items()}
    homes = _homes(set(addresses.values()) - {0})
    try:
        for path, (holder, name) in paths.items():
            address = addresses[path]
            if not address:
                continue
            home = homes.get(address)
            if home is None:
                raise EmulationError(f"{'.'.join(path)} points to no living tensor.")
            if home not in copies:
                copies[home] = _Copy(library, *home)
            holder[name] = copies[home].place + address - home[0]
        results = [_run_once(library, record, blocks, threads, shared, order, copies)
                   for order in orders]  # fmt: skip
    finally:
        for copy in copies.values():
            copy.leave()
    for order, result in zip(orders, results, strict=True):
        if result != results[0]:
            raise EmulationError(
                f"Order {order} of threads gives other bits than {orders[0]}: threads use the same "
                "memory without a barrier between them."
            )
    for copy, data in zip(copies.values(), results[0], strict=True):
        ctypes.memmove(copy.address, data, copy.count)


def _run_once(
    library: ctypes.CDLL,
    record: np.ndarray,
    blocks: int,
    threads: int,
    shared: int,
    order: int,
    copies: Mapping[_Home, _Copy],
) -> list[bytes]:
    for copy in copies.values():
        copy.fill()
    message = ctypes.create_string_buffer(256)
    status = library.emulator_run(
        record.tobytes(), ctypes.c_uint(blocks), ctypes.c_uint(threads), ctypes.c_size_t(shared),
        ctypes.c_uint(order), message, ctypes.c_size_t(len(message)),
    )  # fmt: skip
    if status:
        raise EmulationError(f"{message.value.decode()} (order {order})")
    return [copy.read() for copy in copies.values()]


@contextmanager
def emulated(orders: tuple[int, ...] = ORDERS) -> Iterator[Emulator]:
    """Kernels that are launched within run on the CPU; memory that torch hands out is NaN.

    Args:
        orders: of threads and blocks; one of them suffices where a test of the kernel itself has
            compared them.
    """
    emulator = Emulator(orders)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    try:
        with launch.standing_in(emulator):
            yield emulator
    finally:
        torch.use_deterministic_algorithms(False)
