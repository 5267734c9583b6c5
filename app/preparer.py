"""The process that prepares photographs: looks for faces, makes the data set, installs the finder.

Jobs run one after the other in the main thread; another hears what is cancelled. Everything that was
found stays here: the window gets what it shows.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image

from app.faults import log_failure, sentence
from app.preparing_wire import (
    SHOWN_SIDE,
    Answer,
    AskFinder,
    Cancel,
    Decide,
    FaceSeen,
    Find,
    FinderChoice,
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
from engine.errors import Cancelled, UserError
from engine.export.files import check_new_folder
from engine.training.data.decode import Unreadable
from engine.training.data.files import Files, open_files
from engine.training.data.photos.environment import find_python, install
from engine.training.data.photos.faces import Face
from engine.training.data.photos.finder import (
    CascadeFinder,
    EitherFinder,
    Finder,
    MediaPipeFinder,
)
from engine.training.data.photos.look import HasLooked, Sight, look_at, read_photo
from engine.training.data.photos.points import in_order, read_points, write_points
from engine.training.data.photos.pose import angles_of
from engine.training.data.photos.prepare import POINTS_NAME, PrepareJob, cutting, prepare

Wish = AskFinder | Install | Find | ShowPhoto | Decide | TakeFaces | Make


#: What is said of a photograph whose faces differ: the first of these that one of them is.
_FIRST: tuple[Kind, ...] = ("guessed", "by hand", "found", "skipped")


def draft_of(out: Path) -> Path:
    """Where what a person has pointed at waits until the folder ``out`` is made."""
    return out.with_name(f"{out.name}-{POINTS_NAME}")


class Preparer:
    """Serves the window until it closes the pipe.

    Args:
        connection: to the window.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._wishes: queue.SimpleQueue[Wish | None] = queue.SimpleQueue()
        self._ended = 0
        self._closed = False
        self._files: Files | None = None
        self._wish = PrepareWish()
        self._finder = ""
        self._sights: dict[str, Sight] = {}
        #: What the person said: faces, or that there is none.
        self._decided: dict[str, tuple[Face, ...]] = {}

    def run(self) -> None:
        """Serve until the pipe is closed."""
        threading.Thread(target=self._listen, name="orders", daemon=True).start()
        while (wish := self._wishes.get()) is not None:
            job = getattr(wish, "job", 0)
            try:
                self._serve(wish, lambda job=job: self._closed or 0 < job <= self._ended)  # type: ignore[misc]
            except Cancelled:
                self._send(Stopped(job))
            except Exception as error:
                self._send(Refused(sentence("preparing photographs", error, "photos"), job))

    def _listen(self) -> None:
        try:
            while True:
                message = self._connection.recv()
                if isinstance(message, Cancel):
                    self._ended = max(self._ended, message.job)
                else:
                    self._wishes.put(message)
        except (EOFError, OSError):
            pass
        except BaseException as error:
            log_failure("photos", error)
        # The window is gone: what goes on is ended, and nothing half-made is left.
        self._closed = True
        self._wishes.put(None)

    def _send(self, answer: Answer) -> None:
        with contextlib.suppress(OSError):
            self._connection.send(answer)

    def _serve(self, wish: Wish, cancelled: Callable[[], bool]) -> None:
        if cancelled():
            raise Cancelled
        match wish:
            case AskFinder():
                self._tell_finder()
            case Install():
                install(lambda text: self._send(Said(text)), cancelled=cancelled)
                self._tell_finder()
            case Find():
                self._find(wish.wish, cancelled)
            case ShowPhoto():
                self._send(self._photo(wish.name))
            case Decide():
                self._decide(wish)
            case TakeFaces():
                self._wish = replace(self._wish, faces=wish.faces)
                for sight in self._sights.values():
                    self._send(self._seen(sight))
            case Make():
                self._make(wish.wish, cancelled)

    def _tell_finder(self) -> None:
        try:
            self._send(FinderIs(find_python() is not None))
        except UserError as error:
            self._send(FinderIs(False, str(error)))

    # Looking ----------------------------------------------------------------------------

    def _find(self, wish: PrepareWish, cancelled: Callable[[], bool]) -> None:
        check_new_folder(_out(wish))
        files, before = open_files(Path(wish.photos).expanduser()), self._wish
        self._files, self._wish = files, wish
        self._sights.clear()
        self._take_up(before)
        with open_finder(wish.finder) as finder:
            self._finder = finder.name
            for name, reason in self._files.refused:
                self._saw(Sight(name, trouble=reason))
            total = len(self._files.entries)
            for number, entry in enumerate(self._files.entries):
                if cancelled():
                    raise Cancelled
                self._send(Step(number, total))
                self._saw(look_at(self._files, entry.name, finder))
        self._send(Found(self._finder))

    def _take_up(self, before: PrepareWish) -> None:
        """What was pointed at in these photographs before, and before the window closed."""
        draft, old = draft_of(_out(self._wish)), self._decided
        self._decided = dict(read_points(draft)) if draft.is_file() else {}
        if before.photos == self._wish.photos and old:
            self._decided |= old
            if (moved := draft_of(_out(before))) != draft:
                write_points(draft, self._decided)
                moved.unlink(missing_ok=True)

    def _saw(self, sight: Sight) -> None:
        self._sights[sight.name] = sight
        self._send(self._seen(sight))

    def _seen(self, sight: Sight) -> PhotoSeen:
        """What the window is told of a photograph."""
        if sight.trouble:
            return PhotoSeen(sight.name, "skipped", sight.trouble, sight.size)
        used, decided = self._used(sight), sight.name in self._decided
        seen = [self._face_seen(face, decided, sight.size) for face in used or ()]
        left = [FaceSeen(_shown(face), "left") for face in sight.faces
                if not any(_same(face, one) for one in used or ())]  # fmt: skip
        faces = tuple(sorted([*seen, *left], key=lambda one: float(one.face.eyes[:, 0].mean())))
        if used is None:
            return PhotoSeen(sight.name, "several", "", sight.size, left[0].face, faces)
        for kind in _FIRST:
            for one in seen:
                if one.kind == kind:
                    return PhotoSeen(sight.name, kind, one.reason, sight.size, one.face, faces)
        nobody: Kind = "refused" if decided else "no face"
        return PhotoSeen(sight.name, nobody, "", sight.size, faces=faces)

    def _used(self, sight: Sight) -> tuple[Face, ...] | None:
        """The faces that are taken of a photograph; ``None`` where the person is to choose."""
        if sight.name in self._decided:
            return self._decided[sight.name]
        if self._wish.faces == "choose" and len(sight.faces) > 1:
            return None
        return sight.faces[:1] if self._wish.faces == "largest" else sight.faces

    def _face_seen(self, face: Face, decided: bool, size: tuple[int, int]) -> FaceSeen:
        if not face.certain:
            return FaceSeen(_shown(face), "guessed")
        found = cutting(face, self._wish.framing, size)
        if isinstance(found, str):
            return FaceSeen(_shown(face), "skipped", found)
        return FaceSeen(_shown(face), "by hand" if decided else "found")

    def _photo(self, name: str) -> PhotoPicture:
        try:
            if self._files is None:
                raise Unreadable("nothing was looked at")
            picture = read_photo(self._files, name)
        except Unreadable:
            return PhotoPicture(name, 0, 0, None)
        picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.BOX)
        return PhotoPicture(name, *picture.size, picture.tobytes())

    def _decide(self, wish: Decide) -> None:
        faces = () if wish.face is None else (wish.face, *wish.others)
        self._decided[wish.name] = tuple(map(in_order, faces))
        if wish.name in self._sights:
            self._send(self._seen(self._sights[wish.name]))
        # Pointing at a hundred faces takes an hour: it is kept at once.
        write_points(draft_of(_out(self._wish)), self._decided)

    # Making -----------------------------------------------------------------------------

    def _make(self, wish: PrepareWish, cancelled: Callable[[], bool]) -> None:
        out, ours = _out(wish), {n: f for n, f in self._decided.items() if n in self._sights}
        self._wish = replace(self._wish, faces=wish.faces)
        faces = {name: used for name, sight in self._sights.items() if (used := self._used(sight))}
        job = PrepareJob(
            Path(wish.photos).expanduser(), out, wish.resolution, wish.framing, every_face=True,
            points=faces | ours,
        )  # fmt: skip
        result = prepare(
            job, HasLooked(self._finder), lambda *done: self._send(Step(*done)), cancelled
        )
        if ours:
            # With it the same set can be made again, by the command, too.
            write_points(out / POINTS_NAME, ours | dict(result.guesses))
            draft_of(_out(self._wish)).unlink(missing_ok=True)
        kept = result.guesses.keys() | {made.photo for made in result.made}
        for name, reason in result.skipped.items():
            if name not in kept and faces.get(name) and ours.get(name) != ():
                seen = self._seen(self._sights[name])
                self._send(replace(seen, kind="skipped", reason=reason))
        # How to go on with a file of points is told to those who have no window.
        notes = (
            *(note for note in result.notes if POINTS_NAME not in note),
            *self._crowded_notes(),
        )
        self._send(Made(str(out), len(result.made), notes))

    def _crowded_notes(self) -> list[str]:
        crowded = [name for name, sight in self._sights.items() if len(sight.faces) > 1]
        count = sum(name not in self._decided for name in crowded)
        if not count or self._wish.faces == "all":
            return []
        taken = "the largest was taken" if self._wish.faces == "largest" else "none was chosen"
        return [f"{count} photographs show several faces, of which {taken}."]


def _shown(face: Face) -> Face:
    """A face as the window gets it: with the angles that are known, without the dense points."""
    angles, plain = angles_of(face), replace(face, dense=None)
    return plain if angles is None else replace(plain, yaw=angles.yaw, pitch=angles.pitch)


def _same(one: Face, other: Face) -> bool:
    """Whether two faces are at one place: a person may have moved its points."""
    apart = (one.eyes.mean(0) + one.mouth.mean(0) - other.eyes.mean(0) - other.mouth.mean(0)) / 2
    return bool(np.hypot(*apart) < max(one.size, other.size) / 2)


def open_finder(choice: FinderChoice) -> Finder:
    """What finds faces.

    Raises:
        UserError: MediaPipe is named and does not start.
    """
    if choice == "none":
        return HasLooked("points by hand")
    python = find_python() if choice == "auto" else None
    rough = CascadeFinder()
    return rough if python is None else EitherFinder(MediaPipeFinder(python), rough)


def _out(wish: PrepareWish) -> Path:
    return Path(wish.out).expanduser().resolve()
