"""Paths as people type them into a box."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.conversation import shown
from app.settings import Settings
from engine.errors import UserError
from engine.places import home

if TYPE_CHECKING:
    from app.studio import Studio


def whole_path(text: str | Path, folder: Path | None, what: str) -> Path:
    """A path as typed, made whole.

    Args:
        text: what was typed; ``~`` is the home folder.
        folder: where a path without a folder begins; ``None`` is the present one.
        what: what is looked for, ``"a project"``.

    Raises:
        UserError: it is empty or no path.
    """
    bare = str(text).strip()
    if not bare:
        raise UserError(f"Type the path of {what} first, or choose one with Browse.")
    try:
        typed = Path(bare).expanduser()
        return (typed if folder is None else folder / typed).resolve()
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(f"{shown(bare)} is not a usable path ({error}).") from error


def new_file(text: str, folder: Path, suffix: str) -> Path:
    """Where a file that does not exist yet shall be written; the ending is added if need be.

    Raises:
        UserError: nothing usable was typed, or such a file exists.
    """
    where = whole_path(text, folder, f"a {suffix} file")
    if where.suffix.lower() != suffix:
        where = where.with_name(where.name + suffix)
    if where.exists():
        raise UserError(f"{where} exists already; choose another name.")
    return where


def kept_folder(settings: Settings, purpose: str, otherwise: Path | None = None) -> Path:
    """Where files of a purpose are looked for, or written, if nothing else is said: where the last
    one was, else where the last export went.

    Args:
        purpose: ``"latents"``, ``"directions"``, ``"timelines"``, ``"joined models"``, a kind of export
            (``"mesh"``), or the name of a box for a path.
        otherwise: what to take where none of these is there; ``None`` is the home folder.
    """
    for kept in (settings.folders.get(purpose), settings.export_folder):
        if kept and Path(kept).is_dir():
            return Path(kept)
    return otherwise or home()


def keep_folder(studio: Studio, purpose: str, folder: Path) -> None:
    """Remember where a file of a purpose was."""
    if studio.settings.folders.get(purpose) != str(folder):
        studio.change_settings(studio.settings.with_folder(purpose, str(folder)))


def nearest(text: str) -> Path:
    """Where a dialog begins: what was typed, if it or its folder is there, else the home."""
    try:
        typed = Path(text.strip() or home()).expanduser()
        there = "\0" not in text and (typed.is_dir() or typed.parent.is_dir())
        return typed if there else home()
    except (RuntimeError, ValueError, OSError):
        return home()
