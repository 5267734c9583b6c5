"""Maquette in the desktop's menu, and projects that open with a double click.

Files of the freedesktop.org specifications in the user's own data folder (``$XDG_DATA_HOME``): a desktop
entry, its icons and a MIME type. Nothing is written for other users.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.assets import asset, data_dir
from engine.errors import UserError
from engine.export.files import make_folder, write_bytes
from engine.frozen import environment, is_frozen
from engine.places import home

ENTRY = Path("applications/maquette.desktop")
MIME = Path("mime/packages/maquette.xml")
_ICON = re.compile(r"maquette-(\d+)\.png")
#: What makes desktops look again, where it is installed: a program and its folder.
_DATABASES = (
    ("update-desktop-database", "applications"),
    ("update-mime-database", "mime"),
    ("gtk-update-icon-cache", "icons/hicolor"),
)
_SECONDS = 60


def data_home(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's data folder."""
    given = environment.get("XDG_DATA_HOME", "")
    # The specification says that what is no absolute path does not count.
    return Path(given) if Path(given).is_absolute() else home() / ".local" / "share"


def add(program: Path, folder: Path) -> list[Path]:
    """Write entry, icons and MIME type, over those of before.

    Args:
        program: the console script that the menu starts.
        folder: data folder, see :func:`data_home`.

    Returns:
        what was written.

    Raises:
        UserError: a file cannot be written.
    """
    entry = asset("desktop/maquette.desktop").read_text(encoding="utf-8")
    contents = {
        ENTRY: entry.replace("Exec=maquette ", f"Exec={_quoted(program)} ").encode(),
        MIME: asset("desktop/maquette.xml").read_bytes(),
        **{place: source.read_bytes() for place, source in _icons().items()},
    }
    for place, content in contents.items():
        path = folder / place
        make_folder(path.parent)
        write_bytes(path, content)
    _look_again(folder)
    return [folder / place for place in contents]


def remove(folder: Path) -> list[Path]:
    """Remove what :func:`add` wrote; returns what was there.

    Raises:
        UserError: a file cannot be removed.
    """
    there = [folder / place for place in (ENTRY, MIME, *_icons()) if (folder / place).is_file()]
    for path in there:
        try:
            path.unlink()
        except OSError as error:
            raise UserError(
                f"{path} cannot be removed ({error.strerror}); remove it by hand."
            ) from error
    _look_again(folder)
    return there


def program() -> Path:
    """The console script of this installation, or a bundle's program.

    Raises:
        UserError: there is none.
    """
    if is_frozen():
        return Path(sys.executable).absolute()
    own = Path(sys.executable).with_name("maquette")
    found = str(own) if own.is_file() else shutil.which("maquette")
    if found is None:
        raise UserError("The program maquette was not found; install Maquette with pip first.")
    return Path(found).absolute()


def _icons() -> dict[Path, Path]:
    """Place in the data folder -> file that ships."""
    icons = {}
    for source in sorted((data_dir("assets") / "icons").iterdir()):
        found = _ICON.fullmatch(source.name)
        if found:
            size = found.group(1)
            icons[Path(f"icons/hicolor/{size}x{size}/apps/maquette.png")] = source
    return icons


def _quoted(path: Path) -> str:
    """A path as an argument of ``Exec`` (Desktop Entry Specification, "The Exec key"): quoted, then
    escaped as every string of the file."""
    quoted = re.sub(r'(["`$\\])', r"\\\1", str(path)).replace("%", "%%")
    return '"' + quoted.replace("\\", "\\\\") + '"'


def _look_again(folder: Path) -> None:
    for name, below in _DATABASES:
        found = shutil.which(name)
        if found is None or not (folder / below).is_dir():
            continue
        try:
            # A database that cannot be made leaves the desktop to find the files by itself.
            subprocess.run(
                [found, str(folder / below)], capture_output=True, timeout=_SECONDS, check=False,
                env=environment(),
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            continue
