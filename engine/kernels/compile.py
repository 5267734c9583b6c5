"""CUDA sources to machine code, by NVRTC, with a cache on disk.

NVRTC is NVIDIA's run-time compiler. It is one shared library that needs no GPU and no other
toolkit: torch's CUDA builds bring it, and so does the ``nvidia-cuda-nvrtc`` package. Its
interface is a dozen C functions, called here by ctypes.

Nothing here imports torch or touches a GPU.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from engine.assets import data_dir
from engine.places import user_folder

_log = logging.getLogger(__name__)

#: First bytes of a cached kernel; the rest is the SHA-256 of the code, then the code.
_MAGIC = b"MQKERN1\n"
#: Options of every compilation.
BASE_OPTIONS = ("--std=c++17",)
_INCLUDE = re.compile(r'^\s*#include\s+"([^"]+)"', re.MULTILINE)


class NvrtcMissing(RuntimeError):
    """No NVRTC library was found on this machine."""


class CompileError(RuntimeError):
    """A CUDA source did not compile; the message holds the compiler's log."""


# ------------------------------------------------------------------ finding the library


def _site_folders() -> Iterator[Path]:
    """Folders of the installed ``nvidia`` wheels and of torch that may hold NVRTC."""
    for package in ("nvidia", "torch"):
        # find_spec of a top-level name looks it up without importing it.
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec is not None else []:
            root = Path(place)
            if package == "torch":
                yield root / "lib"
            else:
                for child in sorted(root.glob("cu[0-9]*"), reverse=True):
                    yield from (child / "lib", child / "bin", child / "bin" / "x86_64")
                yield from (root / "cuda_nvrtc" / "lib", root / "cuda_nvrtc" / "bin")


def _toolkit_folders() -> Iterator[Path]:
    for variable in ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"):
        value = os.environ.get(variable)
        if value:
            yield from (Path(value) / part for part in ("lib64", "lib", "bin", "bin/x64"))
    yield from (Path("/usr/local/cuda/lib64"), Path("/usr/lib/x86_64-linux-gnu"))


def _candidates(major: int | None) -> list[str]:
    """Library files to try, best first: those of CUDA ``major`` (torch's) before others."""
    pattern = "nvrtc64_*.dll" if sys.platform == "win32" else "libnvrtc.so*"
    found: list[str] = []
    for folder in (*_site_folders(), *_toolkit_folders()):
        if folder.is_dir():
            names = sorted(folder.glob(pattern), reverse=True)
            found += [str(name) for name in names if ".alt." not in name.name]
    found += [f"libnvrtc.so.{number}" for number in (13, 12)] if sys.platform != "win32" else []
    found = list(dict.fromkeys(found))
    if major is not None:
        wanted = re.compile(rf"libnvrtc\.so\.{major}(\.|$)|nvrtc64_{major}")
        found.sort(key=lambda name: wanted.search(name) is None)
    return found


class Nvrtc:
    """One loaded NVRTC library.

    Attributes:
        path: the file (or system name) it was loaded from.
        version: ``(major, minor)`` of the CUDA release it belongs to.
        architectures: compute capabilities it compiles for, ascending, ``90`` for sm_90.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._library = ctypes.CDLL(path)
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = (major.value, minor.value)
        count = ctypes.c_int()
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        archs = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", archs)
        self.architectures = tuple(sorted(archs))

    def _call(self, name: str, *arguments: object) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            text = self._library.nvrtcGetErrorString(status)
            raise CompileError(f"{name}: {text.decode() if text else status}")

    def _text(self, kind: str, program: ctypes.c_void_p) -> bytes:
        """The result named ``kind`` (``PTX``, ``CUBIN``, ``ProgramLog``) of a program."""
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{kind}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(max(1, size.value))
        self._call(f"nvrtcGet{kind}", program, buffer)
        return buffer.raw[: size.value]

    def compile(
        self, source: str, name: str, headers: Mapping[str, str], options: Sequence[str]
    ) -> tuple[bytes, str]:
        """Compile one source held in memory.

        Args:
            source: CUDA C++.
            name: file name for messages.
            headers: include name -> text of every header that may be included.
            options: compiler options. With ``--gpu-architecture=sm_NN`` the result is machine
                code (cubin), with ``compute_NN`` it is PTX.

        Returns:
            the code, and the compiler's log (empty where it had nothing to say).

        Raises:
            CompileError: with the log.
        """
        program = ctypes.c_void_p()
        names = (ctypes.c_char_p * len(headers))(*[key.encode() for key in headers])
        texts = (ctypes.c_char_p * len(headers))(*[text.encode() for text in headers.values()])
        self._call(
            "nvrtcCreateProgram", ctypes.byref(program), source.encode(), name.encode(),
            len(headers), texts, names,
        )  # fmt: skip
        try:
            encoded = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
            status = self._library.nvrtcCompileProgram(program, len(options), encoded)
            log = self._text("ProgramLog", program).rstrip(b"\0\n ").decode(errors="replace")
            if status != 0:
                raise CompileError(f"{name} does not compile:\n{log}")
            machine = any("architecture=sm_" in option for option in options)
            return self._text("CUBIN" if machine else "PTX", program), log
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))


@cache
def load_nvrtc(major: int | None = None) -> Nvrtc:
    """The best NVRTC on this machine.

    Args:
        major: CUDA release to prefer, torch's own (code of a newer release may not load in
            an older driver).

    Raises:
        NvrtcMissing: there is none, or none of those found can be loaded.
    """
    problems = []
    for path in _candidates(major):
        try:
            return Nvrtc(path)
        except (OSError, AttributeError, CompileError) as error:
            problems.append(f"{path}: {error}")
    _log.debug("NVRTC candidates that failed: %s", problems)
    raise NvrtcMissing("NVIDIA's run-time compiler (NVRTC) was not found")


# ------------------------------------------------------------------ sources


def source_files() -> list[Path]:
    """Every ``.cu`` file of this installation."""
    return sorted(data_dir("cuda").glob("*.cu"))


def read_source(name: str) -> tuple[str, dict[str, str]]:
    """A source and all headers that it includes, directly or not.

    Args:
        name: file name in ``cuda/``, ``"march.cu"``.

    Returns:
        its text, and include name -> text, sorted by name.
    """
    folder = data_dir("cuda")
    text = (folder / name).read_text(encoding="utf-8")
    headers: dict[str, str] = {}
    waiting = _INCLUDE.findall(text)
    while waiting:
        header = waiting.pop()
        if header not in headers:
            headers[header] = (folder / header).read_text(encoding="utf-8")
            waiting += _INCLUDE.findall(headers[header])
    return text, dict(sorted(headers.items()))


def architecture_for(capability: int, known: Sequence[int]) -> str:
    """What to compile for a GPU of ``capability`` (``90`` for 9.0).

    Machine code where the compiler knows the GPU, else PTX of the newest known generation
    before it, which the driver compiles further.

    Raises:
        CompileError: the compiler knows only later generations.
    """
    if capability in known:
        return f"sm_{capability}"
    older = [arch for arch in known if arch < capability]
    if not older:
        raise CompileError(
            f"GPUs of compute capability {capability / 10:.1f} are too old for this NVRTC"
        )
    return f"compute_{max(older)}"


# ------------------------------------------------------------------ the cache


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``MAQUETTE_KERNEL_CACHE``, or the user's cache folder."""
    override = os.environ.get("MAQUETTE_KERNEL_CACHE")
    return Path(override) if override else user_folder("cache") / "kernels"


def _key(
    text: str, headers: Mapping[str, str], options: Sequence[str], version: tuple[int, int]
) -> str:
    digest = hashlib.sha256()
    for part in (
        *options,
        f"nvrtc {version}",
        text,
        *(x for pair in headers.items() for x in pair),
    ):
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _read_cached(path: Path) -> bytes | None:
    """The code in a cache file, or ``None`` where it is absent or damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + 32
    code = data[start:]
    if data[: len(_MAGIC)] != _MAGIC or hashlib.sha256(code).digest() != data[len(_MAGIC) : start]:
        _log.warning("The cached kernel %s is damaged; it is compiled again.", path.name)
        return None
    return code


def _write_cached(path: Path, code: bytes) -> None:
    """Write beside and rename, so that no reader ever sees half a file. A cache that cannot be
    written (read-only home, full disk) costs a compilation next time and nothing else."""
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + hashlib.sha256(code).digest() + code)
        Path(temporary).replace(path)
    except OSError as error:
        _log.info("The kernel cache cannot be written: %s", error)
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def compile_kernel(
    name: str,
    architecture: str,
    defines: Mapping[str, int] | None = None,
    nvrtc: Nvrtc | None = None,
) -> bytes:
    """One source as machine code (or PTX), from the cache where it was compiled before.

    Args:
        name: file name in ``cuda/``, ``"march.cu"``.
        architecture: ``"sm_90"`` for machine code, ``"compute_90"`` for PTX.
        defines: macro -> value; see ``cuda/common.cuh``.
        nvrtc: the compiler; the best one on this machine by default.

    Raises:
        NvrtcMissing: no compiler.
        CompileError: with the compiler's log.
    """
    compiler = nvrtc if nvrtc is not None else load_nvrtc()
    text, headers = read_source(name)
    options = [f"--gpu-architecture={architecture}", *BASE_OPTIONS]
    options += [f"-D{macro}={value}" for macro, value in sorted((defines or {}).items())]
    path = cache_folder() / (
        f"{Path(name).stem}-{architecture}-{_key(text, headers, options, compiler.version)[:40]}.bin"
    )
    code = _read_cached(path)
    if code is None:
        code, log = compiler.compile(text, name, headers, options)
        if log:
            _log.warning("%s: %s", name, log)
        _write_cached(path, code)
    return code
