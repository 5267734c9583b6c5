"""What goes into a bundle and what stays out, each with its reason. Read by ``maquette.spec`` and by tests.

Places are relative to the bundle's inner folder and written with ``/``, on Windows too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

#: Packages of ours; all their modules go in, because commands and families are imported by name.
ROOMS = ("app", "engine")
#: Data of other packages that their code reads: package -> what of it.
DATA: dict[str, tuple[str, ...]] = {
    "font_roboto": ("**/*.ttf",),
    "open_clip": ("**/*.gz", "**/*.json"),
    # Only the cascade that finds faces roughly; the rest are sample pictures.
    "skimage": ("data/lbpcascade_frontalface_opencv.xml",),
    "trimesh": ("resources/**",),
}
#: A script that another Python runs, so that it must lie there as a file.
SCRIPTS = ("engine/training/data/photos/mediapipe_child.py",)
#: Imported by names that no analysis sees.
HIDDEN = (
    "open_clip",  # engine.text.library
    "numba._devicearray",  # from C
    "torch._dynamo",  # engine.training.gan.distributed
    "skimage.feature",
    "skimage.measure",
)

#: Modules that would be taken along because somebody imports them somewhere -> why they are not.
EXCLUDED: dict[str, str] = {
    "IPython": "notebooks",
    "matplotlib": "plots that nothing here draws",
    "pandas": "tables of other programs",
    "tensorboard": "an extra of its own",
    "torch.utils.tensorboard": "an extra of its own",
    "moderngl": "draws training heads; an extra of its own",
    "pycuda": "needs a toolkit on the machine itself",
    "hf_xet": "downloads, which nothing here does",
    "triton": "compiles for graphics cards",
    "nvidia": "CUDA's libraries; this is the bundle for processors",
    "torchaudio": "sound",
    "pytest": "tests",
    "_pytest": "tests",
    "hypothesis": "tests",
    "setuptools": "builds packages",
    "pip": "installs packages",
    "wheel": "builds packages",
    "mypy": "checks types",
    "PyInstaller": "builds bundles",
    "numba.cuda": "kernels of other programs for graphics cards",
    "numba.tests": "tests",
    "llvmlite.tests": "tests",
    "torch.testing._internal.distributed": "torch's own tests",
    "torch.testing._internal.opinfo": "torch's own tests",
    "torchvision._C": "operators that nothing here calls, built for another torch",
    "torchvision.image": "operators that nothing here calls, built for another torch",
    "lib2to3": "old Python",
    "pydoc_data": "Python's manual",
    "ensurepip": "installs packages",
    "idlelib": "an editor",
    "turtledemo": "a toy",
    "sqlite3": "a database",
    "curses": "full-screen terminals",
    "readline": "typing at Python's prompt; GPL",
    "nis": "a service of old networks",
    "ossaudiodev": "sound",
}
#: Excluded but on Windows and macOS, where it is the only file dialog that a bundle can ask for.
EXCLUDED_ON_LINUX: dict[str, str] = {"tkinter": "zenity and kdialog ask for files", "_tkinter": ""}


@dataclass(frozen=True)
class LeftOut:
    """Files that stay out.

    Attributes:
        pattern: of places, with ``*`` for anything, ``/`` too.
        reason: why nothing misses them.
    """

    pattern: str
    reason: str


LEFT_OUT = (
    LeftOut("torch/bin/*", "programs that build and test torch"),
    LeftOut("torch/test/*", "torch's own tests, compiled"),
    LeftOut("torch/include/*", "headers"),
    LeftOut("torch/share/*", "files for CMake"),
    LeftOut("torch/utils/model_dump/*", "a page for browsers"),
    LeftOut("torch/_inductor/*", "source that only compiled models are made from"),
    LeftOut("torch/*.py", "source; the modules themselves are in the archive"),
    LeftOut("torchgen/*", "generates torch's source"),
    LeftOut("torch/lib/lib*_test.so", "torch's own tests"),
    LeftOut("torch/lib/libaoti_custom_ops.so", "torch's own tests"),
    LeftOut("torch/lib/libbackend_with_compiler.so", "torch's own tests"),
    LeftOut("*.a", "static libraries"),
    LeftOut("*.lib", "static libraries"),
    LeftOut("*.pyi", "types for editors"),
    LeftOut("torchvision/*.py", "source; the modules themselves are in the archive"),
    LeftOut("timm/*.py", "source; the modules themselves are in the archive"),
    LeftOut("libgomp.so*", "torch brings its own"),
    LeftOut("libcud*", "CUDA's libraries, if the building machine has them"),
    LeftOut("libnv*", "CUDA's libraries, if the building machine has them"),
    LeftOut("torchvision/*.so", "operators that nothing here calls, built for another torch"),
    LeftOut("torchvision/*.pyd", "operators that nothing here calls"),
    LeftOut("torchvision.libs/*", "libraries of those operators, CUDA's among them"),
    LeftOut("hf_xet-*", "facts of a package that stays out; others would believe that it is there"),
    LeftOut("imageio/resources/*", "sample pictures"),
    LeftOut("numpy/*/tests/*", "tests"),
    LeftOut("scipy/*/tests/*", "tests"),
    LeftOut("sympy/*/tests/*", "tests"),
    LeftOut("networkx/*/tests/*", "tests"),
    LeftOut("skimage/*/tests/*", "tests"),
)
#: What stays all the same. skimage finds its modules through ``.pyi`` files, torch reads the comments in its
#: configuration and the source of overloaded functions, and starts one program of its own.
WANTED = (
    "skimage/*.pyi",
    "torch/bin/torch_shm_manager*",
    "torch/*config.py",
    "torch/_inductor/config_comms.py",
    "torch/functional.py",
    "torch/nn/functional.py",
    "torch/nn/modules/rnn.py",
    "torchvision/models/densenet.py",
)

#: Libraries of a Linux system that the bundle does not bring, because another version of them would stand in
#: the way of the graphics driver, or because they belong to the machine.
SYSTEM_LIBRARIES = re.compile(
    r"^(lib(stdc\+\+|gcc_s|c|m|mvec|dl|rt|pthread|util|resolv|nsl|GL|GLX|OpenGL|EGL|GLdispatch|drm|gbm|X11|X11-xcb|Xext"
    r"|Xrandr|Xi|Xcursor|Xinerama|Xrender|Xfixes|Xau|Xdmcp|xcb[\w-]*|bsd|md|cuda|nvidia[\w-]*)\.so[\d.]*"
    r"|ld-linux[\w-]*\.so[\d.]*)$"
)


def why_left_out(place: str) -> str | None:
    """Why a file stays out of the bundle; ``None`` if it belongs there.

    Args:
        place: where it would lie.
    """
    if "/" not in place and SYSTEM_LIBRARIES.match(place):
        return "the machine's own"
    if any(fnmatchcase(place, pattern) for pattern in WANTED):
        return None
    return next((one.reason for one in LEFT_OUT if fnmatchcase(place, one.pattern)), None)


def excluded_modules(platform: str) -> list[str]:
    """Modules to exclude.

    Args:
        platform: as ``sys.platform`` has it.
    """
    return [*EXCLUDED, *(EXCLUDED_ON_LINUX if platform.startswith("linux") else ())]
