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

from PIL import Image

from app.faults import log_failure, sentence
from app.preparing_wire import (
    SHOWN_SIDE,
    Answer,
    AskFinder,
    Cancel,
    Decide,
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

Wish = AskFinder | Install | Find | ShowPhoto | Decide | Make


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
        decided = self._decided.get(sight.name)
        faces = sight.faces if decided is None else decided
        if not faces:
            nobody: Kind = "no face" if decided is None else "refused"
            return PhotoSeen(sight.name, nobody, "", sight.size)
        face, angles = faces[0], angles_of(faces[0])
        shown = replace(face, dense=None)
        if angles is not None:
            shown = replace(shown, yaw=angles.yaw, pitch=angles.pitch)
        if not face.certain:
            return PhotoSeen(sight.name, "guessed", "", sight.size, shown)
        found = cutting(face, self._wish.framing, sight.size)
        if isinstance(found, str):
            return PhotoSeen(sight.name, "skipped", found, sight.size, shown)
        kind: Kind = "found" if decided is None else "by hand"
        return PhotoSeen(sight.name, kind, "", sight.size, shown)

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
        faces = () if wish.face is None else (in_order(wish.face),)
        self._decided[wish.name] = faces
        if wish.name in self._sights:
            self._send(self._seen(self._sights[wish.name]))
        # Pointing at a hundred faces takes an hour: it is kept at once.
        write_points(draft_of(_out(self._wish)), self._decided)

    # Making -----------------------------------------------------------------------------

    def _make(self, wish: PrepareWish, cancelled: Callable[[], bool]) -> None:
        out, ours = _out(wish), {n: f for n, f in self._decided.items() if n in self._sights}
        faces = {name: sight.faces for name, sight in self._sights.items() if sight.faces}
        job = PrepareJob(
            Path(wish.photos).expanduser(), out, wish.resolution, wish.framing, points=faces | ours
        )
        result = prepare(
            job, HasLooked(self._finder), lambda *done: self._send(Step(*done)), cancelled
        )
        if ours:
            # With it the same set can be made again, by the command, too.
            write_points(out / POINTS_NAME, ours | dict(result.guesses))
            draft_of(_out(self._wish)).unlink(missing_ok=True)
        for name, reason in result.skipped.items():
            if name not in result.guesses and faces.get(name) and ours.get(name) != ():
                seen = self._seen(self._sights[name])
                self._send(replace(seen, kind="skipped", reason=reason))
        # How to go on with a file of points is told to those who have no window.
        notes = tuple(note for note in result.notes if POINTS_NAME not in note)
        self._send(Made(str(out), len(result.made), notes))


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
