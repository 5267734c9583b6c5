"""What Maquette needs of a machine, looked at piece by piece: ``maquette doctor``.

Each look answers one :class:`Line`. None changes anything but for a file that is written and removed to see
whether a folder can be written.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from app import opengl, settings
from app.display import require_display, screen_size
from engine.assets import asset, shipped_generators
from engine.errors import UserError

#: ``ok``; ``note``: works, but something could be had; ``fault``: something does not work.
State = Literal["ok", "note", "fault"]

OLDEST_PYTHON, OLDEST_TORCH = (3, 11), (2, 8)
#: Bytes: below the first something fails soon, below the second it is worth a word.
SCARCE_DISK, LITTLE_DISK = 200 * 2**20, 2 * 2**30
SCARCE_MEMORY, LITTLE_MEMORY = 2**30, 3 * 2**30
_INSTALL = "run `make setup` in the checkout, or `pip install --force-reinstall maquette`"


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


def examine() -> Iterator[Line]:
    """All looks, one after the other. A look that itself fails is a fault of its own, not the end."""
    for look in LOOKS:
        try:
            yield look()
        except UserError as error:
            yield Line(_subject(look), "fault", str(error))
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            yield Line(_subject(look), "fault", f"{type(error).__name__}: {text}", _INSTALL)


def _subject(look: Callable[[], Line]) -> str:
    return look.__name__.replace("_", " ").strip().capitalize()


def python() -> Line:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Line("Python", "fault", found, "install Python 3.11 or newer")
    if sys.maxsize < 2**32:
        return Line("Python", "fault", f"{found}, 32 bits", "install a Python of 64 bits")
    return Line("Python", "ok", found)


def packages() -> Line:
    missing = []
    wanted = metadata.requires("maquette") or []
    for requirement in wanted:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0]
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Line("Packages", "fault", f"missing: {', '.join(missing)}", _INSTALL)
    return Line("Packages", "ok", "all that Maquette needs are installed")


def torch() -> Line:
    import torch as library

    found = f"{library.__version__}, {library.get_num_threads()} threads"
    numbers = tuple(int(part) for part in re.findall(r"\d+", library.__version__)[:2])
    if numbers < OLDEST_TORCH:
        return Line("torch", "fault", found, "install torch 2.8 or newer")
    return Line("torch", "ok", found)


def march() -> Line:
    if os.environ.get("MAQUETTE_KERNELS") == "0":
        advice = "unset MAQUETTE_KERNELS to draw several times as fast"
        return Line("Compiled march", "note", "turned off (MAQUETTE_KERNELS=0)", advice)
    importlib.import_module("engine.kernels.cpu")
    return Line("Compiled march", "ok", f"numba {metadata.version('numba')}")


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
    if importlib.util.find_spec("pycuda") is not None:
        return Line("PyCUDA", "ok", metadata.version("pycuda"))
    if _nvidia_driver() is None:
        return Line("PyCUDA", "note", "not installed; without a GPU none is needed")
    return Line(
        "PyCUDA", "note", "not installed: torch alone draws on the GPU",
        "pip install 'maquette[cuda]' (needs NVIDIA's toolkit and a C++ compiler) for the kernels",
    )  # fmt: skip


def display() -> Line:
    try:
        require_display()
    except UserError as error:
        return Line("Display", "fault", "none that answers", str(error))
    size = screen_size()
    words = (os.environ.get("DISPLAY", ""), f"{size[0]} x {size[1]}" if size else "")
    return Line("Display", "ok", " ".join(word for word in words if word))


def graphics() -> Line:
    """OpenGL as the window will meet it."""
    if not sys.platform.startswith("linux"):
        return Line("OpenGL", "note", "not looked at on this system")
    if not os.environ.get("DISPLAY"):
        return Line("OpenGL", "note", "not looked at, for want of a display")
    facts = opengl.facts()
    if "problem" in facts:
        return Line(
            "OpenGL", "fault", facts["problem"],
            "install libgl1 and libglx-mesa0 (Debian's names), or the graphics card's driver",
        )  # fmt: skip
    found = f"{facts['version']}, {facts['renderer']}"
    if opengl.number(facts["version"]) < opengl.OLDEST:
        return Line(
            "OpenGL", "fault", found, "the window needs OpenGL 3: update the graphics driver"
        )
    return Line("OpenGL", "ok", found)


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


def fonts() -> Line:
    spec = importlib.util.find_spec("font_roboto")
    folder = Path(spec.origin).parent / "files" if spec and spec.origin else Path()
    missing = [n for n in ("Roboto-Regular.ttf", "Roboto-Medium.ttf") if not (folder / n).is_file()]
    if missing:
        return Line(
            "Fonts",
            "fault",
            f"missing: {', '.join(missing)}",
            "pip install --force-reinstall font-roboto",
        )
    return Line("Fonts", "ok", f"Roboto in {folder}")


def models() -> Line:
    """What ships."""
    from engine.text.encoder import BUNDLED

    shipped = shipped_generators()
    if not shipped:
        return Line("Bundled models", "fault", "none is here", _INSTALL)
    asset(BUNDLED)
    return Line(
        "Bundled models", "ok", f"{', '.join(one.key for one in shipped)} and a text encoder"
    )


def remembered() -> Line:
    """The settings file; reading it sets a damaged one aside, as the window would."""
    path = settings.settings_path()
    if not path.exists():
        return Line("Settings", "ok", f"none yet ({path})")
    loaded = settings.load_settings(path)
    if loaded.notice:
        return Line("Settings", "note", loaded.notice)
    encoder = loaded.settings.text_encoder
    if encoder:
        from engine.text.spec import find_spec

        find_spec(encoder)
    return Line("Settings", "ok", str(path))


def memory() -> Line:
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


def folders() -> Line:
    """Where Maquette writes: whether it can, and how much room there is."""
    from engine.kernels.compile import cache_folder as kernels

    wanted = (
        settings.config_folder(), settings.state_folder(), settings.cache_folder(),
        settings.log_folder(), kernels(), Path(tempfile.gettempdir()),
    )  # fmt: skip
    least, where = sys.maxsize, wanted[0]
    for folder in wanted:
        reason = _unwritable(folder)
        if reason:
            return Line(
                "Folders", "fault", f"{folder} cannot be written ({reason})",
                "mend its owner or permissions, or set MAQUETTE_CONFIG_DIR to another folder",
            )  # fmt: skip
        room = shutil.disk_usage(_standing(folder)).free
        if room < least:
            least, where = room, folder
    found = f"can be written; {least / 2**30:.1f} GiB free at {where}"
    if least < SCARCE_DISK:
        return Line("Folders", "fault", found, "free some space on that disk")
    if least < LITTLE_DISK:
        return Line("Folders", "note", found, "enough for now; videos and training runs need more")
    return Line("Folders", "ok", found)


def _standing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _unwritable(folder: Path) -> str:
    """Why nothing can be written in a folder, or made where it would be; empty if it can."""
    there = _standing(folder)
    if not there.is_dir():
        return f"{there} is no folder"
    try:
        with tempfile.TemporaryFile(prefix=".maquette-", dir=there) as stream:
            stream.write(b"x")
    except OSError as error:
        return (error.strerror or type(error).__name__).lower()
    return ""


def extras() -> Line:
    """What can be added."""
    from engine.training.data.photos.environment import HOW_TO, find_python

    wanted = {
        "TensorBoard": "for curves of training: pip install 'maquette[tensorboard]'",
        "MediaPipe": f"to find faces in photographs: {HOW_TO}",
    }
    here = {
        "TensorBoard": importlib.util.find_spec("tensorboard") is not None,
        "MediaPipe": find_python() is not None,
    }
    there = ", ".join(name for name in wanted if here[name]) or "none"
    missing = [name for name in wanted if not here[name]]
    if not missing:
        return Line("Extras", "ok", there)
    advice = "; ".join(f"{name}, {wanted[name]}" for name in missing)
    return Line("Extras", "note", there, f"can be added: {advice}")


LOOKS: tuple[Callable[[], Line], ...] = (
    python, packages, torch, march, driver, toolkit, pycuda, memory, display, graphics, video, fonts,
    models, remembered, folders, extras,
)  # fmt: skip
