"""Looking at photographs one by one, before anything is made of them: for the window, where a person
goes through them first."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from engine.training.data.decode import Unreadable, decode
from engine.training.data.files import Files
from engine.training.data.photos.faces import Face
from engine.training.data.photos.finder import Finder


@dataclass(frozen=True)
class Sight:
    """What was seen in a photograph.

    Attributes:
        name: of the photograph.
        size: width and height of the upright picture, pixels; zeros if it cannot be read.
        faces: the largest first. trouble: why it cannot be read; empty if it can.
    """

    name: str
    size: tuple[int, int] = (0, 0)
    faces: tuple[Face, ...] = ()
    trouble: str = ""


def look_at(files: Files, name: str, finder: Finder | None) -> Sight:
    """Find the faces of one photograph; ``finder`` ``None`` only sees whether it can be read.

    Raises:
        UserError: the finder died.
    """
    try:
        picture = read_photo(files, name)
    except Unreadable as error:
        return Sight(name, trouble=str(error))
    faces = () if finder is None else tuple(finder.find(picture))
    return Sight(name, picture.size, faces)


def read_photo(files: Files, name: str) -> Image.Image:
    """A photograph, upright, RGB.

    Raises:
        Unreadable: it is damaged, gone, or no picture.
    """
    try:
        return decode(files.read(name))
    except OSError as error:
        raise Unreadable(f"it cannot be read ({error.strerror or error})") from error


class HasLooked(Finder):
    """Stands for a finder that has seen every photograph: what it found was kept, and there is nothing
    to find in the others.

    Args:
        name: of that finder.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def find(self, picture: Image.Image) -> list[Face]:
        return []
