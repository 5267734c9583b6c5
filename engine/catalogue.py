"""The catalogue: which checkpoints the authors have released, and which of them a file is.

What is known stands in ``catalogue.json``; what is not known (a size, an md5) is absent there
and is never guessed. Nothing is ever fetched. Needs no torch, so that the window can hold it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Literal

#: How far a file's size may lie from one that is only known roughly.
_ROUGHLY = 0.02
_BLOCK = 1 << 20

#: How sure a name is: same size and md5; same size; same name; a size that is only about right.
Certainty = Literal["is", "looks like", "named like", "may be"]


@dataclass(frozen=True)
class Release:
    """A checkpoint that its authors have released.

    Attributes:
        key: short name that stays, ``"stylesdf-ffhq"``.
        family: registry name, ``"stylesdf"``.
        system: name of the paper's system, ``"StyleSDF"``.
        shows: what it draws, ``"faces"``.
        pixels: side of its pictures.
        names: what the file is called: its own name first, then other ends of its path, with
            ``*`` for anything; large and small letters are the same.
        size: bytes, or ``None`` where unknown.
        about: bytes where only a rounded size is known.
        md5: 32 hexadecimal digits, or empty.
        licence, page, paper: the licence in a few words, the page to get it from, and where it
            was published.
        note: what else there is to know, a sentence or empty.
        beside: names of files that come with it and are no generators.
    """

    key: str
    family: str
    system: str
    shows: str
    pixels: int
    names: tuple[str, ...] = ()
    size: int | None = None
    about: int | None = None
    md5: str = ""
    licence: str = ""
    page: str = ""
    paper: str = ""
    note: str = ""
    beside: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """For people: ``StyleSDF (faces, 1024 px)``."""
        return f"{self.system} ({self.shows}, {self.pixels} px)"

    @property
    def file(self) -> str:
        """What to look for on the page, ``"ffhq_512.pkl"``; empty where its name is unknown."""
        return self.names[0] if self.names else ""

    @property
    def size_text(self) -> str:
        """``"202.6 MB"``, ``"about 155 MB"`` or empty."""
        if self.size is not None:
            return size_text(self.size)
        return f"about {size_text(self.about)}" if self.about else ""

    def to_json(self) -> dict[str, Any]:
        """Plain data (``maquette models --json``)."""
        return {
            "key": self.key,
            "family": self.family,
            "title": self.title,
            "shows": self.shows,
            "pixels": self.pixels,
            "file": self.file or None,
            "bytes": self.size,
            "bytes_about": self.about,
            "md5": self.md5 or None,
            "licence": self.licence,
            "page": self.page,
            "paper": self.paper,
            "note": self.note,
        }


@dataclass(frozen=True)
class Found:
    """A file of a folder that may hold a model.

    Attributes:
        path: where it is; what to open.
        size: bytes.
        releases: which releases it is or may be; several where they cannot be told apart.
        certainty: how sure that is; ``None`` without releases.
        name: of a converted model, what its JSON calls it.
        note: what is odd about it, a sentence or empty.
    """

    path: Path
    size: int
    releases: tuple[Release, ...] = ()
    certainty: Certainty | None = None
    name: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """For people: ``looks like StyleSDF (faces, 1024 px)``; empty for an unknown file."""
        if self.name:
            return f"converted model: {self.name}"
        titles = " or ".join(release.title for release in self.releases)
        return f"{self.certainty} {titles}" if titles else ""

    def to_json(self) -> dict[str, Any]:
        """Plain data (``maquette models FOLDER --json``)."""
        return {
            "path": str(self.path),
            "bytes": self.size,
            "certainty": self.certainty,
            "releases": [release.key for release in self.releases],
            "converted": self.name or None,
            "note": self.note,
        }


def size_text(size: int) -> str:
    """Bytes for people, in decimal units: ``7.7 MB``."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            value = size / scale
            return (
                f"{value:.0f} {unit}"
                if value >= 1000 or value == int(value)
                else (f"{value:.1f} {unit}")
            )
    return f"{size} bytes"


@cache
def releases() -> tuple[Release, ...]:
    """Every release that is known, family by family."""
    text = Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8")
    found: list[Release] = []
    for family in json.loads(text)["families"]:
        shared = {key: family[key] for key in ("family", "licence", "page", "paper")}
        beside = tuple(family.get("beside", ()))
        for model in family["models"]:
            names = tuple(model.get("names", ()))
            found.append(
                Release(
                    system=family["title"], beside=beside, **shared, **{**model, "names": names}
                )
            )
    return tuple(found)


# Naming files ------------------------------------------------------------------------------


def identify(
    path: Path,
    size: int,
    known: tuple[Release, ...] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Found:
    """Which release a file is, by size and md5, else by its name or its rough size.

    The file is read (hashed) only where a release has its very size and a known md5.

    Args:
        path, size: the file.
        known: releases to choose from; all by default.
        check: called between blocks of a file that is hashed; raises to stop.

    Raises:
        OSError: the file cannot be read.
    """
    known = releases() if known is None else known
    same = tuple(release for release in known if release.size == size)
    if any(release.md5 for release in same):
        digest = _md5(path, check)
        exact = tuple(release for release in same if release.md5 == digest)
        if exact:
            return Found(path, size, exact, "is")
        same = tuple(release for release in same if not release.md5)
        if not same:
            named = _named(path, known)
            note = "It has the size of a release but another content: it was changed or is damaged."
            return Found(path, size, named, "named like" if named else None, note=note)
    if same:
        return Found(path, size, same, "looks like")
    named = _named(path, known)
    fitting = tuple(release for release in named if _size_fits(release, size))
    if fitting:
        return Found(path, size, fitting, "named like")
    if named:
        wanted = " or ".join(dict.fromkeys(release.size_text for release in named))
        note = f"The release has {wanted}: it was changed, or its download was cut short."
        return Found(path, size, named, "named like", note=note)
    rough = tuple(r for r in known if not r.names and r.about and _size_fits(r, size))
    return Found(path, size, rough, "may be") if rough else Found(path, size)


def _named(path: Path, known: tuple[Release, ...]) -> tuple[Release, ...]:
    """Releases whose name the path ends in; those with the longest such name."""
    text = f"/{path.as_posix().lower()}"
    lengths: dict[Release, int] = {}
    for release in known:
        fits = [len(name) for name in release.names if fnmatchcase(text, f"*/{name.lower()}")]
        if fits:
            lengths[release] = max(fits)
    longest = max(lengths.values(), default=0)
    return tuple(release for release, length in lengths.items() if length == longest)


def _size_fits(release: Release, size: int) -> bool:
    if release.size is not None:
        return release.size == size
    return release.about is None or abs(size - release.about) <= _ROUGHLY * release.about


def _md5(path: Path, check: Callable[[], None]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            check()
            digest.update(block)
    return digest.hexdigest()
