"""Finding the model of a project again, when its file has moved or changed.

A model is known by the SHA-256 of the file that holds its tensors. Nothing is opened here, only
read and hashed, which takes seconds for large files: the window does it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.assets import model_place, shipped_generator, shipped_generators
from engine.errors import UserError
from engine.hashing import model_sha256
from engine.recipe import ModelRef

#: Endings of files that may hold tensors; a converted model's JSON stands for its tensors.
_ENDINGS = (".pkl", ".pth", ".pt", ".tar", ".safetensors")
#: Most files of a folder that are hashed in search of a model.
MOST_FILES = 64


@dataclass(frozen=True)
class Search:
    """How a search ended.

    Attributes:
        outcome: ``"found"``; ``"changed"``: a file is at the old place, but another one; or
            ``"missing"``.
        path: the model's path (``"found"`` and ``"changed"``), fit for opening.
        moved: it was found at another place than the old one.
    """

    outcome: Literal["found", "changed", "missing"]
    path: str = ""
    moved: bool = False


def find_model(ref: ModelRef, recent: Iterable[str], folders: Iterable[Path]) -> Search:
    """Look for a model: at its own path first, then by its hash.

    Args:
        ref: what a project says of it.
        recent: paths of models that were opened before.
        folders: where else to look, the likeliest first; folders in them are not searched.

    Nothing is raised: what cannot be read is not found.
    """
    there = _exists(ref.path)
    if there and (not ref.sha256 or _holds(ref.path, ref.sha256)):
        return Search("found", _opened_as(ref.path))
    if ref.sha256:
        for path in _elsewhere(ref, recent, folders):
            if path != ref.path and _holds(path, ref.sha256):
                return Search("found", _opened_as(path), moved=True)
    return Search("changed", _opened_as(ref.path)) if there else Search("missing")


def _elsewhere(ref: ModelRef, recent: Iterable[str], folders: Iterable[Path]) -> Iterator[str]:
    """Where the model may lie now, likely places first."""
    yield from (one.key for one in shipped_generators())
    yield from recent
    seen: set[Path] = set()
    for folder in folders:
        if folder not in seen:
            seen.add(folder)
            yield from map(str, _files(folder, Path(ref.path).name))


def _files(folder: Path, name: str) -> list[Path]:
    """Files of a folder that may hold a model, those of the right name first."""
    try:
        found = [
            p for p in sorted(folder.iterdir()) if p.suffix.lower() in _ENDINGS and p.is_file()
        ]
    except (OSError, ValueError):
        return []
    stem = Path(name).stem
    found.sort(key=lambda p: (p.name != name, p.stem != stem))
    return found[:MOST_FILES]


def _exists(path: str) -> bool:
    if shipped_generator(path):
        return True
    try:
        where = Path(path)
        # A device or a pipe could be read for ever.
        return where.is_absolute() and (where.is_file() or where.is_dir())
    except (OSError, ValueError):
        return False


def _holds(path: str, sha256: str) -> bool:
    """Whether the tensors at ``path`` are those of the hash."""
    try:
        if shipped_generator(path):
            return model_sha256(model_place(path).with_suffix(".safetensors")) == sha256
        if not _exists(path):
            return False
        where = Path(path)
        if where.is_dir():
            return any(model_sha256(file) == sha256 for file in _files(where, where.name))
        if where.suffix == ".json" and where.with_suffix(".safetensors").is_file():
            where = where.with_suffix(".safetensors")
        return model_sha256(where) == sha256
    except (UserError, OSError, ValueError):
        return False


def _opened_as(path: str) -> str:
    """``path``, or the JSON beside the tensors of a converted model."""
    if shipped_generator(path):
        return path
    where = Path(path)
    if where.suffix == ".safetensors" and where.with_suffix(".json").is_file():
        where = where.with_suffix(".json")
    return str(where.resolve())
