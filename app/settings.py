"""What Maquette remembers between runs: a small JSON file in the user's config folder.

A file that cannot be read never stops the program: the defaults are used, one sentence says
so, and the bad file is kept beside the new one as ``settings.json.bad``.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from app.dock import Dock, read_dock
from engine.assets import shipped_generator
from engine.errors import UserError
from engine.export.files import free_beside
from engine.places import user_folder

SETTINGS_FORMAT = "maquette-settings/1"
MAX_RECENT = 10
#: More sections than there will ever be.
MAX_FOLDED = 100
#: More purposes of folders than there will ever be.
MAX_FOLDERS = 100
UI_SCALES = (0.5, 4.0)
THEMES = ("dark", "light")
#: Seconds that another window's writing of the settings is waited for.
_PATIENCE = 0.5
#: A larger file is none of ours, bytes: reading a gigabyte of it would keep the window from opening.
MAX_FILE = 4 << 20
#: What is said of a disk without room; no permission would help.
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Settings:
    """The remembered choices.

    Attributes:
        recent: paths of models opened before, the latest first.
        window_size: width and height of the window in pixels.
        window_position: its upper left corner, or ``None`` to let the system choose.
        ui_scale: multiplier on text and controls, 0.5 to 4.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        target_fps: pictures a second to hold while moving, 1 to 240; ``None`` chooses 15
            on a processor and 60 on a graphics card.
        export_folder: folder of the last export, empty for the home folder.
        folders: what files are for -> the folder where the last one was; see
            :func:`app.typed_paths.kept_folder`.
        recent_projects: paths of projects opened or saved before, the latest first.
        models_folder: folder that was searched for models last, empty for none.
        folded: names of the sections of the columns that are folded.
        theme: ``"dark"`` or ``"light"``.
        dock: where the sections stand, and how wide the columns are.
        text_encoder: the user's own CLIP weights (see ``engine.text``), empty for the bundled
            encoder.
    """

    recent: tuple[str, ...] = ()
    window_size: tuple[int, int] = (1280, 820)
    window_position: tuple[int, int] | None = None
    ui_scale: float = 1.0
    device: str = "auto"
    target_fps: float | None = None
    export_folder: str = ""
    recent_projects: tuple[str, ...] = ()
    models_folder: str = ""
    folded: tuple[str, ...] = ()
    theme: str = "dark"
    dock: Dock = field(default_factory=Dock)
    text_encoder: str = ""
    folders: Mapping[str, str] = field(default_factory=dict)

    def with_folder(self, purpose: str, folder: str) -> Settings:
        """These settings with the folder of a purpose."""
        return replace(self, folders={**self.folders, purpose: folder})

    def with_recent(self, path: str) -> Settings:
        """These settings with ``path`` at the head of the recent list (what ships with
        Maquette is always at hand and is not listed)."""
        if shipped_generator(path):
            return self
        others = tuple(p for p in self.recent if p != path)
        return replace(self, recent=(path, *others)[:MAX_RECENT])

    def without_recent(self, path: str) -> Settings:
        """These settings with ``path`` taken out of the recent list."""
        return replace(self, recent=tuple(p for p in self.recent if p != path))

    def with_project(self, path: str) -> Settings:
        """These settings with ``path`` at the head of the recent projects."""
        others = tuple(p for p in self.recent_projects if p != path)
        return replace(self, recent_projects=(path, *others)[:MAX_RECENT])

    def without_project(self, path: str) -> Settings:
        """These settings with ``path`` taken out of the recent projects."""
        return replace(self, recent_projects=tuple(p for p in self.recent_projects if p != path))


@dataclass(frozen=True)
class LoadedSettings:
    """Settings and, if the file was at fault, the sentence to show."""

    settings: Settings = field(default_factory=Settings)
    notice: str | None = None
    #: There was no file: this is the first start.
    is_first: bool = False


def config_folder() -> Path:
    """Folder of the settings and of the window's layout (``MAQUETTE_CONFIG_DIR`` overrides
    it). It may not exist yet."""
    if override := os.environ.get("MAQUETTE_CONFIG_DIR"):
        return Path(override)
    return user_folder("config")


def log_folder() -> Path:
    """Folder of the log files (inside ``MAQUETTE_CONFIG_DIR`` if that is set)."""
    if override := os.environ.get("MAQUETTE_CONFIG_DIR"):
        return Path(override) / "log"
    return user_folder("log")


def state_folder() -> Path:
    """Folder of what must outlive a crash (inside ``MAQUETTE_CONFIG_DIR`` if that is set)."""
    if override := os.environ.get("MAQUETTE_CONFIG_DIR"):
        return Path(override) / "state"
    return user_folder("state")


def cache_folder() -> Path:
    """Folder of what can be made again (inside ``MAQUETTE_CONFIG_DIR`` if that is set)."""
    if override := os.environ.get("MAQUETTE_CONFIG_DIR"):
        return Path(override) / "cache"
    return user_folder("cache")


def settings_path() -> Path:
    """Where the settings lie."""
    return config_folder() / "settings.json"


def load_settings(path: Path | None = None) -> LoadedSettings:
    """Read the settings; never fails.

    A missing file gives the defaults silently. A file that is unreadable, damaged or of a
    newer version gives the defaults and a notice, and is renamed to ``*.bad``. A single
    value out of range falls back to its default with a notice; the others are kept.
    """
    where = path or settings_path()
    try:
        text = _read(where)
    except FileNotFoundError:
        return LoadedSettings(is_first=True)
    except OSError as error:
        return LoadedSettings(notice=_set_aside(where, f"cannot be read ({_reason(error)})"))
    try:
        data = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):  # no JSON, or no text at all
        return LoadedSettings(notice=_set_aside(where, "is damaged"))
    if not isinstance(data, dict) or data.get("format") != SETTINGS_FORMAT:
        return LoadedSettings(notice=_set_aside(where, "is not one that this version knows"))
    return _parse(data, where)


def save_settings(
    settings: Settings, path: Path | None = None, base: Settings | None = None
) -> None:
    """Write the settings whole or not at all.

    Args:
        settings: to write.
        path: where; ``None`` for their own place.
        base: what this window last read or wrote. What another window has written since is then
            kept, see :func:`app.settings_merge.merged`.

    Raises:
        UserError: the folder cannot be written.
    """
    where = path or settings_path()
    temporary = ""
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(where.parent):
            if base is not None and (theirs := _as_they_lie(where)) is not None:
                from app.settings_merge import merged

                settings = merged(base, settings, theirs)
            text = json.dumps({"format": SETTINGS_FORMAT, **asdict(settings)}, indent=2) + "\n"
            handle, temporary = tempfile.mkstemp(prefix=".settings-", dir=where.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(where)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        advice = "free some space" if error.errno in _FULL else "check the folder's permissions"
        raise UserError(
            f"The settings cannot be saved in {where.parent} ({_reason(error)}); {advice}."
        ) from error


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other window writes its settings meanwhile. One that stands still is not waited for, and
    where folders cannot be locked nothing is."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    break
                time.sleep(0.005)
            except OSError:
                break
        yield
    finally:
        os.close(descriptor)


def _as_they_lie(where: Path) -> Settings | None:
    """What another window may have written; ``None`` where that cannot be read."""
    try:
        data = json.loads(_read(where).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("format") != SETTINGS_FORMAT:
        return None
    return _parse(data, where).settings


def _read(where: Path) -> bytes:
    if where.exists() and not where.is_file():
        # A pipe would be waited for, without end.
        raise OSError(errno.EINVAL, "No ordinary file")
    with where.open("rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise OSError(errno.EFBIG, "Far too large")
    return data


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or type(error).__name__).lower()


def _set_aside(where: Path, what: str) -> str:
    bad = where.with_name(where.name + ".bad")
    try:
        if bad.is_dir():  # which no file replaces: the damaged settings would be written over
            bad = free_beside(bad)
        where.replace(bad)
    except OSError:
        return f"The settings file {where} {what}; the defaults are used."
    return f"The settings file {where} {what}; the defaults are used and it was kept as {bad.name}."


def _parse(data: dict[str, Any], where: Path) -> LoadedSettings:
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for name, read in _READERS.items():
        if name not in data:
            continue
        try:
            values[name] = read(data[name])
        except (TypeError, ValueError, OverflowError):
            wrong.append(name.replace("_", " "))
    notice = None
    if wrong:
        notice = (
            f"The settings file {where} holds unusable values for {', '.join(wrong)}; "
            "their defaults are used."
        )
    return LoadedSettings(Settings(**values), notice)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(item) for item in value)[:MAX_RECENT]


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_FOLDED:
        raise TypeError
    return tuple(dict.fromkeys(_text(item) for item in value))


def _folders(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_FOLDERS:
        raise TypeError
    return {name: _text(folder) for name, folder in value.items()}


def _theme(value: Any) -> str:
    if value not in THEMES:
        raise ValueError
    return _text(value)


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError
    return float(value)


def _pair(value: Any, low: float, high: float) -> tuple[int, int]:
    if not isinstance(value, list):
        raise TypeError
    first, second = (int(_number(item, low, high)) for item in value)
    return first, second


_READERS: dict[str, Any] = {
    "recent": _texts,
    "window_size": lambda v: _pair(v, 320, 32768),
    "window_position": lambda v: None if v is None else _pair(v, -32768, 32768),
    "ui_scale": lambda v: _number(v, *UI_SCALES),
    "device": _text,
    "target_fps": lambda v: None if v is None else _number(v, 1, 240),
    "export_folder": _text,
    "recent_projects": _texts,
    "models_folder": _text,
    "folded": _names,
    "theme": _theme,
    "dock": read_dock,
    "text_encoder": _text,
    "folders": _folders,
}
