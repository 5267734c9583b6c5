"""The Python that MediaPipe lives in: a virtual environment beside ours, or one that a person names.

MediaPipe 0.10.21 is the last whose wheel brings the models of faces along, so that nothing is
downloaded when it runs. It pins numpy below 2, which is why it gets an environment of its own.
Nothing here installs by itself: :func:`install` is called when somebody asks for it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

from engine.errors import Cancelled, UserError
from engine.frozen import environment, is_frozen
from engine.places import user_folder

#: Names a Python with MediaPipe, before any other is looked for.
VARIABLE = "MAQUETTE_PHOTOS_PYTHON"
#: What goes into the environment: MediaPipe and what finding faces needs of its requirements (not
#: JAX, sound and sentences, which are two thirds of the size), with OpenCV's build without windows.
PACKAGES = (
    "mediapipe==0.10.21", "absl-py==2.5.1", "attrs==26.1.0", "contourpy==1.3.3", "cycler==0.12.1",
    "flatbuffers==25.12.19", "fonttools==4.68.0", "kiwisolver==1.5.1", "matplotlib==3.11.2",
    "numpy==1.26.4", "opencv-contrib-python-headless==4.11.0.86", "packaging==26.3",
    "pillow==13.0.0", "protobuf==4.25.9", "pyparsing==3.3.3", "python-dateutil==4.0.0",
)  # fmt: skip
#: Versions of Python that MediaPipe 0.10.21 and these packages were built for.
_PYTHONS = ((3, 11), (3, 12))
_INSTALL_SECONDS = 3600
_ASK_SECONDS = 60
#: Between two looks at whether it was cancelled.
_LOOK_SECONDS = 0.2

#: What :func:`install` fetches, in the words of a question.
WHAT = (
    "Fetches MediaPipe 0.10.21 and what it needs with pip, about 120 MB, into a Python environment "
    "of its own (about 430 MB on the disk). Nothing else is changed."
)
HOW_TO = (
    "`maquette prepare --install-finder` installs MediaPipe in an environment of its own (about "
    f"430 MB), or set {VARIABLE} to a Python that has mediapipe 0.10.21"
)


def own_folder() -> Path:
    """Where the environment is made."""
    return user_folder("data") / "photos-python"


def _python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def find_python(named: str | None = None) -> Path | None:
    """A Python that has MediaPipe: the one that is named, else that of :data:`VARIABLE`, else our
    own environment's; ``None`` where there is none.

    Raises:
        UserError: one is named and is not there, or has no MediaPipe.
    """
    for given, origin in ((named, "--finder-python"), (os.environ.get(VARIABLE), VARIABLE)):
        if not given:
            continue
        path = shutil.which(given) or given
        if not Path(path).is_file():
            raise UserError(f"There is no Python at {given}, which {origin} names; check the path.")
        if not has_mediapipe(Path(path)):
            raise UserError(
                f"The Python {given}, which {origin} names, has no MediaPipe; install "
                "mediapipe==0.10.21 there."
            )
        return Path(path)
    own = _python_of(own_folder())
    return own if own.is_file() and has_mediapipe(own) else None


def has_mediapipe(python: Path) -> bool:
    """Whether it is installed there; imports nothing of it."""
    code = "import importlib.util as u, sys; sys.exit(u.find_spec('mediapipe') is None)"
    return _run([str(python), "-c", code], _ASK_SECONDS, quiet=True) == 0


def install(
    say: Callable[[str], None],
    folder: Path | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """Make the environment and install MediaPipe in it, from the package index that pip is set to.

    Returns:
        its Python.

    Raises:
        UserError: no fitting Python is there, or the installation failed; nothing is left then.
        Cancelled: ``cancelled`` said so; nothing is left then, either.
    """
    folder = folder or own_folder()
    base = _base_python()
    fresh = folder.with_name(folder.name + "-new")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        say(f"Making an environment in {folder} ...")
        if Path(sys.executable) == base:
            venv.create(fresh, with_pip=True)
        elif _run([str(base), "-m", "venv", str(fresh)], _INSTALL_SECONDS, cancelled):
            raise UserError(f"{base} cannot make virtual environments; install its venv package.")
        say("Installing MediaPipe 0.10.21 (about 120 MB to fetch) ...")
        pip = [str(_python_of(fresh)), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
        if _run([*pip, "--no-deps", *PACKAGES], _INSTALL_SECONDS, cancelled):
            raise UserError(
                "MediaPipe could not be installed (what pip said stands in the terminal); check the network, "
                f"or set {VARIABLE} to a Python that has it."
            )
        shutil.rmtree(folder, ignore_errors=True)
        # An environment's scripts know where they lie, but its Python finds itself anywhere.
        fresh.rename(folder)
    except OSError as error:
        raise UserError(f"The environment {folder} cannot be made ({error}).") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return _python_of(folder)


def _base_python() -> Path:
    """A Python of a fitting version.

    Raises:
        UserError: there is none.
    """
    # A bundle's Python cannot make environments.
    if sys.version_info[:2] in _PYTHONS and not is_frozen():
        return Path(sys.executable)
    for major, minor in _PYTHONS:
        if found := shutil.which(f"python{major}.{minor}"):
            return Path(found)
    raise UserError(
        "MediaPipe 0.10.21 needs Python 3.11 or 3.12, which was not found; install one, or give "
        "eyes and mouths by hand."
    )


def _run(
    words: list[str],
    seconds: float,
    cancelled: Callable[[], bool] | None = None,
    quiet: bool = False,
) -> int:
    """Exit status; not 0 if it cannot be started or takes too long. What it prints is seen unless it is to
    be quiet.

    Raises:
        Cancelled: ``cancelled`` said so; it has ended then.
    """
    end = time.monotonic() + seconds
    try:
        said = subprocess.DEVNULL if quiet else None
        with subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment()
        ) as process:
            try:
                while time.monotonic() < end:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        return process.wait(_LOOK_SECONDS)
                    if cancelled is not None and cancelled():
                        raise Cancelled
            finally:
                process.kill()
    except OSError:
        return 1
    return 1
