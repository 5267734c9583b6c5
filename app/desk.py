"""The desk: which project is being worked on, whether it is saved, and how it is opened, saved
and left. It knows neither Dear PyGui nor torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.conversation import Choice, Conversation, Prompt, nothing, shown
from app.document import Document
from app.file_stamp import OTHER, Stamp, is_another, later, stamp
from app.project import (
    PROJECT_SUFFIX,
    Project,
    is_project,
    read_project,
    thumbnail_of,
    write_project,
)
from app.project_opening import UNTITLED, ProjectOpening, Wanted
from app.recovery import Recovery
from app.safekeeping import Safekeeping
from app.typed_paths import whole_path
from engine.errors import UserError
from engine.export.files import check_writable, free_beside
from engine.places import home

if TYPE_CHECKING:
    from app.studio import Studio


class Desk:
    """The project of one window.

    Args:
        studio: the state behind the window.
        recovery: this window's recovery file; ``None`` keeps none.
    """

    def __init__(self, studio: Studio, recovery: Recovery | None = None) -> None:
        self._studio = studio
        self.talk = Conversation(studio.touch)
        self.opening = ProjectOpening(studio, self.talk, self._arrived, self._given_up)
        self.safe = Safekeeping(studio, self.talk, recovery, self.opening.begin)
        #: Where the project lies; ``None`` until it was saved.
        self.path: Path | None = None
        #: Its file as this window read or wrote it last.
        self._seen: Stamp | None = None
        #: The person has decided to leave: the window may close.
        self.closed = False

    @property
    def name(self) -> str:
        """The project's name for people."""
        return UNTITLED if self.path is None else shown(self.path.stem)

    @property
    def is_dirty(self) -> bool:
        """Whether there are changes that are not saved."""
        return not self._studio.history.is_saved

    @property
    def title(self) -> str:
        """The name, with a mark while there are unsaved changes."""
        return self.name + ("*" if self.is_dirty else "")

    def poll(self) -> None:
        """Take in what was found, and keep what was changed; call often."""
        self.opening.poll()
        self.safe.poll(self.path, self._seen)

    # New, open, leave -------------------------------------------------------------------

    def new(self) -> None:
        """Begin a new project on the present model; asks first if changes are unsaved."""
        self._guard(self._start_new)

    def _start_new(self) -> None:
        self.opening.give_up()
        self.path = self._seen = None
        self._studio.place(Document())

    def open(self, path: str | Path) -> None:
        """Open a project; asks first if changes are unsaved.

        Raises:
            UserError: it cannot be read; the present one stays.
        """
        where = whole_path(path, None, "a project")
        seen = stamp(where)
        try:
            project = read_project(where)
        except UserError:
            if not where.exists():
                self.forget_recent(str(where))
            raise
        self._guard(lambda: self.opening.begin(Wanted(project, where, seen=seen)))

    def ask_open(self) -> None:
        """Ask which project to open."""
        recent = self._studio.settings.recent_projects
        start = f"{Path(recent[0]).parent}/" if recent else ""
        self.talk.ask_path(Prompt("open", "Open a project", "Open", start, self._open_named))

    def _open_named(self, path: str) -> None:
        # Read before the prompt goes, so that a wrong name can be mended in it.
        recent = self._studio.settings.recent_projects
        where = whole_path(path, Path(recent[0]).parent if recent else home(), "a project")
        read_project(where)
        self.talk.end()
        self.open(where)

    def close(self) -> None:
        """Leave; asks first if changes are unsaved, or exports are not over."""
        self._guard(self._leave)

    def _leave(self) -> None:
        if self._studio.training.is_busy:
            self.talk.ask(
                "A training run goes on. Closing the window stops it after the present step; what there "
                "is will be kept, and the run can go on later.",
                Choice("Stop it", "train_end", self._end_training, "Keep the run and leave"),
                Choice("Keep the window", "train_keep", nothing, "Go on training"),
            )
            return
        count = len(self._studio.jobs.active)
        if not count:
            self._shut_door()
            return
        what = "An export is" if count == 1 else f"{count} exports are"
        self.talk.ask(
            f"{what} not finished yet. Closing the window ends {'it' if count == 1 else 'them'}, "
            "and no file is left.",
            Choice(
                "Cancel it" if count == 1 else "Cancel them",
                "jobs_cancel",
                self._end_jobs,
                "End what is being exported and close the window",
            ),
            Choice("Keep the window", "jobs_keep", nothing, "Go on exporting"),
        )

    def _end_training(self) -> None:
        self._studio.training.stop()
        self._shut_door()

    def _end_jobs(self) -> None:
        self._studio.jobs.cancel_all()
        self._shut_door()

    def _shut_door(self) -> None:
        self.closed = True
        self._studio.touch()

    def shut(self) -> None:
        """The window is gone; unsaved changes are kept unless the person chose to leave."""
        self.opening.close()
        self.safe.close(self.path, self._seen, self.closed)

    def _guard(self, then: Callable[[], None]) -> None:
        """Do ``then``, after asking about unsaved changes."""
        if not self.is_dirty:
            self.talk.dismiss()
            then()
            return

        def save() -> None:
            self._save(then)

        self.talk.ask(
            f'"{self.name}" has changes that are not saved.',
            Choice("Save", "unsaved_save", save, "Save the project, then go on"),
            Choice("Don't save", "unsaved_discard", then, "Go on; the changes are lost"),
            Choice("Cancel", "unsaved_cancel", nothing, "Stay here; everything is as it was"),
        )

    def _arrived(self, wanted: Wanted) -> None:
        """The project's document is in the studio, drawn by its model."""
        studio = self._studio
        self.path, self._seen = wanted.path, wanted.seen
        if wanted.path is not None:
            studio.change_settings(studio.settings.with_project(str(wanted.path)))
        if wanted.leftover is not None:
            if wanted.path is not None:
                seen = wanted.project.seen
                # Of a file of an earlier version it is not known.
                self._seen = OTHER if seen is None else later(wanted.path, seen)
            studio.history = replace(studio.history, saved=None)
            self.safe.keep(self.path, self._seen, wanted.leftover.discard)
            self.safe.leave()
            studio.say(f'"{wanted.name}" is as it was; save it to keep it.', "good", "project")

    def _given_up(self, wanted: Wanted) -> None:
        if wanted.leftover is not None:
            wanted.leftover.release()
            self.safe.leave()

    # Saving -----------------------------------------------------------------------------

    def save(self) -> None:
        """Save under the present name; asks for one if there is none yet."""
        self._save(nothing)

    def _save(self, then: Callable[[], None]) -> None:
        """Save under the present name, or ask; ``then`` follows once it is saved."""
        where = self.path
        if where is None:
            self.ask_save_as(then)
            return

        def save() -> None:
            if self._written(where):
                then()

        if not is_another(where, self._seen):
            save()
            return
        self.talk.ask(
            f'"{self.name}" was saved by another window or program since it was opened or saved here.',
            Choice(
                "Another name", "changed_name", lambda: self.ask_save_as(then, where), "Keep both"
            ),
            Choice("Save over it", "changed_over", save, "What the other one saved is lost"),
            Choice("Cancel", "changed_cancel", nothing, "Save nothing; everything is as it was"),
        )

    def ask_save_as(self, then: Callable[[], None] = nothing, taken: Path | None = None) -> None:
        """Ask where to save; ``then`` follows once it is saved.

        Args:
            then: see above.
            taken: a name that shall stay another's: one beside it is proposed.
        """
        proposed = self._proposed() if taken is None else free_beside(taken)
        self.talk.ask_path(
            Prompt(
                "save", "Save the project", "Save", str(proposed),
                lambda path: self._save_named(path, then),
            )
        )  # fmt: skip

    def _save_named(self, path: str, then: Callable[[], None]) -> None:
        # A name alone goes beside the one that was proposed.
        where = whole_path(path, self._proposed().parent, "a project")
        if where.is_dir():
            raise UserError(f"{where} is a folder; add a name for the project.")
        if not is_project(where):
            where = where.with_name(where.name + PROJECT_SUFFIX)

        def replace() -> None:
            if self._written(where):
                then()

        mine = where == self.path and not is_another(where, self._seen)
        if mine or not where.exists():
            self._write(where)
            self.talk.end()
            then()
            return
        check_writable(where)
        self.talk.end()
        self.talk.ask(
            f"{where.name} exists already in {where.parent}.",
            Choice("Replace it", "replace_yes", replace, "Write over that file"),
            Choice(
                "Keep it",
                "replace_no",
                lambda: self.ask_save_as(then, where),
                "Choose another name",
            ),
        )

    def _written(self, where: Path) -> bool:
        """Save, or tell why not in place of what was told of the saving before."""
        try:
            self._write(where)
        except UserError as error:
            self._studio.say(str(error), "error", "project")
            return False
        return True

    def _write(self, where: Path) -> None:
        studio = self._studio
        studio.end_gesture()
        document = studio.document
        write_project(where, Project(document, thumbnail_of(document, studio.frame)))
        self.path, self._seen = where, stamp(where)
        studio.history = studio.history.mark_saved(document)
        studio.change_settings(studio.settings.with_project(str(where)))
        studio.say(f"Saved to {where}", "good", "project")

    def _proposed(self) -> Path:
        """Where a project is saved unless another place is named."""
        if self.path is not None:
            return self.path
        recent = self._studio.settings.recent_projects
        documents = home() / "Documents"
        folder = documents if documents.is_dir() else home()
        if recent and Path(recent[0]).parent.is_dir():
            folder = Path(recent[0]).parent
        return free_beside(folder / f"{UNTITLED}{PROJECT_SUFFIX}")

    def forget_recent(self, path: str) -> None:
        """Take a project out of the recent list; the file stays."""
        studio = self._studio
        studio.change_settings(studio.settings.without_project(path))
