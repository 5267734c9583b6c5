"""Preparing photographs in the window: what is asked for, what was seen, and what the person says.

It knows neither the toolkit nor torch. Faces are found, and the set is made, in a process of its own
(:mod:`app.preparer`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from app.child import Child, Started, spawn
from app.preparing_wire import (
    Answer,
    AskFinder,
    Cancel,
    Decide,
    FaceSeen,
    Find,
    FinderIs,
    Found,
    Install,
    Kind,
    Made,
    Make,
    PhotoPicture,
    PhotoSeen,
    PrepareWish,
    Refused,
    Said,
    ShowPhoto,
    Step,
    Stopped,
    TakeFaces,
)
from app.processes import run_preparing
from engine.errors import UserError
from engine.training.data.photos.faces import Face

if TYPE_CHECKING:
    from app.studio import Studio

Pixels = NDArray[np.uint8]
State = Literal["idle", "installing", "finding", "making"]
Place = tuple[float, float]
#: Seconds that a job has to take away what is half made when the window closes.
_CLOSE_SECONDS = 5.0
#: Where eyes and corners of the mouth stand before anybody has pointed, shares of the shorter side
#: from the middle.
_USUAL = ((-0.13, -0.1), (0.13, -0.1), (-0.1, 0.16), (0.1, 0.16))


@dataclass(frozen=True)
class Pointed:
    """What the person has pointed at so far.

    Attributes:
        points: left and right eye, left and right corner of the mouth, pixels of the photograph.
        yaw, pitch: degrees.
    """

    points: tuple[Place, Place, Place, Place]
    yaw: float = 0.0
    pitch: float = 0.0

    def face(self) -> Face:
        """As a face that is certain."""
        eyes, mouth = np.array(self.points[:2], float), np.array(self.points[2:], float)
        return Face(eyes, mouth, None, self.yaw, self.pitch)


class Preparing:
    """See the module's docstring.

    Args:
        studio: the state behind the window.
        start: starts the process.

    Attributes:
        wish: what is asked for, as it stands in the form.
        state: of the process.
        finder: whether MediaPipe is at hand; ``None`` until that is known.
        done, total: photographs of the job that runs. said: what it says.
        photos: what became of each photograph, by name.
        looked: whether all of them were looked at, as the form stands.
        chosen: name of the photograph that is looked at. picture: it, once it is there.
        at: which of its faces. pointed: where that is, as far as the person has said.
        made: the set, once it is there.
    """

    def __init__(self, studio: Studio, start: Callable[[], Started]) -> None:
        self._studio, self._child = studio, Child(start)
        self._job = 0
        self.wish = PrepareWish()
        self.state: State = "idle"
        self.finder: FinderIs | None = None
        self._forget()

    def _forget(self) -> None:
        self.done = self.total = 0
        self.said = ""
        self.photos: dict[str, PhotoSeen] = {}
        self.looked = False
        self.chosen = ""
        self.picture: Pixels | None = None
        self.at = 0
        self.pointed: Pointed | None = None
        self.made: Made | None = None

    # What panels read -------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a job runs."""
        return self.state != "idle"

    @property
    def pid(self) -> int | None:
        """Process id, ``None`` while there is no process."""
        return self._child.pid

    @property
    def waiting(self) -> list[str]:
        """Photographs that wait for the person."""
        return [name for name, photo in self.photos.items() if photo.kind in ("guessed", "several")]

    @property
    def usable(self) -> int:
        """Photographs of which a picture would be made now."""
        return sum(photo.kind in ("found", "by hand") for photo in self.photos.values())

    # What panels ask for ----------------------------------------------------------------

    def ask_finder(self) -> None:
        """See whether MediaPipe is at hand; call when the window for it opens."""
        if self.finder is None and not self.is_busy:
            self._child.send(AskFinder())

    def change(self, edit: Callable[[PrepareWish], PrepareWish]) -> None:
        """Edit the form.

        Raises:
            UserError: a job runs.
        """
        wish = edit(self.wish)
        if wish == self.wish:
            return
        if self.is_busy:
            self._studio.touch()
            raise UserError("Photographs are being prepared; wait, or cancel it first.")
        # Where to and how large changes nothing that was seen; how faces are cut does.
        blank = {"resolution": 0, "out": "", "faces": "largest"}
        if replace(wish, **blank) != replace(self.wish, **blank):  # type: ignore[arg-type]
            self._forget()
        elif wish.faces != self.wish.faces and self.photos:
            self._child.send(TakeFaces(wish.faces))
        self.made = None
        self.wish = wish
        self._studio.touch()

    def install(self) -> None:
        """Install MediaPipe: only when the person asks for it."""
        self._begin("installing")
        self._child.send(Install(self._job))

    def find(self) -> None:
        """Look at every photograph.

        Raises:
            UserError: something is missing in the form, or a job runs.
        """
        for value, what in (
            (self.wish.photos, "the photographs: a folder of them, or an archive"),
            (self.wish.out, "the folder to make"),
        ):
            if not value.strip():
                raise UserError(f"Choose {what}.")
        self._begin("finding")
        self._forget()
        self._child.send(Find(self._job, self.wish))

    def make(self) -> None:
        """Make the data set of what was found and pointed at.

        Raises:
            UserError: there is nothing to make it of yet, or a job runs.
        """
        if not self.looked:
            raise UserError("Let the faces be found first.")
        if not self.usable:
            raise UserError("No face is certain yet: choose a photograph and point at its face.")
        self._begin("making")
        self._child.send(Make(self._job, self.wish))

    def cancel(self) -> None:
        """End the job that runs."""
        if self.is_busy:
            self._child.send(Cancel(self._job))
            self.said = "Cancelling ..."
            self._studio.touch()

    def train_on_them(self) -> None:
        """Put the set into the form for training."""
        if self.made is not None:
            folder = self.made.folder
            self._studio.training.change(lambda plan: replace(plan, data=folder))

    # One photograph ---------------------------------------------------------------------

    def choose(self, name: str) -> None:
        """Look at one photograph; empty for none."""
        photo = self.photos.get(name)
        self.chosen = name if photo is not None else ""
        self.picture, self.pointed = None, None
        if photo is not None and all(photo.size):
            self._child.send(ShowPhoto(name))
            self._face(photo, _waiting(photo.faces) or 0)
        self._studio.touch()

    def next_face(self, by: int) -> None:
        """Look at the next face of the photograph, or with -1 at the one before."""
        photo = self.photos.get(self.chosen)
        if photo is not None and photo.faces:
            self._face(photo, (self.at + by) % len(photo.faces))
            self._studio.touch()

    def _face(self, photo: PhotoSeen, at: int) -> None:
        face = photo.faces[at].face if at < len(photo.faces) else photo.face
        self.at, self.pointed = at, _pointed(photo.size, face)

    def move(self, index: int, x: float, y: float) -> None:
        """Move a point: 0 and 1 are the eyes, 2 and 3 the corners of the mouth."""
        if self.pointed is not None:
            width, height = self.photos[self.chosen].size
            points = list(self.pointed.points)
            points[index] = (min(max(x, 0.0), width), min(max(y, 0.0), height))
            self.pointed = replace(self.pointed, points=tuple(points))  # type: ignore[arg-type]
            self._studio.touch()

    def turn(self, yaw: float | None = None, pitch: float | None = None) -> None:
        """Say from where the face is seen, degrees."""
        if (old := self.pointed) is not None:
            yaw, pitch = old.yaw if yaw is None else yaw, old.pitch if pitch is None else pitch
            self.pointed = replace(old, yaw=yaw, pitch=pitch)
            self._studio.touch()

    def confirm(self) -> None:
        """The points are right.

        Raises:
            UserError: they cannot be.
        """
        if self.pointed is None:
            return
        face = self.pointed.face()
        if min(np.hypot(*(pair[1] - pair[0])) for pair in (face.eyes, face.mouth)) < 1.0:
            raise UserError("Two of the points lie on each other; drag them apart.")
        self._decide(face)

    def refuse(self) -> None:
        """The face is none, or none to use."""
        if self.pointed is not None:
            self._decide(None)

    def _decide(self, face: Face | None) -> None:
        name = self.chosen
        photo, at = self.photos[name], self.at
        others = [one for n, one in enumerate(photo.faces) if n != at and one.kind != "left"]
        used = [*([] if face is None else [face]), *(one.face for one in others)]
        self._child.send(Decide(name, used[0] if used else None, tuple(used[1:])))
        self.made = None
        faces = list(photo.faces)
        if at < len(faces):
            old = faces[at].face
            faces[at] = FaceSeen(old, "left") if face is None else FaceSeen(face, "by hand")
        more = _waiting(faces)
        kind: Kind = "guessed" if more is not None else "by hand" if used else "refused"
        self.photos[name] = photo = replace(
            photo,
            kind=kind,
            reason="",
            face=photo.face if face is None else face,
            faces=tuple(faces),
        )
        if more is not None:
            self._face(photo, more)
            self._studio.touch()
            return
        # On to the next that waits, if one does.
        waiting = self.waiting
        if waiting:
            names = list(self.photos)
            later = [one for one in waiting if names.index(one) > names.index(name)]
            self.choose((later or waiting)[0])
        self._studio.touch()

    # The process ------------------------------------------------------------------------

    def poll(self) -> None:
        """Take in what the process has told; call often."""
        heard = self._child.hear(self._take)
        if heard.ended:
            self._lost(heard.ended)
        if any(heard):
            self._studio.touch()

    def close(self) -> None:
        """The window closes: a job ends, and leaves nothing half made."""
        self._child.end(_CLOSE_SECONDS if self.is_busy else 0.0)

    def _begin(self, state: State) -> None:
        if self.is_busy:
            raise UserError("Photographs are being prepared; wait, or cancel it first.")
        self.state, self.said, self.done, self.total = state, "", 0, 0
        self._job += 1
        self._studio.touch()

    def _lost(self, how: str) -> None:
        """The process is gone although nobody ended it: what it knew is gone, too."""
        self.state = "idle"
        self._forget()
        self._studio.complain(
            f"The process that prepares photographs stopped ({how}). Let the faces be found again; "
            "what you have pointed at is kept."
        )

    def _take(self, answer: Answer) -> None:
        match answer:
            case FinderIs():
                self.finder = answer
                self._over("installing")
            case Said():
                self.said = answer.text
            case Step():
                self.done, self.total = answer.done, answer.total
            case PhotoSeen():
                self.photos[answer.name] = answer
                if answer.name == self.chosen:
                    self.at = min(self.at, max(len(answer.faces) - 1, 0))
            case Found():
                self.looked = True
                self._over("finding")
                self.choose(next(iter(self.waiting), ""))
            case PhotoPicture():
                if answer.name == self.chosen and answer.pixels is not None:
                    pixels = np.frombuffer(answer.pixels, np.uint8)
                    self.picture = pixels.reshape(answer.height, answer.width, 3)
            case Made():
                self.made = answer
                self._over("making")
            case Stopped():
                if answer.job == self._job:
                    self._over(self.state)
            case Refused():
                if answer.job == self._job:
                    self._over(self.state)
                self._studio.complain(answer.message)

    def _over(self, state: State) -> None:
        if self.state == state:
            self.state, self.said = "idle", ""


def _waiting(faces: Sequence[FaceSeen]) -> int | None:
    """The first face that waits for the person."""
    return next((n for n, one in enumerate(faces) if one.kind == "guessed"), None)


def _pointed(size: tuple[int, int], face: Face | None) -> Pointed:
    """Where the points of a face stand at first."""
    if face is None:
        width, height = size
        side = min(width, height)
        usual = tuple((width / 2 + side * x, height / 2 + side * y) for x, y in _USUAL)
        return Pointed(usual)  # type: ignore[arg-type]
    places = tuple((float(x), float(y)) for x, y in (*face.eyes, *face.mouth))
    return Pointed(places, face.yaw or 0.0, face.pitch or 0.0)  # type: ignore[arg-type]


def launch_preparing() -> Started:
    """Start the process that prepares photographs; it and the window's end of its pipe."""
    return spawn("maquette-photos", run_preparing)
