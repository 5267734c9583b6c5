"""Project files: a document kept for another day.

A ``.maquette`` file is a zip archive of

- ``document.json``: format, version of the program, and the document as plain data;
- ``arrays.npz``: the document's arrays by name, in numpy's own format, never pickled;
- ``thumbnail.png``: a small picture of what the window showed, if it showed one.

Other parts are left alone, so that a later version may add some. Reading executes nothing,
writes nothing and bounds everything; docs/formats.md describes the content.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from app.document import Array, Document
from app.file_stamp import Stamp
from app.version import version
from engine.errors import UserError
from engine.export.files import atomic_path
from engine.zip_parts import BadArchive, read_all, read_array, read_parts

if TYPE_CHECKING:
    from app.messages import FrameReady

PROJECT_SUFFIX = ".maquette"
PROJECT_FORMAT = "maquette-project/1"
DOCUMENT_PART, ARRAYS_PART, THUMBNAIL_PART = "document.json", "arrays.npz", "thumbnail.png"
#: Longest side of the small picture, pixels.
THUMBNAIL_SIDE = 256

MAX_FILE = 512 << 20
_MAX_PARTS = {DOCUMENT_PART: 16 << 20, ARRAYS_PART: 512 << 20, THUMBNAIL_PART: 2 << 20}
MAX_ARRAYS, MAX_ARRAY_BYTES = 10_000, 512 << 20
#: Deepest nesting of lists and objects in the JSON.
MAX_DEPTH = 32
#: A file's bytes depend on its content alone, not on when it was written.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_LINE = "it is not a Maquette project, or it is damaged"


@dataclass(frozen=True)
class Project:
    """What a project file holds.

    Attributes:
        document: what was being made.
        thumbnail: a small PNG, or ``None``.
        origin: of a recovery file: path of the project that it stands for, empty if that was
            never saved.
        seen: of a recovery file: that project's file as its window read or wrote it last.
        program: version of the Maquette that wrote it.
    """

    document: Document
    thumbnail: bytes | None = None
    origin: str = ""
    seen: Stamp | None = None
    program: str = ""


def is_project(path: str | Path) -> bool:
    """Whether a file's name is that of a project."""
    return Path(path).suffix.lower() == PROJECT_SUFFIX


def write_project(path: str | Path, project: Project) -> None:
    """Write a project file whole or not at all; one that is there is replaced.

    Raises:
        ExportError: it cannot be written.
    """
    arrays: dict[str, Array] = {}
    data = {
        "format": PROJECT_FORMAT,
        "program": version(),
        "origin": project.origin,
        "seen": project.seen,
        "document": project.document.to_json(arrays),
    }
    text = json.dumps(data, allow_nan=False, indent=1)
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        _add(archive, DOCUMENT_PART, text.encode(), zipfile.ZIP_DEFLATED)
        _add(archive, ARRAYS_PART, packed.getvalue(), zipfile.ZIP_STORED)
        if project.thumbnail is not None:
            _add(archive, THUMBNAIL_PART, project.thumbnail, zipfile.ZIP_STORED)


def _add(archive: zipfile.ZipFile, name: str, data: bytes, how: int) -> None:
    entry = zipfile.ZipInfo(name, _NO_TIME)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, data, how)


def read_project(path: str | Path) -> Project:
    """Read a project file.

    Raises:
        UserError: it is missing, foreign, damaged, hostile or of a newer version; one
            sentence says which.
    """
    where = Path(path).expanduser()
    try:
        with _opened(where) as file:
            parts = read_parts(file, _MAX_PARTS)
        if DOCUMENT_PART not in parts:
            raise BadArchive(_LINE)
        data = _plain(parts[DOCUMENT_PART])
        if data["format"] != PROJECT_FORMAT:
            raise UserError(
                f"The project {where} was made by a newer version of Maquette; "
                "install that one to open it."
            )
        arrays = _arrays(parts[ARRAYS_PART]) if ARRAYS_PART in parts else {}
    except BadArchive as error:
        raise UserError(f"The project {where} cannot be opened: {error}.") from error
    try:
        document = Document.from_json(data.get("document"), arrays)
    except UserError as error:
        raise UserError(f"The project {where} cannot be opened. {error}") from error
    origin, program = data.get("origin"), data.get("program")
    return Project(
        document,
        parts.get(THUMBNAIL_PART),
        origin if isinstance(origin, str) else "",
        _stamp(data.get("seen")),
        program if isinstance(program, str) else "",
    )


def _stamp(value: Any) -> Stamp | None:
    """A file's stamp as the JSON has it."""
    numbers = isinstance(value, list) and all(type(one) is int for one in value)
    return Stamp(*value) if numbers and len(value) == len(Stamp._fields) else None


def _opened(where: Path) -> BinaryIO:
    try:
        if not where.exists():
            raise UserError(f"There is no project at {where}; check the path.")
        if not where.is_file():
            raise UserError(f"{where} is not a file; name a {PROJECT_SUFFIX} file.")
        if where.stat().st_size > MAX_FILE:
            raise UserError(f"{where} is far too large to be a Maquette project.")
        return where.open("rb")
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UserError(f"The project {where} cannot be read ({reason}).") from error


def _plain(text: bytes) -> dict[str, Any]:
    """The JSON of a project, with nothing in it that could harm who works with it."""
    try:
        data = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
        _check_plain(data, MAX_DEPTH)
    except (ValueError, RecursionError) as error:
        raise BadArchive(_LINE) from error
    if not isinstance(data, dict) or not str(data.get("format")).startswith("maquette-project/"):
        raise BadArchive(_LINE)
    return data


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _check_plain(data: Any, depth: int) -> None:
    """Refuse deep nesting, numbers beyond all range, and text that no file name or screen
    can take (half characters, NUL)."""
    if depth < 0:
        raise ValueError("nested too deeply")
    if isinstance(data, dict):
        for key, value in data.items():
            _check_plain(key, depth - 1)
            _check_plain(value, depth - 1)
    elif isinstance(data, list):
        for value in data:
            _check_plain(value, depth - 1)
    elif isinstance(data, str):
        if "\0" in data:
            raise ValueError("a NUL in a text")
        os.fsencode(data)  # a file's name may hold bytes that are no UTF-8
    elif isinstance(data, int | float) and not _is_finite(data):
        raise ValueError("a number beyond all range")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def _arrays(packed: bytes) -> dict[str, Array]:
    """The arrays of an ``.npz`` file."""
    members = read_all(io.BytesIO(packed), MAX_ARRAYS, MAX_ARRAY_BYTES)
    return {name.removesuffix(".npy"): read_array(data) for name, data in members.items()}


def thumbnail_of(document: Document, frame: FrameReady | None) -> bytes | None:
    """A small PNG of what a document shows, from any side; ``None`` while another face or view is still shown."""
    if frame is None or replace(frame.recipe, pose=document.recipe.pose) != document.recipe:
        return None
    return thumbnail(frame.image)


def thumbnail(picture: NDArray[np.float32]) -> bytes:
    """A small PNG of a picture.

    Args:
        picture: ``[H, W, 4]`` RGBA in ``[0, 1]``, row 0 on top, straight alpha.
    """
    from PIL import Image

    step = max(1, min(picture.shape[:2]) // THUMBNAIL_SIDE)
    coarse = np.clip(np.nan_to_num(picture[::step, ::step]), 0.0, 1.0)
    image = Image.fromarray(np.round(coarse * 255.0).astype(np.uint8))
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
