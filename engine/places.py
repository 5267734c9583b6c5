"""Where the user's own folders are."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

#: Where those are whom the system gives no home: nothing is there, and nothing can be made. What cannot be kept
#: is told, or done without, as on a disk that is read-only.
NO_HOME = Path("/nonexistent")


def user_folder(kind: Literal["config", "state", "cache", "log", "data"]) -> Path:
    """Maquette's folder for one kind of files, as the system has it (XDG on Linux). It may not exist yet; it is
    below :data:`NO_HOME` where ``HOME`` is not set and nobody knows whose process this is."""
    import platformdirs

    try:
        found = Path(getattr(platformdirs, f"user_{kind}_dir")("maquette", appauthor=False))
    except RuntimeError:
        return NO_HOME / "maquette"
    return found if found.is_absolute() else NO_HOME / "maquette"


def home() -> Path:
    """The user's home folder; that for temporary files where the system names none."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir())
