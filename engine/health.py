"""What the engine needs of a machine, looked at piece by piece (for ``maquette doctor``)."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from engine.assets import asset, shipped_generators
from engine.frozen import is_frozen

#: ``ok``; ``note``: works, but something could be had; ``fault``: something does not work.
State = Literal["ok", "note", "fault"]

OLDEST_PYTHON, OLDEST_TORCH = (3, 11), (2, 8)
#: Bytes: below the first drawing fails soon, below the second training does.
SCARCE_MEMORY, LITTLE_MEMORY = 2**30, 3 * 2**30
AGAIN = (
    "the bundle is damaged: get it again"
    if is_frozen()
    else "run `make setup` in the checkout, or `pip install --force-reinstall maquette`"
)


@dataclass(frozen=True)
class Line:
    """What one look found.

    Attributes:
        subject: of what, a word or two.
        state: see :data:`State`.
        found: what there is, no sentence.
        advice: what to do; empty where nothing needs to be done.
    """

    subject: str
    state: State
    found: str
    advice: str = ""


def python() -> Line:
    """Whether this Python is new enough."""
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Line("Python", "fault", found, "install Python 3.11 or newer")
    if sys.maxsize < 2**32:
        return Line("Python", "fault", f"{found}, 32 bits", "install a Python of 64 bits")
    return Line("Python", "ok", found)


#: What is imported of a package, where that is not its name. Only looked for are those that take seconds, and the
#: window's toolkit, which is no concern of the engine.
_MODULES = {
    "pillow": "PIL.Image",
    "safetensors": "safetensors.torch",
    "scikit-image": "skimage.measure",
    "dearpygui": "",
    "open_clip_torch": "",
    "torchmetrics": "",
}


def packages() -> Line:
    """Whether everything that Maquette imports is installed, and can be imported."""
    missing, broken = [], []
    wanted = metadata.requires("maquette") or []
    for requirement in wanted:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0]
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if module := _MODULES.get(name, name.replace("-", "_")):
            try:
                importlib.import_module(module)
            except Exception as error:
                text = " ".join(str(error).split())[:120]
                broken.append(f"{name} ({text or type(error).__name__})")
    if missing:
        return Line("Packages", "fault", f"missing: {', '.join(missing)}", AGAIN)
    if broken:
        return Line("Packages", "fault", f"cannot be imported: {', '.join(broken)}", AGAIN)
    return Line("Packages", "ok", "all that Maquette needs are installed")


def torch() -> Line:
    """Which torch there is, and whether it is new enough."""
    import torch as library

    found = f"{library.__version__}, {library.get_num_threads()} threads"
    numbers = tuple(int(part) for part in re.findall(r"\d+", library.__version__)[:2])
    if numbers < OLDEST_TORCH:
        return Line("torch", "fault", found, "install torch 2.8 or newer")
    return Line("torch", "ok", found)


def march() -> Line:
    """Whether volumes are drawn by compiled code on the processor."""
    if os.environ.get("MAQUETTE_KERNELS") == "0":
        advice = "unset MAQUETTE_KERNELS to draw several times as fast"
        return Line("Compiled march", "note", "turned off (MAQUETTE_KERNELS=0)", advice)
    from engine.kernels import cpu_march
    from engine.kernels.kept import place

    found = f"numba {metadata.version('numba')}"
    if place(cpu_march.evaluate_points) is None:
        return Line(
            "Compiled march", "note", f"{found}; nothing compiled can be kept, so that each start takes half a minute",
            "let NUMBA_CACHE_DIR name a folder that can be written",
        )  # fmt: skip
    return Line("Compiled march", "ok", found)


def driver() -> Line:
    """NVIDIA's driver, and whether torch reaches it."""
    import torch as library

    there = _nvidia_driver()
    if library.cuda.is_available():
        cards = []
        for index in range(library.cuda.device_count()):
            facts = library.cuda.get_device_properties(index)
            cards.append(f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB")
        release = f"driver {there}, " if there else ""
        return Line("CUDA driver", "ok", f"{release}{'; '.join(cards)}")
    if there is None:
        return Line("CUDA driver", "note", "no NVIDIA GPU: the processor draws")
    built = library.version.cuda
    if built is None:
        return Line(
            "CUDA driver", "note", f"driver {there}, but this torch is built without CUDA",
            "install torch's build for CUDA to draw on the GPU",
        )  # fmt: skip
    return Line(
        "CUDA driver", "fault", f"driver {there}, which torch's CUDA {built} cannot use",
        "update NVIDIA's driver, or install a torch for an older CUDA",
    )  # fmt: skip


def _nvidia_driver() -> str | None:
    """Version of the kernel's driver; ``None`` where there is none."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        try:
            ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        except OSError:
            return None
        return "of an unknown version"
    found = re.search(r"\b(\d+\.\d+(?:\.\d+)?)\b", text)
    return found.group(1) if found else "of an unknown version"


def toolkit() -> Line:
    """NVRTC, which compiles the kernels."""
    from engine.kernels.compile import NvrtcMissing, load_nvrtc

    try:
        compiler = load_nvrtc()
    except NvrtcMissing:
        if _nvidia_driver() is None:
            return Line(
                "CUDA compiler", "note", "NVRTC is not installed; without a GPU none is needed"
            )
        return Line(
            "CUDA compiler", "note", "NVRTC was not found: torch alone draws on the GPU",
            "pip install nvidia-cuda-nvrtc",
        )  # fmt: skip
    return Line("CUDA compiler", "ok", "NVRTC {}.{}".format(*compiler.version))


def pycuda() -> Line:
    """Whether Maquette's own kernels can be started."""
    if importlib.util.find_spec("pycuda") is not None:
        release = metadata.version("pycuda")
        try:
            importlib.import_module("pycuda.driver")
        except ImportError as error:
            if _nvidia_driver() is None:
                return Line("PyCUDA", "note", f"{release}; without a GPU none is needed")
            return Line(
                "PyCUDA", "fault", f"{release}, which cannot be imported ({' '.join(str(error).split())[:120]})",
                "pip install --force-reinstall --no-cache-dir pycuda, which builds it for this toolkit",
            )  # fmt: skip
        from engine.kernels.broken import marks

        if left := marks():
            return Line(
                "PyCUDA", "note", f"{release}; {len(left)} kernels have broken the GPU, and are left out until they change",
                f"delete {left[0].parent}/broken-*.txt to have them tried again",
            )  # fmt: skip
        return Line("PyCUDA", "ok", release)
    if _nvidia_driver() is None:
        return Line("PyCUDA", "note", "not installed; without a GPU none is needed")
    return Line(
        "PyCUDA", "note", "not installed: torch alone draws on the GPU",
        "pip install 'maquette[cuda]' (needs NVIDIA's toolkit and a C++ compiler) for the kernels",
    )  # fmt: skip


def memory() -> Line:
    """How much memory is free."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    free = _free_memory()
    if free is None:
        return Line("Memory", "note", f"not known here; {cores} cores")
    found = f"{free / 2**30:.1f} GiB free, {cores} cores"
    if free < SCARCE_MEMORY:
        return Line("Memory", "fault", found, "close other programs: drawing needs about 1 GiB")
    if free < LITTLE_MEMORY:
        return Line("Memory", "note", found, "enough to draw; training wants 3 GiB")
    return Line("Memory", "ok", found)


def _free_memory() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


def video() -> Line:
    """FFmpeg's libraries, which PyAV brings."""
    import av

    found = f"{getattr(av, 'ffmpeg_version_info', '') or 'FFmpeg'} in PyAV {av.__version__}"
    missing = [name for name in ("libx264", "gif") if name not in av.codecs_available]
    if missing:
        return Line(
            "FFmpeg",
            "fault",
            f"{found}, without {', '.join(missing)}",
            "pip install --force-reinstall av",
        )
    return Line("FFmpeg", "ok", found)


def models() -> Line:
    """What ships."""
    from engine.text.encoder import BUNDLED

    shipped = shipped_generators()
    if not shipped:
        return Line("Bundled models", "fault", "none is here", AGAIN)
    asset(BUNDLED)
    return Line(
        "Bundled models", "ok", f"{', '.join(one.key for one in shipped)} and a text encoder"
    )


LOOKS: tuple[Callable[[], Line], ...] = (
    python, packages, torch, march, driver, toolkit, pycuda, memory, video, models,
)  # fmt: skip
