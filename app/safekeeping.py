"""Unsaved changes outlive a crash: they are kept after each burst, and offered at the next start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from app.conversation import Choice, Conversation
from app.document import Document
from app.file_stamp import Stamp
from app.project import Project, thumbnail_of
from app.project_opening import Wanted
from app.recovery import Leftover, Recovery
from engine.errors import UserError

if TYPE_CHECKING:
    from app.studio import Studio

#: Seconds without an edit after which the recovery file is written.
BURST_SECONDS = 1.0
#: Seconds after which what could not be written is tried again: the disk may have room by then.
AGAIN_SECONDS = 20.0


class Safekeeping:
    """Writes the recovery file of one window, and asks about those that others left.

    Args:
        studio: the state behind the window.
        talk: to ask the person.
        recovery: this window's recovery file; ``None`` keeps none.
        open_project: brings a recovered project into the window.
    """

    def __init__(
        self,
        studio: Studio,
        talk: Conversation,
        recovery: Recovery | None,
        open_project: Callable[[Wanted], None],
    ) -> None:
        self._studio, self._talk, self._recovery = studio, talk, recovery
        self._open_project = open_project
        self._leftovers: list[Leftover] = []
        self._seen: Document | None = None
        self._changed_at = 0.0
        self._kept: Document | None = None
        #: When what could not be written is tried again, and what was told of it.
        self._again_at = math.inf
        self._told = ""
        #: What follows once what is unsaved is safe, in this window's file or in the project's.
        self._then: Callable[[], None] | None = None

    def poll(self, origin: Path | None, seen: Stamp | None) -> None:
        """Keep what was changed, once nothing has changed for a while and no drag is under
        way; drop what was kept once nothing is unsaved. Call often.

        Args:
            origin: where the project lies, if it was ever saved.
            seen: its file as this window read or wrote it last.
        """
        studio, now = self._studio, self._studio.clock()
        if studio.document is not self._seen:
            self._seen, self._changed_at = studio.document, now
        if self._recovery is None:
            return
        if studio.history.is_saved:
            if self._kept is not None:
                self._kept = None
                self._recovery.forget()
            self._safe(self._then)
        elif (
            (studio.document != self._kept or now >= self._again_at)
            and studio.history.gesture is None
            and now - self._changed_at >= BURST_SECONDS
        ):
            self.keep(origin, seen)
        if fault := self._recovery.take_fault():
            self._again_at = now + AGAIN_SECONDS
            if fault != self._told:
                self._told = fault
                studio.say(fault, "warning", "recovery")

    def keep(
        self, origin: Path | None, seen: Stamp | None, then: Callable[[], None] | None = None
    ) -> None:
        """Write the recovery file of the present state; ``then`` is called by another thread
        once it is there."""
        document, frame = self._studio.document, self._studio.frame
        self._kept, self._again_at = document, math.inf
        waiting = self._then = then or self._then

        def make() -> Project:
            picture = thumbnail_of(document, frame)
            return Project(document, picture, "" if origin is None else str(origin), seen)

        if self._recovery is not None:
            self._recovery.keep(make, lambda: self._safe(waiting))

    def _safe(self, then: Callable[[], None] | None) -> None:
        """What was not saved lies on the disk, and ``then`` follows; called by another thread, too."""
        self._told, self._again_at = "", math.inf
        if then is not None:
            self._then = None if self._then is then else self._then
            then()

    def close(self, origin: Path | None, seen: Stamp | None, clean: bool) -> None:
        """The window is gone.

        Args:
            origin, seen: as in :meth:`poll`.
            clean: the person has left; otherwise unsaved changes are kept for the next start.
        """
        self.leave()
        if self._recovery is not None:
            unsaved = not clean and not self._studio.history.is_saved
            if unsaved and (self._studio.document != self._kept or self._again_at < math.inf):
                self.keep(origin, seen)
            self._recovery.close(keep=unsaved)

    def offer(self) -> None:
        """Ask about what windows left behind that ended without asking."""
        if self._recovery is not None:
            self._leftovers = self._recovery.leftovers()
            self._offer_next()

    def leave(self) -> None:
        """Leave what was not asked about yet for another time."""
        for leftover in self._leftovers:
            leftover.release()
        self._leftovers = []

    def _offer_next(self) -> None:
        while self._leftovers:
            leftover = self._leftovers.pop(0)
            try:
                project = leftover.read()
            except UserError as error:
                self._studio.say(str(error), "warning")
                continue
            wanted = Wanted(project, Path(project.origin) if project.origin else None, leftover)
            self._ask(wanted, leftover)
            return

    def _ask(self, wanted: Wanted, leftover: Leftover) -> None:
        def discard() -> None:
            leftover.discard()
            self._offer_next()

        def later() -> None:
            leftover.release()
            self.leave()

        when = time.strftime("%d %B, %H:%M", time.localtime(leftover.modified))
        self._talk.ask(
            f'Maquette ended unexpectedly on {when}, with changes to "{wanted.name}" that were '
            "not saved. They can be recovered.",
            Choice(
                "Recover",
                "recover_yes",
                lambda: self._open_project(wanted),
                "Open it as it was; saving keeps it",
            ),
            Choice("Discard", "recover_no", discard, "Delete these changes; they are lost"),
            Choice(
                "Later", "recover_later", later, "Keep them aside and ask again at the next start"
            ),
        )
