"""What Maquette needs of a machine, looked at piece by piece: ``maquette doctor``.

The engine's looks stand in :mod:`engine.health`, those of the window and of what is remembered here. None
changes anything, but for a file that is written and removed to see whether a folder can be written, and for
damaged settings, which are set aside as the window sets them aside.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from app import opengl, settings
from app.display import require_display, screen_size
from engine import health
from engine.errors import UserError
from engine.frozen import is_frozen
from engine.health import Line
from engine.places import NO_HOME

#: Bytes: below the first something fails soon, below the second it is worth a word.
SCARCE_DISK, LITTLE_DISK = 200 * 2**20, 2 * 2**30


_UNWRITABLE = "mend its owner or permissions, or set MAQUETTE_CONFIG_DIR to another folder"
_HOMELESS = "set HOME, or MAQUETTE_CONFIG_DIR to a folder that can be written"
_FULL = {os.strerror(number).lower() for number in (errno.ENOSPC, errno.EDQUOT)}


def examine() -> Iterator[Line]:
    """All looks, one after the other. A look that itself fails is a fault of its own, not the end."""
    for look in LOOKS:
        try:
            yield look()
        except UserError as error:
            yield Line(_subject(look), "fault", str(error))
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            yield Line(_subject(look), "fault", f"{type(error).__name__}: {text}", health.AGAIN)


def _subject(look: Callable[[], Line]) -> str:
    return look.__name__.replace("_", " ").strip().capitalize()


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


def window() -> Line:
    """The toolkit that the window is made of: a library that it needs may be missing."""
    try:
        importlib.import_module("dearpygui.dearpygui")
    except ImportError as error:
        text = " ".join(str(error).split())[:200]
        return Line(
            "Window", "fault", f"Dear PyGui cannot be imported ({text})",
            "install libgl1 (Debian's name), or pip install --force-reinstall dearpygui",
        )  # fmt: skip
    return Line("Window", "ok", f"Dear PyGui {metadata.version('dearpygui')}")


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


def folders() -> Line:
    """Where Maquette writes: whether it can, and how much room there is."""
    from engine.kernels.compile import cache_folder as kernels

    wanted = [
        settings.config_folder(), settings.state_folder(), settings.cache_folder(),
        settings.log_folder(), kernels(),
    ]  # fmt: skip
    try:
        wanted.append(Path(tempfile.gettempdir()))
    except FileNotFoundError:
        return Line(
            "Folders", "fault", "no folder for temporary files can be written",
            "free some space in /tmp, or set TMPDIR to a folder that can be written",
        )  # fmt: skip
    least, where = sys.maxsize, wanted[0]
    for folder in wanted:
        reason = _unwritable(folder)
        if reason:
            found, advice = f"{folder} cannot be written ({reason})", _UNWRITABLE
            if reason in _FULL:
                advice = "free some space on that disk, or set MAQUETTE_CONFIG_DIR to a folder on another"
            elif folder.is_relative_to(NO_HOME):
                found, advice = "there is no home folder: HOME is not set", _HOMELESS
            return Line("Folders", "fault", found, advice)
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
    if is_frozen():
        # Nothing can be installed into a bundle; MediaPipe gets a Python of its own.
        missing = [name for name in missing if name != "TensorBoard"]
    if not missing:
        return Line("Extras", "ok", there)
    advice = "; ".join(f"{name}, {wanted[name]}" for name in missing)
    return Line("Extras", "note", there, f"can be added: {advice}")


LOOKS: tuple[Callable[[], Line], ...] = (
    *health.LOOKS, display, graphics, window, fonts, remembered, folders, extras,
)  # fmt: skip
