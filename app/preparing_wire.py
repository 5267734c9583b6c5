"""The records that travel between the window and the process that prepares photographs. Needs no
torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.training.data.photos.faces import Face

if TYPE_CHECKING:
    from engine.training.data.photos.pose import Framing

#: Longest side of a photograph as the window shows it, pixels.
SHOWN_SIDE = 400
#: Which finder: MediaPipe where it is at hand and the rough one behind it; the rough one; nobody but
#: the person.
FinderChoice = Literal["auto", "cascade", "none"]
#: What became of a photograph. ``guessed``: it waits for the person. ``by hand``: the person has
#: pointed at the face. ``no face``: none was found. ``refused``: the person says that there is none.
#: ``skipped``: it cannot be used. ``several``: the person wants to choose among its faces.
Kind = Literal["found", "guessed", "by hand", "no face", "refused", "skipped", "several"]
#: Which faces of a photograph: the largest, all of them, or those that the person chooses where there
#: are several.
FaceChoice = Literal["largest", "all", "choose"]


@dataclass(frozen=True)
class PrepareWish:
    """What is to be prepared.

    Attributes:
        photos: folder or archive. out: the folder to make.
        framing: how faces are cut. resolution: side of the pictures; 0 is not chosen yet.
        finder: what finds faces. faces: which of them are taken.
    """

    photos: str = ""
    out: str = ""
    framing: Framing = "ffhq"
    resolution: int = 0
    finder: FinderChoice = "auto"
    faces: FaceChoice = "largest"


# To the process -----------------------------------------------------------------------------


@dataclass(frozen=True)
class AskFinder:
    """Tell whether MediaPipe is at hand."""


@dataclass(frozen=True)
class Install:
    """Install MediaPipe. ``job`` is the number that cancels it."""

    job: int


@dataclass(frozen=True)
class Find:
    """Look at every photograph."""

    job: int
    wish: PrepareWish


@dataclass(frozen=True)
class ShowPhoto:
    """The photograph itself, small."""

    name: str


@dataclass(frozen=True)
class Decide:
    """The person says where the face of a photograph is; ``None``: there is none.

    Attributes:
        others: more faces of it that are taken.
    """

    name: str
    face: Face | None
    others: tuple[Face, ...] = ()


@dataclass(frozen=True)
class TakeFaces:
    """Take these faces from now on; every photograph is told of anew."""

    faces: FaceChoice


@dataclass(frozen=True)
class Make:
    """Make the data set of what was found and decided."""

    job: int
    wish: PrepareWish


@dataclass(frozen=True)
class Cancel:
    """End the job of this number, and those before it."""

    job: int


# From it ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FinderIs:
    """Whether MediaPipe is at hand; ``trouble`` if one is named that is none."""

    ready: bool
    trouble: str = ""


@dataclass(frozen=True)
class Said:
    """What is being done, in words."""

    text: str


@dataclass(frozen=True)
class Step:
    """So many of the photographs are done."""

    done: int
    total: int


@dataclass(frozen=True)
class FaceSeen:
    """One face of a photograph, without the dense points.

    Attributes:
        kind: as a photograph's; ``left``: it is not taken. reason: why it cannot be used.
    """

    face: Face
    kind: Kind | Literal["left"]
    reason: str = ""


@dataclass(frozen=True)
class PhotoSeen:
    """What became of a photograph.

    Attributes:
        name: of the photograph.
        kind: see :data:`Kind`. reason: why it cannot be used.
        size: width and height, pixels.
        face: where its largest face is, with the angles that are known; without the dense points.
        faces: all of them, from left to right.
    """

    name: str
    kind: Kind
    reason: str = ""
    size: tuple[int, int] = (0, 0)
    face: Face | None = None
    faces: tuple[FaceSeen, ...] = ()


@dataclass(frozen=True)
class Found:
    """Every photograph was looked at, by ``finder``."""

    finder: str


@dataclass(frozen=True)
class PhotoPicture:
    """A photograph, ``[height, width, 3]`` bytes; ``None`` if it cannot be shown."""

    name: str
    width: int
    height: int
    pixels: bytes | None


@dataclass(frozen=True)
class Made:
    """The data set is there.

    Attributes:
        folder: of it. count: pictures in it.
        notes: what to know.
    """

    folder: str
    count: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stopped:
    """The job was cancelled."""

    job: int


@dataclass(frozen=True)
class Refused:
    """What was asked for cannot be done; one sentence. ``job``: the number of what it ends."""

    message: str
    job: int = 0


Answer = FinderIs | Said | Step | PhotoSeen | Found | PhotoPicture | Made | Stopped | Refused
